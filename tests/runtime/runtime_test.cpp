// SPDX-License-Identifier: MIT
#include "pulse/runtime.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "../consumer/scripted_backend.hpp"
#include "pulse/backend/in_memory.hpp"
#include "pulse/dedup/lru_window.hpp"
#include "pulse/dedup/no_dedup.hpp"
#include "pulse/publisher.hpp"

using namespace std::chrono_literals;

namespace {

using Bus = pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>>;

struct Rates {
  std::atomic<double> scale{1};
  std::atomic<int> applied{0};
  void apply(const pulse::RateAdjustment& adjustment) {
    scale = adjustment.scale;
    ++applied;
  }
};

pulse::FeedbackEvent event(pulse::BackpressureLevel level) {
  pulse::FeedbackEvent made;
  made.coordinator_id = "c";
  made.level = level;
  made.ts = pulse::epoch_seconds(pulse::SystemClock::wall());
  return made;
}

void until(const auto& condition) {
  while (!condition()) {
    std::this_thread::sleep_for(1ms);
  }
}

pulse::PulseConfig config(const char* backend) {
  pulse::PulseConfig made;
  made.backend = backend;
  return made;
}

}  // namespace

TEST_CASE("the runtime consumes on a thread of its own and stops within its deadline") {
  Bus bus;
  Rates rates;
  pulse::NoMetrics metrics;
  pulse::Runtime runtime{config("inmem"), pulse::backends(pulse::backend<"inmem">(bus)), pulse::LruWindow{64}, metrics, rates};
  CHECK_FALSE(runtime.health().live);
  REQUIRE(runtime.start());
  CHECK(runtime.mode() == pulse::RuntimeMode::consumer);
  pulse::Publisher publisher{bus, pulse::stream_key(pulse::feedback_stream)};
  REQUIRE(publisher.publish(event(pulse::BackpressureLevel::hard)));
  until([&] { return rates.applied == 1; });
  CHECK(rates.scale == 0.0);
  until([&] { return runtime.health().ready; });
  CHECK(runtime.health().backend == "inmem");
  CHECK(runtime.stop());
  CHECK(runtime.mode() == pulse::RuntimeMode::stopped);
  REQUIRE(publisher.publish(event(pulse::BackpressureLevel::ok)));
  CHECK(rates.applied == 1);
}

TEST_CASE("the namespace is part of the stream's key") {
  Bus bus;
  Rates rates;
  pulse::NoMetrics metrics;
  pulse::PulseConfig named = config("inmem");
  named.name_space = "prod";
  pulse::Runtime runtime{named, pulse::backends(pulse::backend<"inmem">(bus)), pulse::LruWindow{64}, metrics, rates};
  REQUIRE(runtime.start());
  pulse::Publisher publisher{bus, "mdp:prod.telemetry.feedback"};
  REQUIRE(publisher.publish(event(pulse::BackpressureLevel::soft)));
  until([&] { return rates.applied == 1; });
  CHECK(rates.scale == 0.5);
  CHECK(runtime.stop());
}

TEST_CASE("the member's name and its group are the environment's, where the program names none") {
  Bus bus;
  Rates rates;
  pulse::NoMetrics metrics;
  pulse::PulseConfig named = config("inmem");
  named.group = "cpp";
  named.consumer = "pod-7";
  const std::string stream = pulse::stream_key(pulse::feedback_stream);
  pulse::Runtime runtime{named, pulse::backends(pulse::backend<"inmem">(bus)), pulse::LruWindow{64}, metrics, rates};
  REQUIRE(runtime.start());
  CHECK(runtime.stop());
  CHECK(bus.consumers(stream, "cpp") == std::vector<std::string>{"pod-7"});

  pulse::RuntimeOptions options;
  options.consumer.subscribe.group = "own";
  options.consumer.subscribe.consumer = "me";
  pulse::Runtime decided{named, pulse::backends(pulse::backend<"inmem">(bus)), pulse::LruWindow{64}, metrics, rates, options};
  REQUIRE(decided.start());
  CHECK(decided.stop());
  CHECK(bus.consumers(stream, "own") == std::vector<std::string>{"me"});
  CHECK(bus.consumers(stream, "cpp") == std::vector<std::string>{"pod-7"});
}

TEST_CASE("an unknown backend is an error that lists what there is") {
  Bus bus;
  Rates rates;
  pulse::NoMetrics metrics;
  pulse::Runtime runtime{config("kafka"), pulse::backends(pulse::backend<"inmem">(bus)), pulse::LruWindow{64}, metrics, rates};
  const auto started = runtime.start();
  REQUIRE_FALSE(started);
  CHECK(started.error().code == pulse::ErrorCode::config);
  CHECK(started.error().message == "EVENT_BUS_BACKEND is \"kafka\": compiled in are inmem");
}

