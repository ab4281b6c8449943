// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <pulse/backend/redis.hpp>
#include <pulse/dedup/redis_dedup.hpp>

#include "../support/scripted_server.hpp"
#include "redis_world.hpp"

using namespace std::chrono_literals;
using namespace pulse_test;
using pulse::ErrorCode;

namespace {

template <class T>
pulse::Status status_of(const pulse::Result<T>& result) {
  return result ? pulse::Status{} : pulse::Status{result.error()};
}

/// A real server, before it one that answers a command otherwise once, and a backend that asks that one.
struct Otherwise {
  RedisServer server;
  ScriptedServer scripted{server.port()};
  Backend backend{url_of(scripted.url())};
  std::atomic<bool> armed{false};

  /// The next `command`, with `second` as its second word unless that is empty, is answered with `reply`.
  void next(const std::string& command, const std::string& second, const std::string& reply) {
    armed = true;
    scripted.on(command, [this, second, reply](const ScriptedServer::Words& words) -> std::optional<Answer> {
      const bool meant = second.empty() || (words.size() > 1 && words[1] == second);
      return meant && armed.exchange(false) ? std::optional{Answer{reply}} : std::nullopt;
    });
  }
};

}  // namespace

TEST_SUITE_BEGIN("redis-server");

TEST_CASE_FIXTURE(Otherwise, "redis: a reply that has not the form of its command is a protocol error that names it, and the next reply is its own") {
  REQUIRE(backend.publish("s", "a"));
  auto sub = backend.subscribe(member("one"));
  REQUIRE(sub);
  REQUIRE(sub->receive(10, 0ms));
  struct Row {
    std::string command;
    std::string second;
    std::string says;
    std::function<pulse::Status()> call;
    std::vector<std::string> replies;
  };
  const std::vector<std::string> two{"b", "c"};
  const Row rows[] = {
      {"XADD", "", "XADD", [&] { return status_of(backend.publish("s", "x")); }, {":1\r\n", "+no id\r\n", "*0\r\n"}},
      {"XADD", "", "XADD", [&] { return status_of(backend.publish("s", two)); }, {":1\r\n"}},
      {"XRANGE",
       "",
       "XRANGE",
       [&] { return status_of(backend.dead_letters("s", {}, 10)); },
       {":1\r\n", "*1\r\n:1\r\n", "*1\r\n*2\r\n$3\r\n1-1\r\n:7\r\n", "*1\r\n*2\r\n$3\r\n1-1\r\n*1\r\n+a\r\n", "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n:1\r\n:2\r\n",
        "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n+data\r\n:2\r\n", "*1\r\n*2\r\n+x\r\n*0\r\n"}},
      {"XINFO", "CONSUMERS", "XINFO CONSUMERS", [&] { return status_of(backend.consumers("s", "g")); }, {":1\r\n", "*1\r\n:1\r\n", "*1\r\n*2\r\n:1\r\n:2\r\n"}},
      {"XLEN", "", "XLEN", [&] { return status_of(backend.length("s")); }, {"+x\r\n"}},
      {"XTRIM", "", "XTRIM", [&] { return backend.trim("s", 100); }, {"+x\r\n"}},
      {"XDEL", "", "XDEL", [&] { return backend.purge("s", {1, 1}); }, {"+x\r\n"}},
      {"EVALSHA", "", "XGROUP DELCONSUMER", [&] { return backend.remove_consumer("s", "g", "nobody"); }, {"+x\r\n"}},
      {"EVALSHA", "", "redriving", [&] { return status_of(backend.redrive("s", {1, 1})); }, {":1\r\n", "*1\r\n:1\r\n", "*1\r\n+x\r\n"}},
      {"EVALSHA", "", "the heartbeat", [&] { return sub->extend(0, 1, [](std::size_t) {}); }, {":1\r\n"}},
      {"XLEN", "", "XLEN, XINFO, XPENDING", [&] { return status_of(sub->state(0)); }, {"+x\r\n", ":-1\r\n"}},
      {"XINFO", "STREAM", "XLEN, XINFO, XPENDING", [&] { return status_of(sub->state(0)); }, {":1\r\n", "*2\r\n:1\r\n:2\r\n"}},
      {"XINFO", "GROUPS", "XLEN, XINFO, XPENDING", [&] { return status_of(sub->state(0)); }, {":1\r\n", "*1\r\n:1\r\n", "*1\r\n*2\r\n:1\r\n:2\r\n"}},
      {"XPENDING",
       "",
       "XLEN, XINFO, XPENDING",
       [&] { return status_of(sub->state(0)); },
       {":1\r\n", "*3\r\n:0\r\n:0\r\n:0\r\n", "*4\r\n+x\r\n:0\r\n:0\r\n:0\r\n", "*4\r\n:1\r\n+x\r\n:0\r\n:0\r\n"}},
      {"EVALSHA",
       "",
       "XAUTOCLAIM",
       [&] { return status_of(sub->claim_stale(1h, 10)); },
       {":1\r\n", "*2\r\n+0-0\r\n*0\r\n", "*3\r\n+x\r\n*0\r\n:0\r\n", "*3\r\n+0-0\r\n:1\r\n:0\r\n", "*3\r\n+0-0\r\n*0\r\n:-1\r\n",
        "*3\r\n+0-0\r\n*1\r\n*3\r\n+1-1\r\n:1\r\n:7\r\n:0\r\n", "*3\r\n+0-0\r\n*1\r\n*3\r\n+1-1\r\n:1\r\n*2\r\n:1\r\n:2\r\n:0\r\n",
        "*3\r\n+0-0\r\n*1\r\n*2\r\n+1-1\r\n:1\r\n:0\r\n"}},
  };
  for (const Row& row : rows) {
    for (const std::string& reply : row.replies) {
      CAPTURE(row.says);
      CAPTURE(Reply::printable(reply));
      next(row.command, row.second, reply);
      const pulse::Status refused = row.call();
      CHECK_FALSE(armed);
      REQUIRE_FALSE(refused);
      CHECK(refused.error().code == ErrorCode::protocol);
      CHECK(refused.error().message == row.says + " at 127.0.0.1:" + std::to_string(scripted.port()) + ": the reply has not the form it should have");
      pulse::Status again = row.call();
      for (const Deadline end = within(patience); !again && again.error().code == ErrorCode::unavailable && std::chrono::steady_clock::now() < end;) {
        std::this_thread::sleep_for(5ms);  // after a connection that was lost, one of its own making included, it pauses
        again = row.call();
      }
      CHECK_MESSAGE((again || again.error().code == ErrorCode::not_found), (again ? "" : again.error().message));
      if (row.says == "XAUTOCLAIM") {
        REQUIRE(sub->receive(10, 0ms));  // what is pending is read again first
      }
    }
  }
}

