// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>
#include <malloc.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <pulse/backend/in_memory.hpp>

#include "../support/scripted_server.hpp"
#include "redis_world.hpp"

using namespace std::chrono_literals;
using namespace pulse_test;
using pulse::EntryId;
using pulse::ManualClock;

// What a subscription gives and takes, on a server that works.

TEST_SUITE_BEGIN("redis-server");

namespace {

struct World {
  RedisServer server{};
  ManualClock clock{};
  pulse::RedisOptions options{};
  std::unique_ptr<Backend> made{};

  Backend& backend() {
    if (!made) {
      made = std::make_unique<Backend>(url_of(server.url()), options, clock);
    }
    return *made;
  }
  auto subscribe(const pulse::SubscribeOptions& wanted) {
    auto subscription = backend().subscribe(wanted);
    REQUIRE_MESSAGE(subscription, subscription.error().message);
    return std::move(*subscription);
  }
  void publish(int from, int to, const char* stream = "s") {
    for (int i = from; i < to; ++i) {
      REQUIRE(backend().publish(stream, std::to_string(i)));
    }
  }
  Reply ask(const std::vector<std::string_view>& words) { return cli(server, words); }
  /// Delivery counts of the group's pending entries, in order.
  std::string counts() {
    std::string out;
    for (const Reply& entry : ask({"XPENDING", "s", "g", "-", "+", "1000"}).items) {
      out += entry[1].text + ':' + std::to_string(entry[3].integer) + ' ';
    }
    return out;
  }
};

std::size_t size(const auto& batch) {
  REQUIRE_MESSAGE(batch, batch.error().message);
  return batch->deliveries.size();
}

}  // namespace

// field bug 1
TEST_CASE("redis: a group starts where it is told, and one that is there goes on") {
  World world;
  world.publish(0, 3);
  auto first = member("one");
  first.start = pulse::StartAt::end();
  auto end = world.subscribe(first);
  CHECK(text(end.receive(10, 0ms)) == "");
  world.publish(3, 4);
  CHECK(text(end.receive(10, 0ms)) == "3:1 ");
  auto again = member("two");  // from the beginning, but the group is there
  auto two = world.subscribe(again);
  world.publish(4, 5);
  CHECK(text(two.receive(10, 0ms)) == "4:1 ");
  auto other = member("one");
  other.group = "h";
  CHECK(text(world.subscribe(other).receive(10, 0ms)) == "0:1 1:1 2:1 3:1 4:1 ");
}

// guarantee 5
TEST_CASE("redis: its own pending entries come first after a restart, page by page, and no delivery is burnt") {
  World world;
  world.publish(0, 25);
  CHECK(size(world.subscribe(member("one")).receive(25, 0ms)) == 25);
  const std::string before = world.counts();
  world.publish(25, 27);
  auto one = world.subscribe(member("one"));
  for (int page = 0; page < 3; ++page) {
    const auto batch = one.receive(10, 0ms);
    REQUIRE(size(batch) == (page == 2 ? 5 : 10));
    CHECK(batch->deliveries[0].data() == std::to_string(page * 10));
    CHECK(batch->deliveries[0].delivery_count() == 1);
    CHECK(world.counts() == before);
  }
  CHECK(text(one.receive(10, 0ms)) == "25:1 26:1 ");
}

// field bug 9
TEST_CASE("redis: pending entries that were deleted are acked and counted, however they are met") {
  World world;
  world.publish(0, 4);
  CHECK(size(world.subscribe(member("one")).receive(4, 0ms)) == 4);
  SUBCASE("at a restart") {
    (void)world.ask({"XTRIM", "s", "MAXLEN", "1"});
    auto one = world.subscribe(member("one"));
    CHECK(text(one.receive(10, 0ms)) == "3:1 !3");
  }
  SUBCASE("by a claim") {
    age(world.server, "s", 1min);  // before: an XCLAIM, too, drops what is gone
    (void)world.ask({"XTRIM", "s", "MAXLEN", "1"});
    auto two = world.subscribe(member("two"));
    CHECK(text(two.claim_stale(1min, 10)) == "3:2 !3");
  }
  SUBCASE("when a retry is due") {
    auto one = world.subscribe(member("one"));
    CHECK(size(one.receive(4, 0ms)) == 4);
    const std::vector<pulse::RetryItem> retries{{0, 1s}, {1, 1s}, {2, 1s}, {3, 1s}};
    CHECK(one.settle({{}, retries, {}}));
    (void)world.ask({"XTRIM", "s", "MAXLEN", "1"});
    world.clock.advance(1s);
    CHECK(text(one.receive(10, 0ms)) == "3:2 !3");
  }
  CHECK(world.ask({"XPENDING", "s", "g"})[0] == "1");
}

