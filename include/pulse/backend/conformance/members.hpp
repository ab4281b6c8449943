// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "pulse/backend/conformance/trial.hpp"
#include "pulse/core/clock.hpp"

namespace pulse::inline v0_1::conformance::backend_laws {

/// What the members of a group may do to each other's entries: a former owner changes nothing of the new owner's.
template <class Make, class Pass>
std::string members(Make& make, Pass& pass) {
  using namespace std::chrono_literals;
  ManualClock clock;
  {
    auto b = make(clock);
    auto one = *b->subscribe(at("one"));
    auto two = *b->subscribe(at("two"));
    for (const char* event : {"a", "b", "c", "d"}) {
      (void)b->publish("s", event);
    }
    (void)one.receive(4, 0ms);
    pass(clock, 10s);
    if (std::string law = differs("a claim takes what another member left idle", "a:2 b:2 c:2 d:2 ", text(two.claim_stale(10s, 4))); !law.empty()) {
      return law;
    }
    const auto state = [&] {
      const auto told = two.state(0);
      return told ? std::to_string(told->pending) + " pending, " + std::to_string(told->dead_letters) + " dead" : "error: " + told.error().message;
    };
    const auto owned = [&] {
      std::size_t lost = 0;
      (void)two.extend(0, 4, [&](std::size_t) { ++lost; });
      return state() + ", " + std::to_string(lost) + " lost";
    };
    const std::string all = "4 pending, 0 dead, 0 lost";
    std::size_t lost = 0;
    (void)one.extend(0, 4, [&](std::size_t) { ++lost; });
    if (std::string law = differs("extending reports what another consumer owns", "4", std::to_string(lost)); !law.empty()) {
      return law;
    }
    if (std::string law = differs("extending never takes back what another consumer owns", all, owned()); !law.empty()) {
      return law;
    }
    if constexpr (std::remove_cvref_t<decltype(*b)>::capabilities.fenced_acks) {  // else it may remove the new owner's entry, which one of both has handled
      const std::vector<std::uint32_t> ack{0};
      (void)one.settle({ack, {}, {}});
      (void)one.flush(1s);
      if (std::string law = differs("an acknowledgement by a former owner changes nothing", all, owned()); !law.empty()) {
        return law;
      }
    }
    const std::vector<DeadLetterItem> dead{{1, "late"}};
    (void)one.settle({{}, {}, dead});
    (void)one.flush(1s);
    if (std::string law = differs("a dead letter of a former owner is none", all, owned()); !law.empty()) {
      return law;
    }
    const std::vector<RetryItem> retry{{2, 1ms}};
    (void)one.settle({{}, retry, {}});
    (void)one.flush(1s);
    pass(clock, 1ms);
    if (std::string law = differs("a retry of a former owner comes to nobody", "", text(one.receive(4, 0ms))); !law.empty()) {
      return law;
    }
    if (std::string law = differs("a retry of a former owner changes nothing", all, owned()); !law.empty()) {
      return law;
    }
    const std::vector<std::uint32_t> acks{0, 1, 3};
    (void)two.settle({acks, {}, {}});
    (void)two.flush(1s);
    if (std::string law = differs("what its owner acknowledges is gone", "1 pending, 0 dead", state()); !law.empty()) {
      return law;
    }
    if (std::string law = differs("a retry of a former owner comes to nobody", "", text(two.receive(4, 0ms))); !law.empty()) {
      return law;
    }
  }
  {
    auto b = make(clock);
    auto one = *b->subscribe(at("one"));
    (void)b->publish("s", "a");
    (void)one.receive(1, 0ms);
    const std::vector<RetryItem> retry{{0, 20s}};
    (void)one.settle({{}, retry, {}});
    (void)one.flush(1s);
    pass(clock, 10s);
    if (std::string law = differs("who waits to retry an entry does not claim it meanwhile", "", text(one.claim_stale(1s, 10))); !law.empty()) {
      return law;
    }
    pass(clock, 10s);
    if (std::string law = differs("a retry comes though claims came in between", "a:2 ", text(one.receive(1, 0ms))); !law.empty()) {
      return law;
    }
    const std::vector<DeadLetterItem> dead{{0, "because"}};
    (void)one.settle({{}, {}, dead});
    (void)one.flush(1s);
    if (const auto state = one.state(0); !state || state->pending != 0 || state->dead_letters != 1) {
      return "a dead letter is counted by state, and pending no more";
    }
    (void)one.settle({{}, {}, dead});  // as after an error, where it had been done
    (void)one.flush(1s);
    if (const auto state = one.state(0); !state || state->dead_letters != 1) {
      return "a dead letter that was said twice is there once";
    }
  }
  return "";
}

}  // namespace pulse::inline v0_1::conformance::backend_laws
