// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <pulse/backend/redrive.hpp>

#include "redis_world.hpp"

using namespace std::chrono_literals;
using namespace pulse_test;
using pulse::EntryId;
using pulse::ErrorCode;

// Entries and replies that are larger than what a client reads.

TEST_SUITE_BEGIN("redis-server");

namespace {

constexpr std::size_t bound = 20'000;

struct SmallReplies {
  RedisServer server{};
  Backend backend{
      url_of(server.url()), {}, {}, [](const pulse::RedisUrl& url) { return std::make_unique<pulse::SocketClient>(url, pulse::SocketClientOptions{bound}); }};
  Backend roomy{url_of(server.url())};

  void publish(const char* stream, const std::string& data) { REQUIRE(roomy.publish(stream, data)); }
};

/// Reads until nothing comes, acks it all, and passes over what is too large for a reply. How long each was: "3 12000 ".
std::string read_all(auto& subscription, std::size_t max, std::size_t& too_large) {
  std::string seen;
  int empty = 0;
  for (int reads = 0; empty < 3; ++reads) {
    REQUIRE(reads < 1000);
    const auto batch = subscription.receive(max, 0ms);
    if (!batch) {
      REQUIRE_MESSAGE(batch.error().code == ErrorCode::capacity, batch.error().message);
      continue;
    }
    too_large += batch->too_large;
    for (const auto& delivery : batch->deliveries) {
      seen += std::to_string(delivery.data().size()) + ' ';
    }
    CHECK(subscription.settle(acks(batch->deliveries.size())));
    empty = batch->deliveries.empty() && batch->too_large == 0 ? empty + 1 : 0;
  }
  return seen;
}

}  // namespace

