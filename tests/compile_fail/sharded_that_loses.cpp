// SPDX-License-Identifier: MIT
// expect-error: may take a new event for a duplicate and so lose it.*pulse::AllowLoss
#include <pulse/dedup/fifo_window.hpp>
#include <pulse/dedup/sharded.hpp>

struct Filter : pulse::FifoWindow {
  using FifoWindow::FifoWindow;
  static constexpr bool exact = false;
};
#ifdef PULSE_TWIN
constexpr bool outside = pulse::assert_dedup<pulse::AllowLoss<pulse::Sharded<Filter>>>();
constexpr bool inside = pulse::assert_dedup<pulse::Sharded<pulse::AllowLoss<Filter>>>();
pulse::AllowLoss<pulse::Sharded<Filter>> made{1000U, 4U};
#else
constexpr bool asserted = pulse::assert_dedup<pulse::Sharded<Filter>>();
#endif
