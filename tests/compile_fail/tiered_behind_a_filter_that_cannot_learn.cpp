// SPDX-License-Identifier: MIT
// expect-error: a filter that is not exact forgets early the ids it was wrong about
#include <pulse/dedup/fifo_window.hpp>
#include <pulse/dedup/tiered.hpp>

struct Filter : pulse::FifoWindow {
  using FifoWindow::FifoWindow;
  static constexpr bool exact = false;
#ifdef PULSE_TWIN
  void remember(pulse::EventId) {}
#endif
};
struct Store : pulse::FifoWindow {
  using FifoWindow::FifoWindow;
  pulse::Claim claim_new(pulse::EventId id, lease_type& lease) { return claim(id, lease); }
};
pulse::Tiered<Filter, Store> tiered{Filter{10}, Store{10}};