// field bug 3
TEST_CASE("redis: a claim finds what is abandoned behind many that are not (field fact: XAUTOCLAIM looks at ten times COUNT)") {
  World world;
  world.publish(0, 160);
  auto one = world.subscribe(member("one"));
  CHECK(size(one.receive(160, 0ms)) == 160);
  // The last ten only are old.
  const Reply last = world.ask({"XPENDING", "s", "g", "-", "+", "160"});
  for (std::size_t i = 150; i < 160; ++i) {
    (void)world.ask({"XCLAIM", "s", "g", "one", "0", last[i][0].text, "IDLE", "60000", "RETRYCOUNT", "1", "JUSTID"});
  }
  auto two = world.subscribe(member("two"));
  std::size_t claimed = 0;
  int calls = 0;
  bool more = true;
  for (; more && calls < 10; ++calls) {
    const auto batch = two.claim_stale(30s, 10);
    claimed += size(batch);
    more = batch->more;
  }
  CHECK(claimed == 10);
  CHECK(calls == 2);
}

TEST_CASE("redis: retries wait for their delay, are counted, and are nobody else's meanwhile") {
  World world;
  world.publish(0, 3);
  auto one = world.subscribe(member("one"));
  CHECK(size(one.receive(10, 0ms)) == 3);
  const std::vector<pulse::RetryItem> retries{{1, 90s}, {2, 40s}};
  CHECK(one.settle({acks(1).acks, retries, {}}));
  auto two = world.subscribe(member("two"));
  for (int round = 0; round < 2; ++round) {  // each round of claiming renews what waits
    world.clock.advance(20s);
    age(world.server, "s", 20s);
    CHECK(text(one.claim_stale(30s, 10)) == "");
    CHECK(text(two.claim_stale(30s, 10)) == "");
  }
  CHECK(world.counts() == "one:1 one:1 ");
  CHECK(text(one.receive(10, 0ms)) == "2:2 ");
  CHECK(text(one.receive(10, 0ms)) == "");
  world.clock.advance(50s);
  world.publish(3, 4);
  CHECK(text(one.receive(10, 0ms)) == "1:2 3:1 ");
}

TEST_CASE("redis: a delay that is no time at all is bounded, not at once") {
  World world;
  world.publish(0, 1);
  auto one = world.subscribe(member("one"));
  CHECK(text(one.receive(10, 0ms)) == "0:1 ");
  const std::vector<pulse::RetryItem> never{{0, std::chrono::milliseconds::max()}};
  CHECK(one.settle({{}, never, {}}));
  CHECK(text(one.receive(10, 0ms)) == "");
}

TEST_CASE("redis: a retry that another consumer claimed is left to it") {
  World world;
  world.publish(0, 1);
  auto one = world.subscribe(member("one"));
  CHECK(size(one.receive(10, 0ms)) == 1);
  const std::vector<pulse::RetryItem> retry{{0, 100s}};
  CHECK(one.settle({{}, retry, {}}));
  auto two = world.subscribe(member("two"));
  age(world.server, "s", 60s);
  CHECK(text(two.claim_stale(30s, 10)) == "0:2 ");
  world.clock.advance(100s);
  CHECK(text(one.receive(10, 0ms)) == "");
  CHECK(world.counts() == "two:2 ");
}

TEST_CASE("redis: what was settled goes out with the next read, in one write") {
  World world;
  world.publish(0, 300);
  FaultProxy proxy{world.server.port()};
  Backend through{url_of("redis://127.0.0.1:" + std::to_string(proxy.port())), {}, world.clock};
  auto one = through.subscribe(member("one"));
  REQUIRE(one);
  CHECK(size(one->receive(100, 0ms)) == 100);
  CHECK(one->settle(acks(100)));
  const auto before = proxy.counts().commands;
  CHECK(world.ask({"XPENDING", "s", "g"})[0] == "100");
  CHECK(size(one->receive(100, 0ms)) == 100);
  CHECK(proxy.counts().commands - before == 2);  // XACK with a hundred ids, XREADGROUP
  CHECK(world.ask({"XPENDING", "s", "g"})[0] == "100");
  CHECK(one->settle(acks(100)));
  CHECK(one->flush(pulse_test::patience));
  CHECK(world.ask({"XPENDING", "s", "g"})[0] == "0");
}

