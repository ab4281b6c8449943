// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/backend/in_memory.hpp"
#include "pulse/consumer.hpp"
#include "pulse/core/clock.hpp"
#include "pulse/dedup/seen_set.hpp"
#include "pulse/metrics/no_metrics.hpp"
#include "pulse/testing/faulty_backend.hpp"

/// The laws of Controller, executable and bound to no test framework. In tests of one's own:
///
///     CHECK(pulse::conformance::rate_controller(mine, "ibkr", [&] { return mine.scale(); }) == "");
///     CHECK(pulse::conformance::event_handler(handler, envelopes, [&] { return handler.handled(); }) == "");
namespace pulse::inline v0_1::conformance {

/// Returns "" or the first law that was broken. `scale()` says what is in force for `provider`. Adjustments come as from the consumer: it
/// calls in the order in which they count, and again after a failure.
template <class C, class Scale>
[[nodiscard]] std::string rate_controller(C& controller, std::string_view provider, Scale scale) {
  static_assert(RateController<C>, "pulse: this is no RateController: it has no apply(const pulse::RateAdjustment&). See docs/reference/controller.md");
  double ts = 1'700'000'000;
  const auto in_force = [&](double wanted, BackpressureLevel reason, double at) {
    RateAdjustment adjustment{std::string(provider), wanted, reason, at};
    controller.apply(adjustment);
    adjustment.scale = -1;  // it is the caller's again
    adjustment.provider.clear();
    return scale() == wanted;
  };
  try {
    for (const double wanted : {1.0, 0.5, 0.0, 0.25, 1.0}) {
      const BackpressureLevel reason = wanted == 0 ? BackpressureLevel::hard : wanted < 1 ? BackpressureLevel::soft : BackpressureLevel::ok;
      if (!in_force(wanted, reason, ts)) {
        return "what was applied is in force: scale " + std::to_string(wanted) + ", found " + std::to_string(static_cast<double>(scale()));
      }
      if (!in_force(wanted, reason, ts)) {
        return "the same again changes nothing: scale " + std::to_string(wanted) + ", found " + std::to_string(static_cast<double>(scale()));
      }
      ts += 1;
    }
    if (!in_force(0.5, BackpressureLevel::soft, ts - 100)) {
      return "the last call counts: which report is newer was decided before it";
    }
  } catch (...) {
    return "a provider that it knows, and a scale of 0 to 1, are applied without an exception";
  }
  return "";
}

namespace detail {
struct OnManualClock : DefaultTraits {
  using clock = ManualClock;
};
}  // namespace detail

/// Runs the handler in a consumer over a transport whose calls fail one time in four, with every event delivered twice; returns "" or the
/// first law that was broken. `envelopes`: events that the handler is able to handle, each with an id of its own. `effects()`: how many have taken effect.
template <class C, class Payload, class Effects>
[[nodiscard]] std::string event_handler(C& controller, const std::vector<Envelope<Payload>>& envelopes, Effects effects, std::uint64_t seed = 1) {
  static_assert(EventHandler<C>, "pulse: this is no EventHandler: pulse::assert_controller<...>() tells what is missing. See docs/reference/controller.md");
  ManualClock clock;
  using Bus = InMemoryBackend<Envelope<Payload>, ManualClock>;
  Bus bus{InMemoryOptions{}, clock};
  for (const Envelope<Payload>& envelope : envelopes) {
    (void)bus.publish("s", envelope);
    (void)bus.publish("s", envelope);
  }
  testing::FaultyBackend<Bus> faulty{bus, {.one_in = 4, .seed = seed}};
  ConsumerOptions options;
  options.subscribe.streams = {"s"};
  options.loop.batch = 7;
  options.heartbeat = std::chrono::milliseconds{0};
  options.seed = seed;
  NoMetrics metrics;
  SeenSet seen;
  const auto before = effects();
  Consumer<testing::FaultyBackend<Bus>&, SeenSet&, NoMetrics&, C&, detail::OnManualClock> consumer{faulty, seen, metrics, controller, options, clock};
  auto probe = bus.subscribe(SubscribeOptions{.streams = options.subscribe.streams, .group = options.subscribe.group, .consumer = "probe"});
  for (std::size_t polls = 0; polls < 1000 + 100 * envelopes.size(); ++polls) {
    const Result<PollReport> report = consumer.poll();
    clock.advance(report ? std::max(report->pause, std::chrono::milliseconds{1}) : std::chrono::milliseconds{100});
    if (polls == 500 + 50 * envelopes.size()) {
      faulty.set_one_in(0);
    }
    const auto state = probe->state(0);
    if (state->dead_letters > 0) {
      return "an event that it is able to handle is not given up: a dead letter says \"" + bus.dead_letters("s", {}, 1)->front().reason + "\"";
    }
    if (state->lag == 0 && state->pending == 0) {
      const auto found = static_cast<std::size_t>(effects() - before);
      return found == envelopes.size() ? ""
                                       : "each event has one effect, delivered twice or not: " + std::to_string(envelopes.size()) + " events, " +
                                             std::to_string(found) + " effects (seed " + std::to_string(seed) + ")";
    }
  }
  return "each event ends: some are retried for ever (seed " + std::to_string(seed) + ")";
}

}  // namespace pulse::inline v0_1::conformance
