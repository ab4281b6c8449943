// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "pipeline.hpp"
#include "redis_world.hpp"

using namespace std::chrono_literals;
using namespace pulse_test;

// What a stop leaves on the server, and how long it takes.

TEST_SUITE_BEGIN("redis-server");

namespace {

/// Waits until the server has a client that waits for an entry, or none.
bool blocked(const RedisServer& server, bool any = true) {
  for (const auto deadline = within(patience); std::chrono::steady_clock::now() < deadline;) {
    if ((cli(server, {"INFO", "clients"}).text.find("blocked_clients:0") == std::string::npos) == any) {
      return true;
    }
    std::this_thread::sleep_for(1ms);
  }
  return false;
}

}  // namespace

// guarantee 6
TEST_CASE("redis stop: what is published after an idle consumer has stopped goes to another, also where a read was waiting") {
  RedisServer server;
  auto options = hurried();
  options.loop.wait = 1h;
  options.loop.claim_interval = 1h;
  std::string url = server.url();
  SUBCASE("the server ends the read") {}
  SUBCASE("the user may not end it: the read goes with its connection") {
    CHECK(cli(server, {"ACL", "SETUSER", "few", "on", ">secret", "~*", "+@all", "-client|unblock"}) == "OK");
    url = "redis://few:secret@127.0.0.1:" + std::to_string(server.port());
  }
  Pipeline pipeline{url, options};
  REQUIRE(pipeline.subscribe());
  pipeline.start();
  REQUIRE(blocked(server));
  const auto stopped = pipeline.stop();
  CHECK_MESSAGE(stopped, stopped.error().message);
  CHECK(blocked(server, false));
  Backend backend{url_of(server.url())};
  REQUIRE(backend.publish("s", envelope(1, "")));
  CHECK(cli(server, {"XPENDING", "s", "g"})[0] == "0");
  auto other = backend.subscribe(member("two"));
  REQUIRE(other);
  const auto batch = other->receive(10, 0ms);
  REQUIRE(batch);
  CHECK(batch->deliveries.size() == 1);
  CHECK(pipeline.handled() == 0);
}

// guarantee 6
TEST_CASE("redis stop: what the read brings while it is ended stays this consumer's") {
  RedisServer server;
  Backend backend{url_of(server.url())};
  auto made = backend.subscribe(member("one"));
  REQUIRE(made);
  auto one = std::move(*made);
  std::thread waker{[&] {
    CHECK(blocked(server));
    one.wake();
  }};
  CHECK(text(one.receive(10, 1h)) == "");
  waker.join();
  REQUIRE(backend.publish("s", "0"));  // to the read that still waits
  CHECK(one.flush(pulse_test::patience));
  CHECK(text(one.receive(10, 0ms)) == "0:1 ");
  CHECK(text(backend.subscribe(member("one"))->receive(10, 0ms)) == "0:1 ");  // and first after a restart
}

// guarantee 6
TEST_CASE("redis stop: a connection that is lost during the last handler, and a server that is away for a moment, cost no ack and no dead letter") {
  RedisServer server;
  FaultProxy proxy{server.port()};
  auto options = hurried();
  options.loop.drain_deadline = 10s;
  Pipeline pipeline{proxy.url(), options};
  pulse::RedisBackend<> direct{url_of(server.url())};
  publish_events(direct, 0, 1);
  REQUIRE(direct.publish("s", "no envelope"));  // a dead letter, decided before the stop
  publish_events(direct, 1, 2);
  bool refused = false;
  SUBCASE("the connection is cut") {}
  SUBCASE("nobody listens for a while") { refused = true; }
  std::thread back;
  pipeline.on_event([&](int event) {
    if (event == 1) {
      if (refused) {
        proxy.refuse();
      }
      proxy.cut();
      back = std::thread{[&] {
        std::this_thread::sleep_for(100ms);
        proxy.pass();
      }};
      pipeline.ask_to_stop();
    }
  });
  REQUIRE(pipeline.subscribe());
  pipeline.start();
  const auto stopped = pipeline.ended();
  back.join();
  CHECK_MESSAGE(stopped, stopped.error().message);
  CHECK(pipeline.handled() == 2);
  CHECK(cli(server, {"XPENDING", "s", "g"})[0] == "0");
  CHECK(cli(server, {"XLEN", "s.dlq"}) == "1");
}

// guarantee 6
TEST_CASE("redis stop: a drain gives up at its deadline, and says what failed") {
  RedisServer server;
  Backend backend{url_of(server.url())};
  auto one = backend.subscribe(member("one"));
  REQUIRE(one);
  REQUIRE(backend.publish("s", "0"));
  CHECK(text(one->receive(10, 0ms)) == "0:1 ");
  CHECK(one->settle(acks(1)));
  server.kill();
  const auto begin = std::chrono::steady_clock::now();
  const auto flushed = one->flush(200ms);
  const auto took = std::chrono::steady_clock::now() - begin;
  REQUIRE_FALSE(flushed);
  CHECK(flushed.error().code == pulse::ErrorCode::unavailable);
  CHECK(took >= 150ms);
  CHECK(took < patience);
}

// guarantee 6
TEST_CASE("redis stop: a wake ends a round of claiming that waits for its reply; what that brings comes with the next receive") {
  RedisServer server;
  pulse::RedisOptions options;
  options.command_timeout = 1h;
  Backend backend{url_of(server.url()), options};
  Backend direct{url_of(server.url())};
  auto gone = direct.subscribe(member("gone"));
  REQUIRE(gone);
  for (const char* const event : {"0", "1"}) {
    REQUIRE(direct.publish("s", event));
  }
  CHECK(text(gone->receive(10, 0ms)) == "0:1 1:1 ");
  age(server, "s", 1min);
  auto made = backend.subscribe(member("one"));
  REQUIRE(made);
  auto one = std::move(*made);
  CHECK(text(one.receive(10, 0ms)) == "");  // it has nothing from before
  server.pause();
  one.wake();
  CHECK(text(one.claim_stale(30s, 10)) == "");
  server.resume();
  std::string seen;
  for (int batches = 0; batches < 3; ++batches) {
    seen += text(one.receive(1, 0ms));
    CHECK(one.settle(acks(seen.empty() ? 0 : 1)));
  }
  CHECK(seen == "0:2 1:2 ");
}

TEST_SUITE_END();
