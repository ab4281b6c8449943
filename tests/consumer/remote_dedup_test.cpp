// SPDX-License-Identifier: MIT
//
// A strategy that answers from elsewhere: what the consumer asks of it, and when.
#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "../support/readable.hpp"
#include "fixture.hpp"
#include "pulse/backend/in_memory.hpp"
#include "pulse/control/handlers.hpp"
#include "pulse/engine/remote_claims.hpp"
#include "pulse/metrics/no_metrics.hpp"

using namespace std::chrono_literals;
using namespace pulse::testing;
using pulse::Claim;
using pulse::ErrorCode;
using pulse::EventId;
using pulse::Outcome;
using pulse::Status;
using pulse::Verdict;

namespace {

/// A window on a server that a test plays.
struct RemoteMap : MapDedup {
  static constexpr bool shared = true;
  std::string trace;
  std::function<void()> while_claiming{};
  std::deque<ErrorCode> claim_errors;
  std::deque<ErrorCode> flush_errors;
  std::string name;

  void owner(std::string_view consumer) { name += consumer; }
  using MapDedup::claim;
  Status claim(std::span<const EventId> ids, std::span<Claim> claims) {
    trace += "claim " + std::to_string(ids.size()) + ";";
    if (while_claiming) {
      while_claiming();
    }
    if (auto failed = take(claim_errors)) {
      std::fill(claims.begin(), claims.end(), Claim::fresh);  // what a claim that failed leaves here means nothing
      return *failed;
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {
      claims[i] = claim(ids[i]);
    }
    return {};
  }
  void release(EventId id) {
    trace += "release;";
    MapDedup::release(id);
  }
  Status flush(std::chrono::milliseconds) {
    if (auto failed = take(flush_errors)) {
      trace += "flush fails;";
      return *failed;
    }
    return {};
  }

 private:
  static std::unique_ptr<pulse::Error> take(std::deque<ErrorCode>& errors) {
    if (errors.empty()) {
      return nullptr;
    }
    const ErrorCode code = errors.front();
    errors.pop_front();
    return std::make_unique<pulse::Error>(pulse::Error{code, "the window is away"});
  }
};
static_assert(pulse::RemoteDedup<RemoteMap> && !pulse::LendingDedup<RemoteMap>);

/// One whose leases expire.
struct LendingMap : RemoteMap {
  std::chrono::milliseconds lent{0};
  [[nodiscard]] std::chrono::milliseconds lease() const { return lent; }
};
static_assert(pulse::RemoteDedup<LendingMap> && pulse::LendingDedup<LendingMap>);

using RemoteFixture = ConsumerFixture<RemoteMap>;

/// An event that looks into what it was decoded from, wherever the view may be: the event's text, one that may be null, one of several events.
using View = pulse::v1::BasicFeedbackEvent<std::string_view>;
struct Tag {
  pulse::Nullable<std::string_view> name{};
};
struct Own {
  struct Text : std::string {};
  Text name{};
};
struct Copied {
  std::string name;
  pulse::Nullable<std::string> alias{};
  std::int64_t size = 0;
};

}  // namespace

template <>
struct pulse::Describe<Tag> {
  static constexpr auto schema_id = pulse::FixedString{"test.Tag"};
  static constexpr auto fields = boost::hana::make_tuple(pulse::Field<"name", &Tag::name>{});
};
template <>
struct pulse::Describe<Own> {
  static constexpr auto schema_id = pulse::FixedString{"test.Own"};
  static constexpr auto fields = boost::hana::make_tuple(pulse::Field<"name", &Own::name>{});
};
template <>
struct pulse::Describe<Copied> {
  static constexpr auto schema_id = pulse::FixedString{"test.Copied"};
  static constexpr auto fields =
      boost::hana::make_tuple(pulse::Field<"name", &Copied::name>{}, pulse::Field<"alias", &Copied::alias>{}, pulse::Field<"size", &Copied::size>{});
};

namespace {

// What is decoded before the batch is claimed is kept where it is known to own its text, and only there.
using pulse::engine::owned;
static_assert(owned<pulse::Envelope<pulse::v1::FeedbackEvent>> && owned<pulse::Envelope<pulse::v2::FeedbackEvent>> && owned<pulse::Envelope<Copied>> &&
              owned<pulse::Envelope<pulse::OneOf<Copied, Note>>>);
static_assert(!owned<pulse::Envelope<View>> && !owned<pulse::Envelope<Copied, std::string_view>>);
static_assert(!owned<pulse::Envelope<Tag>> && !owned<pulse::Envelope<pulse::OneOf<Copied, Tag>>>);
static_assert(!owned<pulse::Envelope<Own>> && !owned<pulse::Envelope<std::string_view>>);

std::string feedback(const std::string& of) {
  return R"({"ts":1,"key":"k\u00e9 )" + of + R"(","meta":{"schema_id":"telemetry.FeedbackEvent","track":"v1","headers":{"traceparent":"h\u00e9 )" + of +
         R"("},"hash":null},"payload":{"coordinator_id":"c\u00e9 )" + of +
         R"(","queue_size":1,"capacity":2,"level":"ok","source":"store","ts":1},"id":"i\u00e9 )" + of + R"("})";
}

}  // namespace

