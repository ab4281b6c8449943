// SPDX-License-Identifier: MIT
#include "pulse/consumer.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "fixture.hpp"
#include "pulse/backend/in_memory.hpp"
#include "pulse/control/handlers.hpp"
#include "pulse/core/readiness.hpp"
#include "pulse/metrics/no_metrics.hpp"
#include "pulse/metrics/prometheus.hpp"
#include "pulse/metrics/prometheus_text.hpp"

using namespace std::chrono_literals;
using namespace pulse::testing;
using pulse::Claim;
using pulse::ErrorCode;
using pulse::EventId;
using pulse::Outcome;
using pulse::Verdict;

namespace {

using Fixture = ConsumerFixture<MapDedup>;

}  // namespace

// guarantee 1
TEST_CASE_FIXTURE(Fixture, "handled events are done first and acknowledged after") {
  push({{{1, 0}, "a"}, {{2, 0}, "b"}});
  CHECK(drain() == "subscribe;ack 1;ack 2;");
  CHECK(handled == "a;b;");
  CHECK(dedup.state.at(EventId::from_text("a")) == Claim::done);
  CHECK(metrics.outcome(Outcome::success) == 2);
}

// guarantee 1
TEST_CASE_FIXTURE(Fixture, "field bug 11: an event whose handler throws is retried, not acknowledged") {
  handler.call = [](const Note&, const pulse::DeliveryContext&) -> Verdict { throw std::runtime_error("database down"); };
  push({{{1, 0}, "a"}});
  CHECK(drain() == "subscribe;retry 1;");
  CHECK(dedup.state.empty());
  CHECK(metrics.outcome(Outcome::error) == 1);
  CHECK(backend.script->retries.at(0).delay >= 50ms);  // the policy's, not at once
  CHECK(backend.script->retries.at(0).delay <= 100ms);
  CHECK(backend.script->retries.at(0).counts);
}

// guarantee 2
TEST_CASE_FIXTURE(Fixture, "field bug 25: a failed event's redelivery is handled, not taken for a duplicate") {
  int calls = 0;
  handler.call = [&](const Note&, const pulse::DeliveryContext&) -> Verdict {
    if (++calls == 1) {
      throw 42;
    }
    return Verdict::ack();
  };
  push({{{1, 0}, "a"}});
  push({{{1, 0}, "a", 2}});
  CHECK(drain() == "subscribe;retry 1;ack 1;");
  CHECK(calls == 2);
  CHECK(backend.script->retries.at(0).delay >= 50ms);
}

// guarantee 2
TEST_CASE_FIXTURE(Fixture, "a duplicate is acknowledged without being handled, by the producer's id") {
  push({{{1, 0}, "a"}, {{2, 0}, "a"}});
  CHECK(drain() == "subscribe;ack 1;ack 2;");
  CHECK(handled == "a;");
  CHECK(metrics.outcome(Outcome::duplicate) == 1);
}

TEST_CASE_FIXTURE(Fixture, "without a producer's id the entry's id is the key") {
  push({{{1, 0}, "no id a"}, {{2, 0}, "no id b"}});
  push({{{1, 0}, "no id a", 2}});
  CHECK(drain() == "subscribe;ack 1;ack 2;ack 1;");
  CHECK(handled == "no id a;no id b;");
}

TEST_CASE("equal entry ids of two streams are two events, also where the names of the streams read like entry ids or are UUIDs") {
  using Names = std::vector<std::string>;
  for (const Names& names :
       {Names{"s", "t"}, Names{"2024-1", "2024-2"}, Names{"123e4567-e89b-42d3-a456-426614174000", "123e4567-e89b-42d3-a456-426614174001"}}) {
    CAPTURE(names[0]);
    pulse::ManualClock clock;
    pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>, pulse::ManualClock> bus{{}, clock};
    pulse::ConsumerOptions options;
    options.subscribe.streams = names;
    options.heartbeat = 0ms;
    struct Traits : pulse::DefaultTraits {
      using clock = pulse::ManualClock;
    };
    int handled = 0;
    auto handler = pulse::handlers(pulse::on<pulse::FeedbackEvent>([&](const pulse::FeedbackEvent&) { ++handled; }));
    MapDedup dedup;
    pulse::Consumer<decltype(bus)&, MapDedup&, pulse::NoMetrics, decltype(handler)&, Traits> consumer{bus, dedup, pulse::NoMetrics{}, handler, options, clock};
    for (int n = 0; n < 10; ++n) {  // within one millisecond: 0-0 to 0-9 of both
      for (const std::string& name : names) {
        REQUIRE(bus.publish(name, pulse::Envelope<pulse::FeedbackEvent>{}));
      }
    }
    for (int i = 0; i < 6; ++i) {
      CHECK(consumer.poll());
    }
    CHECK(handled == 20);
    CHECK(dedup.state.size() == 20);
  }
}

// guarantee 2
TEST_CASE_FIXTURE(Fixture, "field bug 17: a failover that forgets acknowledgements and moves the group back handles nothing twice") {
  push({{{1, 0}, "no id a"}, {{2, 0}, "b"}});
  push({{{1, 0}, "no id a"}, {{2, 0}, "b"}, {{3, 0}, "c"}});  // delivered as new, as if for the first time
  CHECK(drain() == "subscribe;ack 1;ack 2;ack 1;ack 2;ack 3;");
  CHECK(handled == "no id a;b;c;");
  CHECK(metrics.outcome(Outcome::duplicate) == 2);
}

