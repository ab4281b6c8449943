// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#if __has_include(<time.h>)
#include <time.h>
#endif

namespace pulse::inline v0_1 {

/// Time since the Unix epoch, for what leaves the process: timestamps, entry ids, lag. It may jump.
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;
/// Monotonic time, for everything that is measured or waited for inside the process.
using SteadyTime = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;

/// Seconds since the Unix epoch as the wire has them.
[[nodiscard]] inline double epoch_seconds(WallTime time) noexcept { return std::chrono::duration<double>(time.time_since_epoch()).count(); }

/// The machine's clocks. Stateless. Thread safety: all of it.
struct SystemClock {
  [[nodiscard]] static WallTime wall() noexcept { return std::chrono::system_clock::now(); }
  [[nodiscard]] static SteadyTime steady() noexcept { return std::chrono::steady_clock::now(); }

  /// The same times as of the kernel's last tick, 1 to 10 ms ago: a quarter of the cost, for stamps that are whole milliseconds anyway.
  /// Where the system has none, the exact ones.
#if defined(CLOCK_REALTIME_COARSE) && defined(CLOCK_MONOTONIC_COARSE)
  [[nodiscard]] static WallTime coarse_wall() noexcept { return WallTime{read(CLOCK_REALTIME_COARSE)}; }
  [[nodiscard]] static SteadyTime coarse_steady() noexcept { return SteadyTime{read(CLOCK_MONOTONIC_COARSE)}; }
#endif

  /// Waits until notified or `deadline`, as std::condition_variable::wait_until; may wake early.
  static void wait_until(std::condition_variable& condition, std::unique_lock<std::mutex>& lock, SteadyTime deadline) { condition.wait_until(lock, deadline); }

#if defined(CLOCK_REALTIME_COARSE) && defined(CLOCK_MONOTONIC_COARSE)
 private:
  static std::chrono::nanoseconds read(clockid_t clock) noexcept {
    timespec time{};
    clock_gettime(clock, &time);
    return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
  }
#endif
};

/// A clock's coarse time where it has one, else its exact one.
template <class Clk>
[[nodiscard]] WallTime coarse_wall(const Clk& clock) noexcept {
  if constexpr (requires { clock.coarse_wall(); }) {
    return clock.coarse_wall();
  } else {
    return clock.wall();
  }
}
template <class Clk>
[[nodiscard]] SteadyTime coarse_steady(const Clk& clock) noexcept {
  if constexpr (requires { clock.coarse_steady(); }) {
    return clock.coarse_steady();
  } else {
    return clock.steady();
  }
}

/// A clock that stands still until it is told to move: copies are handles on the same clock.
/// Whoever waits on it looks again every millisecond of real time, so a test needs no other synchronisation.
/// Thread safety: all of it.
class ManualClock {
 public:
  ManualClock() : ManualClock(WallTime{std::chrono::seconds{1'700'000'000}}) {}
  /// Starts at `wall` and, on the monotonic side, at one hour.
  explicit ManualClock(WallTime wall) : state_(std::make_shared<State>()) {
    state_->wall.store(wall.time_since_epoch().count());
    state_->steady.store(std::chrono::nanoseconds{std::chrono::hours{1}}.count());
  }

  [[nodiscard]] WallTime wall() const noexcept { return WallTime{std::chrono::nanoseconds{state_->wall.load()}}; }
  [[nodiscard]] SteadyTime steady() const noexcept { return SteadyTime{std::chrono::nanoseconds{state_->steady.load()}}; }

  /// Moves both clocks forward. Requires: by >= 0.
  void advance(std::chrono::nanoseconds by) noexcept {
    state_->wall.fetch_add(by.count());
    state_->steady.fetch_add(by.count());
  }

  /// Sets the wall clock alone, backwards too, as an operator or NTP does.
  void set_wall(WallTime wall) noexcept { state_->wall.store(wall.time_since_epoch().count()); }

  void wait_until(std::condition_variable& condition, std::unique_lock<std::mutex>& lock, SteadyTime deadline) const {
    if (steady() < deadline) {
      condition.wait_for(lock, std::chrono::milliseconds{1});
    }
  }

 private:
  struct State {
    std::atomic<std::int64_t> wall{0};
    std::atomic<std::int64_t> steady{0};
  };
  std::shared_ptr<State> state_;
};

}  // namespace pulse::inline v0_1
