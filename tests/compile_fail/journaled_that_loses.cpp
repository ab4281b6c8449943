// SPDX-License-Identifier: MIT
// expect-error: may take a new event for a duplicate and so lose it.*pulse::AllowLoss
#include <pulse/dedup/fifo_window.hpp>
#include <pulse/dedup/journaled.hpp>

struct Filter : pulse::FifoWindow {
  using FifoWindow::FifoWindow;
  static constexpr bool exact = false;
};
#ifdef PULSE_TWIN
constexpr bool outside = pulse::assert_dedup<pulse::AllowLoss<pulse::Journaled<Filter>>>();
constexpr bool inside = pulse::assert_dedup<pulse::Journaled<pulse::AllowLoss<Filter>>>();
inline auto make(pulse::Journal journal) { return pulse::AllowLoss<pulse::Journaled<Filter>>{Filter{100}, std::move(journal)}; }
#else
constexpr bool asserted = pulse::assert_dedup<pulse::Journaled<Filter>>();
#endif