TEST_CASE_FIXTURE(RemoteFixture, "remote dedup: a batch is claimed in one call; what cannot be decoded is not claimed at all") {
  push({{{1, 0}, "malformed"}, {{2, 0}, "a"}, {{3, 0}, "invalid"}, {{4, 0}, "b"}, {{5, 0}, "a"}, {{6, 0}, "warned"}});
  CHECK(polls(3) == "subscribe;ack 2;ack 4;ack 6;retry 5;dead 1 (malformed: found malformed);dead 3 (invalid: found invalid);");
  CHECK(dedup.trace == "claim 4;");
  CHECK(handled == "a;b;warned;");
  CHECK(metrics.outcome(Outcome::invalid) == 2);
  CHECK(metrics.outcome(Outcome::leased) == 1);  // the same event twice in a batch: when the first is done, the second is looked at again
  CHECK(metrics.values.at("pulse_schema_warnings_total/v1") == 1);
  CHECK(dedup.state.at(EventId::from_text("a")) == Claim::done);
}

TEST_CASE_FIXTURE(RemoteFixture, "remote dedup: a batch of nothing but what cannot be decoded asks nobody") {
  push({{{1, 0}, "malformed"}});
  CHECK(polls(3) == "subscribe;dead 1 (malformed: found malformed);");
  CHECK(dedup.trace.empty());
}

TEST_CASE_FIXTURE(RemoteFixture, "remote dedup: a duplicate is acknowledged, by the producer's id or the entry's") {
  push({{{1, 0}, "a"}, {{2, 0}, "no id"}});
  push({{{3, 0}, "a"}, {{2, 0}, "no id", 2}});
  CHECK(polls(4) == "subscribe;ack 1;ack 2;ack 3;ack 2;");
  CHECK(handled == "a;no id;");
  CHECK(metrics.outcome(Outcome::duplicate) == 2);
}

TEST_CASE_FIXTURE(RemoteFixture, "remote dedup: each batch goes by its own claims, however the one before it was made up") {
  push({{{1, 0}, "malformed"}, {{2, 0}, "a"}});
  push({{{3, 0}, "b"}, {{4, 0}, "a"}, {{5, 0}, "c"}});
  CHECK(polls(4) == "subscribe;ack 2;dead 1 (malformed: found malformed);ack 3;ack 4;ack 5;");
  CHECK(handled == "a;b;c;");
}

