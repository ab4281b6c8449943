// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pulse/backend/conformance/trial.hpp"
#include "pulse/core/clock.hpp"

namespace pulse::inline v0_1::conformance::backend_laws {

/// Calls until nothing comes any more: "" where each batch kept to `max`, each delivery named its stream and `all` came.
template <class Call>
std::string shared_out(const std::string& what, const std::vector<std::string>& streams, std::size_t max, std::size_t all, Call call) {
  std::size_t came = 0;
  for (std::size_t calls = 0; calls <= 2 * all; ++calls) {
    const auto batch = call(max);
    if (!batch) {
      return what + " of several streams: " + batch.error().message;
    }
    if (batch->deliveries.size() > max) {
      return what + " gives at most what was asked for, of all streams together: wanted " + std::to_string(max) + ", got " +
             std::to_string(batch->deliveries.size());
    }
    for (const auto& delivery : batch->deliveries) {
      if (delivery.stream() >= streams.size() || !std::string_view(delivery.data()).starts_with(streams[delivery.stream()])) {
        return "a delivery names the stream that it is of: " + std::string(delivery.data()) + " came as of " + std::to_string(delivery.stream());
      }
      ++came;
    }
  }
  return differs(what + " leaves out no stream", std::to_string(all), std::to_string(came));
}

/// What a subscription is of: several streams, where it begins, and what is none.
template <class Make, class Pass>
std::string streams(Make& make, Pass& pass) {
  using namespace std::chrono_literals;
  ManualClock clock;
  {
    const std::vector<std::string> three{"s", "t", "u"};
    auto b = make(clock);
    auto one = *b->subscribe(at("one", "g", three));
    auto two = *b->subscribe(at("two", "g", three));
    for (const char* number : {"0", "1"}) {
      for (const std::string& stream : three) {
        (void)b->publish(stream, stream + number);
      }
    }
    if (std::string law = shared_out("a receive", three, 2, 6, [&](std::size_t max) { return one.receive(max, 0ms); }); !law.empty()) {
      return law;
    }
    pass(clock, 1min);
    if (std::string law = shared_out("a claim", three, 2, 6, [&](std::size_t max) { return two.claim_stale(1min, max); }); !law.empty()) {
      return law;
    }
    auto other = *b->subscribe(at("one", "other", three));
    const auto batch = other.receive(6, 0ms);
    std::vector<std::uint32_t> acks;
    for (std::uint32_t i = 0; batch && i < batch->deliveries.size(); ++i) {
      if (batch->deliveries[i].stream() == 1) {
        acks.push_back(i);
      }
    }
    (void)other.settle({acks, {}, {}});
    (void)other.flush(1s);
    std::string pending;
    for (std::size_t i = 0; i < three.size(); ++i) {
      const auto state = other.state(i);
      pending += state ? std::to_string(state->pending) + " " : "error: " + state.error().message;
    }
    if (std::string law = differs("what is settled of one stream is settled of no other", "2 0 2 ", pending); !law.empty()) {
      return law;
    }
  }
  {
    auto b = make(clock);
    const auto id = b->publish("s", "a");
    (void)b->publish("s", "b");
    auto end = at("one", "end");
    end.start = StartAt::end();
    auto newest = *b->subscribe(end);
    auto after = at("one", "after");
    after.start.after = *id;
    auto rest = *b->subscribe(after);
    if (std::string law = differs("a new group begins after the entry of its start", "b:1 ", text(rest.receive(10, 0ms))); !law.empty()) {
      return law;
    }
    (void)b->publish("s", "c");
    const auto state = rest.state(0);
    if (!state || (state->lag_known && state->lag != 1)) {
      return "state counts what the group has not been given";
    }
    if (std::string law = differs("a new group that begins at the end is given what comes from then on", "c:1 ", text(newest.receive(10, 0ms))); !law.empty()) {
      return law;
    }
    for (const std::vector<std::string>& wrong : {std::vector<std::string>{}, std::vector<std::string>{"s", "s"}}) {
      const auto refused = b->subscribe(at("one", "g", wrong));
      if (refused || refused.error().code != ErrorCode::config) {
        return std::string("a subscription to ") + (wrong.empty() ? "no stream" : "a stream that is named twice") + " is refused, as config";
      }
    }
  }
  return "";
}

}  // namespace pulse::inline v0_1::conformance::backend_laws