TEST_CASE("a backend that cannot be had is an error by default, and the bus by explicit choice") {
  Bus bus;
  Rates rates;
  pulse::NoMetrics metrics;
  int asked = 0;
  const auto absent = [&](const pulse::PulseConfig&) -> pulse::Result<std::unique_ptr<Bus>> {
    ++asked;
    return pulse::Error{pulse::ErrorCode::unavailable, "connection refused"};
  };
  const auto both = pulse::backends(pulse::backend<"inmem">(bus), pulse::backend<"redis">(absent));
  pulse::Runtime strict{config("redis"), both, pulse::LruWindow{64}, metrics, rates};
  const auto started = strict.start();
  REQUIRE_FALSE(started);
  CHECK(started.error().message == "connection refused");

  pulse::RuntimeOptions options;
  options.degrade_to_bus = true;
  pulse::Runtime degraded{config("redis"), both, pulse::LruWindow{64}, metrics, rates, options};
  REQUIRE(degraded.start());
  CHECK(degraded.mode() == pulse::RuntimeMode::bus);
  CHECK(degraded.health().degraded);
  CHECK(degraded.health().detail == "connection refused");
  CHECK(asked == 2);

  pulse::Runtime other{config("inmem"), both, pulse::LruWindow{64}, metrics, rates};
  REQUIRE(other.start());
  CHECK(asked == 2);  // a backend that is not picked is never made
}

TEST_CASE("disabled, the bus drives the same handling") {
  Bus bus;
  Rates rates;
  pulse::NoMetrics metrics;
  pulse::PulseConfig disabled = config("kafka");  // not even looked at
  disabled.enabled = false;
  pulse::Runtime runtime{disabled, pulse::backends(pulse::backend<"inmem">(bus)), pulse::LruWindow{64}, metrics, rates};
  REQUIRE(runtime.start());
  CHECK(runtime.mode() == pulse::RuntimeMode::bus);
  runtime.bus().publish(event(pulse::BackpressureLevel::soft));
  CHECK(rates.scale == 0.5);
  CHECK(runtime.health().ready);
  CHECK(runtime.stop());
  runtime.bus().publish(event(pulse::BackpressureLevel::hard));
  CHECK(rates.scale == 0.5);
}

TEST_CASE("on the bus a coordinator that falls silent expires, as with a consumer") {
  struct Manual : pulse::DefaultTraits {
    using clock = pulse::ManualClock;
  };
  Rates rates;
  pulse::NoMetrics metrics;
  pulse::PulseConfig disabled;
  disabled.enabled = false;
  auto none = pulse::backends();
  pulse::ManualClock clock;
  pulse::Runtime<decltype(none), pulse::NoDedup, pulse::NoMetrics, Rates, Manual> runtime{disabled, none, {}, metrics, rates, {}, clock};
  REQUIRE(runtime.start());
  pulse::FeedbackEvent hard = event(pulse::BackpressureLevel::hard);
  hard.ts = pulse::epoch_seconds(clock.wall());
  runtime.bus().publish(hard);
  CHECK(rates.scale == 0.0);
  clock.advance(61s);
  until([&] { return rates.scale == 1.0; });
  CHECK(runtime.stop());
}

TEST_CASE("on the bus, too, settings that make no sense are refused") {
  Rates rates;
  pulse::NoMetrics metrics;
  pulse::PulseConfig disabled;
  disabled.enabled = false;
  disabled.feedback.scale_soft = 2;
  pulse::Runtime runtime{disabled, pulse::backends(), pulse::NoDedup{}, metrics, rates};
  const auto started = runtime.start();
  REQUIRE_FALSE(started);
  CHECK(started.error().code == pulse::ErrorCode::config);
  CHECK(runtime.mode() == pulse::RuntimeMode::stopped);
}

TEST_CASE("a subscription that is refused is an error of the start that names the backend, and leaves nothing running") {
  Bus bus;
  Rates rates;
  pulse::NoMetrics metrics;
  pulse::RuntimeOptions options;
  options.consumer.subscribe.group.clear();
  pulse::Runtime runtime{config("inmem"), pulse::backends(pulse::backend<"inmem">(bus)), pulse::LruWindow{64}, metrics, rates, options};
  const auto started = runtime.start();
  REQUIRE_FALSE(started);
  CHECK(started.error().code == pulse::ErrorCode::config);
  CHECK(started.error().message == "inmem: SubscribeOptions: streams, group and consumer must not be empty");
  CHECK(runtime.mode() == pulse::RuntimeMode::stopped);
  CHECK_FALSE(runtime.health().live);
}

