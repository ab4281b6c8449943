// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../support/scripted_server.hpp"
#include "pulse/detail/random.hpp"
#include "pulse/redis/conformance_peer.hpp"
#include "pulse/redis/socket_client.hpp"

using namespace std::chrono_literals;
using pulse::ErrorCode;
using pulse::RedisReplies;
using pulse::RedisUrl;
using pulse::SocketClient;
using pulse::detail::Parsed;
using pulse::detail::RespParser;
using pulse_test::ScriptedServer;

namespace {

pulse::SteadyTime soon() { return std::chrono::steady_clock::now() + 10s; }

/// A random value: its bytes, and how it is to be shown.
void value(pulse::detail::SplitMix64& random, int depth, std::string& bytes, std::string& shown) {
  switch (random.up_to(depth > 0 ? 5 : 4)) {
    case 0: {
      const auto number = static_cast<std::int64_t>(random() >> random.up_to(63)) * (random.up_to(1) == 0 ? 1 : -1);
      bytes += ':' + std::to_string(number) + "\r\n";
      shown += std::to_string(number);
      return;
    }
    case 1:
      bytes += random.up_to(1) == 0 ? "$-1\r\n" : "*-1\r\n";
      shown += "nil";
      return;
    case 2: {
      const std::string line(random.up_to(20), 'e');
      bytes += '-' + line + "\r\n";
      shown += '!' + line;
      return;
    }
    case 5: {
      const std::uint64_t elements = random.up_to(5);
      bytes += '*' + std::to_string(elements) + "\r\n";
      shown += '[';
      for (std::uint64_t i = 0; i < elements; ++i) {
        shown += i == 0 ? "" : ", ";
        value(random, depth - 1, bytes, shown);
      }
      shown += ']';
      return;
    }
    default: {
      std::string text;
      for (std::uint64_t left = random.up_to(30); left > 0; --left) {
        text += static_cast<char>(random.up_to(255));
      }
      bytes += '$' + std::to_string(text.size()) + "\r\n" + text + "\r\n";
      shown += '"' + text + '"';
    }
  }
}

/// Bytes in memory of exactly their size, so that a sanitizer sees a step beyond.
struct Exact {
  explicit Exact(std::string_view text) : size(text.size()), bytes(new char[text.size()]) { std::memcpy(bytes.get(), text.data(), text.size()); }
  [[nodiscard]] const char* begin() const { return bytes.get(); }
  [[nodiscard]] const char* end() const { return bytes.get() + size; }
  std::size_t size;
  std::unique_ptr<char[]> bytes;
};

}  // namespace

TEST_CASE("resp parser: random replies, cut anywhere, are what they were made of") {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    CAPTURE(seed);
    pulse::detail::SplitMix64 random{seed};
    std::string bytes;
    std::string shown;
    value(random, 4, bytes, shown);
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      RespParser parser;
      RedisReplies replies;
      const Exact part{std::string_view{bytes}.substr(0, cut)};
      const char* at = part.begin();
      REQUIRE(parser.parse(at, part.end(), replies) == Parsed::incomplete);
      const auto read = static_cast<std::size_t>(at - part.begin());
      REQUIRE(read + parser.missing() > cut);            // it asks for more than there is,
      REQUIRE(read + parser.missing() <= bytes.size());  // and never for more than comes
      // It goes on where it was, in bytes that stay where they are.
      RespParser whole;
      RedisReplies both;
      const Exact all{bytes};
      const char* next = all.begin();
      REQUIRE(whole.parse(next, all.begin() + cut, both) == Parsed::incomplete);
      REQUIRE(whole.parse(next, all.end(), both) == Parsed::reply);
      REQUIRE(next == all.end());
      REQUIRE(pulse::conformance::detail::show(both) == shown);
    }
  }
}

TEST_CASE("resp parser: whatever comes, it stays within the bytes, and says one of three things") {
  constexpr std::string_view likely = "$*:+-\r\n0123456789";
  std::size_t said[3] = {0, 0, 0};
  for (std::uint64_t seed = 0; seed < 60'000; ++seed) {
    CAPTURE(seed);
    pulse::detail::SplitMix64 random{seed};
    std::string bytes;
    std::string shown;
    if (random.up_to(3) == 0) {
      for (std::uint64_t left = random.up_to(40); left > 0; --left) {
        bytes += likely[random.up_to(likely.size() - 1)];
      }
    } else {
      value(random, 3, bytes, shown);
      for (std::uint64_t left = 1 + random.up_to(2); left > 0 && !bytes.empty(); --left) {
        const std::size_t where = random.up_to(bytes.size() - 1);
        switch (random.up_to(2)) {
          case 0: bytes[where] = likely[random.up_to(likely.size() - 1)]; break;
          case 1: bytes.erase(where, 1 + random.up_to(3)); break;
          default: bytes.insert(where, 1, likely[random.up_to(likely.size() - 1)]);
        }
      }
    }
    RespParser parser;
    parser.max_text = 1000;
    RedisReplies replies;
    const Exact all{bytes};
    const char* at = all.begin();
    const Parsed found = parser.parse(at, all.end(), replies);
    ++said[static_cast<int>(found)];
    REQUIRE(at >= all.begin());
    REQUIRE(at <= all.end());
    REQUIRE(replies.size() * 3 <= bytes.size());  // the shortest value is "+\r\n"
    for (const pulse::ReplyNode& node : replies.nodes()) {
      if (node.kind == pulse::ReplyKind::text || node.kind == pulse::ReplyKind::error) {
        REQUIRE(node.text >= all.begin());
        REQUIRE(node.text + node.size <= all.end());
      }
    }
    if (found == Parsed::reply) {
      std::size_t left = 1;  // the row is one whole value
      for (const pulse::ReplyNode& node : replies.nodes()) {
        REQUIRE(left > 0);
        left += node.kind == pulse::ReplyKind::array ? node.size : 0;
        --left;
      }
      REQUIRE(left == 0);
    }
  }
  CHECK(said[0] > 1000);
  CHECK(said[1] > 1000);
  CHECK(said[2] > 1000);
}

