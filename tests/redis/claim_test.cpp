// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "pipeline.hpp"
#include "redis_world.hpp"

using namespace std::chrono_literals;
using namespace pulse_test;

// How much one round of claiming takes, and of which streams.

TEST_SUITE_BEGIN("redis-server");

namespace {

const std::vector<std::string> many{"a", "b", "c", "d", "e"};

/// Two entries of each stream, taken by a member that is gone.
void abandon(const RedisServer& server, Backend& backend, int each) {
  auto gone = backend.subscribe(member("gone", many));
  REQUIRE(gone);
  for (const std::string& stream : many) {
    for (int i = 0; i < each; ++i) {
      REQUIRE(backend.publish(stream, stream + std::to_string(i)));
    }
  }
  const auto all = gone->receive(100, 0ms);
  REQUIRE(all);
  REQUIRE(all->deliveries.size() == many.size() * static_cast<std::size_t>(each));
  for (const std::string& stream : many) {
    age(server, stream, 1min);
  }
}

}  // namespace

TEST_CASE("redis: a claim of more streams than entries asked for never gives more, and no stream waits for ever") {
  RedisServer server;
  Backend backend{url_of(server.url())};
  abandon(server, backend, 2);
  auto one = backend.subscribe(member("one", many));
  REQUIRE(one);
  std::set<std::string> seen;
  bool more = true;
  for (std::size_t most = 1; more; most = most % 3 + 1) {
    REQUIRE(seen.size() < 11);
    const auto batch = one->claim_stale(30s, most);
    REQUIRE_MESSAGE(batch, batch.error().message);
    CHECK(batch->deliveries.size() <= most);
    for (const auto& delivery : batch->deliveries) {
      CHECK(many[delivery.stream()] == delivery.data().substr(0, 1));
      CHECK(seen.emplace(delivery.data()).second);
    }
    CHECK(one->settle(acks(batch->deliveries.size())));
    more = batch->more;
  }
  CHECK(seen.size() == 10);
  CHECK(one->flush(pulse_test::patience));
  for (const std::string& stream : many) {
    CHECK(cli(server, {"XPENDING", stream, "g"})[0] == "0");
  }
}

TEST_CASE("redis: a stream whose entries are abandoned again and again does not keep those behind it from being claimed") {
  RedisServer server;
  Backend backend{url_of(server.url())};
  abandon(server, backend, 1);
  auto one = backend.subscribe(member("one", many));
  REQUIRE(one);
  std::set<std::string> seen;
  for (int rounds = 0; rounds < 5; ++rounds) {
    const auto batch = one->claim_stale(30s, 1);
    REQUIRE(batch);
    REQUIRE(batch->deliveries.size() == 1);
    seen.emplace(batch->deliveries[0].data());
    age(server, many[batch->deliveries[0].stream()], 1min);  // it was not settled
  }
  CHECK(seen.size() == 5);
}

TEST_CASE("redis: a consumer of more streams than its batch has entries claims them all") {
  RedisServer server;
  Backend direct{url_of(server.url())};
  auto gone = direct.subscribe(member("gone", many));
  REQUIRE(gone);
  for (int i = 0; i < 5; ++i) {
    REQUIRE(direct.publish(many[static_cast<std::size_t>(i)], envelope(i, "")));
  }
  REQUIRE(gone->receive(100, 0ms));
  for (const std::string& stream : many) {
    age(server, stream, 1min);
  }
  auto options = hurried();
  options.subscribe.streams = many;
  options.loop.batch = 1;
  Pipeline pipeline{server.url(), options};
  REQUIRE(pipeline.subscribe());
  pipeline.start();
  CHECK(pipeline.handled(5));
  CHECK(pipeline.stop());
  CHECK(pipeline.twice() == 0);
  for (const std::string& stream : many) {
    CHECK(cli(server, {"XPENDING", stream, "g"})[0] == "0");
  }
}

TEST_SUITE_END();
