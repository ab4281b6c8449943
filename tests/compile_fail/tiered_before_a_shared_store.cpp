// SPDX-License-Identifier: MIT
// expect-error: a filter of this process does not know what other members of the group handled
#include <pulse/dedup/fifo_window.hpp>
#include <pulse/dedup/tiered.hpp>

struct Store : pulse::FifoWindow {
  using FifoWindow::FifoWindow;
  static constexpr bool shared = true;
#ifndef PULSE_TWIN
  pulse::Claim claim_new(pulse::EventId id, lease_type& lease) { return claim(id, lease); }
#endif
};
pulse::Tiered<pulse::FifoWindow, Store> tiered{pulse::FifoWindow{10}, Store{10}};
