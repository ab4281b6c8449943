// SPDX-License-Identifier: MIT
//
// What an observer hears of a consumer, as a transcript.
#include <doctest/doctest.h>

#include <functional>
#include <future>
#include <stdexcept>
#include <string>
#include <vector>

#include "pulse/backend/in_memory.hpp"
#include "pulse/control/feedback_handler.hpp"
#include "pulse/control/handlers.hpp"
#include "pulse/control/rate_coordinator.hpp"
#include "pulse/core/notice_text.hpp"
#include "pulse/dedup/lru_window.hpp"
#include "pulse/dedup/no_dedup.hpp"
#include "pulse/metrics/no_metrics.hpp"
#include "pulse/metrics/observed.hpp"
#include "pulse/publisher.hpp"
#include "scripted_backend.hpp"
#include "test_policies.hpp"

using namespace std::chrono_literals;
using namespace pulse::testing;
using pulse::Verdict;
namespace notice = pulse::notice;

namespace {

struct Transcript {
  std::string log;
  bool throws = false;
  std::function<void()> meanwhile{};
  void on(const auto& each) {
    append_text(log, each);
    log += '\n';
    if (meanwhile) {
      meanwhile();
    }
    if (throws) {
      throw std::runtime_error("the log is full");
    }
  }
  /// Left out of most transcripts: they would be in each.
  void on(const notice::Handling&) {}
  void on(const notice::Handled&) {}
  std::string take() { return std::exchange(log, {}); }
};

struct Told {
  ScriptedBackend backend;
  MapDedup dedup;
  CountingMetrics counts;
  Transcript transcript;
  pulse::Observed<CountingMetrics&, Transcript&> metrics{counts, transcript};
  pulse::ManualClock clock;
  NoteHandler handler{[](const Note&, const pulse::DeliveryContext&) { return Verdict::ack(); }};
  pulse::ConsumerOptions options = [] {
    pulse::ConsumerOptions quick;
    quick.heartbeat = 0ms;
    quick.loop.batch = 10;
    quick.subscribe.streams = {"notes"};
    quick.seed = 1;
    return quick;
  }();
  using Consumer = pulse::Consumer<ScriptedBackend&, MapDedup&, decltype(metrics)&, NoteHandler&, NoteTraits>;
  std::unique_ptr<Consumer> made;

  Consumer& consumer() {
    if (!made) {
      made = std::make_unique<Consumer>(backend, dedup, metrics, handler, options, clock);
    }
    return *made;
  }
  /// Polls as often; skips pauses.
  void poll(int times) {
    for (int i = 0; i < times; ++i) {
      if (const auto report = consumer().poll()) {
        clock.advance(report->pause);
      }
    }
  }
  void push(std::vector<ScriptedBackend::Delivery> batch) { backend.script->batches.push_back(std::move(batch)); }
};

}  // namespace

TEST_CASE_FIXTURE(Told, "notices: a start, a stop, and nothing of what goes well between them") {
  push({{{1, 0}, "a"}});
  poll(3);
  CHECK(transcript.take() == "started group=pipeline consumer=consumer-1\n");
  consumer().stop();
  poll(2);
  CHECK(transcript.take() == "stopped group=pipeline consumer=consumer-1\n");
}

TEST_CASE_FIXTURE(Told, "notices: a failing handler, its retries and its dead letter") {
  handler.call = [](const Note& note, const pulse::DeliveryContext&) -> Verdict {
    if (note.text == "throws") {
      throw std::runtime_error("no such book");
    }
    return note.text == "later" ? Verdict::retry(20ms) : Verdict::dead_letter("unwanted");
  };
  push({{{1, 0}, "throws", 5}, {{2, 0}, "later"}, {{3, 0}, "never"}, {{4, 0}, "malformed"}, {{5, 0}, "deadly", 9}});
  poll(3);
  CHECK(transcript.take() ==
        "started group=pipeline consumer=consumer-1\n"
        "handler_failed stream=notes entry=1-0 deliveries=5 error=\"no such book\"\n"
        "dead_lettered stream=notes entry=1-0 deliveries=5 reason=\"failed 5 times, allowed are 5; the last time: no such book\"\n"
        "retried stream=notes entry=2-0 deliveries=1 delay_ms=20\n"
        "dead_lettered stream=notes entry=3-0 deliveries=1 reason=unwanted\n"
        "undecodable stream=notes entry=4-0 deliveries=1 reason=\"malformed: found malformed\"\n"
        "dead_lettered stream=notes entry=5-0 deliveries=9 reason=\"delivered 9 times, allowed are 5: no consumer finished it\"\n");
}

TEST_CASE_FIXTURE(Told, "notices: a backend that fails, comes back, and has connected anew; claims; data that is gone") {
  backend.script->receive_errors = {pulse::ErrorCode::unavailable, pulse::ErrorCode::protocol};
  poll(5);
  CHECK(transcript.take() ==
        "started group=pipeline consumer=consumer-1\n"
        "backend_failed code=unavailable error=\"receive failed\" failures=1\n"
        "backend_failed code=protocol error=\"receive failed\" failures=2\n"
        "backend_recovered failures=2\n");
  backend.script->reconnects = 2;
  backend.script->claimable.push_back({{{1, 0}, "a", 2}, {{2, 0}, "b", 2}});
  backend.script->vanished = 3;
  clock.advance(1min);
  poll(1);
  CHECK(transcript.take() == "claimed entries=2\nreconnected times=2\nvanished entries=3\n");
}

