// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <pulse/core/clock.hpp>

#include "counts.hpp"
#include "simulation.hpp"

namespace demo {

/// What becomes of the pipeline under --kill-consumer.
enum class Death : int { none, asked, ready, done };

/// What the store and the pipeline share beside the bus: the ticks on their way, and what is counted of the run. It holds no pointer, so that it
/// may lie in memory that two processes share, and what a killed one counted is still there.
class World {
 public:
  World() { begin(); }

  /// The run starts now.
  void begin() {
    start = pulse::SystemClock::steady();
    epoch_ = pulse::epoch_seconds(pulse::SystemClock::wall());
  }
  /// The time of an event: the wall clock's at the start and the time since, so that no step of the clock makes a younger event older.
  [[nodiscard]] double now() const { return epoch_ + std::chrono::duration<double>(pulse::SystemClock::steady() - start).count(); }

  /// An event of this time is on the bus.
  void published(double ts) { at(ts).published.store(true); }
  /// An event has its effect. The count is the effect that is looked at: it is made in memory that outlives the pipeline, where the rate does not.
  void applied(double ts) {
    Event& event = at(ts);
    if (event.applied.fetch_add(1) == 0) {
      event.lag_ms.store(static_cast<float>((now() - ts) * 1e3));
    }
  }

  /// How many events are on the bus, how many of them had no effect, and how many effects there were: all, and those beyond an event's first.
  struct Effects {
    std::uint64_t events = 0;
    std::uint64_t without = 0;
    std::uint64_t all = 0;
    std::uint64_t again = 0;
    double lag_ms_p99 = 0;
  };
  [[nodiscard]] Effects effects() const {
    Effects found;
    std::vector<float> lags;
    for (const Event& event : events_) {
      const std::uint64_t times = event.applied.load();
      found.events += event.published ? 1U : 0U;
      found.without += event.published && times == 0 ? 1U : 0U;
      found.all += times;
      found.again += times > 1 ? times - 1 : 0;
      if (times > 0) {
        lags.push_back(event.lag_ms.load());
      }
    }
    if (!lags.empty()) {
      const auto p99 = lags.begin() + static_cast<std::ptrdiff_t>(lags.size() * 99 / 100);
      std::nth_element(lags.begin(), p99, lags.end());
      found.lag_ms_p99 = static_cast<double>(*p99);
    }
    return found;
  }

  pulse::SteadyTime start;
  Queue queue;
  Counts counts;
  std::atomic<double> scale{1};            ///< of the provider, as the pipeline has it
  std::atomic<std::uint64_t> entries{0};   ///< put on the bus, repetitions included
  std::atomic<std::uint64_t> written{0};   ///< ticks that the store wrote
  std::atomic<std::uint64_t> restarts{0};  ///< of the pipeline
  std::atomic<bool> up{false};             ///< the pipeline consumes
  std::atomic<bool> over{false};           ///< the store has ended
  std::atomic<Death> death{Death::none};

 private:
  struct Event {
    std::atomic<bool> published{false};
    std::atomic<std::uint32_t> applied{0};
    std::atomic<float> lag_ms{0};
  };
  /// The store reports at most once a millisecond, so the millisecond tells the event.
  Event& at(double ts) { return events_[std::min(static_cast<std::size_t>(std::max((ts - epoch_) * 1e3, 0.0)), events_.size() - 1)]; }

  double epoch_ = 0;
  std::array<Event, static_cast<std::size_t>(std::chrono::milliseconds{duration}.count()) + 1> events_{};
};
static_assert(std::atomic<double>::is_always_lock_free && std::atomic<std::uint64_t>::is_always_lock_free, "else it cannot be shared by processes");

}  // namespace demo