TEST_CASE("a handler that does not return is reported at the deadline, not waited for") {
  Bus bus;
  struct Stuck {
    std::atomic<bool> entered{false};
    std::atomic<bool> leave{false};
    void apply(const pulse::RateAdjustment&) {
      entered = true;
      until([&] { return leave.load(); });
    }
  } stuck;
  pulse::NoMetrics metrics;
  pulse::RuntimeOptions options;
  options.consumer.loop.drain_deadline = 10ms;
  pulse::Runtime runtime{config("inmem"), pulse::backends(pulse::backend<"inmem">(bus)), pulse::LruWindow{64}, metrics, stuck, options};
  REQUIRE(runtime.start());
  pulse::Publisher publisher{bus, pulse::stream_key(pulse::feedback_stream)};
  REQUIRE(publisher.publish(event(pulse::BackpressureLevel::hard)));
  until([&] { return stuck.entered.load(); });
  const auto stopped = runtime.stop(10ms);
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().message.find("handler") != std::string::npos);
  stuck.leave = true;
}

TEST_CASE("the error that ended the consumer is told by every stop until the next start") {
  pulse::testing::ScriptedBackend refusing;
  refusing.script->receive_errors = {pulse::ErrorCode::denied};
  Rates rates;
  pulse::NoMetrics metrics;
  pulse::Runtime runtime{config("scripted"), pulse::backends(pulse::backend<"scripted">(refusing)), pulse::LruWindow{64}, metrics, rates};
  REQUIRE(runtime.start());
  until([&] { return !runtime.health().live; });
  for (int times = 0; times < 2; ++times) {
    const auto stopped = runtime.stop();
    REQUIRE_FALSE(stopped);
    CHECK(stopped.error().code == pulse::ErrorCode::denied);
    CHECK(stopped.error().message == "receive failed");
  }
  REQUIRE(runtime.start());
  CHECK(runtime.stop());
}

TEST_CASE("starting twice is an error") {
  Bus bus;
  Rates rates;
  pulse::NoMetrics metrics;
  pulse::Runtime runtime{config("inmem"), pulse::backends(pulse::backend<"inmem">(bus)), pulse::LruWindow{64}, metrics, rates};
  REQUIRE(runtime.start());
  CHECK_FALSE(runtime.start());
}

TEST_CASE("a runtime that was stopped starts again, consumes, and stops within its deadline") {
  Bus bus;
  Rates rates;
  pulse::NoMetrics metrics;
  for (const bool enabled : {true, false}) {
    pulse::PulseConfig wanted = config("inmem");
    wanted.enabled = enabled;
    pulse::Runtime runtime{wanted, pulse::backends(pulse::backend<"inmem">(bus)), pulse::LruWindow{64}, metrics, rates};
    pulse::Publisher publisher{bus, pulse::stream_key(pulse::feedback_stream)};
    for (int round = 0; round < 2; ++round) {
      CAPTURE(round);
      REQUIRE(runtime.start());
      CHECK(runtime.health().live);
      const int before = rates.applied;
      if (enabled) {
        REQUIRE(publisher.publish(event(pulse::BackpressureLevel::soft)));
      } else {
        CHECK(runtime.bus().publish(event(pulse::BackpressureLevel::soft)).delivered == 1);
      }
      until([&] { return rates.applied > before; });
      CHECK(runtime.health().live);
      CHECK(runtime.stop());
      CHECK(runtime.mode() == pulse::RuntimeMode::stopped);
    }
  }
}

TEST_CASE("SCHEMA_TRACK decides whether what v2 adds is checked") {
  const std::string wire = R"({"ts": 1, "meta": {"schema_id": "telemetry.FeedbackEvent", "track": "v2"}, "payload": {"coordinator_id": "c", "queue_size": 1, )"
                           R"("capacity": 2, "level": "hard", "ts": 1, "utilization": 7}})";
  for (const pulse::Track track : {pulse::Track::v1, pulse::Track::v2}) {
    pulse::InMemoryBackend<std::string> bus;
    Rates rates;
    pulse::NoMetrics metrics;
    pulse::PulseConfig wanted = config("inmem");
    wanted.track = track;
    pulse::Runtime runtime{wanted, pulse::backends(pulse::backend<"inmem">(bus)), pulse::LruWindow{64}, metrics, rates};
    const std::string stream = pulse::stream_key(pulse::feedback_stream);
    REQUIRE(bus.publish(stream, wire));
    REQUIRE(runtime.start());
    until([&] { return rates.applied > 0 || !bus.dead_letters(stream, {}, 1)->empty(); });
    CHECK(runtime.stop());
    CHECK(rates.applied == (track == pulse::Track::v1 ? 1 : 0));
    const auto dead = *bus.dead_letters(stream, {}, 1);
    CHECK(dead.size() == (track == pulse::Track::v2 ? 1 : 0));
    CHECK((dead.empty() || dead.front().reason.find("payload.utilization: found 7") != std::string::npos));
  }
}
