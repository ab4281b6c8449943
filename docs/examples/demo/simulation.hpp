// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <pulse/control/rate_coordinator.hpp>
#include <pulse/core/clock.hpp>

/// The world around Pulse: a provider that delivers ticks as fast as it may, and a store that writes them as fast as it can.
namespace demo {

using namespace std::chrono_literals;

inline constexpr std::int64_t queue_capacity = 2000;  // ticks the store's queue holds: one more is lost
inline constexpr int provider_per_ms = 20;            // ticks the provider has to offer
inline constexpr int store_per_ms = 30;               // ticks the store writes when well
inline constexpr int store_slow_per_ms = 6;           // and while it compacts
inline constexpr auto surge_from = 1500ms;
inline constexpr auto surge_to = 4000ms;
inline constexpr auto duration = 6000ms;
inline constexpr auto kill_at = 2500ms;  // under --kill-consumer, while the store is slow
inline constexpr auto report_every = 10ms;

/// The level for a queue that holds `queued`, given the level before: hysteresis, so that it does not flutter.
inline pulse::BackpressureLevel level_for(std::int64_t queued, pulse::BackpressureLevel before) {
  using enum pulse::BackpressureLevel;
  const double share = static_cast<double>(queued) / static_cast<double>(queue_capacity);
  if (share >= 0.75) {
    return hard;
  }
  if (before == hard && share >= 0.45) {
    return hard;
  }
  if (share >= 0.4) {
    return soft;
  }
  return before != ok && share >= 0.15 ? soft : ok;
}

/// A bounded queue of which only the length matters.
class Queue {
 public:
  void push() {
    if (depth_.fetch_add(1) >= queue_capacity) {
      depth_.fetch_sub(1);
      overflow_.fetch_add(1);
    }
  }
  std::int64_t pop(std::int64_t most) {
    const std::int64_t taken = std::min(most, depth_.load());
    depth_.fetch_sub(taken);
    return taken;
  }
  [[nodiscard]] std::int64_t depth() const { return std::min(depth_.load(), queue_capacity); }
  [[nodiscard]] std::uint64_t overflow() const { return overflow_.load(); }

 private:
  std::atomic<std::int64_t> depth_{0};
  std::atomic<std::uint64_t> overflow_{0};
};

struct Sample {
  double seconds;
  std::int64_t depth;
  double scale;
  pulse::BackpressureLevel level;
};

/// Calls `tick(elapsed, ms)` about every millisecond with the whole milliseconds that passed, until `duration` is over.
template <class Tick>
void paced(pulse::SteadyTime start, Tick&& tick) {
  std::int64_t done = 0;
  while (true) {
    const auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(pulse::SystemClock::steady() - start);
    if (elapsed >= duration) {
      return;
    }
    if (elapsed.count() > done) {
      tick(elapsed, elapsed.count() - done);
      done = elapsed.count();
    }
    std::this_thread::sleep_for(500us);
  }
}

}  // namespace demo