TEST_CASE_FIXTURE(Told, "notices: a lost group ends the consumer, or is made anew") {
  backend.script->receive_errors = {pulse::ErrorCode::no_group};
  SUBCASE("fail") {
    poll(2);
    CHECK(transcript.take() ==
          "started group=pipeline consumer=consumer-1\ngroup_lost error=\"receive failed\"\nended code=no_group error=\"receive failed\"\n");
  }
  SUBCASE("made anew") {
    options.loop.group_lost = pulse::engine::GroupLost::recreate_at_beginning;
    poll(4);
    CHECK(transcript.take() ==
          "started group=pipeline consumer=consumer-1\ngroup_lost error=\"receive failed\"\nbackend_failed code=no_group error=\"receive failed\" failures=1\n"
          "backend_recovered failures=1\ngroup_made group=pipeline\n");
  }
}

TEST_CASE_FIXTURE(Told, "notices: an observer may ask for the health and stop the consumer, whatever it is told") {
  options.loop.group_lost = pulse::engine::GroupLost::recreate_at_beginning;
  backend.script->subscribe_errors = {pulse::ErrorCode::unavailable};
  backend.script->receive_errors = {pulse::ErrorCode::no_group};
  CHECK_FALSE(consumer().start());
  std::string expected = "backend_recovered failures=1\nstarted group=pipeline consumer=consumer-1\n";
  // On another thread, so that a lock that is held is a failure of the test and not its end.
  std::vector<std::future<void>> asked;
  bool stops = false;
  transcript.meanwhile = [&] {
    asked.push_back(std::async(std::launch::async, [&] {
      (void)consumer().health();
      if (stops) {
        consumer().stop();
      }
    }));
    CHECK(asked.back().wait_for(30s) == std::future_status::ready);
  };
  SUBCASE("stopped when a retried start tells of it") {
    stops = true;
    poll(2);
    expected += "stopped group=pipeline consumer=consumer-1\n";
  }
  SUBCASE("stopped when the group is made anew") {
    poll(2);
    expected += "group_lost error=\"receive failed\"\nbackend_failed code=no_group error=\"receive failed\" failures=1\n";
    stops = true;
    poll(3);
    expected += "backend_recovered failures=1\ngroup_made group=pipeline\nstopped group=pipeline consumer=consumer-1\n";
  }
  CHECK(transcript.take() == expected);
}

// guarantee 7
TEST_CASE_FIXTURE(Told, "notices: a lease that was lost, before its handler and after") {
  handler.call = [&](const Note& note, const pulse::DeliveryContext&) {
    backend.script->lose_on_extend = note.text == "a" ? 0 : 2;
    consumer().heartbeat();
    return Verdict::ack();
  };
  options.heartbeat = 1s;
  options.heartbeat_thread = false;
  push({{{1, 0}, "a"}, {{2, 0}, "b"}, {{3, 0}, "c"}});
  poll(3);
  CHECK(transcript.take() ==
        "started group=pipeline consumer=consumer-1\nlease_lost stream=notes entry=1-0 deliveries=1\nlease_lost stream=notes entry=3-0 deliveries=1\n");
}

// guarantee 1
TEST_CASE_FIXTURE(Told, "notices: an observer that always throws loses no event and no error, and is counted") {
  transcript.throws = true;
  handler.call = [](const Note& note, const pulse::DeliveryContext&) -> Verdict {
    if (note.text == "throws") {
      throw std::runtime_error("no such book");
    }
    return Verdict::ack();
  };
  backend.script->receive_errors = {pulse::ErrorCode::unavailable};
  push({{{1, 0}, "a"}, {{2, 0}, "throws"}, {{3, 0}, "malformed"}, {{4, 0}, "b"}});
  poll(5);
  CHECK(backend.script->trace == "subscribe;receive fails;ack 1;ack 4;retry 2;dead 3 (malformed: found malformed);");
  CHECK(counts.values.at("pulse_observer_errors_total") == 6);
}

