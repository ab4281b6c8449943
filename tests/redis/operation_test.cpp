// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <pulse/backend/in_memory.hpp>

#include "../support/redrive_cases.hpp"
#include "redis_world.hpp"

using namespace std::chrono_literals;
using namespace pulse_test;
namespace redriving = pulse_test::redriving;
using pulse::EntryId;
using pulse::ErrorCode;
using pulse::ManualClock;

// Dead letters, trimming, names and figures: what an operator sees.

TEST_SUITE_BEGIN("redis-server");

namespace {

/// Publishes these, and sends all of them to the DLQ.
void bury(Backend& backend, const std::vector<std::string>& events) {
  auto one = backend.subscribe(member("one"));
  REQUIRE(one);
  for (const std::string& event : events) {
    REQUIRE(backend.publish("s", event));
  }
  const auto batch = one->receive(events.size(), 0ms);
  REQUIRE(batch);
  REQUIRE(batch->deliveries.size() == events.size());
  std::vector<pulse::DeadLetterItem> letters;
  for (std::uint32_t i = 0; i < events.size(); ++i) {
    letters.push_back({i, "because"});
  }
  CHECK(one->settle({{}, {}, letters}));
  CHECK(one->flush(pulse_test::patience));
}

}  // namespace

TEST_CASE("redis: a dead letter has the fields of the wire") {
  RedisServer server;
  ManualClock clock;
  Backend backend{url_of(server.url()), {}, clock};
  bury(backend, {std::string("a\0\xff b", 5)});
  const Reply letter = cli(server, {"XRANGE", "s.dlq", "-", "+"})[0][1];
  REQUIRE(letter.size() == 14);
  std::string names;
  for (std::size_t i = 0; i < letter.size(); i += 2) {
    names += letter[i].text + ' ';
  }
  CHECK(names == "original_id reason data group consumer deliveries failed_at ");
  CHECK(letter[3] == "because");
  CHECK(letter[5].text == std::string("a\0\xff b", 5));
  CHECK(letter[11] == "1");
  CHECK(letter[13] == "1700000000.000000");
  const auto letters = backend.dead_letters("s", {}, 10);
  REQUIRE(letters);
  REQUIRE(letters->size() == 1);
  CHECK(letters->front().data == std::string("a\0\xff b", 5));
  CHECK(letters->front().failed_at == 1.7e9);
  CHECK(pulse::to_string(letters->front().original_id) == letter[1].text);
}

// field bug 21
TEST_CASE("redis: dead letters are listed by pages, redriven one, by range and all, purged one by one") {
  RedisServer server;
  Backend backend{url_of(server.url())};
  bury(backend, {"0", "1", "2", "3", "4", "5"});
  std::vector<EntryId> ids;
  for (EntryId after; true;) {
    const auto page = backend.dead_letters("s", after, 4);
    REQUIRE(page);
    for (const auto& letter : *page) {
      ids.push_back(letter.id);
      CHECK(letter.data == std::to_string(ids.size() - 1));
    }
    if (page->size() < 4) {
      break;
    }
    after = page->back().id;
  }
  REQUIRE(ids.size() == 6);
  CHECK(backend.dead_letters("s", {}, 0)->empty());
  auto two = backend.subscribe(member("two"));
  REQUIRE(two);
  CHECK(backend.redrive("s", ids[2]));
  const auto again = backend.redrive("s", ids[2]);
  REQUIRE_FALSE(again);
  CHECK(again.error().code == ErrorCode::not_found);
  CHECK(text(two->receive(10, 0ms)) == "2:1r ");
  CHECK(*backend.redrive("s", ids[0], ids[3], 2) == 2);
  CHECK(*backend.redrive("s", ids[0], ids[3], 2) == 1);
  CHECK(text(two->receive(10, 0ms)) == "0:1r 1:1r 3:1r ");
  CHECK(backend.purge("s", ids[4]));
  CHECK(backend.purge("s", ids[4]).error().code == ErrorCode::not_found);
  CHECK(*backend.redrive_all("s") == 1);
  CHECK(*backend.redrive_all("s") == 0);
  CHECK(text(two->receive(10, 0ms)) == "5:1r ");
  CHECK(cli(server, {"XLEN", "s.dlq"}) == "0");
}

