// SPDX-License-Identifier: MIT
// expect-error: the second strategy of a Tiered decides, so it must be exact: exchange the two
#include <pulse/dedup/fifo_window.hpp>
#include <pulse/dedup/tiered.hpp>

struct Filter : pulse::FifoWindow {
  using FifoWindow::FifoWindow;
  static constexpr bool exact = false;
};
#ifdef PULSE_TWIN
pulse::Tiered<Filter, pulse::FifoWindow> tiered{Filter{10}, pulse::FifoWindow{10}};
#else
pulse::Tiered<pulse::FifoWindow, Filter> tiered{pulse::FifoWindow{10}, Filter{10}};
#endif