TEST_CASE_FIXTURE(RemoteFixture, "remote dedup: events that travel as they are, without bytes, are claimed in one call, too") {
  struct Traits : pulse::DefaultTraits {
    using clock = pulse::ManualClock;
  };
  pulse::InMemoryBackend<pulse::Envelope<Note>, pulse::ManualClock> bus{{}, clock};
  options.subscribe.streams = {"notes"};
  pulse::Consumer<decltype(bus)&, RemoteMap&, CountingMetrics&, NoteHandler&, Traits> typed{bus, dedup, metrics, handler, options, clock};
  REQUIRE(typed.start());
  for (const char* id : {"a", "b", "a"}) {
    pulse::Envelope<Note> envelope;
    envelope.id = id;
    envelope.payload.text = id;
    REQUIRE(bus.publish("notes", envelope));
  }
  for (int i = 0; i < 2; ++i) {
    REQUIRE(typed.poll());
  }
  CHECK(dedup.trace == "claim 3;");
  CHECK(handled == "a;b;");
  CHECK(metrics.outcome(Outcome::success) == 2);
}

TEST_CASE("remote dedup: an event that looks into the codec is its own, whatever else the batch holds and however long it is") {
  pulse::InMemoryBackend<std::string> bus;
  pulse::ConsumerOptions options;
  options.heartbeat = 0ms;
  options.subscribe.streams = {"s"};
  const std::string longer(200, 'x');  // than what the codec's buffer held before
  for (const std::string& of : {std::string{"a"}, longer, std::string{"b"}, std::string{"a"}}) {
    REQUIRE(bus.publish("s", feedback(of)));
  }
  std::vector<std::string> handled;
  auto handler = pulse::handlers(pulse::on<View>([&](const View& event, const pulse::BasicDeliveryContext<std::string_view>& context) {
    handled.push_back(std::string{event.coordinator_id} + "|" + std::string{*context.envelope().key} + "|" + std::string{*context.envelope().id} + "|" +
                      std::string{*context.envelope().meta.headers.find("traceparent")});
  }));
  RemoteMap dedup;
  pulse::NoMetrics metrics;
  pulse::Consumer consumer{bus, dedup, metrics, handler, options};
  for (int i = 0; i < 3; ++i) {
    REQUIRE(consumer.poll());
  }
  const auto seen = [](const std::string& of) { return "c\u00e9 " + of + "|k\u00e9 " + of + "|i\u00e9 " + of + "|h\u00e9 " + of; };
  CHECK(handled == std::vector<std::string>{seen("a"), seen(longer), seen("b")});
  CHECK(dedup.trace == "claim 4;");
  for (const std::string& of : {std::string{"a"}, longer, std::string{"b"}}) {
    CHECK(dedup.state.at(EventId::from_text("i\u00e9 " + of)) == Claim::done);
  }
  CHECK(dedup.state.size() == 3);
}

TEST_CASE("remote dedup: of a claim that failed there is nothing to take and nothing to give back") {
  RemoteMap dedup;
  NoteCodec codec;
  pulse::engine::RemoteClaims<RemoteMap, NoteCodec, pulse::Envelope<Note>> claims{dedup, codec};
  const std::vector<ScriptedBackend::Delivery> batch{{{1, 0}, "a"}, {{2, 0}, "b"}};
  const pulse::engine::StreamFacts stream;
  dedup.claim_errors = {ErrorCode::unavailable};
  CHECK_FALSE(claims.claim(std::span{batch}, &stream));
  CHECK(claims.take(0) == Claim::unavailable);
  claims.release_rest();
  CHECK(dedup.trace == "claim 2;");
  CHECK(claims.claim(std::span{batch}, &stream));
  CHECK(claims.take(0) == Claim::fresh);
  CHECK(claims.take(0) == Claim::unavailable);  // once
  claims.release_rest();
  CHECK(dedup.trace == "claim 2;claim 2;release;");
}

TEST_CASE_FIXTURE(RemoteFixture, "remote dedup: while it cannot be asked nobody handles anything, and then the same batch is handled") {
  dedup.claim_errors = {ErrorCode::unavailable, ErrorCode::unavailable};
  push({{{1, 0}, "a"}, {{2, 0}, "b"}});
  push({{{3, 0}, "c"}});
  CHECK(polls(9) == "subscribe;ack 1;ack 2;ack 3;");
  CHECK(dedup.trace == "claim 2;claim 2;claim 2;claim 1;");
  CHECK(handled == "a;b;c;");
}