TEST_CASE("redis: a stream that is empty exists, and one that nobody made does not") {
  RedisServer server;
  Backend backend{url_of(server.url())};
  CHECK_FALSE(*backend.exists("s"));
  REQUIRE(backend.subscribe(member("one")));
  CHECK(*backend.exists("s"));
  CHECK(*backend.length("s") == 0);
  CHECK_FALSE(*backend.exists("s.dlq"));
  REQUIRE(cli(server, {"SET", "text", "x"}) == "OK");
  CHECK(*backend.exists("text"));
}

TEST_CASE("redis: more dead letters than one step redrives") {
  RedisServer server;
  Backend backend{url_of(server.url())};
  std::vector<std::string> events;
  for (int i = 0; i < 250; ++i) {
    events.push_back(std::to_string(i));
  }
  bury(backend, events);
  CHECK(*backend.redrive("s", EntryId::min(), EntryId::max(), 240) == 240);
  CHECK(*backend.redrive_all("s") == 10);
  CHECK(*backend.length("s") == 500);
}

// guarantee 5
TEST_CASE("redis: a dead letter is never acked without its copy (field fact: a MULTI goes on after an error)") {
  RedisServer server{"maxmemory-policy noeviction"};
  Backend backend{url_of(server.url())};
  auto one = backend.subscribe(member("one"));
  REQUIRE(one);
  REQUIRE(backend.publish("s", "poison"));
  CHECK(text(one->receive(1, 0ms)) == "poison:1 ");
  const std::vector<pulse::DeadLetterItem> letter{{0, "because"}};
  SUBCASE("the server is out of memory") {
    (void)cli(server, {"CONFIG", "SET", "maxmemory", "1"});
    CHECK(one->settle({{}, {}, letter}));
    const auto flushed = one->flush(300ms);
    REQUIRE_FALSE(flushed);
    CHECK(flushed.error().code == ErrorCode::unavailable);
    CHECK(flushed.error().message.find("OOM") != std::string::npos);
    CHECK(cli(server, {"XPENDING", "s", "g"})[0] == "1");
    CHECK_FALSE(one->receive(1, 0ms));  // and nothing else goes on without it
    (void)cli(server, {"CONFIG", "SET", "maxmemory", "0"});
  }
  SUBCASE("the DLQ's key has another type") {
    (void)cli(server, {"SET", "s.dlq", "x"});
    CHECK(one->settle({{}, {}, letter}));
    const auto flushed = one->flush(300ms);
    REQUIRE_FALSE(flushed);
    CHECK(flushed.error().code == ErrorCode::denied);
    CHECK(flushed.error().message.find("WRONGTYPE") != std::string::npos);
    CHECK(cli(server, {"XPENDING", "s", "g"})[0] == "1");
    (void)cli(server, {"DEL", "s.dlq"});
  }
  CHECK(one->flush(pulse_test::patience));  // the decision was kept
  CHECK(cli(server, {"XPENDING", "s", "g"})[0] == "0");
  CHECK(cli(server, {"XLEN", "s.dlq"}) == "1");
}

TEST_CASE("redis: a dead letter of what another consumer took over is the other's to decide") {
  RedisServer server;
  Backend backend{url_of(server.url())};
  auto one = backend.subscribe(member("one"));
  auto two = backend.subscribe(member("two"));
  REQUIRE(backend.publish("s", "x"));
  CHECK(text(one->receive(1, 0ms)) == "x:1 ");
  age(server, "s", 1min);
  CHECK(text(two->claim_stale(30s, 1)) == "x:2 ");
  const std::vector<pulse::DeadLetterItem> letter{{0, "because"}};
  CHECK(one->settle({{}, {}, letter}));
  CHECK(one->flush(pulse_test::patience));
  CHECK(cli(server, {"XLEN", "s.dlq"}) == "0");
  CHECK(cli(server, {"XPENDING", "s", "g"})[0] == "1");
}