// guarantee 5
TEST_CASE_FIXTURE(Fixture, "field bug 21: a redriven entry is handled although its event is done") {
  push({{{1, 0}, "a"}});
  push({{{9, 0}, "a", 1, true}});
  push({{{9, 0}, "a", 2, true}});
  CHECK(drain() == "subscribe;ack 1;ack 9;ack 9;");
  CHECK(handled == "a;a;");  // once brought back, once only
}

// guarantee 4
TEST_CASE_FIXTURE(Fixture, "field bug 8: what cannot be decoded goes to the dead letters before any handler, and the loop goes on") {
  push({{{1, 0}, "malformed"}, {{2, 0}, "invalid"}, {{3, 0}, "c"}});
  CHECK(drain() == "subscribe;ack 3;dead 1 (malformed: found malformed);dead 2 (invalid: found invalid);");
  CHECK(handled == "c;");
  CHECK(metrics.outcome(Outcome::invalid) == 2);
}

TEST_CASE_FIXTURE(Fixture, "what is no envelope has no track but v1, what breaks its schema counts on its own") {
  push({{{1, 0}, "malformed v2"}, {{2, 0}, "invalid v2"}, {{3, 0}, "invalid, too, v2"}});
  drain();
  CHECK(metrics.values.at("pulse_consume_total/v1/invalid") == 1);
  CHECK(metrics.values.at("pulse_consume_total/v2/invalid") == 2);
}

TEST_CASE_FIXTURE(Fixture, "lag is now minus the envelope's time, in milliseconds") {
  push({{{1, 0}, "a"}});
  drain();
  CHECK(metrics.values.at("pulse_lag_ms") == (pulse::epoch_seconds(clock.wall()) - 1e9) * 1e3);
}

TEST_CASE_FIXTURE(Fixture, "a warned event is counted and handled") {
  push({{{1, 0}, "warned"}});
  CHECK(drain() == "subscribe;ack 1;");
  CHECK(handled == "warned;");
  CHECK(metrics.values.at("pulse_schema_warnings_total/v1") == 1);
}

TEST_CASE_FIXTURE(Fixture, "retries are bounded: the last allowed delivery that fails is dead-lettered with the reason") {
  handler.call = [](const Note&, const pulse::DeliveryContext&) -> Verdict { throw std::runtime_error("no such table"); };
  push({{{1, 0}, "a", 4}});
  push({{{1, 0}, "a", 5}});
  CHECK(drain() == "subscribe;retry 1;dead 1 (failed 5 times, allowed are 5; the last time: no such table);");
  CHECK(metrics.outcome(Outcome::dead_letter) == 1);
  CHECK(dedup.state.empty());
}

TEST_CASE_FIXTURE(Fixture, "an entry that was delivered too often without an answer is dead-lettered unhandled") {
  push({{{1, 0}, "a", 6}});
  CHECK(drain() == "subscribe;dead 1 (delivered 6 times, allowed are 5: no consumer finished it);");
  CHECK(handled.empty());
  CHECK(metrics.outcome(Outcome::dead_letter) == 1);
}

TEST_CASE_FIXTURE(Fixture, "a duplicate is acknowledged however often it was delivered") {
  dedup.state[EventId::from_text("a")] = Claim::done;
  push({{{1, 0}, "a", 60}});
  CHECK(drain() == "subscribe;ack 1;");
}

TEST_CASE_FIXTURE(Fixture, "an event that somebody else is handling is looked at again, neither handled nor acknowledged") {
  dedup.state[EventId::from_text("a")] = Claim::leased;
  push({{{1, 0}, "a"}});
  CHECK(drain() == "subscribe;retry 1;");
  CHECK(handled.empty());
  CHECK(dedup.state.at(EventId::from_text("a")) == Claim::leased);
  CHECK(metrics.outcome(Outcome::leased) == 1);  // no failure: an alert counts those
  CHECK(metrics.outcome(Outcome::retry) == 0);
  CHECK(backend.script->retries.at(0).delay == options.lease_wait);
  CHECK_FALSE(backend.script->retries.at(0).counts);  // nobody tried it
}

TEST_CASE_FIXTURE(Fixture, "an event that the window cannot tell of now is a retry, for whoever looks for failures") {
  dedup.state[EventId::from_text("a")] = Claim::unavailable;
  push({{{1, 0}, "a"}});
  CHECK(drain() == "subscribe;retry 1;");
  CHECK(handled.empty());
  CHECK(metrics.outcome(Outcome::retry) == 1);
  CHECK(metrics.outcome(Outcome::leased) == 0);
  CHECK_FALSE(backend.script->retries.at(0).counts);
}

TEST_CASE_FIXTURE(Fixture, "a handler that returns nothing has handled what it did not throw at") {
  struct Quiet {
    using events = pulse::Events<Note>;
    std::string seen;
    void handle(const Note& note, const pulse::DeliveryContext&) {
      if (note.text == "b") {
        throw std::runtime_error("not b");
      }
      seen += note.text + ";";
    }
  } quiet;
  pulse::Consumer<ScriptedBackend&, MapDedup&, CountingMetrics&, Quiet&, NoteTraits> consumer{backend, dedup, metrics, quiet, options, clock};
  push({{{1, 0}, "a"}, {{2, 0}, "b"}, {{3, 0}, "c"}});
  for (int i = 0; i < 3; ++i) {
    CHECK(consumer.poll());
  }
  CHECK(backend.script->trace == "subscribe;ack 1;ack 3;retry 2;");
  CHECK(quiet.seen == "a;c;");
}

