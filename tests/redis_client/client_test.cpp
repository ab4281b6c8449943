// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../support/fault_proxy.hpp"
#include "../support/redis_server.hpp"
#include "../support/scripted_server.hpp"
#include "pulse/redis/client_conformance.hpp"
#include "pulse/redis/socket_client.hpp"

using namespace std::chrono_literals;
using pulse::ErrorCode;
using pulse::RedisReplies;
using pulse::RedisUrl;
using pulse::SocketClient;
using pulse_test::FaultProxy;
using pulse_test::RedisServer;

static_assert(pulse::RedisClient<SocketClient>);

namespace {

/// A client with one law broken, as clients break them.
template <int Law>
struct Broken : SocketClient {
  explicit Broken(RedisUrl url) : SocketClient((url.tls = url.tls && Law != 7, url)), url_(url) {}

  pulse::Status connect(pulse::SteadyTime deadline) {
    if (Law == 0 && connected_) {
      return {};  // there is one already
    }
    pulse::Status made = SocketClient::connect(deadline);
    if (Law == 8 && std::exchange(used_, true)) {
      SocketClient::append(std::vector<std::string_view>{"OLD"});  // as if the queue had been kept
    }
    connected_ = made.has_value();
    if (Law == 6 && !made) {
      return pulse::Error{made.error().code, made.error().message + " as " + url_.user + ':' + url_.password};
    }
    return made;
  }
  void append(std::span<const std::string_view> words) {
    if (Law == 1) {
      queue_.emplace_back(words.begin(), words.end());  // written later, and viewed until then
    } else {
      SocketClient::append(words);
    }
  }
  pulse::Status flush(pulse::SteadyTime deadline) {
    for (const auto& words : std::exchange(queue_, {})) {
      SocketClient::append(words);
    }
    return SocketClient::flush(deadline);
  }
  pulse::Result<bool> read(RedisReplies& replies, pulse::SteadyTime deadline) {
    for (pulse::ReplyNode& node : replies.nodes()) {
      node.size = Law == 2 && node.kind == pulse::ReplyKind::text ? 0 : node.size;  // the texts of before are not looked at any more, are they?
    }
    pulse::Result<bool> got = SocketClient::read(replies, deadline);
    if (Law == 3 && got && !*got) {
      replies.nil();  // a reply it was not
    }
    if (Law == 4 && got && !*got) {
      return pulse::Error{ErrorCode::unavailable, "interrupted"};
    }
    if (Law == 5 && !got && std::exchange(connected_, false) && got.error().code == ErrorCode::unavailable) {
      (void)SocketClient::connect(deadline + 1s);  // so that nobody notices
    }
    return got;
  }
  void close() {
    connected_ = false;
    SocketClient::close();
  }

 private:
  RedisUrl url_;
  bool connected_ = false;
  bool used_ = false;
  std::vector<std::vector<std::string_view>> queue_;
};

}  // namespace

TEST_CASE("redis client: each broken law is noticed") {
  using pulse::conformance::redis_client;
  CHECK(redis_client<Broken<-1>>() == "");
  CHECK(redis_client<Broken<0>>().substr(0, 50) == std::string("connect closes the connection that is there").substr(0, 50));
  CHECK(redis_client<Broken<1>>().substr(0, 50) == std::string("commands are written as arrays of binary-safe words, copied at `append`").substr(0, 50));
  CHECK(redis_client<Broken<2>>().substr(0, 50) == std::string("texts stay where they are until release").substr(0, 50));
  CHECK(redis_client<Broken<3>>().substr(0, 50) ==
        std::string("an interrupt ends the next read that would wait, in the middle of a reply, too; seen: something was appended").substr(0, 50));
  CHECK(redis_client<Broken<4>>().substr(0, 50) ==
        std::string("an interrupt ends the next read that would wait, in the middle of a reply, too; seen: interrupted").substr(0, 50));
  CHECK(redis_client<Broken<5>>().substr(0, 50) ==
        std::string("a connection that the server closes is unavailable: , and leaves the client closed").substr(0, 50));
  CHECK(redis_client<Broken<6>>().substr(0, 50) == std::string("a message holds no password").substr(0, 50));
  CHECK(redis_client<Broken<7>>().substr(0, 50) == std::string("rediss:// is not spoken to in the clear").substr(0, 50));
  CHECK(redis_client<Broken<8>>().substr(0, 50) == std::string("what was queued before a close is forgotten").substr(0, 50));
}

TEST_CASE("redis client: the laws, over a loopback port") { CHECK(pulse::conformance::redis_client<SocketClient>() == ""); }

namespace {
/// Looks again and again before it sleeps.
struct Spinning : SocketClient {
  explicit Spinning(const RedisUrl& url) : SocketClient(url, {.spin = 200us}) {}
};
}  // namespace

TEST_CASE("redis client: the laws hold for one that spins before it sleeps") { CHECK(pulse::conformance::redis_client<Spinning>() == ""); }

TEST_SUITE("redis-server") {
  TEST_CASE("redis client: the laws, over a real server, by TCP and by a Unix socket, with a password") {
    RedisServer server{"requirepass \"se cret\""};
    CHECK(pulse::conformance::redis_client<SocketClient>("redis://:se%20cret@127.0.0.1:" + std::to_string(server.port())) == "");
    CHECK(pulse::conformance::redis_client<SocketClient>("unix://:se%20cret@" + server.path()) == "");
    CHECK(pulse::conformance::redis_client<SocketClient>("http://localhost").starts_with("\"http://localhost\": "));
  }

  TEST_CASE("redis client: the laws, through a network that splits and delays") {
    RedisServer server;
    FaultProxy proxy{server.port()};
    proxy.split(1460, 1us);
    proxy.delay(1ms);
    CHECK(pulse::conformance::redis_client<SocketClient>(proxy.url()) == "");
  }
}
