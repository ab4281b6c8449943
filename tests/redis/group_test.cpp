// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <pulse/dedup/no_dedup.hpp>

#include "pipeline.hpp"

using namespace std::chrono_literals;
using namespace pulse_test;
using pulse::ErrorCode;

// A group, or its stream, that somebody drops, evicts, expires, renames or moves under the consumer.

TEST_SUITE_BEGIN("redis-server");

namespace {

/// A consumer without a window, polled by hand: how often it was given which event.
class Counter {
 public:
  Counter(const RedisServer& server, pulse::engine::GroupLost policy) : backend_(url_of(server.url())), consumer_(make(policy)) {}

  /// Polls until `done`. false: it was not so in time, or it has ended.
  bool until(const std::function<bool()>& done) {
    for (const auto deadline = within(patience); !done();) {
      const auto report = consumer_->poll(5ms);
      if (!report || std::chrono::steady_clock::now() > deadline) {
        return false;
      }
      std::this_thread::sleep_for(report->pause);
    }
    return true;
  }
  /// Polls until these events and no others have come as often as said: "3 4 5:2 ".
  bool comes_to(const std::string& what) {
    return until([&] { return text() == what; });
  }
  [[nodiscard]] std::string text() const {
    std::string out;
    for (const auto& [event, count] : times_) {
      out += std::to_string(event) + (count == 1 ? " " : ':' + std::to_string(count) + ' ');
    }
    return out;
  }
  /// Polls until nothing of the group is pending.
  bool settles(const RedisServer& server) {
    return until([&] { return cli(server, {"XPENDING", "s", "g"})[0] == "0"; });
  }
  /// It has looked how far the group is, since all that it was given was settled.
  void look() {
    for (int rounds = 0; rounds < 6; ++rounds) {
      std::this_thread::sleep_for(2ms);
      REQUIRE(consumer_->poll(0ms));
    }
  }

 private:
  using H = pulse::Handlers<pulse::On<pulse::FeedbackEvent, std::function<void(const pulse::FeedbackEvent&)>>>;
  using C = pulse::Consumer<pulse::RedisBackend<>&, pulse::NoDedup, pulse::NoMetrics, H>;

  std::unique_ptr<C> make(pulse::engine::GroupLost policy) {
    auto options = hurried();
    options.loop.claim_interval = 1ms;
    options.loop.group_lost = policy;
    return std::make_unique<C>(backend_, pulse::NoDedup{}, pulse::NoMetrics{},
                               pulse::handlers(pulse::on<pulse::FeedbackEvent>(std::function<void(const pulse::FeedbackEvent&)>{
                                   [this](const pulse::FeedbackEvent& event) { ++times_[static_cast<int>(event.queue_size)]; }})),
                               options);
  }

  pulse::RedisBackend<> backend_;
  std::map<int, int> times_;
  std::unique_ptr<C> consumer_;
};

}  // namespace

// field bug 2, 17
TEST_CASE("redis group: made anew where all of it was acked, it misses nothing, and repeats what came after") {
  RedisServer server;
  pulse::RedisBackend<> direct{url_of(server.unix_url())};
  Counter one{server, pulse::engine::GroupLost::recreate_at_last_acked};
  publish_events(direct, 0, 4);
  REQUIRE(one.comes_to("0 1 2 3 "));
  SUBCASE("all was acked: only what is new comes") {
    one.look();
    (void)cli(server, {"XGROUP", "DESTROY", "s", "g"});
    publish_events(direct, 4, 6);
    CHECK(one.comes_to("0 1 2 3 4 5 "));
    CHECK(one.settles(server));
  }
  SUBCASE("another member had not acked something: it is not lost, and those after it come again") {
    auto two = direct.subscribe(member("two"));
    REQUIRE(two);
    publish_events(direct, 4, 5);
    CHECK(two->receive(1, 0ms)->deliveries.size() == 1);
    publish_events(direct, 5, 7);
    REQUIRE(one.comes_to("0 1 2 3 5 6 "));
    one.look();
    (void)cli(server, {"XGROUP", "DESTROY", "s", "g"});
    CHECK(one.comes_to("0 1 2 3 4 5:2 6:2 "));
  }
  SUBCASE("the stream went with it: what is published then is new, whatever its ids") {
    one.look();
    (void)cli(server, {"FLUSHALL"});
    std::string_view id = "*";
    SUBCASE("as they come") {}
    SUBCASE("of a clock that is behind") { id = "1-1"; }
    REQUIRE(cli(server, {"XADD", "s", id, "data", envelope(4, "event-4")}).kind == Reply::Kind::text);
    CHECK(one.comes_to("0 1 2 3 4 "));
  }
}

