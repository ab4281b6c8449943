// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "pulse/concept/clock.hpp"
#include "pulse/core/clock.hpp"

/// The laws of Clock, executable and bound to no test framework. In a test of one's own clock:
///
///     CHECK(pulse::conformance::clock(MyClock{}) == "");
namespace pulse::inline v0_1::conformance {

namespace detail {
/// What a thread of the kit shares with it. A clock that breaks a law of waiting may never give the thread back: it is left to itself then.
template <class C>
struct Waiting {
  explicit Waiting(const C& its_clock) : clock(its_clock) {}
  C clock;
  std::mutex mutex;
  std::condition_variable condition;
  std::atomic<bool> returned{false};
};

/// Whether a wait until `deadline` comes back, notified again and again or never. Patience: three seconds of the machine's.
template <class C>
bool wait_returns(const C& clock, SteadyTime deadline, bool notify) {
  const auto shared = std::make_shared<Waiting<C>>(clock);
  std::thread{[shared, deadline] {
    std::unique_lock lock{shared->mutex};
    shared->clock.wait_until(shared->condition, lock, deadline);
    shared->returned = true;
  }}.detach();
  for (int i = 0; i < 3000 && !shared->returned; ++i) {
    if (notify) {
      const std::lock_guard lock{shared->mutex};
      shared->condition.notify_all();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  return shared->returned;
}
}  // namespace detail

/// Returns "" or the first law that was broken. Takes some milliseconds where all hold.
template <class C>
[[nodiscard]] std::string clock(const C& clock) {
  static_assert(Clock<C>, "pulse: this is no Clock: pulse::assert_clock<...>() tells what is missing. See docs/reference/clock.md");
  const C copy = clock;
  SteadyTime before = clock.steady();
  for (int i = 0; i < 10'000; ++i) {
    const SteadyTime of_copy = copy.steady();
    const SteadyTime after = clock.steady();
    if (of_copy < before || after < of_copy) {
      return "steady never goes back, and a copy tells the same time";
    }
    before = after;
  }
  // Two threads take turns: each reads after the other did, so it may not read less.
  std::atomic<SteadyTime::rep> last{before.time_since_epoch().count()};
  std::atomic<bool> wrong{false};
  std::atomic<int> turn{0};
  const auto read = [&](int mine) {
    for (int i = 0; i < 500; ++i) {
      while (turn.load() != mine) {
        std::this_thread::yield();
      }
      const auto now = clock.steady().time_since_epoch().count();
      if (now < last.exchange(now)) {
        wrong = true;
      }
      turn = 1 - mine;
    }
  };
  std::thread other{read, 1};
  read(0);
  other.join();
  if (wrong) {
    return "steady never goes back, on any thread";
  }
  const WallTime wall = clock.wall();
  if (wall > copy.wall() + std::chrono::hours{1} || copy.wall() > wall + std::chrono::hours{1}) {
    return "a copy tells the same wall time";
  }
  if constexpr (requires { clock.coarse_steady(); }) {
    for (int i = 0; i < 1000; ++i) {
      if (const SteadyTime coarse = clock.coarse_steady(); coarse > clock.steady()) {
        return "coarse_steady is late, never early";
      }
    }
  }
  if constexpr (requires { clock.coarse_wall(); }) {
    if (clock.coarse_wall() > clock.wall() + std::chrono::minutes{1}) {
      return "coarse_wall is the wall time, some milliseconds late";
    }
  }
  if (!detail::wait_returns(clock, clock.steady() - std::chrono::seconds{1}, false)) {
    return "a wait until a time that has passed returns";
  }
  const SteadyTime early = clock.steady();
  std::this_thread::sleep_for(std::chrono::milliseconds{20});
  if (clock.steady() > early && !detail::wait_returns(clock, clock.steady() + std::chrono::milliseconds{5}, false)) {
    return "a wait ends about its deadline, though nobody notifies";  // of a clock that moves by itself
  }
  if (!detail::wait_returns(clock, clock.steady() + std::chrono::hours{24}, true)) {
    return "a notification ends a wait";
  }
  return "";
}

}  // namespace pulse::inline v0_1::conformance
