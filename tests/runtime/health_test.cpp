// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include "pulse/backend/in_memory.hpp"
#include "pulse/control/handlers.hpp"
#include "pulse/control/rate_coordinator.hpp"
#include "pulse/core/readiness.hpp"
#include "pulse/dedup/no_dedup.hpp"
#include "pulse/health.hpp"
#include "pulse/metrics/no_metrics.hpp"
#include "pulse/runtime.hpp"
#include "pulse/testing/faulty_backend.hpp"

using namespace std::chrono_literals;
using pulse::ComponentHealth;
using pulse::Health;
using pulse::HealthState;

namespace {

using Bus = pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>>;

struct Manual : pulse::DefaultTraits {
  using clock = pulse::ManualClock;
};

std::string json(const Health& health) {
  std::string out;
  append_health_json(health.status(pulse::WallTime{1'700'000'000'500ms}), out);
  return out;
}

}  // namespace

TEST_CASE("health: the worst part decides, and stuck is not the same as not ready") {
  ComponentHealth a;
  ComponentHealth b;
  Health health{"service", "1.2"};
  health.watch("a", [&] { return a; }).watch("b", [&] { return b; });
  const auto is = [&](HealthState state, bool live, bool ready) {
    const pulse::HealthStatus status = health.status();
    return status.state() == state && status.live() == live && status.ready() == ready;
  };
  CHECK(is(HealthState::healthy, true, true));
  a.degraded = true;
  CHECK(is(HealthState::degraded, true, true));
  b.ready = false;
  CHECK(is(HealthState::unhealthy, true, false));
  b = {};
  b.live = false;
  CHECK(is(HealthState::unhealthy, false, false));
}

TEST_CASE("health: JSON in the shape of the registry's HealthStatus, whatever stands in its text") {
  Health health{"bars \"1\"", "2.3"};
  CHECK(json(health) == R"({"service":"bars \"1\"","state":"healthy","components":[],"version":"2.3","ts":1700000000.5})");
  health.watch("a", [] { return ComponentHealth{}; });
  health.watch("b", [] { return ComponentHealth{true, false, false, {{"detail", "line\n2"}, {"n", "1"}}}; });
  CHECK(json(health) == R"({"service":"bars \"1\"","state":"unhealthy","components":[{"name":"a","state":"healthy","details":{}},)"
                        R"({"name":"b","state":"unhealthy","details":{"detail":"line\u000a2","n":"1"}}],"version":"2.3","ts":1700000000.5})");
}

TEST_CASE("health: gauges, a series a component") {
  Health health{"service"};
  health.watch("a\"b", [] { return ComponentHealth{true, false, true, {}}; });
  std::string text;
  append_health_text(health.status(), text);
  CHECK(text.find("# TYPE pulse_component_ready gauge\npulse_component_ready{component=\"a\\\"b\"} 0\n") != std::string::npos);
  CHECK(text.find("pulse_component_live{component=\"a\\\"b\"} 1\n") != std::string::npos);
  CHECK(text.find("pulse_component_degraded{component=\"a\\\"b\"} 1\n") != std::string::npos);
}

TEST_CASE("health: a check that throws is a part that is not ready, and says why") {
  Health health{"service"};
  health.watch("a", []() -> ComponentHealth { throw std::runtime_error("no answer"); });
  CHECK(health.status().live());
  CHECK(!health.status().ready());
  CHECK(json(health).find(R"("details":{"detail":"no answer"})") != std::string::npos);
  health.watch("b", []() -> ComponentHealth { throw 7; });
  CHECK(health.status().live());
  CHECK(!health.status().ready());
  CHECK(json(health).find(R"("details":{"detail":"an exception that is no std::exception"})") != std::string::npos);
}