// field bug 10
TEST_CASE("redis: acked entries are freed where one asks for it, and only those") {
  RedisServer server;
  pulse::RedisOptions options;
  options.trim_acked = true;
  Backend backend{url_of(server.url()), options};
  auto one = backend.subscribe(member("one"));
  auto slow = member("slow");
  slow.group = "h";
  auto other = backend.subscribe(slow);
  for (int i = 0; i < 1000; ++i) {
    REQUIRE(backend.publish("s", std::to_string(i)));
  }
  REQUIRE(one->receive(1000, 0ms)->deliveries.size() == 1000);
  CHECK(one->settle(acks(1000)));
  CHECK(one->claim_stale(1h, 10));
  CHECK(*backend.length("s") == 1000);  // the other group has not read them
  REQUIRE(other->receive(600, 0ms)->deliveries.size() == 600);
  CHECK(other->settle(acks(500)));
  CHECK(other->flush(pulse_test::patience));
  CHECK(one->claim_stale(1h, 10));
  CHECK(*backend.length("s") <= 600);
  CHECK(*backend.length("s") >= 500);
  CHECK(other->receive(1000, 0ms)->deliveries.size() == 400);
  CHECK(cli(server, {"XPENDING", "s", "h"})[0] == "500");
  age(server, "s", 2h);
  auto third = slow;
  third.consumer = "third";
  auto heir = backend.subscribe(third);
  const auto claimed = heir->claim_stale(1h, 1000);
  CHECK(claimed->deliveries.size() == 500);
  CHECK(claimed->vanished == 0);
}