TEST_CASE("redis: in the middle of a batch what is settled goes out at once") {
  World world;
  world.publish(0, 3);
  auto one = world.subscribe(member("one"));
  CHECK(size(one.receive(10, 0ms)) == 3);
  CHECK(one.settle(acks(2)));
  const auto settled = [&] { return world.ask({"XPENDING", "s", "g"})[0] == "1"; };
  for (int tries = 0; tries < 500 && !settled(); ++tries) {
    std::this_thread::sleep_for(10ms);
  }
  CHECK(settled());
}

TEST_CASE("redis: read ahead gives all, in order, and what a crash leaves is two batches") {
  World world;
  world.publish(0, 1000);
  auto wanted = member("one");
  wanted.prefetch = true;
  int next = 0;
  {
    auto one = world.subscribe(wanted);
    for (int batches = 0; batches < 4; ++batches) {
      const auto batch = one.receive(100, 0ms);
      REQUIRE(size(batch) == 100);
      for (const auto& delivery : batch->deliveries) {
        CHECK(delivery.data() == std::to_string(next++));
      }
      CHECK(one.settle(acks(100)));
    }
    const Reply pending = world.ask({"XPENDING", "s", "g"});
    CHECK(pending[0].integer <= 200);
  }
  auto again = world.subscribe(wanted);
  int least = 1000;
  int handled = 0;
  while (true) {
    const auto batch = again.receive(100, 0ms);
    REQUIRE(batch);
    if (batch->deliveries.empty()) {
      break;
    }
    for (const auto& delivery : batch->deliveries) {
      least = std::min(least, std::stoi(std::string(delivery.data())));
      ++handled;
    }
    CHECK(again.settle(acks(batch->deliveries.size())));
  }
  CHECK(again.flush(pulse_test::patience));
  CHECK(least <= next);
  CHECK(handled == 1000 - least);
  CHECK(world.ask({"XPENDING", "s", "g"})[0] == "0");
}

TEST_CASE("redis: reading ahead without end, with acks and dead letters always under way, takes no more memory") {
  World world;
  const std::vector<std::string> events(500, std::string(1000, 'x'));
  auto wanted = member("one");
  wanted.prefetch = true;
  auto one = world.subscribe(wanted);
  const std::vector<pulse::DeadLetterItem> letter{{0, "because"}};
  std::size_t before = 0;
  for (int round = 0; round < 12; ++round) {
    REQUIRE(world.backend().publish("s", std::span<const std::string>{events}));
    for (int i = 0; i < 490; ++i) {  // there is always more
      REQUIRE(size(one.receive(1, 0ms)) == 1);
      CHECK(one.settle(i % 2 == 0 ? acks(1) : pulse::Settlement{{}, {}, letter}));
    }
    if (round == 2) {
      before = mallinfo2().uordblks;
    }
  }
  CHECK(mallinfo2().uordblks < before + 100'000);
}

TEST_CASE("redis: several streams share a batch, and nothing is lost between them") {
  World world;
  world.publish(0, 10, "a");
  world.publish(100, 110, "b");
  auto one = world.subscribe(member("one", {"a", "b"}));
  std::string seen;
  for (int batches = 0; batches < 7; ++batches) {
    const auto batch = one.receive(4, 0ms);
    REQUIRE(batch);
    CHECK(batch->deliveries.size() <= 4);
    for (const auto& delivery : batch->deliveries) {
      CHECK((delivery.stream() == 1) == (delivery.data().size() == 3));
      seen += std::string(delivery.data()) + ' ';
    }
    CHECK(one.settle(acks(batch->deliveries.size())));
  }
  CHECK(seen == "0 1 100 101 2 3 102 103 4 5 104 105 6 7 106 107 8 9 108 109 ");
  CHECK(one.flush(pulse_test::patience));
  CHECK(world.ask({"XPENDING", "a", "g"})[0] == "0");
  CHECK(world.ask({"XPENDING", "b", "g"})[0] == "0");
}

// field bug 23
TEST_CASE("redis: a batch of more streams than entries asked for is handed out over several receives") {
  World world;
  for (const char* stream : {"a", "b", "c"}) {
    world.publish(0, 2, stream);
  }
  auto one = world.subscribe(member("one", {"a", "b", "c"}));
  int entries = 0;
  for (int batches = 0; batches < 6; ++batches) {
    const auto batch = one.receive(1, 0ms);
    REQUIRE(size(batch) == 1);
    ++entries;
    if (batches == 1) {  // what still waits here outlives a round of claiming
      CHECK(one.settle(acks(1)));
      CHECK(text(one.claim_stale(1h, 10)) == "");
      continue;
    }
    CHECK(one.settle(acks(1)));
  }
  CHECK(entries == 6);
  CHECK(text(one.receive(1, 0ms)) == "");
  for (const char* stream : {"a", "b", "c"}) {
    CHECK(world.ask({"XPENDING", stream, "g"})[0] == "0");
  }
}

TEST_CASE("redis: an entry without the field that holds data comes with all it has, as JSON") {
  World world;
  auto one = world.subscribe(member("one"));
  (void)world.ask({"XADD", "s", "*", "price", "12.5", "na\"me", "a\nb"});
  (void)world.ask({"XADD", "s", "*", "other", "1", "data", "x"});
  CHECK(text(one.receive(10, 0ms)) == R"({"price":"12.5","na\"me":"a\u000ab"}:1 x:1 )");
}

