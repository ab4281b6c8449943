// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <pulse/pulse.hpp>
#include <pulse/redis.hpp>

#include "../support/readable.hpp"
#include "redis_world.hpp"

using namespace std::chrono_literals;
using namespace pulse_test;

// A host waits for the socket among other things; a receive that waits for nothing takes what has come.

namespace {

struct Armed {
  explicit Armed(pulse::RedisOptions options = {}) : backend(url_of(proxy.url()), std::move(options), clock) {}
  pulse::RedisBackend<pulse::SocketClient, pulse::ManualClock>::subscription_type subscribe(const pulse::SubscribeOptions& wanted) {
    auto made = backend.subscribe(wanted);
    REQUIRE(made);
    return std::move(*made);
  }
  Reply ask(std::initializer_list<std::string_view> words) { return redis(words); }

  RedisServer server;
  FaultProxy proxy{server.port()};
  Cli redis = server.connect();
  pulse::ManualClock clock;
  Backend backend;
};

/// As a host does it: armed, waited for, received, until there is something.
template <class Subscription>
std::string next(Subscription& one, pulse::Readiness& ready, std::size_t max = 10) {
  const Deadline deadline = within(patience);
  while (std::chrono::steady_clock::now() < deadline) {
    ready.clear();
    const auto due = one.arm(max, 1h, ready);
    if (!due) {
      return "error: " + due.error().message;
    }
    if (due->count() > 0 && !readable(ready, patience)) {
      return "never readable";
    }
    const auto batch = one.receive(max, 0ms);
    if (const std::string found = text(batch); !found.empty()) {
      return found;
    }
  }
  return "nothing";
}

}  // namespace

TEST_SUITE_BEGIN("redis-server");
TEST_CASE("redis: armed, it is told of a new entry, and until then a receive returns empty at once") {
  Armed world;
  auto one = world.subscribe(member("one"));
  pulse::Readiness ready;
  CHECK(*one.arm(10, 1h, ready) == 0ms);  // what was pending before is to be read
  CHECK(text(one.receive(10, 0ms)).empty());
  CHECK(*one.arm(10, 1h, ready) == 1h);
  REQUIRE(read_waits(world.server));  // the read has passed the proxy: it is counted
  const auto before = world.proxy.counts().commands;
  for (int i = 0; i < 5; ++i) {
    CHECK(text(one.receive(10, 0ms)).empty());
    CHECK(*one.arm(10, 1h, ready) == 1h);
  }
  CHECK(world.proxy.counts().commands == before);  // the one read that blocks is still under way
  CHECK_FALSE(readable(ready));
  (void)world.ask({"XADD", "s", "*", "data", "a"});
  CHECK(readable(ready, patience));
  CHECK(next(one, ready) == "a:1 ");
}

TEST_CASE("redis: what was settled goes out when it is armed") {
  Armed world;
  auto one = world.subscribe(member("one"));
  pulse::Readiness ready;
  (void)world.ask({"XADD", "s", "*", "data", "a"});
  CHECK(next(one, ready) == "a:1 ");
  CHECK(one.settle(acks(1)));
  CHECK(*one.arm(10, 1h, ready) == 1h);
  const Deadline deadline = within(patience);
  while (world.ask({"XPENDING", "s", "g"})[0] != "0" && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(1ms);
  }
  CHECK(world.ask({"XPENDING", "s", "g"})[0] == "0");
  CHECK(text(one.receive(10, 0ms)).empty());  // the reply to the ack, while the read still blocks
  (void)world.ask({"XADD", "s", "*", "data", "b"});
  CHECK(next(one, ready) == "b:1 ");
}

TEST_CASE("redis: a claim, a flush or a receive that waits may follow an armed wait") {
  Armed world;
  auto one = world.subscribe(member("one"));
  pulse::Readiness ready;
  CHECK(text(one.receive(10, 0ms)).empty());
  CHECK(*one.arm(10, 1h, ready) == 1h);
  const auto claimed = one.claim_stale(1h, 10);
  CHECK(claimed);
  CHECK(*one.arm(10, 1h, ready) == 1h);
  CHECK(text(one.receive(10, 5ms)).empty());
  CHECK(*one.arm(10, 1h, ready) == 1h);
  CHECK(one.flush(pulse_test::patience));
  (void)world.ask({"XADD", "s", "*", "data", "a"});
  CHECK(next(one, ready) == "a:1 ");
  CHECK(one.settle(acks(1)));
  CHECK(*one.arm(10, 1h, ready) == 1h);
  CHECK(one.flush(pulse_test::patience));
  CHECK(world.ask({"XPENDING", "s", "g"})[0] == "0");
}

TEST_CASE("redis: a receive that waits after an armed one waits until something comes, or it is woken") {
  Armed world;
  auto one = world.subscribe(member("one"));
  pulse::Readiness ready;
  (void)world.ask({"XADD", "s", "*", "data", "a"});
  CHECK(next(one, ready) == "a:1 ");
  CHECK(*one.arm(10, 1h, ready) == 1h);
  (void)world.ask({"XADD", "s", "*", "data", "b"});
  CHECK(readable(ready, patience));
  CHECK(text(one.receive(10, 0ms)) == "b:1 ");  // all that was asked for had arrived
  Cli other = world.server.connect();
  std::thread later{[&] {
    std::this_thread::sleep_for(20ms);
    (void)other({"XADD", "s", "*", "data", "c"});
  }};
  CHECK(text(one.receive(10, 1h)) == "c:1 ");
  later.join();
  one.wake();
  CHECK(text(one.receive(10, 1h)).empty());
}