TEST_CASE_FIXTURE(RemoteFixture, "remote dedup: it hears who claims, once, before the first claim") {
  static_assert(pulse::OwnedDedup<RemoteMap> && !pulse::OwnedDedup<MapDedup>);
  options.subscribe.consumer = "two";
  dedup.while_claiming = [this] { CHECK(dedup.name == "two"); };
  push({{{1, 0}, "a"}});
  push({{{2, 0}, "b"}});
  CHECK(polls(4) == "subscribe;ack 1;ack 2;");
  CHECK(dedup.name == "two");
}

TEST_CASE_FIXTURE(ConsumerFixture<LendingMap>, "remote dedup: a consumer does not start whose flushes may come too late for what is leased") {
  options.handler_deadline = 50ms;
  SUBCASE("with a heartbeat") {
    options.heartbeat = 10s;
    options.heartbeat_thread = false;
    dedup.lent = 10'050ms;
    const Status refused = consumer().start();
    REQUIRE(!refused);
    CHECK(refused.error().code == ErrorCode::config);
    CHECK(refused.error().message ==
          "the Dedup policy leases ids for 10050 ms, which is not longer than heartbeat (10000 ms) and handler_deadline (50 ms) together: another member would "
          "handle what still waits here; make the lease longer, or the heartbeat shorter");
    CHECK(dedup.name == "");
  }
  SUBCASE("without") {
    dedup.lent = 500ms;  // of batches of 10
    const Status refused = consumer().start();
    REQUIRE(!refused);
    CHECK(
        refused.error().message ==
        "the Dedup policy leases ids for 500 ms, which is not longer than batch (10) x handler_deadline (50 ms): another member would handle what still waits "
        "here; make the lease longer, or the batch smaller");
  }
  dedup.lent += 1ms;
  CHECK(consumer().start());
}

// guarantee 2
TEST_CASE_FIXTURE(RemoteFixture, "remote dedup: nothing is acknowledged before its mark is known to be there") {
  dedup.flush_errors = {ErrorCode::unavailable};
  push({{{1, 0}, "a"}});
  CHECK(polls(2) == "subscribe;");
  CHECK(handled == "a;");
  CHECK(polls(4) == "subscribe;ack 1;");
  CHECK(handled == "a;");
}

// guarantee 6
TEST_CASE_FIXTURE(RemoteFixture, "remote dedup: a window that is away for a moment at a stop costs no mark and no ack") {
  handler.call = [this](const Note&, const pulse::DeliveryContext&) {
    consumer().stop();
    return Verdict::ack();
  };
  dedup.flush_errors.assign(4, ErrorCode::unavailable);
  push({{{1, 0}, "a"}});
  CHECK(consumer().run());
  CHECK(backend.script->trace == "subscribe;flush;flush;flush;ack 1;flush;");
  CHECK(dedup.trace == "claim 1;flush fails;flush fails;flush fails;flush fails;");
}

// guarantee 6
TEST_CASE_FIXTURE(RemoteFixture, "remote dedup: what a stop leaves of a batch is given back") {
  handler.call = [this](const Note& note, const pulse::DeliveryContext&) {
    handled += note.text + ";";
    consumer().stop();
    return Verdict::ack();
  };
  push({{{1, 0}, "a"}, {{2, 0}, "b"}, {{3, 0}, "c"}});
  CHECK(consumer().run());
  CHECK(backend.script->trace == "subscribe;ack 1;flush;");
  CHECK(dedup.trace == "claim 3;release;release;");
  CHECK(dedup.state.size() == 1);
}