// field bug 14
TEST_CASE("redis: a wake ends a read that waits; what it then brings is not lost, nor is what is settled held up by it") {
  World world;
  world.publish(0, 1);
  auto one = world.subscribe(member("one"));
  CHECK(text(one.receive(10, 0ms)) == "0:1 ");
  CHECK(one.settle(acks(1)));
  std::thread waker{[&] {
    while (world.ask({"XPENDING", "s", "g"})[0] != "0") {  // the ack went out with the read that waits
      std::this_thread::sleep_for(1ms);
    }
    one.wake();
  }};
  CHECK(text(one.receive(10, 1h)) == "");
  waker.join();
  world.publish(1, 2);  // to the read that still waits on the server
  SUBCASE("it is received") { CHECK(text(one.receive(10, 5s)) == "1:1 "); }
  SUBCASE("a shorter receive ends it, too") {
    (void)one.receive(10, 0ms);
    CHECK(text(world.subscribe(member("one")).receive(10, 0ms)) == "1:1 ");
  }
  SUBCASE("it is there after a flush") {
    CHECK(one.flush(pulse_test::patience));
    CHECK(text(one.receive(10, 0ms)) == "1:1 ");
  }
  SUBCASE("a round of claiming does not lose it") {
    CHECK(text(one.claim_stale(1h, 10)) == "");
    CHECK(text(one.receive(10, 0ms)) == "1:1 ");
  }
}

TEST_CASE("redis: with reads ahead, a batch waits for no confirmation of the acks before it") {
  World world;
  world.publish(0, 4);
  ScriptedServer front{world.server.port()};
  Backend through{url_of(front.url()), world.options, world.clock};
  auto wanted = member("one");
  wanted.prefetch = true;
  auto one = through.subscribe(wanted);
  REQUIRE(one);
  CHECK(text(one->receive(1, 0ms)) == "0:1 ");
  CHECK(one->settle(acks(1)));
  CHECK(text(one->receive(1, 0ms)) == "1:1 ");
  CHECK(one->settle(acks(1)));
  front.on("XACK", {""});
  CHECK(text(one->receive(1, 0ms)) == "2:1 ");
  CHECK(through.health().detail == "");  // whoever waits takes the next reply for the confirmation
}

// guarantee 7
TEST_CASE("redis: a heartbeat keeps what is handled, what waits here and what is read ahead; it never steals back") {
  World world;
  world.publish(0, 6);
  auto wanted = member("one");
  wanted.prefetch = true;
  auto one = world.subscribe(wanted);
  CHECK(size(one.receive(2, 0ms)) == 2);
  CHECK(one.settle(acks(2)));
  CHECK(size(one.receive(2, 0ms)) == 2);  // and the next two are on their way
  while (world.ask({"XPENDING", "s", "g"})[0] != "4") {
    std::this_thread::sleep_for(1ms);
  }
  age(world.server, "s", 1min);
  auto two = world.subscribe(member("two"));
  int lost = 0;
  CHECK(one.extend(0, 2, [&](std::size_t) { ++lost; }));
  CHECK(lost == 0);
  CHECK(text(two.claim_stale(30s, 10)) == "");
  age(world.server, "s", 1min);
  CHECK(text(two.claim_stale(30s, 1)) == "2:2 ");
  CHECK(one.extend(0, 2, [&](std::size_t index) { lost += static_cast<int>(index) + 1; }));
  CHECK(lost == 1);
  CHECK(world.counts() == "two:2 one:1 one:1 one:1 ");
}