TEST_CASE("redis oversize: of several streams, the one that had what is gone, or is too large, is told") {
  SmallReplies world;
  auto wanted = member("one");
  wanted.streams = {"s", "t"};
  REQUIRE(world.backend.subscribe(wanted));
  world.publish("t", std::string(30'000, 'x'));
  world.publish("s", "gone");
  REQUIRE(world.roomy.subscribe(wanted)->receive(10, 0ms));
  (void)cli(world.server, {"XTRIM", "s", "MAXLEN", "0"});
  auto one = world.backend.subscribe(wanted);
  REQUIRE(one);
  std::string missed;
  for (int reads = 0; reads < 10; ++reads) {
    const auto batch = one->receive(10, 0ms);
    CHECK((!batch || batch->missed.empty() == (batch->vanished + batch->too_large == 0)));
    for (std::size_t i = 0; batch && i < batch->missed.size(); ++i) {
      const auto& of = batch->missed[i];
      missed += of.vanished + of.too_large == 0 ? "" : std::to_string(i) + ": " + std::to_string(of.vanished) + " and " + std::to_string(of.too_large) + "; ";
    }
  }
  CHECK(missed.find("0: 1 and 0; ") != std::string::npos);
  CHECK(missed.find("1: 0 and 1; ") != std::string::npos);
  CHECK(missed.size() == 24);
}

// guarantee 4
TEST_CASE("redis oversize: an entry that no reply can hold becomes a dead letter with its data, and what follows it is read") {
  SmallReplies world;
  const std::string large(30'000, 'x');
  auto wanted = member("one");
  REQUIRE(world.backend.subscribe(wanted));
  world.publish("s", "one");
  world.publish("s", large);
  world.publish("s", "three");
  SUBCASE("it is new") {}
  SUBCASE("it was pending before a restart") { REQUIRE(world.roomy.subscribe(wanted)->receive(10, 0ms)); }
  SUBCASE("it was pending before a restart, and recoveries count") {
    REQUIRE(world.roomy.subscribe(wanted)->receive(10, 0ms));
    wanted.count_recoveries = true;
  }
  auto one = world.backend.subscribe(wanted);
  REQUIRE(one);
  std::size_t too_large = 0;
  CHECK(read_all(*one, 10, too_large) == "3 5 ");
  CHECK(too_large == 1);
  CHECK(one->flush(pulse_test::patience));
  CHECK(cli(world.server, {"XPENDING", "s", "g"})[0] == "0");
  const auto letters = world.roomy.dead_letters("s", EntryId::min(), 10);
  REQUIRE(letters);
  REQUIRE(letters->size() == 1);
  const pulse::DeadLetter& letter = letters->front();
  CHECK(letter.data == large);
  CHECK(letter.group == "g");
  CHECK(letter.consumer == "one");
  CHECK(letter.deliveries == 1);
  CHECK(to_string(letter.original_id) == cli(world.server, {"XRANGE", "s", "-", "+"})[1][0].text);
  CHECK_MESSAGE(letter.reason.find("too large: a reply of 30") == 0, letter.reason);
  CHECK_MESSAGE(letter.reason.find("at most 20000") != std::string::npos, letter.reason);
}

// guarantee 4
TEST_CASE("redis oversize: abandoned by one member, it does not hold up the next that claims it") {
  SmallReplies world;
  REQUIRE(world.roomy.subscribe(member("gone")));
  world.publish("s", std::string(30'000, 'x'));
  world.publish("s", "two");
  REQUIRE(world.roomy.subscribe(member("gone"))->receive(10, 0ms));
  age(world.server, "s", 1min);
  auto one = world.backend.subscribe(member("one"));
  REQUIRE(one);
  std::size_t too_large = 0;
  CHECK(read_all(*one, 10, too_large) == "");
  const auto claimed = one->claim_stale(30s, 10);
  REQUIRE_FALSE(claimed);
  CHECK(claimed.error().code == ErrorCode::capacity);
  CHECK(read_all(*one, 10, too_large) == "3 ");
  CHECK(too_large == 1);
  CHECK(one->flush(pulse_test::patience));
  CHECK(cli(world.server, {"XPENDING", "s", "g"})[0] == "0");
  CHECK(cli(world.server, {"XLEN", "s.dlq"}) == "1");
}

TEST_CASE("redis oversize: around the bound every entry is read or becomes a letter") {
  SmallReplies world;
  auto one = world.backend.subscribe(member("one"));
  REQUIRE(one);
  std::size_t read = 0;
  std::size_t too_large = 0;
  for (std::size_t size = bound - 120; size < bound; size += 3) {
    world.publish("s", std::string(size, 'x'));
    read += read_all(*one, 1, too_large).empty() ? 0U : 1U;
  }
  CHECK(read + too_large == 40);
  CHECK(read > 10);
  CHECK(too_large > 10);
  CHECK(world.roomy.dead_letters("s", EntryId::min(), 100)->size() == too_large);
}

TEST_CASE("redis oversize: entries that only together are too large for a reply are all read") {
  SmallReplies world;
  std::vector<std::string> streams{"a", "b", "c"};
  auto wanted = member("one", streams);
  auto one = world.backend.subscribe(wanted);
  REQUIRE(one);
  for (const std::string& stream : streams) {
    world.publish(stream.c_str(), std::string(12'000, 'x'));
    world.publish(stream.c_str(), std::string(11'000, 'x'));
  }
  std::size_t too_large = 0;
  CHECK(read_all(*one, 6, too_large).size() == 6 * std::string{"12000 "}.size());
  CHECK(too_large == 0);
  CHECK(one->flush(pulse_test::patience));
  for (const std::string& stream : streams) {
    CHECK(cli(world.server, {"XPENDING", stream, "g"})[0] == "0");
    CHECK(cli(world.server, {"XLEN", stream + ".dlq"}) == "0");
  }
}

TEST_CASE("redis oversize: without the field that holds data, the letter has all it had, as JSON") {
  SmallReplies world;
  auto one = world.backend.subscribe(member("one"));
  REQUIRE(one);
  const std::string large(30'000, 'x');
  (void)cli(world.server, {"XADD", "s", "*", "a\"b", "tab\there \\", "large", large});
  std::size_t too_large = 0;
  CHECK(read_all(*one, 10, too_large) == "");
  CHECK(too_large == 1);
  CHECK(world.roomy.dead_letters("s", EntryId::min(), 10)->at(0).data == R"({"a\"b":"tab\u0009here \\","large":")" + large + "\"}");
}

TEST_CASE("redis oversize: without memory for the copy it stays pending") {
  SmallReplies world;
  auto one = world.backend.subscribe(member("one"));
  REQUIRE(one);
  world.publish("s", std::string(30'000, 'x'));
  REQUIRE_FALSE(one->receive(10, 0ms));
  (void)cli(world.server, {"CONFIG", "SET", "maxmemory", "1"});
  const auto refused = one->receive(10, 0ms);
  REQUIRE_FALSE(refused);
  CHECK_MESSAGE(refused.error().message.find("OOM") != std::string::npos, refused.error().message);
  CHECK(cli(world.server, {"XPENDING", "s", "g"})[0] == "1");
  (void)cli(world.server, {"CONFIG", "SET", "maxmemory", "0"});
  std::size_t too_large = 0;
  CHECK(read_all(*one, 10, too_large) == "");
  CHECK(too_large == 1);
  CHECK(cli(world.server, {"XPENDING", "s", "g"})[0] == "0");
}

TEST_CASE("redis oversize: letters that only together are too large for a reply are all listed, a few at a time, and brought back") {
  SmallReplies world;
  for (int i = 0; i < 9; ++i) {
    (void)cli(world.server, {"XADD", "s.dlq", "*", "original_id", "1-" + std::to_string(i), "data", std::string(6'000, 'x')});
  }
  const auto some = world.backend.dead_letters("s", EntryId::min(), 9);
  REQUIRE(some);
  CHECK(some->size() == 3);
  std::string listed;
  REQUIRE(pulse::each_dead_letter(world.backend, "s", {}, [&](const pulse::DeadLetter& letter) {
    listed += to_string(letter.original_id) + ' ';
    return letter.data.size() == 6'000;
  }));
  CHECK(listed == "1-0 1-1 1-2 1-3 1-4 1-5 1-6 1-7 1-8 ");
  CHECK(pulse::redrive(world.backend, "s").redriven == 9);
  CHECK(cli(world.server, {"XLEN", "s.dlq"}) == "0");
}

TEST_CASE("redis oversize: a letter that no reply can hold is listed without its data, and keeps none behind it from being listed, redriven and purged") {
  SmallReplies world;
  const auto add = [&](const std::string& number, std::size_t size) {
    (void)cli(world.server, {"XADD", "s.dlq", "*", "original_id", "1-" + number, "reason", "because", "data", std::string(size, 'x'), "group", "g", "consumer",
                             "one", "deliveries", "3", "failed_at", "17.5"});
  };
  add("1", 10);
  add("2", 30'000);
  add("3", 11'000);
  add("4", 11'000);
  add("5", 10);
  std::string listed;
  REQUIRE(pulse::each_dead_letter(world.backend, "s", {}, [&](const pulse::DeadLetter& letter) {
    listed += to_string(letter.original_id) + ' ' + std::to_string(letter.data.size()) + '+' + std::to_string(letter.left_out) + ", ";
    CHECK(letter.reason == "because");
    CHECK(letter.group == "g");
    CHECK(letter.consumer == "one");
    CHECK(letter.deliveries == 3);
    CHECK(letter.failed_at == 17.5);
    return true;
  }));
  CHECK(listed == "1-1 10+0, 1-2 0+30000, 1-3 11000+0, 1-4 11000+0, 1-5 10+0, ");
  SUBCASE("redriven") {
    CHECK(pulse::redrive(world.backend, "s").redriven == 5);
    CHECK(cli(world.server, {"XRANGE", "s", "-", "+"})[1][1][1].text.size() == 30'000);
  }
  SUBCASE("purged") { CHECK(*pulse::purge(world.backend, "s", {}) == 5); }
  CHECK(cli(world.server, {"XLEN", "s.dlq"}) == "0");
}

TEST_CASE("redis oversize: around the bound every letter is listed, whole or without its data, and so is one whose reason or other fields are large") {
  SmallReplies world;
  std::size_t whole = 0;
  std::size_t size = bound - 220;
  for (; size < bound; size += 5) {
    (void)cli(world.server, {"DEL", "s.dlq"});
    (void)cli(world.server, {"XADD", "s.dlq", "*", "original_id", "1-1", "data", std::string(size, 'x')});
    const auto letters = world.backend.dead_letters("s", EntryId::min(), 10);
    REQUIRE_MESSAGE(letters, letters.error().message);
    REQUIRE(letters->size() == 1);
    whole += letters->front().left_out == 0 ? 1U : 0U;
    CHECK(letters->front().data.size() + letters->front().left_out == size);
  }
  CHECK(whole > 10);
  CHECK(whole < 44);
  (void)cli(world.server, {"DEL", "s.dlq"});
  (void)cli(world.server, {"XADD", "s.dlq", "*", "reason", std::string(30'000, 'r'), "other", std::string(30'000, 'o'), "data", "x"});
  const auto letters = world.backend.dead_letters("s", EntryId::min(), 10);
  REQUIRE_MESSAGE(letters, letters.error().message);
  REQUIRE(letters->size() == 1);
  CHECK(letters->front().reason == std::string(500, 'r'));
  CHECK(letters->front().left_out == 59'501);
}

TEST_CASE("redis oversize: such letters can be redriven over the client that could not read them, and come back as letters") {
  SmallReplies world;
  auto one = world.backend.subscribe(member("one"));
  REQUIRE(one);
  world.publish("s", std::string(30'000, 'x'));
  std::size_t too_large = 0;
  CHECK(read_all(*one, 10, too_large) == "");
  for (int times = 0; times < 3; ++times) {  // at once, too: the server is not taken for lost
    const auto listed = world.backend.dead_letters("s", EntryId::min(), 10);
    REQUIRE(listed);
    REQUIRE(listed->size() == 1);
    CHECK(listed->front().left_out == 30'000);
    CHECK(listed->front().reason.find("too large") == 0);
    CHECK(world.backend.publish("s", "small"));
  }
  CHECK(world.backend.redrive("s", world.backend.dead_letters("s", EntryId::min(), 10)->front().id));
  CHECK(cli(world.server, {"XLEN", "s.dlq"}) == "0");
  CHECK(read_all(*one, 10, too_large) == "5 5 5 ");
  CHECK(too_large == 2);
  CHECK(cli(world.server, {"XLEN", "s.dlq"}) == "1");
}

TEST_SUITE_END();
