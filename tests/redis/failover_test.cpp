// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "failover.hpp"
#include "pipeline.hpp"

using namespace std::chrono_literals;
using namespace pulse_test;
using pulse::ErrorCode;

// A server that takes over without the last that the old one was told, or that comes back without it: what was lost is only known to us.

TEST_SUITE_BEGIN("redis-server");

namespace {

std::string last_delivered(const RedisServer& server) { return cli(server, {"XINFO", "GROUPS", "s"})[0][7].text; }

}  // namespace

// field bug 17
TEST_CASE("redis failover: acks and reads that only the old server knew of are undone, and the window absorbs what comes again") {
  Failover world;
  Pipeline pipeline{world.address.url()};
  pulse::RedisBackend<> direct{url_of(world.old.url())};
  publish_events(direct, 0, 200);
  std::string read_by_then;
  pipeline.on_event([&](int event) {
    if (event == 95) {
      world.part();
      CHECK(cli(world.heir, {"XPENDING", "s", "g"})[0] == "10");  // the batch that is being handled; its acks will be lost
      read_by_then = last_delivered(world.heir);
    } else if (event == 145) {
      CHECK(last_delivered(world.old) != read_by_then);  // these reads will be lost
      CHECK(last_delivered(world.heir) == read_by_then);
      world.fall();
    }
  });
  REQUIRE(pipeline.subscribe());
  pipeline.start();
  CHECK(pipeline.handled(200));
  CHECK(settled(world.heir));
  CHECK(pipeline.twice() == 0);
  CHECK(pipeline.stop());
  CHECK(cli(world.heir, {"XLEN", "s.dlq"}) == "0");
}

TEST_CASE("redis failover: an entry is lost and its id given to another event: ids of producers know them apart, ids of entries do not") {
  Failover world;
  Pipeline pipeline{world.address.url()};
  REQUIRE(pipeline.subscribe());
  pipeline.start();
  std::string first = "first";
  std::string second = "second";
  std::size_t handled = 2;
  SUBCASE("with the ids of their producers both are handled") {}
  SUBCASE("without them the second is taken for the first: the limit that is stated") {
    first = second = "";
    handled = 1;
  }
  constexpr const char* id = "9000000000000-1";  // as it comes from a clock that two servers share
  world.part();
  REQUIRE(cli(world.old, {"XADD", "s", id, "data", envelope(1, first)}) == id);
  REQUIRE(pipeline.handled(1));
  world.fall();
  REQUIRE(cli(world.heir, {"XADD", "s", id, "data", envelope(2, second)}) == id);
  const auto read = [&] { return last_delivered(world.heir) == id; };
  for (const auto deadline = within(patience); !read() && std::chrono::steady_clock::now() < deadline;) {
    std::this_thread::sleep_for(2ms);
  }
  CHECK(settled(world.heir));
  CHECK(pipeline.handled() == handled);
  CHECK(pipeline.twice() == 0);
}

TEST_CASE("redis failover: a delivery count falls back to what the replica had heard, no lower: a limit holds a little later") {
  Failover world;
  pulse::ManualClock clock;
  Backend backend{url_of(world.address.url()), {}, clock};
  auto one = backend.subscribe(member("one"));
  REQUIRE(one);
  REQUIRE(backend.publish("s", "poison"));
  const std::vector<pulse::RetryItem> retry{{0, 0ms}};
  for (const char* const counted : {"poison:1 ", "poison:2 ", "poison:3 "}) {
    CHECK(text(one->receive(1, 0ms)) == counted);
    CHECK(one->settle({{}, retry, {}}));
  }
  world.part();
  CHECK(text(one->receive(1, 0ms)) == "poison:4 ");
  CHECK(one->settle({{}, retry, {}}));
  CHECK(text(one->receive(1, 0ms)) == "poison:5 ");
  world.fall();
  std::string again = text(one->receive(1, 0ms));
  for (const auto deadline = within(patience); again.starts_with("error") && std::chrono::steady_clock::now() < deadline;) {
    std::this_thread::sleep_for(2ms);
    again = text(one->receive(1, 0ms));
  }
  CHECK(again == "poison:3 ");
}

TEST_CASE("redis failover: a replica behind the address gives nothing, not even what its pending list says, until it is in charge") {
  Failover world;
  Backend backend{url_of(world.address.url())};
  auto one = backend.subscribe(member("one"));
  auto two = backend.subscribe(member("two"));
  REQUIRE(two);
  REQUIRE(backend.publish("s", "x"));
  CHECK(text(one->receive(1, 0ms)) == "x:1 ");
  world.keep_up();
  std::string word;
  SUBCASE("it follows its master") { word = "READONLY"; }
  SUBCASE("it has lost its master, and does not serve what may be stale") {
    CHECK(cli(world.heir, {"CONFIG", "SET", "replica-serve-stale-data", "no"}) == "OK");
    world.old.kill();
    word = "MASTERDOWN";
  }
  world.address.redirect(world.heir.port());
  world.address.cut();
  for (auto* const member : {&*one, &*two}) {  // one has something pending there, two has nothing
    std::string error;
    for (const auto deadline = within(patience); error.find(word) == std::string::npos && std::chrono::steady_clock::now() < deadline;) {
      const auto batch = member->receive(1, 0ms);
      REQUIRE_FALSE(batch);
      CHECK(batch.error().code == ErrorCode::unavailable);
      error = batch.error().message;
    }
    CHECK_MESSAGE(error.find(word) != std::string::npos, error);
    CHECK_FALSE(backend.health().ready);
  }
  CHECK(cli(world.heir, {"REPLICAOF", "NO", "ONE"}) == "OK");
  CHECK(text(one->receive(1, 0ms)) == "x:1 ");
  CHECK(text(two->receive(1, 0ms)) == "");
  CHECK(backend.health().ready);
}

TEST_CASE("redis failover: the end of the append-only file is lost, and acks with it: what comes again is absorbed") {
  RedisServer server{"appendonly yes", "appendfsync always"};
  FaultProxy proxy{server.port()};
  Pipeline pipeline{proxy.url()};
  pulse::RedisBackend<> direct{url_of(server.unix_url())};
  publish_events(direct, 0, 100);
  REQUIRE(pipeline.subscribe());
  pipeline.start();
  REQUIRE(pipeline.handled(100));
  REQUIRE(settled(server));
  proxy.refuse();
  server.kill();
  std::filesystem::path log;
  for (const auto& file : std::filesystem::directory_iterator{server.data() / "appendonlydir"}) {
    if (file.path().extension() == ".aof" && file.path().string().find(".incr.") != std::string::npos) {
      log = file.path();
    }
  }
  REQUIRE_FALSE(log.empty());
  std::filesystem::resize_file(log, std::filesystem::file_size(log) - 20);  // in the middle of the last ack, a write that the machine did not finish
  server.start();
  CHECK_MESSAGE(server.log().find("Truncating the AOF") != std::string::npos, server.log());
  CHECK(cli(server, {"XPENDING", "s", "g"})[0] == "10");
  proxy.pass();
  pulse::RedisBackend<> again{url_of(server.unix_url())};
  publish_events(again, 100, 120);
  CHECK(pipeline.handled(120));
  CHECK(settled(server));
  CHECK(pipeline.twice() == 0);
  CHECK(pipeline.stop());
}

TEST_SUITE_END();