TEST_CASE("notices: each delivery is handled once, under the outcome that is counted") {
  struct Spans {
    std::string log;
    void on(const notice::Handling& each) { log += "begin " + std::string(each.traceparent) + ";"; }
    void on(const notice::Handled& each) { log += std::string(name_of(each.outcome)) + " " + std::string(each.traceparent) + ";"; }
  } spans;
  constexpr std::string_view trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  pulse::InMemoryBackend<std::string> bus;
  std::string seen;
  auto handler = pulse::handlers(pulse::on<pulse::FeedbackEvent>([&](const pulse::FeedbackEvent&, const pulse::DeliveryContext& delivery) {
    seen += delivery.traceparent() ? std::string(delivery.traceparent()->trace_id) + ";" : "none;";
  }));
  pulse::ConsumerOptions options;
  options.subscribe.streams = {"s"};
  options.heartbeat = 0ms;
  pulse::Consumer<decltype(bus)&, pulse::LruWindow, pulse::Observed<pulse::NoMetrics, Spans&>, decltype(handler)&> consumer{
      bus, pulse::LruWindow{8}, pulse::Observed<pulse::NoMetrics, Spans&>{pulse::NoMetrics{}, spans}, handler, options};
  REQUIRE(consumer.start());
  pulse::Publisher publisher{bus, "s"};
  const pulse::FeedbackEvent event{.coordinator_id = "c", .queue_size = 1, .capacity = 2, .level = pulse::BackpressureLevel::ok, .ts = 1};
  pulse::Headers headers;
  headers.set("traceparent", "what stood there before");
  headers.set("own", "header");
  REQUIRE(publisher.publish(event, {.id = "1", .headers = &headers, .traceparent = trace}));
  REQUIRE(publisher.publish(event, {.id = "1", .traceparent = trace}));
  REQUIRE(publisher.publish(event, {.id = "2", .headers = &headers}));
  REQUIRE(bus.publish("s", "no envelope"));
  for (int polls = 0; polls < 4; ++polls) {
    REQUIRE(consumer.poll());
  }
  CHECK(seen == "4bf92f3577b34da6a3ce929d0e0e4736;none;");
  const std::string with{trace};
  CHECK(spans.log == "begin " + with + ";success " + with + ";duplicate " + with + ";begin what stood there before;success what stood there before;invalid ;");
}

TEST_CASE_FIXTURE(Told, "notices: however a delivery ends, it is told once") {
  struct Ends {
    std::string log;
    void on(const notice::Handled& each) { log += to_string(each.entry) + " " + std::string(name_of(each.outcome)) + ";"; }
  } ends;
  pulse::Observed<pulse::NoMetrics, Ends&> told{pulse::NoMetrics{}, ends};
  options.heartbeat = 1s;
  options.heartbeat_thread = false;
  pulse::Consumer<ScriptedBackend&, MapDedup&, decltype(told)&, NoteHandler&, NoteTraits> one{backend, dedup, told, handler, options, clock};
  handler.call = [&](const Note& note, const pulse::DeliveryContext&) -> Verdict {
    if (note.text == "throws") {
      throw std::runtime_error("no such book");
    }
    if (note.text == "meanwhile") {
      one.heartbeat();  // the loop has something to look at when this one ends
    }
    return note.text == "old"     ? Verdict::stale()
           : note.text == "later" ? Verdict::retry(20ms)
           : note.text == "never" ? Verdict::dead_letter("no")
                                  : Verdict::ack();
  };
  dedup.state[pulse::EventId::from_text("leased")] = pulse::Claim::leased;
  push({{{1, 0}, "good"}, {{2, 0}, "good"}, {{3, 0}, "leased"}, {{4, 0}, "throws"}, {{5, 0}, "later"}, {{6, 0}, "never"}, {{7, 0}, "old"}});
  push({{{8, 0}, "malformed"}, {{9, 0}, "deadly", 9}, {{10, 0}, "meanwhile"}, {{11, 0}, "throws", 5}});
  for (int polls = 0; polls < 4; ++polls) {
    REQUIRE(one.poll());
  }
  CHECK(ends.log ==
        "1-0 success;2-0 duplicate;3-0 leased;4-0 error;5-0 retry;6-0 dead_letter;7-0 stale;"
        "8-0 invalid;9-0 dead_letter;10-0 success;11-0 dead_letter;");
}

TEST_CASE("notices: a provider pauses and goes on; a publisher is refused") {
  Transcript transcript;
  pulse::Observed metrics{pulse::NoMetrics{}, transcript};
  pulse::RateCoordinator rates;
  (void)rates.register_provider("ibkr", {.capacity = 10, .refill_rate = 10});
  pulse::FeedbackHandler feedback{rates, metrics};
  double ts = 1;
  const auto say = [&](pulse::BackpressureLevel level) {
    (void)feedback.handle(pulse::FeedbackEvent{.coordinator_id = "c", .queue_size = 1, .capacity = 2, .level = level, .ts = ts++});
  };
  using enum pulse::BackpressureLevel;
  for (const auto level : {ok, soft, hard, hard, soft, ok, hard}) {
    say(level);
  }
  CHECK(transcript.take() == "provider_paused provider=ibkr\nprovider_resumed provider=ibkr scale=0.5\nprovider_paused provider=ibkr\n");

  struct Refusing : ScriptedBackend {
    pulse::Result<pulse::EntryId> publish(std::string_view, std::string) { return pulse::Error{pulse::ErrorCode::denied, "read only"}; }
  } refusing;
  pulse::Publisher publisher{refusing, "s", metrics};
  CHECK(!publisher.publish(pulse::FeedbackEvent{}));
  CHECK(transcript.take() == "publish_failed stream=s code=denied error=\"read only\"\n");
}
