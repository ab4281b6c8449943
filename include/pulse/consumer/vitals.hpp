// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

#include "pulse/concept/observer.hpp"
#include "pulse/consumer/options.hpp"

namespace pulse::inline v0_1::detail {

/// When a consumer's loop last got on, its failures in a row, and what the last one said. Thread safety: one thread tells, any may ask.
class Vitals {
 public:
  /// `when`: now, or until when it may rest.
  void progressed(SteadyTime when) noexcept {
    progress_.store(when.time_since_epoch().count(), std::memory_order_relaxed);
    position_.store(0, std::memory_order_release);
  }
  /// Nothing is to be done for that long, which is given back.
  std::chrono::milliseconds rests(SteadyTime now, std::chrono::milliseconds pause) noexcept {
    progressed(now + pause);
    return pause;
  }
  /// The event of that index in the batch is next. It reads no clock: who asks does, and sees by the index whether those before are finished.
  void handling(std::uint32_t index) noexcept { position_.store(index, std::memory_order_relaxed); }
  Error note(Error error) {
    const std::lock_guard lock{mutex_};
    last_ = error.message;
    ++count_;
    any_ = true;
    return error;
  }
  /// The last failure: nothing goes on after it.
  template <class Metrics>
  Error ended(Metrics& metrics, Error error) {
    tell<notice::Ended>(metrics, [&] { return notice::Ended{error.code, error.message}; });
    return note(std::move(error));
  }
  /// A failure after which the loop goes on.
  template <class Metrics>
  void failed(Metrics& metrics, Error error) {
    tell<notice::BackendFailed>(metrics, [&] { return notice::BackendFailed{error.code, error.message, count_ + 1}; });
    (void)note(std::move(error));
  }
  template <class Metrics>
  void clear(Metrics& metrics) {
    if (any_) [[unlikely]] {
      any_ = false;
      tell<notice::BackendRecovered>(metrics, [&] { return notice::BackendRecovered{count_}; });
      const std::lock_guard lock{mutex_};
      count_ = 0;
      last_.clear();
    }
  }
  /// Between two events of a batch the progress counts from the first question that sees it: nobody noted when it was made.
  [[nodiscard]] ConsumerHealth health(SteadyTime now) const {
    ConsumerHealth health;
    const std::lock_guard lock{mutex_};
    const std::uint32_t position = position_.load(std::memory_order_acquire);
    const std::chrono::nanoseconds progress{progress_.load(std::memory_order_relaxed)};
    if (const std::pair at{progress, position}; at != seen_) {
      seen_ = at;
      seen_at_ = now.time_since_epoch();
    }
    const std::chrono::nanoseconds last = position == 0 ? progress : std::max(progress, seen_at_);
    health.since_progress = std::max(std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch() - last), std::chrono::milliseconds{0});
    health.failures_in_a_row = count_;
    health.detail = last_;
    return health;
  }

 private:
  std::atomic<std::int64_t> progress_{0};
  std::atomic<std::uint32_t> position_{0};  // in the batch, since progress_ was noted
  bool any_ = false;
  mutable std::mutex mutex_;
  mutable std::pair<std::chrono::nanoseconds, std::uint32_t> seen_;  // progress_ and position_ when they were asked for last
  mutable std::chrono::nanoseconds seen_at_{0};                      // since when they are that
  std::uint64_t count_ = 0;
  std::string last_;
};

/// Reads a batch. The wait for it is rest, and no sign of a loop that is stuck.
template <class Subscription, class Clk>
auto receive_resting(Subscription& subscription, std::size_t most, std::chrono::milliseconds wait, SteadyTime now, const Clk& clock, Vitals& vitals) {
  auto batch = subscription.receive(most, vitals.rests(now, wait));
  if (wait > std::chrono::seconds{1}) {  // what is left of a short one is not worth reading the clock: a stuck handler is told of that much later
    vitals.progressed(clock.steady());
  }
  return batch;
}

}  // namespace pulse::inline v0_1::detail