TEST_CASE("redis group: a stream that took the place of the one that was lost is read from its beginning, however long it has grown") {
  RedisServer server;
  const auto add = [&](const char* id, int event) {
    REQUIRE(cli(server, {"XADD", "s", id, "data", envelope(event, "event-" + std::to_string(event))}).kind == Reply::Kind::text);
  };
  Counter one{server, pulse::engine::GroupLost::recreate_at_last_acked};
  add("1000-0", 0);
  add("2000-0", 1);
  add("3000-0", 2);
  add("4000-0", 3);
  REQUIRE(one.comes_to("0 1 2 3 "));
  SUBCASE("another one, with ids of before") {
    SUBCASE("that begins earlier") {
      one.look();
      (void)cli(server, {"DEL", "s"});
      add("500-0", 4);
    }
    SUBCASE("that begins later, as of a clock that is behind") {
      one.look();
      (void)cli(server, {"FLUSHALL"});
      add("1500-0", 4);
    }
    SUBCASE("after one that had been trimmed up to the same id") {
      (void)cli(server, {"XTRIM", "s", "MAXLEN", "1"});
      one.look();
      (void)cli(server, {"DEL", "s"});
      add("4000-0", 4);
    }
    SUBCASE("after one that had been emptied") {
      (void)cli(server, {"XTRIM", "s", "MAXLEN", "0"});
      one.look();
      (void)cli(server, {"DEL", "s"});
      add("2000-0", 4);
    }
    add("5000-0", 5);
    add("6000-0", 6);
    add("7000-0", 7);
    CHECK(one.comes_to("0 1 2 3 4 5 6 7 "));
  }
  SUBCASE("the same, that has grown, and lost entries: only what is new comes") {
    one.look();
    (void)cli(server, {"XDEL", "s", "2000-0"});
    SUBCASE("from the middle") {}
    SUBCASE("the first too") { (void)cli(server, {"XDEL", "s", "1000-0"}); }
    SUBCASE("all") { (void)cli(server, {"XTRIM", "s", "MAXLEN", "0"}); }
    (void)cli(server, {"XGROUP", "DESTROY", "s", "g"});
    add("5000-0", 4);
    CHECK(one.comes_to("0 1 2 3 4 "));
    CHECK(one.settles(server));
  }
}

TEST_CASE("redis group: lost before anybody looked how far it was, it begins at the beginning") {
  RedisServer server;
  pulse::RedisBackend<> direct{url_of(server.unix_url())};
  publish_events(direct, 0, 2);
  Counter one{server, pulse::engine::GroupLost::recreate_at_last_acked};
  bool lost = false;
  REQUIRE(one.until([&] {
    if (!std::exchange(lost, true)) {
      return false;  // subscribes, and looks before there was anything
    }
    (void)cli(server, {"XGROUP", "DESTROY", "s", "g"});
    return true;
  }));
  CHECK(one.until([&] { return one.text() == "0 1 " || one.text() == "0:2 1:2 "; }));
  CHECK(one.settles(server));
}