TEST_CASE("fault 40: a malformed reply is one typed error, bounded memory, and a connection that is made anew") {
  struct Row {
    std::string bytes;
    ErrorCode code;
    std::string says;
  };
  const std::string no_reply = " answers what is no Redis reply: ";
  const std::string too_large = " is larger than the client's bound of 1000000 bytes";
  std::string nested;
  for (int i = 0; i < 300'000; ++i) {
    nested += "*1\r\n";
  }
  const Row rows[] = {
      {"HTTP/1.1 400 Bad Request\r\n\r\n", ErrorCode::protocol, no_reply + "\"HTTP/1.1 400 Bad Request"},
      {"\x16\x03\x01", ErrorCode::protocol, no_reply + "\"???\""},
      {"%1\r\n+a\r\n+b\r\n", ErrorCode::protocol, no_reply},  // RESP3, for which nobody asked
      {"_\r\n", ErrorCode::protocol, no_reply},
      {"$3\r\nabcd\r\n", ErrorCode::protocol, no_reply},
      {"$3\r\nabc\rx", ErrorCode::protocol, no_reply},
      {"$\r\n\r\n", ErrorCode::protocol, no_reply},
      {"$-2\r\n", ErrorCode::protocol, no_reply},
      {"$ 3\r\nabc\r\n", ErrorCode::protocol, no_reply},
      {"$3\n\nabc\r\n", ErrorCode::protocol, no_reply},
      {"*-2\r\n", ErrorCode::protocol, no_reply},
      {"*2\r\n:1\r\n?", ErrorCode::protocol, no_reply},
      {":\r\n", ErrorCode::protocol, no_reply},
      {":--1\r\n", ErrorCode::protocol, no_reply},
      {":0x10\r\n", ErrorCode::protocol, no_reply},
      {":9223372036854775808\r\n", ErrorCode::protocol, no_reply},
      {":1" + std::string(40, '0'), ErrorCode::protocol, no_reply},
      {"+OK\rOK\r\n", ErrorCode::protocol, no_reply},
      {'+' + std::string(70'000, 'x'), ErrorCode::protocol, no_reply},
      {"$18446744073709551616\r\n", ErrorCode::protocol, no_reply},
      {"$536870912\r\n", ErrorCode::capacity, too_large},  // refused before any of it comes
      {"$1000001\r\n", ErrorCode::capacity, too_large},
      {"*16777217\r\n", ErrorCode::capacity, too_large},
      {"*2\r\n*16777215\r\n", ErrorCode::capacity, too_large},
      {"*9000000000000000000\r\n", ErrorCode::capacity, too_large},
      {nested, ErrorCode::capacity, too_large},
  };
  for (const Row& row : rows) {
    CAPTURE(row.bytes.substr(0, 40));
    ScriptedServer server{pulse_test::Answer{row.bytes}, "+PONG\r\n"};
    SocketClient client{*RedisUrl::parse(server.url()), {.max_bytes = 1'000'000}};
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
        CHECK(got.error().message.size() < 200);
        CHECK(replies.size() == 0);
      } else {
        REQUIRE(got);
        CHECK(pulse::conformance::detail::show(replies) == "\"PONG\"");
      }
    }
  }
}

TEST_CASE("socket client: replies are bounded between two releases, one by one and together") {
  const std::string text(100'000, 'x');
  ScriptedServer server;
  server.on("GET", {ScriptedServer::bulk(text)});
  SocketClient client{*RedisUrl::parse(server.url()), {.max_bytes = 1'000'000}};
  RedisReplies replies;
  const auto gets = [&]() -> pulse::Result<bool> {
    client.append(std::vector<std::string_view>{"GET", "k"});
    REQUIRE(client.flush(soon()));
    return client.read(replies, soon());
  };
  REQUIRE(client.connect(soon()));
  for (int i = 0; i < 100; ++i) {
    REQUIRE(gets());
    replies.clear();
    client.release();
  }
  int held = 0;
  ErrorCode code = ErrorCode::config;
  while (held < 100) {
    const auto got = gets();
    if (!got) {
      code = got.error().code;
      break;
    }
    ++held;
  }
  CHECK(code == ErrorCode::capacity);
  CHECK(held >= 9);
  CHECK(held <= 19);
  for (std::size_t i = 0; i < replies.size(); ++i) {
    CHECK(std::string_view{replies.nodes()[i].text, replies.nodes()[i].size} == text);
  }
}
