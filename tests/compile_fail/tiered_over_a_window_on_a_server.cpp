// SPDX-License-Identifier: MIT
// expect-error: stands alone: inside Tiered, Sharded or Journaled.*give it to the Consumer itself
#include <chrono>
#include <span>

#include <pulse/dedup/fifo_window.hpp>
#include <pulse/dedup/tiered.hpp>

struct Store {
  static constexpr bool exact = true;
  static constexpr bool shared = true;
  pulse::Claim claim(pulse::EventId) { return pulse::Claim::fresh; }
#ifndef PULSE_TWIN
  pulse::Status claim(std::span<const pulse::EventId>, std::span<pulse::Claim>) { return {}; }
  pulse::Status flush(std::chrono::milliseconds) { return {}; }
#endif
  void commit(pulse::EventId) {}
  void release(pulse::EventId) {}
  std::size_t size() const { return 0; }
};
pulse::Tiered<pulse::FifoWindow, Store> tiered{pulse::FifoWindow{10}, Store{}};