TEST_CASE_FIXTURE(Otherwise, "redis: the state of a group that is gone is no state") {
  auto sub = backend.subscribe(member("one"));
  REQUIRE(sub);
  REQUIRE(server.connect()({"XGROUP", "CREATE", "s", "other", "0"}) == "OK");
  next("XPENDING", "", "*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n");
  REQUIRE(server.connect()({"XGROUP", "DESTROY", "s", "g"}) == "1");
  const auto state = sub->state(0);
  REQUIRE_FALSE(state);
  CHECK(state.error().code == ErrorCode::no_group);
  CHECK(state.error().message == "\"s\" has no group \"g\"");
}

TEST_CASE("redis dedup: a reply that has not the form of a claim leaves nothing leased, and the next claim is right") {
  RedisServer server;
  ScriptedServer scripted{server.port()};
  pulse::RedisDedup<> dedup{url_of(scripted.url()), {.owner = "one"}};
  const std::vector<pulse::EventId> ids{{1, 2}};
  for (const char* const reply : {":1\r\n", "*2\r\n:0\r\n:0\r\n", "*1\r\n+x\r\n", "*1\r\n:4\r\n", "*1\r\n:-1\r\n"}) {
    CAPTURE(Reply::printable(reply));
    scripted.once("EVALSHA", {reply});
    std::vector<pulse::Claim> claims(1, pulse::Claim::done);
    const pulse::Status claimed = dedup.claim(ids, claims);
    REQUIRE_FALSE(claimed);
    CHECK(claimed.error().code == ErrorCode::protocol);
    CHECK(dedup.size() == 0);
  }
  CHECK(dedup.claim(ids[0]) == pulse::Claim::fresh);
  CHECK(dedup.claim(ids[0]) == pulse::Claim::leased);
}

TEST_SUITE_END();

TEST_CASE("redis: an error inside a script is told by its own word, on a server that wraps it, too") {
  using pulse::detail::redis_error_kind;
  CHECK(redis_error_kind("NOGROUP No such key 's'").code == ErrorCode::no_group);
  CHECK(redis_error_kind("ERR Error running script (call to f_6b1): @user_script:1: -NOGROUP No such key 's'").code == ErrorCode::no_group);
  CHECK(redis_error_kind("ERR Error running script (call to f_6b1): @user_script:1: @user_script: 1: -OOM command not allowed").code == ErrorCode::unavailable);
  CHECK(redis_error_kind("ERR Error running script (call to f_6b1): @user_script:1: unknown").code == ErrorCode::protocol);
}