TEST_CASE("a handler of several events is given each as what it is, and may return nothing for one and a verdict for another") {
  struct Both {
    using events = pulse::Events<pulse::FeedbackEvent, pulse::RateAdjustment>;
    std::string seen;
    void handle(const pulse::FeedbackEvent& event, const pulse::DeliveryContext&) { seen += event.coordinator_id + ";"; }
    Verdict handle(const pulse::RateAdjustment& event, const pulse::DeliveryContext&) {
      seen += event.provider + ";";
      return Verdict::dead_letter("no rates here");
    }
  } both;
  pulse::ManualClock clock;
  using Payload = pulse::OneOf<pulse::FeedbackEvent, pulse::RateAdjustment>;
  pulse::InMemoryBackend<pulse::Envelope<Payload>, pulse::ManualClock> bus{{}, clock};
  const auto publish = [&](const char* id, Payload payload) {
    pulse::Envelope<Payload> envelope;
    envelope.id = id;
    envelope.payload = std::move(payload);
    REQUIRE(bus.publish("s", envelope));
  };
  publish("1", pulse::FeedbackEvent{.coordinator_id = "bars"});
  publish("2", pulse::RateAdjustment{.provider = "ibkr"});
  pulse::ConsumerOptions options;
  options.subscribe.streams = {"s"};
  options.heartbeat = 0ms;
  options.loop.batch = 10;
  struct Traits : pulse::DefaultTraits {
    using clock = pulse::ManualClock;
  };
  MapDedup dedup;
  pulse::Consumer<decltype(bus)&, MapDedup&, pulse::NoMetrics, Both&, Traits> consumer{bus, dedup, pulse::NoMetrics{}, both, options, clock};
  for (int i = 0; i < 3; ++i) {
    CHECK(consumer.poll());
  }
  CHECK(both.seen == "bars;ibkr;");
  CHECK(bus.dead_letters("s", {}, 10)->at(0).reason == "no rates here");
  CHECK(dedup.state.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a handler's verdict is carried out") {
  handler.call = [](const Note& note, const pulse::DeliveryContext&) {
    return note.text == "stale"   ? Verdict::stale()
           : note.text == "later" ? Verdict::retry(3s)
           : note.text == "now"   ? Verdict::retry(0ms)
                                  : Verdict::dead_letter("not for us");
  };
  push({{{1, 0}, "stale"}, {{2, 0}, "later"}, {{3, 0}, "no"}, {{4, 0}, "now"}});
  CHECK(drain() == "subscribe;ack 1;retry 2;retry 4;dead 3 (not for us);");
  CHECK(metrics.outcome(Outcome::stale) == 1);
  CHECK(metrics.outcome(Outcome::retry) == 2);
  CHECK(backend.script->retries.at(0).delay == 3s);
  CHECK(backend.script->retries.at(1).delay == 0ms);
  CHECK(metrics.outcome(Outcome::dead_letter) == 1);
}

// guarantee 5
TEST_CASE_FIXTURE(Fixture, "a retry that is asked for far beyond the end of time waits a year, and is not at once") {
  pulse::InMemoryBackend<pulse::Envelope<Note>, pulse::ManualClock> bus{{}, clock};
  REQUIRE(bus.publish("s", {}));
  int calls = 0;
  handler.call = [&](const Note&, const pulse::DeliveryContext&) {
    return ++calls == 1 ? Verdict::retry(std::chrono::milliseconds::max()) : Verdict::retry(std::chrono::milliseconds::min());
  };
  options.subscribe.streams = {"s"};
  pulse::Consumer<decltype(bus)&, MapDedup&, CountingMetrics&, NoteHandler&, NoteTraits> consumer{bus, dedup, metrics, handler, options, clock};
  const auto called = [&] {
    for (int polls = 0; polls < 4; ++polls) {
      CHECK(consumer.poll());
    }
    return calls;
  };
  CHECK(called() == 1);
  clock.advance(365 * 24h - 1ms);
  CHECK(called() == 1);
  clock.advance(1ms);
  CHECK(called() == 2);
  CHECK(called() == 2);  // the policy's delay
  clock.advance(1s);
  CHECK(called() == 3);
}

TEST_CASE_FIXTURE(Fixture, "field bug 20: the handler sees the delivery: count, ids, stream, envelope") {
  handler.call = [&](const Note&, const pulse::DeliveryContext& context) {
    CHECK(context.delivery_count() == 3);
    CHECK(context.entry_id() == pulse::EntryId{7, 1});
    CHECK(context.event_id() == EventId::from_text("a"));
    CHECK(context.stream() == "mdp:mdp.telemetry.feedback");
    CHECK(*context.envelope().id == "a");
    CHECK_FALSE(context.redriven());
    CHECK_FALSE(context.stop_requested());
    CHECK_FALSE(context.lease_lost());
    handled += "seen";
    return Verdict::ack();
  };
  push({{{7, 1}, "a", 3}});
  drain();
  CHECK(handled == "seen");
}

TEST_CASE_FIXTURE(Fixture, "a settlement that failed is repeated before anything else is read") {
  push({{{1, 0}, "a"}});
  push({{{2, 0}, "b"}});
  backend.script->settle_errors = {ErrorCode::unavailable, ErrorCode::unavailable};
  CHECK(drain() == "subscribe;settle fails;settle fails;ack 1;ack 2;");
  CHECK(handled == "a;b;");
}

TEST_CASE_FIXTURE(Fixture, "a backend that fails for a while costs pauses, shows in health, and no event") {
  push({{{1, 0}, "a"}});
  backend.script->receive_errors = {ErrorCode::unavailable, ErrorCode::protocol};
  REQUIRE(consumer().poll());  // claim
  const auto report = consumer().poll();
  REQUIRE(report);
  CHECK(report->pause > 0ms);
  CHECK_FALSE(consumer().health().ready);
  CHECK(consumer().health().detail == "receive failed");
  CHECK(drain() == "subscribe;receive fails;receive fails;ack 1;");
  CHECK(consumer().health().ready);
  CHECK(metrics.values.at("pulse_backend_errors_total") == 2);
}

TEST_CASE_FIXTURE(Fixture, "connections that a backend made anew are counted, each once") {
  backend.script->reconnects = 2;
  REQUIRE(consumer().poll());  // a round of claiming
  CHECK(metrics.values.at("pulse_reconnects_total") == 2);
  backend.script->reconnects = 5;
  for (int polls = 0; polls < 3; ++polls) {
    clock.advance(1min);
    REQUIRE(consumer().poll());
  }
  CHECK(metrics.values.at("pulse_reconnects_total") == 5);
}

TEST_CASE_FIXTURE(Fixture, "the group's state reaches the metrics, what the server does not know does not") {
  backend.script->state.pending = 3;
  backend.script->state.dead_letters = 4;
  backend.script->state.lag = 5;
  backend.script->state.lag_known = false;
  REQUIRE(consumer().poll());  // a round of claiming
  CHECK(metrics.values.at("pulse_pending") == 3);
  CHECK(metrics.values.at("pulse_dlq_depth") == 4);
  CHECK(metrics.values.count("pulse_undelivered") == 0);
  backend.script->state.lag_known = true;
  REQUIRE(consumer().poll());
  clock.advance(1min);
  REQUIRE(consumer().poll());
  CHECK(metrics.values.at("pulse_undelivered") == 5);
}

// field bug 22
TEST_CASE_FIXTURE(Fixture, "a stuck loop can be seen from outside: its last round is a time in the metrics") {
  const double begin = pulse::epoch_seconds(clock.wall());
  REQUIRE(consumer().start());
  clock.advance(1min);
  REQUIRE(consumer().poll());
  CHECK(metrics.values.at("pulse_start_timestamp_seconds") == begin);
  CHECK(metrics.values.at("pulse_progress_timestamp_seconds") == begin + 60);
  handler.call = [&](const Note&, const pulse::DeliveryContext&) {
    clock.advance(1h);  // the handler hangs
    CHECK(metrics.values.at("pulse_progress_timestamp_seconds") == begin + 60);
    return Verdict::ack();
  };
  push({{{1, 0}, "a"}});
  CHECK(drain() == "subscribe;ack 1;");
  CHECK(metrics.values.at("pulse_progress_timestamp_seconds") == begin + 3660);
}

TEST_CASE_FIXTURE(Fixture, "an error that no patience mends ends the consumer with that error") {
  backend.script->receive_errors = {ErrorCode::denied};
  CHECK(drain() == "subscribe;receive fails;ended: receive failed;");
}

TEST_CASE_FIXTURE(Fixture, "field bug 2: a lost group is an error by default and made anew by policy") {
  SUBCASE("fail") {
    backend.script->receive_errors = {ErrorCode::no_group};
    CHECK(drain() == "subscribe;receive fails;ended: receive failed;");
  }
  SUBCASE("recreate") {
    options.loop.group_lost = pulse::engine::GroupLost::recreate_at_beginning;
    backend.script->receive_errors = {ErrorCode::no_group};
    push({{{1, 0}, "a"}});
    CHECK(drain() == "subscribe;receive fails;subscribe;ack 1;");
  }
  SUBCASE("recreate where all was acked, as it was seen last") {
    options.loop.group_lost = pulse::engine::GroupLost::recreate_at_last_acked;
    backend.script->state.acked_up_to = {7, 1};
    backend.script->receive_errors = {ErrorCode::no_group};
    backend.script->state.mark = {8, 3, {5, 0}, {7, 2}};
    CHECK(drain() == "subscribe;receive fails;subscribe after 7-1 of 8;");
  }
}

TEST_CASE_FIXTURE(Fixture, "what was trimmed unread, and acks of what was not pending, are counted each once") {
  const auto look = [&] {
    clock.advance(1min);
    for (int polls = 0; polls < 2; ++polls) {
      REQUIRE(consumer().poll());  // a round of claiming, and a read
    }
  };
  backend.script->state.trimmed_unread = 5;
  backend.script->unmatched_acks = 2;
  look();
  look();
  CHECK(metrics.values.at("pulse_trimmed_unread_total") == 5);
  backend.script->state.trimmed_unread = 7;  // more, while it lags
  look();
  CHECK(metrics.values.at("pulse_trimmed_unread_total") == 7);
  backend.script->state.trimmed_unread = 0;  // it has caught up
  look();
  backend.script->state.trimmed_unread = 3;
  backend.script->unmatched_acks = 6;
  look();
  CHECK(metrics.values.at("pulse_trimmed_unread_total") == 10);
  CHECK(metrics.values.at("pulse_unmatched_acks_total") == 6);
}

// guarantee 6
TEST_CASE_FIXTURE(Fixture, "field bug 12: stopping in the middle of a batch settles what is finished and leaves the rest pending") {
  handler.call = [&](const Note& note, const pulse::DeliveryContext& context) -> Verdict {
    handled += note.text + ";";
    if (note.text == "b") {
      consumer().stop();
      CHECK(context.stop_requested());
      throw std::runtime_error("interrupted by the stop");
    }
    return Verdict::ack();
  };
  push({{{1, 0}, "a"}, {{2, 0}, "b", 5}, {{3, 0}, "c"}});  // b is at its last delivery: still not dead-lettered
  CHECK(consumer().run());
  CHECK(backend.script->trace == "subscribe;ack 1;flush;");
  CHECK(handled == "a;b;");
  CHECK(dedup.state.count(EventId::from_text("b")) == 0);
  CHECK(backend.script->wakes == 1);
}

// guarantee 6
TEST_CASE_FIXTURE(Fixture, "field bug 13: stop returns when the backend is gone") {
  push({{{1, 0}, "a"}});
  std::string says;
  SUBCASE("for good") {
    backend.script->flush_errors = {ErrorCode::denied};
    says = "flush failed";
  }
  SUBCASE("and a flush fails until the deadline") {
    backend.script->flush_errors.assign(10'000, ErrorCode::unavailable);
    says = "flush failed";
  }
  SUBCASE("and a settlement fails until the deadline") {
    backend.script->settle_errors.assign(10'000, ErrorCode::unavailable);
    says = "settle failed";
  }
  backend.script->while_flushing = [this] { clock.advance(100ms); };
  const pulse::SteadyTime begin = clock.steady();
  REQUIRE(consumer().poll());
  REQUIRE(consumer().poll());
  consumer().stop();
  const auto status = consumer().run();
  REQUIRE_FALSE(status);  // says that the last acknowledgements did not get through
  CHECK(status.error().message == says);
  CHECK(clock.steady() - begin <= options.loop.drain_deadline + 100ms);
}

// guarantee 6
TEST_CASE_FIXTURE(Fixture, "what fails in passing at a stop is said again until it is taken, after a pause each, and told once") {
  handler.call = [&](const Note&, const pulse::DeliveryContext&) {
    consumer().stop();
    return Verdict::ack();
  };
  std::string trace = "subscribe;settle fails;settle fails;flush;settle fails;flush;ack 1;flush;";
  push({{{1, 0}, "a"}});
  SUBCASE("a settlement") {
    backend.script->settle_errors.assign(3, ErrorCode::unavailable);
    CHECK(consumer().run());
  }
  SUBCASE("a flush") {
    backend.script->flush_errors.assign(2, ErrorCode::protocol);
    trace = "subscribe;ack 1;flush fails;flush fails;flush;";
    CHECK(consumer().run());
  }
  SUBCASE("a settlement, in the loop of a host") {
    pulse::Readiness ready;
    int pauses = 0;
    backend.script->settle_errors.assign(3, ErrorCode::unavailable);
    for (bool stopped = false; !stopped;) {
      const auto report = consumer().poll();
      REQUIRE(report);
      stopped = report->stopped;
      if (!stopped && backend.script->trace.ends_with("flush;")) {
        CHECK(report->pause == 10ms);
        CHECK(*consumer().arm(ready) == 10ms);
        ++pauses;
        clock.advance(report->pause);
        CHECK(*consumer().arm(ready) == 0ms);
      }
    }
    CHECK(pauses == 2);
  }
  CHECK(backend.script->trace == trace);
  CHECK(consumer().health().failures_in_a_row == 0);
}

TEST_CASE_FIXTURE(Fixture, "a stop token wakes a waiting run") {
  pulse::StopSource source;
  REQUIRE(consumer().start());  // so that there is something to wake
  std::thread other([&] {
    std::this_thread::sleep_for(1ms);
    source.request_stop();
  });
  CHECK(consumer().run(source.token()));
  other.join();
  CHECK(backend.script->wakes == 1);
}

TEST_CASE_FIXTURE(Fixture, "a stopped consumer stays stopped") {
  consumer().stop();
  CHECK(consumer().run());
  const auto report = consumer().poll();
  REQUIRE(report);
  CHECK(report->stopped);
}

TEST_CASE_FIXTURE(Fixture, "a lease lost to another consumer is committed here and not settled") {
  options.heartbeat = 10s;
  backend.script->lose_on_extend = 0;
  handler.call = [&](const Note&, const pulse::DeliveryContext& context) {
    clock.advance(11s);
    while (!context.lease_lost()) {
      std::this_thread::sleep_for(1ms);
    }
    return Verdict::ack();
  };
  push({{{1, 0}, "a"}});
  CHECK(drain() == "subscribe;");
  CHECK(dedup.state.at(EventId::from_text("a")) == Claim::done);
  CHECK(metrics.values.at("pulse_lease_lost_total") == 1);
}

TEST_CASE_FIXTURE(Fixture, "vanished entries are counted") {
  backend.script->vanished = 3;
  drain();
  CHECK(metrics.values.at("pulse_vanished_total") == 3);
}

TEST_CASE_FIXTURE(Fixture, "of several streams, what is missed counts under the one that it was in, or under other where that is not told") {
  pulse::PrometheusMetrics prometheus{{.streams = {"a", "b"}, .providers = {}, .sources = {}}};
  options.subscribe.streams = {"a", "b"};
  const auto polls = [](auto& consumer) {
    for (int times = 0; times < 4; ++times) {
      REQUIRE(consumer.poll());
    }
  };
  const auto says = [&](const std::string& line) { return pulse::prometheus_text(prometheus).find("\n" + line + "\n") != std::string::npos; };
  SUBCASE("in memory") {
    pulse::InMemoryBackend<pulse::Envelope<Note>, pulse::ManualClock> bus{{}, clock};
    pulse::Consumer<decltype(bus)&, MapDedup&, pulse::PrometheusMetrics&, NoteHandler&, NoteTraits> consumer{bus, dedup, prometheus, handler, options, clock};
    handler.call = [](const Note&, const pulse::DeliveryContext&) { return Verdict::retry(1s); };
    const auto gone = bus.publish("b", {});
    REQUIRE(bus.publish("a", {}));
    polls(consumer);
    REQUIRE(bus.erase("b", *gone));
    clock.advance(1s);
    polls(consumer);
    CHECK(says("pulse_vanished_total{stream=\"a\"} 0"));
    CHECK(says("pulse_vanished_total{stream=\"b\"} 1"));
  }
  SUBCASE("a backend that does not tell") {
    pulse::Consumer<ScriptedBackend&, MapDedup&, pulse::PrometheusMetrics&, NoteHandler&, NoteTraits> consumer{backend, dedup,   prometheus,
                                                                                                               handler, options, clock};
    backend.script->vanished = 3;
    backend.script->too_large = 2;
    polls(consumer);
    CHECK(says("pulse_vanished_total{stream=\"a\"} 0"));
    CHECK(says("pulse_vanished_total{stream=\"other\"} 3"));
    CHECK(says("pulse_consume_total{stream=\"other\",track=\"v1\",outcome=\"dead_letter\"} 2"));
  }
}

TEST_CASE_FIXTURE(Fixture, "entries that the backend dead-lettered because they were too large are counted as dead letters") {
  backend.script->too_large = 2;
  drain();
  CHECK(metrics.values.at("pulse_consume_total/v1/dead_letter") == 2);
}

TEST_CASE_FIXTURE(Fixture, "claimed entries are handled as others are, and counted") {
  backend.script->claimable.push_back({{{1, 0}, "a", 2}});
  CHECK(drain() == "subscribe;ack 1;");
  CHECK(metrics.values.at("pulse_claimed_total") == 1);
}

TEST_CASE_FIXTURE(Fixture, "a backend that gives more than it was asked for is an error, and what fits is handled") {
  options.loop.batch = 2;
  const std::vector<ScriptedBackend::Delivery> three{{{1, 0}, "a"}, {{2, 0}, "b"}, {{3, 0}, "c"}};
  SUBCASE("received") { push(three); }
  SUBCASE("claimed") { backend.script->claimable.push_back(three); }
  std::string said;
  for (int polls = 0; polls < 2; ++polls) {
    const auto report = consumer().poll();
    REQUIRE(report);
    clock.advance(report->pause);
    said += consumer().health().detail;
  }
  CHECK(handled == "a;b;");
  CHECK(backend.script->trace == "subscribe;batch over max;ack 1;ack 2;");
  CHECK(metrics.values.at("pulse_backend_errors_total") == 1);
  CHECK(said.find("a batch of 3 deliveries, 2 were asked for") != std::string::npos);
  CHECK(consumer().poll());  // it goes on
}

TEST_CASE_FIXTURE(Fixture, "wrong options are an error at start that names them") {
  const auto refused = [&](auto change) {
    options = pulse::ConsumerOptions{};
    change();
    made.reset();
    const auto status = consumer().start();
    return status ? "started" : status.error().code == ErrorCode::config ? status.error().message.substr(0, status.error().message.find(':')) : "not config";
  };
  CHECK(refused([] {}) == "started");
  CHECK(refused([&] { options.loop.batch = 0; }) == "ConsumerOptions.loop.batch is 0");
  CHECK(refused([&] { options.loop.batch = ~std::size_t{0}; }) == "ConsumerOptions.loop.batch is 18446744073709551615");
  CHECK(refused([&] { options.loop.wait = -1ms; }) == "ConsumerOptions.loop.wait is -1 ms");
  CHECK(refused([&] { options.loop.wait = std::chrono::milliseconds::max(); }) == "ConsumerOptions.loop.wait is 9223372036854775807 ms");
  CHECK(refused([&] { options.loop.claim_interval = 0ms; }) == "ConsumerOptions.loop.claim_interval is 0 ms");
  CHECK(refused([&] { options.loop.error_base = 0ms; }) == "ConsumerOptions.loop.error_base is 0 ms");
  CHECK(refused([&] { options.loop.drain_deadline = -1ms; }) == "ConsumerOptions.loop.drain_deadline is -1 ms");
  CHECK(refused([&] { options.handler_deadline = -1ms; }) == "ConsumerOptions.handler_deadline is -1 ms");
  CHECK(refused([&] { options.lease_wait = 0ms; }) == "ConsumerOptions.lease_wait is 0 ms");
  options = pulse::ConsumerOptions{};
  const auto never = Consumer{backend, dedup, metrics, handler, options, clock, pulse::ExponentialBackoff{.max_deliveries = 0}}.start();
  REQUIRE_FALSE(never);
  CHECK(never.error().code == ErrorCode::config);
  CHECK(never.error().message.starts_with("Traits::retry.max_deliveries is 0: "));
  CHECK(Consumer{backend, dedup, metrics, handler, options, clock, pulse::ExponentialBackoff{.max_deliveries = 1}}.start());
}

TEST_CASE_FIXTURE(Fixture, "field bug 15: a loop whose backend was away reads again, and health answers while a read blocks") {
  backend.script->receive_errors = {ErrorCode::unavailable, ErrorCode::unavailable};
  push({{{1, 0}, "a"}});
  REQUIRE(consumer().poll());  // the first step looks for abandoned entries
  for (int i = 0; i < 2; ++i) {
    const auto away = consumer().poll();
    REQUIRE(away);
    CHECK(away->pause > 0ms);
    CHECK_FALSE(consumer().health().ready);
    clock.advance(away->pause);
  }
  CHECK(drain() == "subscribe;receive fails;receive fails;ack 1;");
  CHECK(consumer().health().ready);
  // A read that blocks: it ends only when health has answered.
  std::thread asks;
  backend.script->while_receiving = [&] {
    asks = std::thread([&] { CHECK(consumer().health().live); });
    asks.join();
  };
  CHECK(consumer().poll());
  CHECK_FALSE(asks.joinable());
}

TEST_CASE_FIXTURE(Fixture, "a subscription that is refused is an error at start; a passing one can be tried again") {
  backend.script->subscribe_errors = {ErrorCode::unavailable};
  CHECK_FALSE(consumer().start());
  CHECK(consumer().start());
}

TEST_CASE_FIXTURE(Fixture, "a poll and an arm begin with a start: what refuses it refuses them, and the next tries again") {
  pulse::Readiness ready;
  backend.script->subscribe_errors = {ErrorCode::unavailable, ErrorCode::denied};
  const auto polled = consumer().poll();
  REQUIRE_FALSE(polled);
  CHECK(polled.error().code == ErrorCode::unavailable);
  const auto armed = consumer().arm(ready);
  REQUIRE_FALSE(armed);
  CHECK(armed.error().code == ErrorCode::denied);
  CHECK(consumer().poll());
  consumer().stop();
  CHECK(*consumer().arm(ready) == 0ms);  // a poll is due: it drains
}

TEST_CASE_FIXTURE(Fixture, "claims and groups that fail for a while are tried again after a pause, as reads are") {
  push({{{1, 0}, "a"}});
  SUBCASE("a claim") {
    backend.script->claim_errors = {ErrorCode::unavailable};
    CHECK(drain() == "subscribe;claim fails;ack 1;");
  }
  SUBCASE("a group that is made anew") {
    options.loop.group_lost = pulse::engine::GroupLost::recreate_at_beginning;
    backend.script->receive_errors = {ErrorCode::no_group};
    REQUIRE(consumer().start());
    backend.script->subscribe_errors = {ErrorCode::unavailable, ErrorCode::unavailable};
    CHECK(drain() == "subscribe;receive fails;subscribe;ack 1;");
    CHECK(metrics.values.at("pulse_backend_errors_total") == 3);
  }
  SUBCASE("a group that is refused") {
    options.loop.group_lost = pulse::engine::GroupLost::recreate_at_beginning;
    backend.script->receive_errors = {ErrorCode::no_group};
    REQUIRE(consumer().start());
    backend.script->subscribe_errors = {ErrorCode::denied};
    CHECK(drain() == "subscribe;receive fails;ended: subscribe failed;");
  }
}

TEST_CASE_FIXTURE(Fixture, "a stop ends the pause of a run whose backend is away") {
  backend.script->receive_errors.assign(1000, ErrorCode::unavailable);
  pulse::Status status{pulse::Error{}};
  REQUIRE(consumer().start());
  std::thread run([&] { status = consumer().run(); });  // its clock stands still: nothing else ends the pause
  while (consumer().health().detail != "receive failed") {
    std::this_thread::yield();
  }
  consumer().stop();
  run.join();
  CHECK(status);
  CHECK(backend.script->trace == "subscribe;receive fails;flush;");
}

TEST_CASE_FIXTURE(Fixture, "field bug 22: a loop that does not come round is not live") {
  CHECK_FALSE(consumer().health().live);
  REQUIRE(consumer().start());
  CHECK(consumer().health().live);  // one that has only begun is not stuck
  REQUIRE(consumer().poll());
  CHECK(consumer().health(30s).live);
  clock.advance(31s);
  CHECK_FALSE(consumer().health(30s).live);
}

// field bug 22
TEST_CASE_FIXTURE(Fixture, "a consumer that waits as long as it was told to is live, one whose handler hangs after such a wait is not") {
  options.loop.wait = 60s;
  options.loop.claim_interval = 10min;
  REQUIRE(consumer().poll());  // the first step looks for abandoned entries
  bool live = false;
  backend.script->while_receiving = [&] {
    clock.advance(59s);
    live = consumer().health(30s).live;
  };
  REQUIRE(consumer().poll(60s));
  CHECK(live);
  push({{{1, 0}, "a"}});
  handler.call = [&](const Note&, const pulse::DeliveryContext&) {
    CHECK(consumer().health(30s).since_progress == 0ms);
    clock.advance(31s);
    CHECK_FALSE(consumer().health(30s).live);
    return Verdict::ack();
  };
  REQUIRE(consumer().poll(60s));
  CHECK(drain() == "subscribe;ack 1;");
}

TEST_CASE_FIXTURE(Fixture, "a consumer that pauses while its backend is away is live until the pause should be over") {
  options.loop.error_base = options.loop.error_cap = 10min;
  options.seed = 1;
  backend.script->receive_errors = {ErrorCode::unavailable};
  REQUIRE(consumer().poll());
  const auto away = consumer().poll();
  REQUIRE(away);
  REQUIRE(away->pause > 2min);
  clock.advance(1min);
  CHECK(consumer().health(30s).live);
  const auto still = consumer().poll();
  REQUIRE(still);
  REQUIRE(still->pause == away->pause - 1min);
  clock.advance(still->pause + 29s);
  CHECK(consumer().health(30s).live);
  clock.advance(2s);
  CHECK_FALSE(consumer().health(30s).live);
}

TEST_CASE_FIXTURE(Fixture, "a consumer in the middle of a long batch is live while its events get finished, and not when one hangs") {
  options.loop.batch = 100;
  std::vector<ScriptedBackend::Delivery> batch;
  for (std::uint64_t id = 1; id <= 100; ++id) {
    batch.push_back({{id, 0}, std::to_string(id)});
  }
  push(std::move(batch));
  int asked = 0;
  handler.call = [&](const Note& note, const pulse::DeliveryContext&) {
    clock.advance(1s);
    if (note.text == "90") {
      CHECK(consumer().health(30s).live);
      clock.advance(30s);
      CHECK_FALSE(consumer().health(30s).live);
    } else if (note.text != "50") {
      asked += consumer().health(30s).live ? 1 : 0;
    }
    return Verdict::ack();
  };
  REQUIRE(consumer().poll());
  REQUIRE(consumer().poll());
  CHECK(asked == 98);
}

TEST_CASE_FIXTURE(Fixture, "a consumer that drains is live until its deadline") {
  options.loop.drain_deadline = 2min;
  REQUIRE(consumer().start());
  consumer().stop();
  bool live = false;
  backend.script->while_flushing = [&] {
    clock.advance(1min);
    live = consumer().health(30s).live;
  };
  REQUIRE(consumer().poll());
  CHECK(live);
}

// guarantee 7
TEST_CASE_FIXTURE(Fixture, "a host that beats by itself needs no thread: what it finds lost is done and not settled") {
  options.heartbeat = 10s;
  options.heartbeat_thread = false;
  backend.script->lose_on_extend = 0;
  pulse::Consumer<ScriptedBackend&, MapDedup&, CountingMetrics&, NoteHandler&, NoteTraits> consumer{backend, dedup, metrics, handler, options, clock};
  handler.call = [&](const Note&, const pulse::DeliveryContext&) {
    consumer.heartbeat();
    return Verdict::ack();
  };
  push({{{1, 0}, "a"}, {{2, 0}, "b"}});
  for (int i = 0; i < 3; ++i) {
    CHECK(consumer.poll());
  }
  CHECK(backend.script->trace == "subscribe;ack 2;");
  CHECK(dedup.state.at(EventId::from_text("a")) == Claim::done);
  CHECK(metrics.outcome(Outcome::success) == 1);
}

// guarantee 7
TEST_CASE_FIXTURE(Fixture, "an entry that was lost while its handler failed, or gave it up, is left to its new owner") {
  options.heartbeat = 10s;
  options.heartbeat_thread = false;
  backend.script->lose_on_extend = 0;
  std::string way;
  SUBCASE("it throws") { way = "throws"; }
  SUBCASE("it asks for a retry") { way = "retry"; }
  SUBCASE("it asks for the dead letters") { way = "dead letter"; }
  handler.call = [&](const Note&, const pulse::DeliveryContext&) -> Verdict {
    consumer().heartbeat();
    if (way == "throws") {
      throw std::runtime_error("no database");
    }
    return way == "retry" ? Verdict::retry(1s) : Verdict::dead_letter("not for us");
  };
  push({{{1, 0}, "a"}});
  CHECK(drain() == "subscribe;");
  CHECK(dedup.state.empty());
  CHECK(metrics.values.at("pulse_lease_lost_total") == 1);
}

// guarantee 7
TEST_CASE_FIXTURE(Fixture, "what was lost before its turn is left to its new owner") {
  options.heartbeat = 10s;
  options.heartbeat_thread = false;
  backend.script->lose_on_extend = 1;
  handler.call = [&](const Note& note, const pulse::DeliveryContext&) {
    consumer().heartbeat();
    handled += note.text + ";";
    return Verdict::ack();
  };
  push({{{1, 0}, "a"}, {{2, 0}, "b"}, {{3, 0}, "c"}, {{4, 0}, "malformed"}});
  CHECK(drain() == "subscribe;ack 1;ack 3;dead 4 (malformed: found malformed);");
  CHECK(handled == "a;c;");
  CHECK(metrics.values.at("pulse_lease_lost_total") == 1);
}

// guarantee 1
TEST_CASE_FIXTURE(Fixture, "a settlement that fails in the middle of a batch does not end the batch, and is said again at its end") {
  options.heartbeat = 10s;
  options.heartbeat_thread = false;
  backend.script->settle_errors = {ErrorCode::unavailable};
  handler.call = [&](const Note& note, const pulse::DeliveryContext&) {
    if (note.text == "a") {
      consumer().heartbeat();
    }
    return Verdict::ack();
  };
  push({{{1, 0}, "a"}, {{2, 0}, "b"}, {{3, 0}, "c"}});
  CHECK(drain() == "subscribe;settle fails;ack 1;ack 2;ack 3;");
}

TEST_CASE_FIXTURE(Fixture, "field bug 2: a settlement to a group that is gone does not keep the group from being made anew") {
  options.loop.group_lost = pulse::engine::GroupLost::recreate_at_beginning;
  backend.script->settle_errors = {ErrorCode::no_group, ErrorCode::no_group};
  push({{{1, 0}, "a"}});
  push({{{1, 0}, "a"}});
  CHECK(drain() == "subscribe;settle fails;subscribe;settle fails;subscribe;");
  push({{{1, 0}, "a"}});
  CHECK(drain() == "subscribe;settle fails;subscribe;settle fails;subscribe;ack 1;");
  CHECK(handled == "a;");
}