TEST_CASE("redis group: the end of a stream under a read that waits is seen, and what is published then comes (UNBLOCKED, NOGROUP)") {
  const std::vector<std::pair<const char*, std::vector<std::vector<std::string_view>>>> ways{
      {"deleted", {{"DEL", "s"}}},
      {"unlinked", {{"UNLINK", "s"}}},
      {"expired", {{"PEXPIRE", "s", "20"}}},
      {"renamed", {{"RENAME", "s", "elsewhere"}}},
      {"flushed", {{"FLUSHDB"}}},
      {"swapped for an empty database", {{"SWAPDB", "0", "1"}}},
      {"the group destroyed", {{"XGROUP", "DESTROY", "s", "g"}}},
      {"the stream made anew by a restore", {{"EVAL", "local d = redis.call('DUMP', 'empty') redis.call('RESTORE', 's', 0, d, 'REPLACE')", "0"}}}};
  for (const auto& [name, commands] : ways) {
    CAPTURE(name);
    RedisServer server;
    (void)cli(server, {"XGROUP", "CREATE", "empty", "another", "0", "MKSTREAM"});
    auto options = hurried();
    options.loop.wait = 10s;  // a read waits
    options.loop.claim_interval = 10s;
    options.loop.group_lost = pulse::engine::GroupLost::recreate_at_last_acked;
    Pipeline pipeline{server.url(), options};
    REQUIRE(pipeline.subscribe());
    pipeline.start();
    REQUIRE(read_waits(server));
    for (const auto& command : commands) {
      CHECK(cli(server, command).kind != Reply::Kind::error);
    }
    const auto gone = [&] { return cli(server, {"XPENDING", "s", "g"}).kind != Reply::Kind::error; };
    for (const auto deadline = within(patience); !gone() && std::chrono::steady_clock::now() < deadline;) {
      std::this_thread::sleep_for(2ms);
    }
    pulse::RedisBackend<> direct{url_of(server.unix_url())};
    publish_events(direct, 0, 10);
    CHECK(pipeline.handled(10));
    CHECK(settled(server));
    CHECK(pipeline.stop());
  }
}

TEST_CASE("redis group: a change of role ends a read that waits, and the next one finds the group where it was (UNBLOCKED)") {
  RedisServer server;
  auto options = hurried();
  options.loop.wait = 10s;
  options.loop.claim_interval = 10s;
  Pipeline pipeline{server.url(), options};
  REQUIRE(pipeline.subscribe());
  pipeline.start();
  REQUIRE(read_waits(server));
  (void)cli(server, {"REPLICAOF", "127.0.0.1", "1"});
  std::string seen;
  for (const auto deadline = within(patience); seen.empty() && std::chrono::steady_clock::now() < deadline; std::this_thread::sleep_for(1ms)) {
    seen = pipeline.health().detail;
  }
  CHECK_MESSAGE((seen.find("UNBLOCKED") != std::string::npos || seen.find("READONLY") != std::string::npos), seen);
  (void)cli(server, {"REPLICAOF", "NO", "ONE"});
  pulse::RedisBackend<> direct{url_of(server.unix_url())};
  publish_events(direct, 0, 10);
  CHECK(pipeline.handled(10));
  CHECK(settled(server));
  CHECK(pipeline.stop());
}

TEST_CASE("redis group: evicted with its stream when memory is short, it ends the consumer by default, and is made anew where that is wanted") {
  for (const bool goes_on : {false, true}) {
    CAPTURE(goes_on);
    RedisServer server{"maxmemory-policy allkeys-lru"};
    auto options = hurried();
    options.loop.group_lost = goes_on ? pulse::engine::GroupLost::recreate_at_last_acked : pulse::engine::GroupLost::fail;
    Pipeline pipeline{server.url(), options};
    pulse::RedisBackend<> direct{url_of(server.unix_url())};
    publish_events(direct, 0, 20);
    REQUIRE(pipeline.subscribe());
    pipeline.start();
    REQUIRE(pipeline.handled(20));
    REQUIRE(settled(server));
    (void)cli(server, {"CONFIG", "SET", "maxmemory", "1"});
    for (const auto deadline = within(patience); cli(server, {"INFO", "stats"}).text.find("evicted_keys:0") != std::string::npos;) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      (void)cli(server, {"SET", "other", "x"});  // what asks for memory evicts
    }
    (void)cli(server, {"CONFIG", "SET", "maxmemory", "0"});
    if (goes_on) {
      publish_events(direct, 20, 40);
      CHECK(pipeline.handled(40));
      CHECK(settled(server));
      CHECK(pipeline.stop());
    } else {
      const auto ended = pipeline.ended();
      REQUIRE_FALSE(ended);
      CHECK(ended.error().code == ErrorCode::no_group);
    }
  }
}

