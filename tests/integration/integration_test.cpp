// SPDX-License-Identifier: MIT
// The whole loop as the environment asks for it: SCHEMA_TRACK and EVENT_BUS_BACKEND choose what runs here, REDIS_URL the server. Cases that are of
// one track or one backend stand in a test suite that names it; tests/scripts/integration.py leaves the others out. Each prints what it ran on.
#include <doctest/doctest.h>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <pulse/pulse.hpp>
#include <pulse/redis.hpp>

#include "../support/redis_server.hpp"

namespace {

using namespace std::chrono_literals;

struct Rates {
  std::atomic<double> scale{1};
  std::atomic<int> applied{0};
  void apply(const pulse::RateAdjustment& adjustment) {
    scale = adjustment.scale;
    ++applied;
  }
};

pulse::PulseConfig from_environment() {
  auto config = pulse::PulseConfig::from_env();
  REQUIRE_MESSAGE(config, config.error().message);
  return std::move(*config);
}

/// A namespace that nobody else has on the server.
std::string name_of_its_own(std::string_view base) {
  static int cases = 0;
  return std::string(base) + ".test-" + std::to_string(::getpid()) + '-' + std::to_string(pulse::SystemClock::wall().time_since_epoch().count()) + '-' +
         std::to_string(++cases);
}

/// The pipeline that the environment asks for, on a stream of its own: in memory, on the server of REDIS_URL, or on a server of its own.
class Pipeline {
 public:
  Pipeline() : config_(from_environment()) {
    config_.name_space = name_of_its_own(config_.name_space);
    if (config_.backend == "redis") {
      const char* const named = std::getenv("REDIS_URL");
      if (named == nullptr || *named == '\0') {
        config_.redis_url = own_.emplace().url();
      }
    }
    runtime_.emplace(config_, pulse::backends(pulse::backend<"inmem">(memory_), pulse::backend<"redis">(pulse::redis_backend())), pulse::LruWindow{64},
                     metrics_, rates_);
  }
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;
  ~Pipeline() {
    (void)runtime_->stop();
    if (config_.backend == "redis" && !own_) {
      (void)ask({"DEL", stream(), pulse::dlq_key(stream())});
    }
  }

  void start() {
    const pulse::Status started = runtime_->start();
    REQUIRE_MESSAGE(started, started.error().message);
    // What it really runs on, for the script that compares the lists of combinations.
    std::printf("ran %.*s %s %s\n", static_cast<int>(pulse::name_of(config_.track).size()), pulse::name_of(config_.track).data(),
                runtime_->health().backend.c_str(), doctest::getContextOptions()->currentTest->m_name);
    std::fflush(stdout);
  }

  /// Calls with the backend that was chosen; another object than the runtime's where it is a server.
  auto with_bus(auto call) {
    if (config_.backend == "redis") {
      pulse::RedisBackend<> bus{*pulse::RedisUrl::parse(config_.redis_url)};
      return call(bus);
    }
    return call(memory_);
  }
  template <class Event>
  void publish(const Event& event, const pulse::PublishOptions& with = {}) {
    with_bus([&](auto& bus) { REQUIRE(pulse::Publisher{bus, stream()}.publish(event, with)); });
  }
  void publish_bytes(const std::string& data) {
    with_bus([&](auto& bus) { REQUIRE(bus.publish(stream(), data)); });
  }
  /// The reasons of the dead letters, once there are some.
  std::string dead_letters() {
    std::string reasons;
    until([&] {
      with_bus([&](auto& bus) {
        const auto letters = bus.dead_letters(stream(), {}, 10);
        REQUIRE(letters);
        for (const pulse::DeadLetter& letter : *letters) {
          reasons += letter.reason + '\n';
        }
      });
      return !reasons.empty();
    });
    return reasons;
  }
  void until_applied(int count) {
    until([&] { return rates_.applied >= count; });
    CHECK(rates_.applied == count);
  }

  /// An integer that the server answers.
  std::int64_t ask(std::initializer_list<std::string_view> words) {
    using Connection = pulse::detail::RedisConnection<pulse::SocketClient>;
    const pulse::RedisUrl url = *pulse::RedisUrl::parse(config_.redis_url);
    Connection connection{Connection::Settings{.url = url}, std::make_unique<pulse::SocketClient>(url)};
    const pulse::SteadyTime deadline = pulse::SystemClock::steady() + 10s;
    std::int64_t number = -1;
    if (connection.ensure(deadline)) {
      const std::span given{words.begin(), words.size()};
      auto& command = connection.begin(given.front());
      for (const std::string_view word : given.subspan(1)) {
        command(word);
      }
      connection.end();
      if (auto reply = connection.ask(deadline)) {
        (void)reply->integer(number);
      }
    }
    return number;
  }

  [[nodiscard]] std::string stream() const { return pulse::stream_key(pulse::feedback_stream, config_.name_space); }
  [[nodiscard]] const pulse::PulseConfig& config() const { return config_; }
  [[nodiscard]] double scale() const { return rates_.scale; }
  pulse::Status stop() { return runtime_->stop(); }

