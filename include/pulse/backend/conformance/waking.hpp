// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <future>
#include <string>
#include <thread>

#include "pulse/backend/conformance/trial.hpp"
#include "pulse/core/clock.hpp"

namespace pulse::inline v0_1::conformance::backend_laws {

/// What ends a receive that waits. It waits on a thread of its own: one that does not end within `patience` of the machine's time is named, and ended by
/// all else that might end it.
template <class Make, class Pass>
std::string waking(Make& make, Pass& pass, std::chrono::milliseconds patience) {
  using namespace std::chrono_literals;
  constexpr auto wait = 1min;
  ManualClock clock;
  const auto ended_by = [&](auto act, bool waiting) {
    auto b = make(clock);
    auto one = *b->subscribe(at("one"));
    if (!waiting) {
      act(*b, one);
    }
    auto got = std::async(std::launch::async, [&] { return text(one.receive(1, wait)); });
    if (waiting) {
      std::this_thread::sleep_for(20ms);
      act(*b, one);
    }
    if (got.wait_for(patience) == std::future_status::ready) {
      return got.get();
    }
    pass(clock, wait);
    (void)b->publish("s", "late");
    got.wait();
    return std::string("it waits on");
  };
  const auto wake = [](auto&, auto& one) { one.wake(); };
  if (std::string law = differs("a wake ends the next receive at once", "", ended_by(wake, false)); !law.empty()) {
    return law;
  }
  if (std::string law = differs("a wake ends a waiting receive", "", ended_by(wake, true)); !law.empty()) {
    return law;
  }
  return differs("a waiting receive gives an entry that comes", "a:1 ", ended_by([](auto& b, auto&) { (void)b.publish("s", "a"); }, true));
}

}  // namespace pulse::inline v0_1::conformance::backend_laws