TEST_CASE("redis: armed, a retry comes when it is due") {
  Armed world;
  auto one = world.subscribe(member("one"));
  pulse::Readiness ready;
  (void)world.ask({"XADD", "s", "*", "data", "a"});
  CHECK(next(one, ready) == "a:1 ");
  const std::vector<pulse::RetryItem> later{{0, 20ms}};
  CHECK(one.settle({{}, later, {}}));
  world.clock.advance(20ms);
  CHECK(next(one, ready) == "a:2 ");
}

TEST_CASE("redis: a connection that is lost while it is waited for makes the host look, and what was pending comes again") {
  Armed world;
  auto one = world.subscribe(member("one"));
  pulse::Readiness ready;
  (void)world.ask({"XADD", "s", "*", "data", "a"});
  CHECK(next(one, ready) == "a:1 ");
  CHECK(*one.arm(10, 1h, ready) == 1h);  // not settled
  world.proxy.cut();
  CHECK(readable(ready, patience));
  const auto lost = one.receive(10, 0ms);
  REQUIRE_FALSE(lost);
  CHECK(lost.error().code == pulse::ErrorCode::unavailable);
  CHECK(next(one, ready) == "a:1 ");
}

TEST_CASE("redis: a server that falls silent under an armed wait is noticed when its time is over") {
  pulse::RedisOptions options;
  options.command_timeout = 50ms;
  Armed world{options};
  auto one = world.subscribe(member("one"));
  pulse::Readiness ready;
  CHECK(text(one.receive(10, 0ms)).empty());
  world.proxy.drop_all();
  CHECK(*one.arm(10, 20ms, ready) == 20ms);
  const Deadline deadline = within(patience);
  std::string said;
  while (said.empty() && std::chrono::steady_clock::now() < deadline) {
    (void)readable(ready, 20ms);
    said = text(one.receive(10, 0ms));
  }
  CHECK(said.find("no reply in time") != std::string::npos);
  world.proxy.pass();
  (void)world.ask({"XADD", "s", "*", "data", "a"});
  CHECK(next(one, ready) == "a:1 ");
}

TEST_CASE("redis: armed with reads ahead, all comes, in order, once") {
  Armed world;
  auto wanted = member("one");
  wanted.prefetch = true;
  auto one = world.subscribe(wanted);
  pulse::Readiness ready;
  std::string all;
  for (int i = 0; i < 35; ++i) {
    (void)world.ask({"XADD", "s", "*", "data", std::to_string(i)});
    all += std::to_string(i) + ":1 ";
  }
  std::string seen;
  while (seen.size() < all.size()) {
    const std::string some = next(one, ready);
    REQUIRE(some.find(":1 ") != std::string::npos);
    seen += some;
    CHECK(one.settle(acks(static_cast<std::size_t>(std::count(some.begin(), some.end(), ':')))));
  }
  CHECK(seen == all);
  CHECK(one.flush(pulse_test::patience));
  CHECK(world.ask({"XPENDING", "s", "g"})[0] == "0");
}

TEST_CASE("redis: armed after a read ahead whose empty reply was read with the one before it, it is told of what comes later") {
  Armed world;
  auto wanted = member("one");
  wanted.prefetch = true;
  auto one = world.subscribe(wanted);
  pulse::Readiness ready;
  for (const char* data : {"a", "b", "c"}) {
    (void)world.ask({"XADD", "s", "*", "data", data});
  }
  CHECK(text(one.receive(2, pulse_test::patience)) == "a:1 b:1 ");
  CHECK(text(one.receive(2, pulse_test::patience)) == "c:1 ");  // two reads in one write: the other found nothing, and no socket will tell of it
  CHECK(*one.arm(2, 1h, ready) == 1h);
  (void)world.ask({"XADD", "s", "*", "data", "d"});
  CHECK(next(one, ready) == "d:1 ");
}

TEST_CASE("redis: a consumer in its host's loop handles what comes, and leaves nothing behind when it stops") {
  Armed world;
  pulse::RedisBackend<> bus{url_of(world.server.url())};
  int handled = 0;
  auto handle = pulse::handlers(pulse::on<pulse::FeedbackEvent>([&](const pulse::FeedbackEvent&) { ++handled; }));
  pulse::Readiness ready;
  pulse::ConsumerOptions options;
  options.subscribe = member("one");
  options.loop.wait = 1h;
  options.loop.claim_interval = 1h;
  pulse::Consumer consumer{bus, pulse::FifoWindow{1024}, pulse::NoMetrics{}, handle, options};
  REQUIRE(consumer.start());
  pulse::RedisBackend<> from{url_of(world.server.url())};
  pulse::Publisher publisher{from, "s"};
  int published = 0;
  while (true) {
    const auto report = consumer.poll();
    REQUIRE(report);
    if (report->stopped) {
      break;
    }
    if (handled == published) {
      if (published == 20) {
        consumer.stop();
      } else {
        CHECK(publisher.publish(pulse::FeedbackEvent{.coordinator_id = "a", .queue_size = ++published, .capacity = 100}));
      }
    }
    const auto due = consumer.arm(ready);
    REQUIRE(due);
    if (due->count() > 0) {
      CHECK(readable(ready, patience));
    }
  }
  CHECK(handled == 20);
  CHECK(world.ask({"XPENDING", "s", "g"})[0] == "0");
}

TEST_SUITE_END();
