// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "../support/fault_proxy.hpp"
#include "../support/redis_server.hpp"
#include "../support/scripted_server.hpp"
#include "pulse/ext/hiredis_client.hpp"
#include "pulse/redis/client_conformance.hpp"

using namespace std::chrono_literals;
using pulse::ErrorCode;
using pulse::HiredisClient;
using pulse::RedisReplies;
using pulse::RedisUrl;
using pulse_test::ScriptedServer;

static_assert(pulse::RedisClient<HiredisClient>);

namespace {
pulse::SteadyTime soon() { return std::chrono::steady_clock::now() + 10s; }
}  // namespace

TEST_CASE("hiredis client: the laws, over a loopback port") { CHECK(pulse::conformance::redis_client<HiredisClient>() == ""); }

TEST_CASE("hiredis client: rediss:// is refused, and says what to do") {
  HiredisClient client{*RedisUrl::parse("rediss://user:secret@localhost:7000")};
  const auto made = client.connect(soon());
  REQUIRE_FALSE(made);
  CHECK(made.error().code == ErrorCode::config);
  CHECK(made.error().message == "rediss://localhost:7000: HiredisClient has no TLS: use redis://, or a client that has it");
}

TEST_CASE("hiredis client: fault 40: what hiredis lets pass is refused, too") {
  struct Row {
    std::string bytes;
    ErrorCode code;
    std::string says;
  };
  const std::string no_reply = " answers what is no Redis reply: ";
  const std::string too_large = " is larger than the client's bound of 1000000 bytes";
  std::string nested;
  for (int i = 0; i < 20; ++i) {
    nested += "*1\r\n";
  }
  const Row rows[] = {
      {"HTTP/1.1 400 Bad Request\r\n\r\n", ErrorCode::protocol, no_reply + "Protocol error, got \"H\" as reply type byte"},
      {"$3\r\nabcd\r\n", ErrorCode::protocol, no_reply + "a text that does not end"},
      {"*2\r\n$1\r\nabcd", ErrorCode::protocol, no_reply + "a text that does not end"},
      {"$-2\r\n", ErrorCode::protocol, no_reply},
      {":0x10\r\n", ErrorCode::protocol, no_reply},
      {nested, ErrorCode::protocol, no_reply},             // by 0.14 itself; 1.x lets it pass
      {"$536870912\r\n", ErrorCode::capacity, too_large},  // refused before any of it comes
      {"*1\r\n$1000001\r\nx", ErrorCode::capacity, too_large},
      {"*16777217\r\n", ErrorCode::capacity, too_large},
      {"*2\r\n*16777215\r\n", ErrorCode::capacity, too_large},
      {"*2\r\n$600000\r\n" + std::string(600'000, 'x') + "\r\n$600000\r\n" + std::string(600'000, 'x') + "\r\n", ErrorCode::capacity, too_large},
      {'+' + std::string(1'100'000, 'x'), ErrorCode::capacity, too_large},
  };
  for (const Row& row : rows) {
    CAPTURE(row.bytes.substr(0, 40));
    ScriptedServer server{pulse_test::Answer{row.bytes}, "+PONG\r\n"};
    HiredisClient client{*RedisUrl::parse(server.url()), {.max_bytes = 1'000'000}};
    RedisReplies replies;
    for (int time = 0; time < 2; ++time) {
      REQUIRE(client.connect(soon()));
      client.append(std::vector<std::string_view>{"PING"});
      REQUIRE(client.flush(soon()));
      const auto got = client.read(replies, soon());
      if (time == 0) {
        REQUIRE_FALSE(got);
        CHECK(got.error().code == row.code);
        CHECK_MESSAGE(got.error().message.find(row.says) != std::string::npos, got.error().message);
        CHECK(replies.size() == 0);
        client.release();
      } else {
        REQUIRE(got);
        CHECK(pulse::conformance::detail::show(replies) == "\"PONG\"");
      }
    }
  }
}

TEST_CASE("hiredis client: arrays are read 8 deep") {
  pulse::conformance::detail::RedisPeer peer;
  HiredisClient client{peer.url()};
  RedisReplies replies;
  REQUIRE(client.connect(soon()));
  REQUIRE(peer.accept());
  peer.send("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:8\r\n");
  REQUIRE(client.read(replies, soon()));
  CHECK(pulse::conformance::detail::show(replies) == "[[[[[[[[8]]]]]]]]");
}

TEST_CASE("hiredis client: a release in the middle of an interrupted reply keeps what has come of it") {
  pulse::conformance::detail::RedisPeer peer;
  HiredisClient client{peer.url()};
  RedisReplies replies;
  REQUIRE(client.connect(soon()));
  REQUIRE(peer.accept());
  const std::string large(100'000, 'x');
  for (int round = 0; round < 20; ++round) {
    peer.send("*3\r\n$100000\r\n" + large + "\r\n-error\r\n$");
    for (int i = 0; i < 2; ++i) {
      client.interrupt();
      const auto got = client.read(replies, soon());
      REQUIRE(got);
      CHECK_FALSE(*got);
      replies.clear();
      client.release();
    }
    peer.send("4\r\nlast\r\n");
    const auto got = client.read(replies, soon());
    REQUIRE(got);
    CHECK(*got);
    CHECK(pulse::conformance::detail::show(replies) == "[\"" + large + "\", !error, \"last\"]");
    replies.clear();
    client.release();
  }
}

TEST_SUITE("redis-server") {
  TEST_CASE("hiredis client: the laws, over a real server, and through a network that splits and delays") {
    pulse_test::RedisServer server;
    CHECK(pulse::conformance::redis_client<HiredisClient>(server.url()) == "");
    CHECK(pulse::conformance::redis_client<HiredisClient>(server.unix_url()) == "");
    pulse_test::FaultProxy proxy{server.port()};
    proxy.split(1460, 1us);
    proxy.delay(1ms);
    CHECK(pulse::conformance::redis_client<HiredisClient>(proxy.url()) == "");
  }
}