namespace {

/// What is handled is trimmed away, and its lease renewed, before it is given up on; another is trimmed while it waits for its retry, and a round of
/// claiming passes. What a member then sees: "dead letters of the first, how many of the second were told as vanished, what is pending".
template <class Backend>
std::string lost_under_a_heartbeat(Backend& backend, ManualClock& clock) {
  auto one = backend.subscribe(member("one"));
  REQUIRE(one);
  const auto handled = backend.publish("s", "handled");
  const auto waits = backend.publish("s", "waits");
  REQUIRE(handled);
  REQUIRE(waits);
  REQUIRE(size(one->receive(10, 0ms)) == 2);
  const std::vector<pulse::RetryItem> retry{{1, 1s}};
  CHECK(one->settle({{}, retry, {}}));
  CHECK(backend.erase("s", *handled));
  CHECK(backend.erase("s", *waits));
  std::size_t lost = 0;
  CHECK(one->extend(0, 2, [&](std::size_t) { ++lost; }));
  CHECK(lost == 0);
  const std::vector<pulse::DeadLetterItem> letter{{0, "for good"}};
  CHECK(one->settle({{}, {}, letter}));
  CHECK(one->flush(pulse_test::patience));
  std::string out;
  for (const pulse::DeadLetter& each : *backend.dead_letters("s", EntryId::min(), 10)) {
    out += each.data + ' ';
  }
  std::size_t vanished = one->claim_stale(1h, 10)->vanished;
  clock.advance(1s);
  vanished += one->receive(10, 0ms)->vanished;
  return out + std::to_string(vanished) + ' ' + std::to_string(one->state(0)->pending);
}

}  // namespace

// guarantee 4
TEST_CASE("redis: what is gone from the stream stays pending under a heartbeat, and its data becomes a dead letter (field fact: XCLAIM drops it)") {
  World world;
  CHECK(lost_under_a_heartbeat(world.backend(), world.clock) == "handled 1 0");
  ManualClock clock;
  pulse::InMemoryBackend<std::string, ManualClock> memory{{}, clock};
  CHECK(lost_under_a_heartbeat(memory, clock) == "handled 1 0");
}

// guarantee 5
TEST_CASE("redis: what waits for its retry and is gone is told as vanished, whatever round of claiming renewed its lease") {
  World world;
  world.publish(0, 3);
  auto one = world.subscribe(member("one"));
  REQUIRE(size(one.receive(10, 0ms)) == 3);
  const std::vector<pulse::RetryItem> retries{{0, 1s}, {1, 1s}, {2, 1s}};
  CHECK(one.settle({{}, retries, {}}));
  (void)world.ask({"XTRIM", "s", "MAXLEN", "1"});
  std::size_t vanished = 0;
  for (int rounds = 0; rounds < 3; ++rounds) {
    const auto batch = one.claim_stale(1h, 10);
    CHECK(size(batch) == 0);
    vanished += batch->vanished;
  }
  world.clock.advance(1s);
  const auto due = one.receive(10, 0ms);
  CHECK(size(due) == 1);
  CHECK(vanished + due->vanished == 2);
  CHECK(world.counts() == "one:2 ");
}

// field bug 18
TEST_CASE("redis: a late ack of a former owner removes the entry unless acks are fenced (field fact: XACK asks no owner)") {
  World world;
  world.options.fenced_acks = true;
  bool fenced = false;
  SUBCASE("not fenced") { world.options.fenced_acks = false; }
  SUBCASE("fenced") { fenced = true; }
  world.publish(0, 1);
  auto one = world.subscribe(member("one"));
  CHECK(size(one.receive(10, 0ms)) == 1);
  age(world.server, "s", 1min);
  auto two = world.subscribe(member("two"));
  CHECK(text(two.claim_stale(30s, 10)) == "0:2 ");
  CHECK(one.settle(acks(1)));
  CHECK(one.flush(pulse_test::patience));
  CHECK(world.counts() == (fenced ? "two:2 " : ""));
  CHECK(world.backend().health().unmatched_acks == (fenced ? 1 : 0));
  CHECK(two.settle(acks(1)));
  CHECK(two.flush(pulse_test::patience));
  CHECK(world.counts() == "");
  CHECK(world.backend().health().unmatched_acks == 1);
}

TEST_SUITE_END();