 private:
  /// Ends when it holds; a case that waits for ever is ended by its runner.
  static void until(const auto& condition) {
    while (!condition()) {
      std::this_thread::sleep_for(1ms);
    }
  }
  using Map =
      decltype(pulse::backends(pulse::backend<"inmem">(std::declval<pulse::InMemoryBackend<std::string>&>()), pulse::backend<"redis">(pulse::redis_backend())));

  pulse::PulseConfig config_;
  std::optional<pulse_test::RedisServer> own_;
  pulse::InMemoryBackend<std::string> memory_;
  pulse::NoMetrics metrics_;
  Rates rates_;
  std::optional<pulse::Runtime<Map, pulse::LruWindow, pulse::NoMetrics, Rates>> runtime_;
};

template <class Event>
Event report(pulse::BackpressureLevel level) {
  Event made;
  made.coordinator_id = "bars";
  made.queue_size = 9;
  made.capacity = 10;
  made.level = level;
  made.ts = pulse::epoch_seconds(pulse::SystemClock::wall());
  return made;
}

/// An envelope of track v2 whose utilization is none.
std::string with_a_utilization_of_7() {
  return R"({"ts": 1, "meta": {"schema_id": "telemetry.FeedbackEvent", "track": "v2"}, "payload": {"coordinator_id": "bars", "queue_size": 1, )"
         R"("capacity": 2, "level": "hard", "ts": 1, "utilization": 7}})";
}

}  // namespace

TEST_CASE("a report reaches the provider, once, however often it is published") {
  Pipeline pipeline;
  pipeline.start();
  const auto event = report<pulse::FeedbackEvent>(pulse::BackpressureLevel::soft);
  pipeline.publish(event, {.id = "the-same"});
  pipeline.publish(event, {.id = "the-same"});
  auto later = report<pulse::FeedbackEvent>(pulse::BackpressureLevel::hard);
  later.ts = event.ts + 1;
  pipeline.publish(later);
  pipeline.until_applied(2);
  CHECK(pipeline.scale() == 0.0);
  CHECK(pipeline.stop());
}

TEST_CASE("what is no envelope is a dead letter, and what follows it is handled") {
  Pipeline pipeline;
  pipeline.start();
  pipeline.publish_bytes("not an envelope");
  pipeline.publish(report<pulse::FeedbackEvent>(pulse::BackpressureLevel::hard));
  pipeline.until_applied(1);
  CHECK(pipeline.scale() == 0.0);
  CHECK(pipeline.dead_letters() != "");
}

TEST_SUITE("track v1") {
  TEST_CASE("v1: what v2 adds is not looked at, be it right or wrong") {
    Pipeline pipeline;
    pipeline.start();
    pipeline.publish_bytes(with_a_utilization_of_7());
    pipeline.until_applied(1);
    CHECK(pipeline.scale() == 0.0);
  }
}

TEST_SUITE("track v2") {
  TEST_CASE("v2: a utilization that is none is a dead letter that says so") {
    Pipeline pipeline;
    pipeline.start();
    pipeline.publish_bytes(with_a_utilization_of_7());
    CHECK(pipeline.dead_letters().find("payload.utilization: found 7") != std::string::npos);
    CHECK(pipeline.scale() == 1.0);
  }

  TEST_CASE("v2: an event of v2 with a reason, and one of v1, are both applied") {
    Pipeline pipeline;
    pipeline.start();
    auto event = report<pulse::v2::FeedbackEvent>(pulse::BackpressureLevel::soft);
    event.reason = "bars are late";
    event.utilization = 0.9;
    pipeline.publish(event);
    pipeline.until_applied(1);
    auto later = report<pulse::v1::FeedbackEvent>(pulse::BackpressureLevel::hard);
    later.ts = event.ts + 1;
    pipeline.publish(later);
    pipeline.until_applied(2);
    CHECK(pipeline.scale() == 0.0);
  }
}

TEST_SUITE("bus inmem") {
  TEST_CASE("inmem: no server is asked for, although nobody is where REDIS_URL says") {
    Pipeline pipeline;
    CHECK(pipeline.config().backend == "inmem");
    pipeline.start();
    pipeline.publish(report<pulse::FeedbackEvent>(pulse::BackpressureLevel::hard));
    pipeline.until_applied(1);
  }
}

TEST_SUITE("bus redis") {
  TEST_CASE("redis: the entry is on the server, and acknowledged there after it was handled") {
    Pipeline pipeline;
    pipeline.start();
    pipeline.publish(report<pulse::FeedbackEvent>(pulse::BackpressureLevel::soft));
    pipeline.until_applied(1);
    REQUIRE(pipeline.stop());
    CHECK(pipeline.ask({"XLEN", pipeline.stream()}) == 1);
    CHECK(pipeline.ask({"XACK", pipeline.stream(), "pipeline", "0-1"}) == 0);  // the group is there
    CHECK(pipeline.ask({"XGROUP", "DESTROY", pipeline.stream(), "pipeline"}) == 1);
  }
}