// field bug 10
TEST_CASE("redis: acked entries are freed at one round, however many (field fact: XTRIM ~ stops after a hundred nodes)") {
  RedisServer server;
  pulse::RedisOptions options;
  options.trim_acked = true;
  Backend backend{url_of(server.url()), options};
  auto one = backend.subscribe(member("one"));
  const std::vector<std::string> events(25'000, "x");
  REQUIRE(backend.publish("s", std::span<const std::string>{events}));
  for (std::size_t left = events.size(); left > 0;) {
    const auto batch = one->receive(5'000, 0ms);
    REQUIRE(batch);
    REQUIRE_FALSE(batch->deliveries.empty());
    left -= batch->deliveries.size();
    CHECK(one->settle(acks(batch->deliveries.size())));
  }
  CHECK(one->claim_stale(1h, 10));
  CHECK(*backend.length("s") <= 100);
}

// field bug 22
TEST_CASE("redis: entries that were trimmed before the group read them are seen as lost (field fact: lag then tells nothing)") {
  RedisServer server;
  pulse::RedisOptions options;
  options.max_length = 100;
  Backend backend{url_of(server.url()), options};
  auto one = backend.subscribe(member("one"));
  for (int i = 0; i < 1000; ++i) {
    REQUIRE(backend.publish("s", std::to_string(i)));
    if (i == 9) {
      CHECK(one->receive(10, 0ms)->deliveries.size() == 10);
    }
  }
  const auto length = *backend.length("s");
  CHECK(length < 300);
  const auto lagging = one->state(0);
  REQUIRE(lagging);
  CHECK(lagging->trimmed_unread == 990 - length);
  CHECK(lagging->lag == length);
  CHECK(one->receive(1000, 0ms)->deliveries.size() == length);
  CHECK(one->state(0)->trimmed_unread == 0);
  CHECK(one->state(0)->lag == 0);
  CHECK(one->state(0)->pending == 10 + length);
}

namespace {

/// What a member sees of its stream, "length lag trimmed_unread ": when most was trimmed unread, when it has caught up, and each time after one more.
template <class Backend>
std::string after_a_loss(Backend& backend) {
  auto one = backend.subscribe(member("one"));
  REQUIRE(one);
  std::string out;
  const auto look = [&] {
    const auto state = one->state(0);
    REQUIRE(state);
    out += std::to_string(state->length) + ' ' + (state->lag_known ? std::to_string(state->lag) : "?") + ' ' + std::to_string(state->trimmed_unread) + ", ";
  };
  const auto publish = [&](int count) {
    for (int i = 0; i < count; ++i) {
      REQUIRE(backend.publish("s", "x"));
    }
  };
  const auto read = [&](std::size_t count) {
    const auto batch = one->receive(count, 0ms);
    REQUIRE(batch);
    CHECK(one->settle(acks(batch->deliveries.size())));
  };
  publish(1);
  read(1);
  publish(300);
  (void)backend.trim("s", 100);
  look();
  read(60);
  look();  // behind what is lost, and not caught up yet
  read(100);
  look();
  for (int i = 0; i < 3; ++i) {
    publish(2);
    look();
    read(1);
    look();
    read(1);
    look();
  }
  publish(10);
  (void)backend.trim("s", 4);
  look();
  read(10);
  look();
  publish(5);
  (void)backend.trim("s", 0);
  look();
  publish(1);
  look();
  read(10);
  look();
  return out;
}

}  // namespace

// field bug 22
TEST_CASE("redis: a loss is seen until the group has caught up, and not again at every entry after that (field fact: entries-read stays behind)") {
  RedisServer server;
  Backend backend{url_of(server.url())};
  const std::string first = "100 100 200, 100 ";
  const std::string rest = " 0, 100 0 0, 102 2 0, 102 1 0, 102 0 0, 104 2 0, 104 1 0, 104 0 0, 106 2 0, 106 1 0, 106 0 0, 4 4 6, 4 0 0, 0 0 5, 1 1 5, 1 0 0, ";
  CHECK(after_a_loss(backend) == first + '?' + rest);
  pulse::InMemoryBackend<std::string, ManualClock> memory;
  CHECK(after_a_loss(memory) == first + "40" + rest);
}

TEST_CASE("redis: many entries in one round trip, in their order") {
  RedisServer server;
  Backend backend{url_of(server.url())};
  std::vector<std::string> events;
  for (int i = 0; i < 1000; ++i) {
    events.push_back(std::to_string(i));
  }
  const auto ids = backend.publish("s", std::span<const std::string>{events});
  REQUIRE(ids);
  REQUIRE(ids->size() == 1000);
  CHECK(std::is_sorted(ids->begin(), ids->end()));
  auto one = backend.subscribe(member("one"));
  const auto batch = one->receive(1000, 0ms);
  REQUIRE(batch->deliveries.size() == 1000);
  CHECK(batch->deliveries[999].data() == "999");
  CHECK(batch->deliveries[999].id() == ids->back());
}

// field bug 7
TEST_CASE("redis: a consumer's name goes only when nothing is pending under it (field fact: DELCONSUMER drops what is)") {
  RedisServer server;
  Backend backend{url_of(server.url())};
  auto one = backend.subscribe(member("one"));
  REQUIRE(backend.publish("s", "x"));
  CHECK(text(one->receive(1, 0ms)) == "x:1 ");
  CHECK(*backend.consumers("s", "g") == std::vector<std::string>{"one"});
  const auto pending = backend.remove_consumer("s", "g", "one");
  REQUIRE_FALSE(pending);
  CHECK(pending.error().code == ErrorCode::capacity);
  CHECK(pending.error().message.find("1 entries pending") != std::string::npos);
  CHECK(one->settle(acks(1)));
  CHECK(one->flush(pulse_test::patience));
  CHECK(backend.remove_consumer("s", "g", "one"));
  CHECK(backend.consumers("s", "g")->empty());
  CHECK(backend.remove_consumer("s", "g", "one").error().code == ErrorCode::not_found);
  CHECK(backend.remove_consumer("s", "none", "one").error().code == ErrorCode::no_group);
  CHECK(backend.consumers("s", "none").error().code == ErrorCode::no_group);
  CHECK(backend.health().ready);  // a wrong name is nobody's outage
}

TEST_CASE("redis: an operator deletes, trims and counts") {
  RedisServer server;
  Backend backend{url_of(server.url())};
  for (int i = 0; i < 10; ++i) {
    REQUIRE(backend.publish("s", std::to_string(i)));
  }
  const auto last = backend.publish("s", "last");
  CHECK(backend.erase("s", *last));
  CHECK(backend.erase("s", *last).error().code == ErrorCode::not_found);
  CHECK(*backend.length("s") == 10);
  CHECK(backend.trim("s", 4));
  CHECK(*backend.length("s") == 4);
  CHECK(*backend.length("none") == 0);
  (void)cli(server, {"SET", "text", "x"});
  CHECK(backend.length("text").error().code == ErrorCode::denied);
  CHECK(backend.publish("text", "x").error().code == ErrorCode::denied);
  CHECK(backend.health().ready);  // a wrong key is nobody's outage either
  CHECK(backend.trim("s", std::numeric_limits<std::uint64_t>::max()));
  CHECK(*backend.length("s") == 4);
  CHECK(backend.dead_letters("s", {}, std::numeric_limits<std::size_t>::max()));
}

TEST_CASE("redis: of a stream that is gone it is said that there is no group, and the backend stays ready") {
  RedisServer server;
  Backend backend{url_of(server.url())};
  CHECK(backend.consumers("none", "g").error().code == ErrorCode::no_group);
  CHECK(backend.remove_consumer("none", "g", "one").error().code == ErrorCode::no_group);
  auto one = backend.subscribe(member("one"));
  REQUIRE(one->state(0));
  (void)cli(server, {"DEL", "s"});
  CHECK(one->state(0).error().code == ErrorCode::no_group);
  CHECK(backend.health().ready);
}

namespace {
/// The cases of redriving that every backend has, on a server of their own.
struct Redriving {
  RedisServer server;
  pulse::RedisBackend<> bus{url_of(server.unix_url())};
};
}  // namespace

TEST_CASE_FIXTURE(Redriving, "redis redrive: takes a range, and no more than asked for") { redriving::takes_a_range_and_no_more_than_asked_for(bus); }
TEST_CASE_FIXTURE(Redriving, "redis redrive: keeps to its rate") { redriving::keeps_to_its_rate(bus); }
TEST_CASE_FIXTURE(Redriving, "redis redrive: may be interrupted, and goes on") { redriving::may_be_interrupted_and_goes_on(bus); }
TEST_CASE_FIXTURE(Redriving, "redis redrive: leaves what comes back, and passes over what others take") {
  redriving::leaves_what_comes_back_and_passes_over_what_others_take(bus);
}
TEST_CASE_FIXTURE(Redriving, "redis redrive: refuses options that make no sense") { redriving::refuses_options_that_make_no_sense(bus); }
TEST_CASE_FIXTURE(Redriving, "redis purge: a range") { redriving::purges_a_range(bus); }
TEST_CASE_FIXTURE(Redriving, "field bug 21: over Redis, too, a redrive is never swallowed by dedup") { redriving::is_never_swallowed_by_dedup(bus); }

TEST_CASE_FIXTURE(Redriving, "redis redrive: letters of entries whose ids lie ahead of the clock are brought back, not taken for what came back") {
  for (int i = 1; i <= 5; ++i) {
    (void)cli(server, {"XADD", "s.dlq", "*", "original_id", "9900000000000-" + std::to_string(i), "data", std::to_string(i)});
  }
  const auto report = pulse::redrive(bus, "s");
  CHECK(report.end == pulse::RedriveEnd::done);
  CHECK(report.redriven == 5);
  CHECK(report.came_back == 0);
  CHECK(redriving::take(bus) == "1r 2r 3r 4r 5r ");
}

TEST_CASE_FIXTURE(Redriving, "redis redrive: of a letter without data, which another program wrote, all its fields come back, as JSON") {
  (void)cli(server, {"XADD", "s.dlq", "*", "original_id", "1-1", "a\"b", "tab\there \\", "payload", "x"});
  (void)cli(server, {"XADD", "s.dlq", "*", "original_id", "1-2", "data", "", "payload", "x"});
  const auto letters = bus.dead_letters("s", {}, 10);
  REQUIRE(letters);
  REQUIRE(letters->size() == 2);
  CHECK(letters->at(0).data == R"({"original_id":"1-1","a\"b":"tab\u0009here \\","payload":"x"})");
  CHECK(letters->at(1).data == "");
  CHECK(pulse::redrive(bus, "s").redriven == 2);
  CHECK(redriving::take(bus) == R"({"original_id":"1-1","a\"b":"tab\u0009here \\","payload":"x"}r r )");
}