// guarantee 6
TEST_CASE_FIXTURE(RemoteFixture, "remote dedup: a batch that was claimed while the stop came is given back whole") {
  dedup.while_claiming = [this] { consumer().stop(); };
  push({{{1, 0}, "a"}, {{2, 0}, "b"}, {{3, 0}, "c"}});
  CHECK(consumer().run());
  CHECK(backend.script->trace == "subscribe;flush;");
  CHECK(dedup.trace == "claim 3;release;release;release;");
  CHECK(dedup.state.empty());
  CHECK(handled.empty());
}

TEST_CASE_FIXTURE(RemoteFixture,
                  "remote dedup: a batch that waits for its claims keeps its leases, and loses them before anything else is asked of the backend") {
  options.heartbeat = 10s;
  options.heartbeat_thread = false;
  dedup.claim_errors = {ErrorCode::unavailable, ErrorCode::unavailable, ErrorCode::unavailable};
  push({{{1, 0}, "a"}});
  const auto beats = [this] {
    const std::size_t before = backend.script->extends;
    consumer().heartbeat();
    return backend.script->extends - before;
  };
  std::size_t while_asked = 0;
  backend.script->while_receiving = [&] { while_asked += beats(); };
  backend.script->while_flushing = [&] { while_asked += beats(); };

  SUBCASE("it waits") {
    CHECK(polls(3) == "subscribe;");
    CHECK(beats() == 1);
  }
  SUBCASE("it is handled") {
    CHECK(polls(6) == "subscribe;ack 1;");
    CHECK(beats() == 0);
  }
  SUBCASE("the consumer is stopped meanwhile") {
    CHECK(polls(2) == "subscribe;");
    CHECK(beats() == 1);
    consumer().stop();
    CHECK(consumer().poll()->stopped);
    CHECK(beats() == 0);
    CHECK(consumer().poll()->stopped);
  }
  SUBCASE("the consumer is stopped in the first pause") {
    CHECK(consumer().poll());
    CHECK(consumer().poll()->pause > 0ms);
    consumer().stop();
    CHECK(consumer().run());
    CHECK(backend.script->trace == "subscribe;flush;");
    CHECK(beats() == 0);
  }
  SUBCASE("an error of the window ends the consumer") {
    dedup.claim_errors = {ErrorCode::unavailable, ErrorCode::denied};
    CHECK(polls(2) == "subscribe;");
    CHECK_FALSE(consumer().poll());
    CHECK(beats() == 0);
  }
  SUBCASE("the window says that the group is gone") {
    options.loop.group_lost = pulse::engine::GroupLost::recreate_at_end;
    dedup.claim_errors = {ErrorCode::no_group};
    CHECK(polls(4) == "subscribe;subscribe;");
    CHECK(beats() == 0);
  }
  CHECK(while_asked == 0);
}

TEST_CASE_FIXTURE(RemoteFixture, "remote dedup: while its server is away an armed host sleeps through the pauses, whatever lies on the backend's socket") {
  pulse::Readiness socket;
  pulse::Readiness ready;
  backend.script->socket = socket.descriptor();
  CHECK(polls(1) == "subscribe;");
  CHECK(consumer().arm(ready));
  socket.ring();  // a batch, and later a reply to a read ahead
  CHECK(pulse_test::readable(ready));
  push({{{1, 0}, "a"}});
  dedup.claim_errors = {ErrorCode::unavailable, ErrorCode::unavailable};
  for (int i = 0; i < 2; ++i) {
    CAPTURE(i);
    const auto paused = consumer().poll();
    REQUIRE(paused);
    CHECK(paused->pause > 0ms);
    CHECK(*consumer().arm(ready) == paused->pause);
    CHECK_FALSE(pulse_test::readable(ready));
    clock.advance(paused->pause);
  }
  CHECK(consumer().poll());
  CHECK(handled == "a;");
  CHECK(consumer().arm(ready));
  CHECK(pulse_test::readable(ready));  // watched again

  backend.script->arm_errors = {ErrorCode::unavailable};
  CHECK(*consumer().arm(ready) > 0ms);
  CHECK_FALSE(pulse_test::readable(ready));
}
