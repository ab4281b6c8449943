// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "pulse/backend/conformance/trial.hpp"
#include "pulse/core/clock.hpp"
#include "pulse/core/entry_id.hpp"

namespace pulse::inline v0_1::conformance::backend_laws {

/// An entry has one id, from its publish to its last delivery: without a producer's id it is what an event is known by.
template <class Make, class Pass>
std::string ids(Make& make, Pass& pass) {
  using namespace std::chrono_literals;
  ManualClock clock;
  auto b = make(clock);
  auto one = *b->subscribe(at("one"));
  const auto sorted = [](std::vector<EntryId> found) {
    std::sort(found.begin(), found.end());
    std::string out;
    for (const EntryId id : found) {
      out += to_string(id) + ' ';
    }
    return out;
  };
  const auto given = [&](const auto& batch) {
    std::vector<EntryId> found;
    for (std::size_t i = 0; batch && i < batch->deliveries.size(); ++i) {
      found.push_back(batch->deliveries[i].id());
    }
    return sorted(std::move(found));
  };
  const EntryId a = *b->publish("s", "a");
  const EntryId c = *b->publish("s", "c");
  const std::string published = sorted({a, c});
  if (std::string law = differs("a delivery has the id that its publish returned", published, given(one.receive(10, 0ms))); !law.empty()) {
    return law;
  }
  const std::vector<RetryItem> retries{{0, 1ms}, {1, 1ms}};
  (void)one.settle({{}, retries, {}});
  pass(clock, 1ms);
  if (std::string law = differs("a retry has the id of its entry", published, given(one.receive(10, 0ms))); !law.empty()) {
    return law;
  }
  auto again = *b->subscribe(at("one"));
  if (std::string law = differs("what comes after a restart has the id of its entry", published, given(again.receive(10, 0ms))); !law.empty()) {
    return law;
  }
  pass(clock, 10s);
  auto two = *b->subscribe(at("two"));
  if (std::string law = differs("what is claimed has the id of its entry", published, given(two.claim_stale(10s, 10))); !law.empty()) {
    return law;
  }
  return "";
}

}  // namespace pulse::inline v0_1::conformance::backend_laws