TEST_CASE_FIXTURE(Redriving, "redis redrive_all: beside a consumer that fails at once it ends with what was there") {
  CHECK(*bus.newest_dead_letter("s") == EntryId{});
  CHECK(*bus.redrive_all("s") == 0);
  const std::vector<std::string> events(2'000, "poison");
  REQUIRE(bus.publish("s", std::span<const std::string>{events}));
  REQUIRE(redriving::bury(bus).size() == 2'000);
  CHECK(*bus.newest_dead_letter("s") == redriving::bury(bus).back());
  std::atomic<bool> done{false};
  std::thread consumer{[&] {
    pulse::RedisBackend<> other{url_of(server.unix_url())};
    auto member = redriving::subscribe(other);
    for (std::size_t failed = 0; failed < 6'000 && !done;) {  // without an end of its own, the redrive must have one
      const auto batch = member.receive(100, 1ms);
      std::vector<pulse::DeadLetterItem> all;
      for (std::uint32_t i = 0; batch && i < batch->deliveries.size(); ++i) {
        all.push_back({i, "no good"});
      }
      failed += all.size();
      (void)member.settle({{}, {}, all});
    }
    (void)member.flush(pulse_test::patience);
  }};
  const auto redriven = bus.redrive_all("s");
  done = true;
  consumer.join();
  REQUIRE(redriven);
  CHECK(*redriven == 2'000);
}

TEST_CASE_FIXTURE(Redriving, "redis redrive: without memory nothing is lost, and it is said") {
  (void)redriving::bury(bus, 3);
  (void)cli(server, {"CONFIG", "SET", "maxmemory", "1"});
  const auto report = pulse::redrive(bus, "s");
  CHECK(report.end == pulse::RedriveEnd::failed);
  CHECK(report.redriven == 0);
  CHECK(report.error.message.find("OOM") != std::string::npos);
  (void)cli(server, {"CONFIG", "SET", "maxmemory", "0"});
  CHECK(pulse::redrive(bus, "s").redriven == 3);
  CHECK(redriving::take(bus) == "0r 1r 2r ");
}

TEST_CASE_FIXTURE(Redriving, "redis redrive: a server that goes away ends it with an error that says so") {
  (void)redriving::bury(bus, 10);
  redriving::Watched<pulse::RedisBackend<>> watched{bus};
  int steps = 0;
  watched.after = [&] {
    if (++steps == 4) {
      server.kill();
    }
  };
  const auto report = pulse::redrive(watched, "s");
  CHECK(report.end == pulse::RedriveEnd::failed);
  CHECK(report.redriven == 4);
  CHECK(report.error.code == pulse::ErrorCode::unavailable);
}

TEST_SUITE_END();