TEST_CASE("redis group: an ack of a stream that is gone is no failure, and is counted (field fact: XACK then answers 0)") {
  RedisServer server;
  Backend backend{url_of(server.url())};
  auto one = backend.subscribe(member("one"));
  REQUIRE(one);
  REQUIRE(backend.publish("s", "x"));
  CHECK(text(one->receive(1, 0ms)) == "x:1 ");
  (void)cli(server, {"DEL", "s"});
  CHECK(one->settle(acks(1)));
  CHECK(one->flush(pulse_test::patience));
  CHECK(backend.health().ready);
  CHECK(backend.health().unmatched_acks == 1);
}

TEST_CASE("redis group: set back, or given entries by force, it delivers again, and the window absorbs that (XGROUP SETID, XCLAIM FORCE)") {
  RedisServer server;
  auto options = hurried();
  options.loop.claim_idle = 50ms;
  options.heartbeat = 20ms;
  options.handler_deadline = 1ms;
  Pipeline pipeline{server.url(), options};
  pulse::RedisBackend<> direct{url_of(server.unix_url())};
  publish_events(direct, 0, 50);
  REQUIRE(pipeline.subscribe());
  pipeline.start();
  REQUIRE(pipeline.handled(50));
  REQUIRE(settled(server));
  SUBCASE("set back") {
    const auto delivered = [&] { return cli(server, {"XINFO", "GROUPS", "s"})[0][7].text; };
    const std::string last = delivered();
    CHECK(cli(server, {"XGROUP", "SETID", "s", "g", "0"}) == "OK");
    for (const auto deadline = within(patience); delivered() != last && std::chrono::steady_clock::now() < deadline;) {
      std::this_thread::sleep_for(2ms);
    }
    CHECK(delivered() == last);
  }
  SUBCASE("by force, to a member that is not there") {
    for (const Reply& entry : cli(server, {"XRANGE", "s", "-", "+", "COUNT", "5"}).items) {
      CHECK(cli(server, {"XCLAIM", "s", "g", "nobody", "0", entry[0].text, "FORCE", "JUSTID"}).size() == 1);
    }
  }
  CHECK(settled(server));
  publish_events(direct, 50, 60);
  CHECK(pipeline.handled(60));
  CHECK(pipeline.twice() == 0);
  CHECK(pipeline.stop());
}

TEST_CASE("redis group: the script that claims also reads what Redis 6.2 answers: two elements, and what is gone among the ids") {
  RedisServer server;
  Backend backend{url_of(server.url())};
  auto one = backend.subscribe(member("one"));
  for (const char* const event : {"a", "b", "c"}) {
    REQUIRE(backend.publish("s", event));
  }
  CHECK(text(one->receive(10, 0ms)) == "a:1 b:1 c:1 ");
  const std::string gone = cli(server, {"XRANGE", "s", "-", "+"})[1][0].text;
  CHECK(cli(server, {"XDEL", "s", gone}) == "1");
  // Under 6.2 an entry that is gone stays pending, and its id stands with the others.
  const std::string old = R"(local real = redis
local redis = {call = function(name, ...)
  if name ~= 'XAUTOCLAIM' then return real.call(name, ...) end
  local ids = {}
  for _, p in ipairs(real.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 10)) do ids[#ids + 1] = p[1] end
  return {'0-0', ids}
end}
)";
  const Reply claimed = cli(server, {"EVAL", old + std::string(pulse::detail::redis_scripts[static_cast<std::size_t>(pulse::detail::RedisScript::claim)]), "1",
                                     "s", "g", "two", "0", "0-0", "10"});
  CHECK(claimed[0] == "0-0");
  REQUIRE(claimed[1].size() == 3);
  CHECK(claimed[1][0][2].str() == "[data, a]");
  CHECK(claimed[1][1].str() == '[' + gone + ", 0]");
  CHECK(claimed[1][2][1] == "2");
  CHECK(claimed[2] == "0");
  CHECK(cli(server, {"XPENDING", "s", "g"})[0] == "2");
}

TEST_SUITE_END();
