// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <condition_variable>
#include <mutex>

#include "pulse/core/clock.hpp"

namespace pulse::inline v0_1 {

namespace requirement {
template <class C>
concept ClockWall = requires(const C& clock) {
  { clock.wall() } -> std::convertible_to<WallTime>;
};
template <class C>
concept ClockSteady = requires(const C& clock) {
  { clock.steady() } -> std::convertible_to<SteadyTime>;
};
template <class C>
concept ClockWait = requires(const C& clock, std::condition_variable& condition, std::unique_lock<std::mutex>& lock, SteadyTime deadline) {
  clock.wait_until(condition, lock, deadline);
};
}  // namespace requirement

/// A source of time that tests can replace. Contract page: docs/reference/clock.md
///
/// | expression | returns | meaning |
/// |---|---|---|
/// | `clock.wall()` | WallTime | time since the Unix epoch; may jump |
/// | `clock.steady()` | SteadyTime | monotonic: never less than an earlier call returned, on any thread |
/// | `clock.wait_until(cv, lock, deadline)` | | waits until notified or about `deadline` of the steady clock; may wake early |
///
/// Optional: `coarse_wall()` and `coarse_steady()`, the same times some milliseconds late and cheaper.
///
/// None throws; all may be called from any thread; a copy tells the same time.
template <class C>
concept Clock = requirement::ClockWall<C> && requirement::ClockSteady<C> && requirement::ClockWait<C> && std::copy_constructible<C>;

/// Asserts each requirement of Clock on its own, with its message.
template <class C>
constexpr bool assert_clock() {
  static_assert(requirement::ClockWall<C>, "pulse: the Clock has no `WallTime wall() const`: add it, or use pulse::SystemClock. See docs/reference/clock.md");
  static_assert(requirement::ClockSteady<C>,
                "pulse: the Clock has no `SteadyTime steady() const`: add it, or use pulse::SystemClock. See docs/reference/clock.md");
  static_assert(requirement::ClockWait<C>,
                "pulse: the Clock has no `wait_until(std::condition_variable&, std::unique_lock<std::mutex>&, SteadyTime) const`: add it, or use "
                "pulse::SystemClock. See docs/reference/clock.md");
  static_assert(std::copy_constructible<C>,
                "pulse: the Clock cannot be copied (a std::atomic or std::mutex member forbids it), and whatever keeps time has a copy of it: hold what the "
                "copies share by a std::shared_ptr. See docs/reference/clock.md");
  constexpr bool named = requirement::ClockWall<C> && requirement::ClockSteady<C> && requirement::ClockWait<C> && std::copy_constructible<C>;
  static_assert(Clock<C> || !named,
                "pulse: the Clock misses a requirement of pulse::Clock that has no message of its own: assert that concept to see which. See "
                "docs/reference/clock.md");
  return Clock<C>;
}

}  // namespace pulse::inline v0_1