// field bug 22
TEST_CASE("health: a consumer that is stuck in a handler is not live, one that was not started or was stopped is not ready") {
  pulse::ManualClock clock;
  Bus bus;
  const Health* asked = nullptr;
  bool live_before = false;
  bool live_after = true;
  bool handled = false;
  auto handler = pulse::handlers(pulse::on<pulse::FeedbackEvent>([&](const pulse::FeedbackEvent&) {
    clock.advance(29s);
    live_before = asked->status().live();
    clock.advance(2s);
    live_after = asked->status().live();
    handled = true;
  }));
  pulse::ConsumerOptions options;
  options.heartbeat = 0ms;
  pulse::Consumer<Bus&, pulse::NoDedup, pulse::NoMetrics, decltype(handler)&, Manual> consumer{bus, {}, {}, handler, options, clock};
  Health health{"service", "", 30s};
  health.watch("consumer", consumer);
  asked = &health;
  CHECK(!health.status().ready());
  REQUIRE(consumer.start());
  CHECK(health.status().state() == HealthState::healthy);
  (void)bus.publish(pulse::stream_key(pulse::feedback_stream), {});
  for (int polls = 0; polls < 3 && !handled; ++polls) {
    REQUIRE(consumer.poll());
  }
  CHECK(live_before);
  CHECK(!live_after);
  REQUIRE(consumer.poll());
  CHECK(health.status().state() == HealthState::healthy);
  consumer.stop();
  CHECK(health.status().live());
  CHECK(!health.status().ready());
}

TEST_CASE("health: a host that waits for many things is live for as long as its consumer said it may wait") {
  pulse::ManualClock clock;
  Bus bus;
  auto handler = pulse::handlers(pulse::on<pulse::FeedbackEvent>([](const pulse::FeedbackEvent&) {}));
  pulse::Readiness ready;
  pulse::ConsumerOptions options;
  options.heartbeat = 0ms;
  options.loop.wait = 1h;
  options.loop.claim_interval = 24h;
  pulse::Consumer<Bus&, pulse::NoDedup, pulse::NoMetrics, decltype(handler)&, Manual> consumer{bus, {}, {}, handler, options, clock};
  Health health{"service"};
  health.watch("consumer", consumer);
  for (int polls = 0; polls < 2; ++polls) {
    REQUIRE(consumer.poll());
  }
  const auto within = consumer.arm(ready);
  REQUIRE(within);
  REQUIRE(*within == 1h);
  clock.advance(1h + 29s);
  CHECK(health.status().live());
  clock.advance(2s);
  CHECK(!health.status().live());
}

TEST_CASE("health: a consumer whose server is gone is live and not ready, until it is back") {
  pulse::ManualClock clock;
  Bus bus;
  pulse::testing::FaultyBackend<Bus> faulty{bus, {.one_in = 0}};
  auto handler = pulse::handlers(pulse::on<pulse::FeedbackEvent>([](const pulse::FeedbackEvent&) {}));
  pulse::ConsumerOptions options;
  options.heartbeat = 0ms;
  pulse::Consumer<decltype(faulty)&, pulse::NoDedup, pulse::NoMetrics, decltype(handler)&, Manual> consumer{faulty, {}, {}, handler, options, clock};
  Health health{"service"};
  health.watch("consumer", consumer).watch("bus", bus);
  REQUIRE(consumer.start());
  REQUIRE(consumer.poll());
  CHECK(health.status().ready());
  faulty.set_one_in(1);
  REQUIRE(consumer.poll());
  CHECK(health.status().live());
  CHECK(health.status().state() == HealthState::unhealthy);
  CHECK(json(health).find("injected") != std::string::npos);
  faulty.set_one_in(0);
  clock.advance(10s);
  REQUIRE(consumer.poll());
  CHECK(health.status().ready());
}

TEST_CASE("health: a runtime that fell back to the bus is degraded") {
  pulse::PulseConfig config;
  config.backend = "absent";
  pulse::RateCoordinator rates;
  pulse::NoMetrics metrics;
  pulse::RuntimeOptions options;
  options.degrade_to_bus = true;
  pulse::Runtime runtime{config,
                         pulse::backends(pulse::backend<"absent">([](const pulse::PulseConfig&) {
                           return pulse::Result<std::unique_ptr<Bus>>{pulse::Error{pulse::ErrorCode::unavailable, "nobody answers"}};
                         })),
                         pulse::NoDedup{},
                         metrics,
                         rates,
                         options};
  Health health{"service"};
  health.watch("runtime", runtime);
  CHECK(health.status().state() == HealthState::unhealthy);
  REQUIRE(runtime.start());
  CHECK(health.status().state() == HealthState::degraded);
  CHECK(json(health).find("nobody answers") != std::string::npos);
  REQUIRE(runtime.stop());
}
