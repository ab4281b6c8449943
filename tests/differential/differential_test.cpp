// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../support/redis_server.hpp"
#include "compare.hpp"
#include "mutants.hpp"
#include "pulse/backend/in_memory.hpp"

using namespace std::chrono_literals;
using namespace pulse_test::differential;

namespace {

const pulse_test::RedisServer& server() {
  static const pulse_test::RedisServer one;
  return one;
}

Redis& redis() {
  static Redis one{server().unix_url()};
  return one;
}

template <Bug B>
void find() {
  CAPTURE(static_cast<int>(B));
  const Outcome found = run<Memory<Mutant<B>>, Memory<Mutant<B>>>(redis(), 1, 500);
  CHECK(found.failure.find("in memory: ") != std::string::npos);
}
template <int... B>
void find_all(std::integer_sequence<int, B...>) {
  (find<static_cast<Bug>(B)>(), ...);
}

using Bytes = pulse::InMemoryBackend<std::string, pulse::ManualClock>;

pulse::SubscribeOptions member(std::string consumer) {
  pulse::SubscribeOptions made;
  made.streams = {"s"};
  made.group = "g";
  made.consumer = std::move(consumer);
  return made;
}

/// The same stream, group and entries in memory and on the server: what a difference by design starts from.
struct Both {
  explicit Both(int entries, pulse::InMemoryOptions options = {}) : bus{options, clock}, cli{server().connect()} {
    (void)ask({"DEL", "s"});
    CHECK(ask({"XGROUP", "CREATE", "s", "g", "0", "MKSTREAM"}) == "OK");
    (void)*bus.subscribe(member("one"));
    for (int i = 1; i <= entries; ++i) {
      ids.push_back(*bus.publish("s", std::to_string(i)));
      (void)ask({"XADD", "s", to_string(ids.back()), "data", std::to_string(i)});
    }
  }
  std::string ask(const std::vector<std::string>& line) { return cli(std::vector<std::string_view>(line.begin(), line.end())).str(); }
  std::string pending() { return ask({"XPENDING", "s", "g"}).substr(1, 1); }

  pulse::ManualClock clock;
  Bytes bus;
  pulse_test::Cli cli;
  std::vector<pulse::EntryId> ids;
};

constexpr std::uint32_t first_two[] = {0, 1};
constexpr std::span<const std::uint32_t> first_one{first_two, 1};

}  // namespace

TEST_SUITE_BEGIN("redis-server");

TEST_CASE("in-memory is Redis: random sequences of commands leave the same replies and the same state") {
  const Outcome outcome = run(redis(), 1, 300);
  CHECK(outcome.failure == "");
  CHECK(outcome.steps > 5000);
}

TEST_CASE("in-memory is Redis: the comparison finds each bug") { find_all(std::make_integer_sequence<int, static_cast<int>(last_bug) + 1>{}); }

TEST_CASE("in-memory is Redis: what differs is made as short as it can be, and told so that it can be read") {
  const std::string told = run<Memory<Mutant<Bug::history_is_not_counted>>, Memory<Mutant<Bug::history_is_not_counted>>>(redis(), 1, 500).failure;
  CAPTURE(told);
  CHECK(told.find("--seed ") != std::string::npos);
  CHECK(told.find(" steps to 4:\n  1. ") != std::string::npos);  // group, entry, read, history: none can be left out
  CHECK(told.find(". XGROUP CREATE s g ") != std::string::npos);
  CHECK(told.find(". XADD s ") != std::string::npos);
  CHECK(told.find("\n  3. XREADGROUP GROUP g ") != std::string::npos);
  CHECK(told.find("\n  4. XREADGROUP GROUP g ") != std::string::npos);
  CHECK(told.find("\n     in memory: pending g: ") != std::string::npos);
  CHECK(told.find("/x2\n") > told.find("\n     redis    : pending g: "));
}

TEST_CASE("in-memory differs by design: a former owner's acknowledgement changes nothing, whereas XACK asks for no owner") {
  Both both{1};
  auto slow = *both.bus.subscribe(member("slow"));
  auto fast = *both.bus.subscribe(member("fast"));
  const std::string id = to_string(both.ids[0]);
  REQUIRE(slow.receive(1, 0ms)->deliveries.size() == 1);
  both.clock.advance(60s);
  REQUIRE(fast.claim_stale(30s, 1)->deliveries.size() == 1);
  REQUIRE(slow.settle({first_one, {}, {}}));
  CHECK(fast.state(0)->pending == 1);

  (void)both.ask({"XREADGROUP", "GROUP", "g", "slow", "STREAMS", "s", ">"});
  CHECK(both.ask({"XCLAIM", "s", "g", "fast", "0", id, "JUSTID"}) == '[' + id + ']');
  CHECK(both.ask({"XACK", "s", "g", id}) == "1");
  CHECK(both.pending() == "0");
}

TEST_CASE("in-memory differs by design: own entries from before are not counted again, and what is gone of them is settled") {
  Both both{2};
  const std::string second = to_string(both.ids[1]);
  {
    auto one = *both.bus.subscribe(member("one"));
    REQUIRE(one.receive(2, 0ms)->deliveries.size() == 2);
  }
  REQUIRE(both.bus.erase("s", both.ids[0]));
  auto again = *both.bus.subscribe(member("one"));
  const auto batch = again.receive(2, 0ms);
  REQUIRE(batch->deliveries.size() == 1);
  CHECK(batch->deliveries[0].delivery_count() == 1);
  CHECK(batch->vanished == 1);
  CHECK(again.state(0)->pending == 1);

  (void)both.ask({"XREADGROUP", "GROUP", "g", "one", "STREAMS", "s", ">"});
  (void)both.ask({"XDEL", "s", to_string(both.ids[0])});
  (void)both.ask({"XREADGROUP", "GROUP", "g", "one", "STREAMS", "s", "0"});
  CHECK(both.pending() == "2");
  CHECK(both.ask({"XPENDING", "s", "g", second, second, "1"}).ends_with(", 2]]"));
}

TEST_CASE("in-memory differs by design: a consumer is there from its subscription on, whereas XREADGROUP makes it when it gives something") {
  Both both{0};
  CHECK(both.bus.consumers("s", "g") == std::vector<std::string>{"one"});
  CHECK(both.ask({"XREADGROUP", "GROUP", "g", "one", "STREAMS", "s", ">"}) == "nil");
  CHECK(both.ask({"XINFO", "CONSUMERS", "s", "g"}) == "[]");
}

TEST_CASE("in-memory differs by design: a consumer with entries pending is not removed, whereas DELCONSUMER drops them") {
  Both both{2};
  auto one = *both.bus.subscribe(member("one"));
  REQUIRE(one.receive(2, 0ms)->deliveries.size() == 2);
  CHECK(both.bus.remove_consumer("s", "g", "one").error().code == pulse::ErrorCode::capacity);
  CHECK(one.state(0)->pending == 2);

  (void)both.ask({"XREADGROUP", "GROUP", "g", "one", "STREAMS", "s", ">"});
  CHECK(both.ask({"XGROUP", "DELCONSUMER", "s", "g", "one"}) == "2");
  CHECK(both.pending() == "0");
}

TEST_CASE("in-memory differs by design: who waits to retry an entry does not claim it meanwhile, whereas Redis knows no such wait") {
  Both both{1};
  auto one = *both.bus.subscribe(member("one"));
  REQUIRE(one.receive(1, 0ms)->deliveries.size() == 1);
  const pulse::RetryItem later[] = {{0, 1h}};
  REQUIRE(one.settle({{}, later, {}}));
  both.clock.advance(60s);
  CHECK(one.claim_stale(0ms, 1)->deliveries.empty());

  (void)both.ask({"XREADGROUP", "GROUP", "g", "one", "STREAMS", "s", ">"});
  CHECK(both.ask({"XAUTOCLAIM", "s", "g", "one", "0", "0", "JUSTID"}) == "[0-0, [" + to_string(both.ids[0]) + "], []]");
}

TEST_CASE("in-memory differs by design: the lag does not count what was trimmed unread, whereas that of Redis does for ever") {
  Both both{5};
  auto one = *both.bus.subscribe(member("one"));
  REQUIRE(one.receive(1, 0ms)->deliveries.size() == 1);
  both.bus.trim("s", 1);
  CHECK(one.state(0)->trimmed_unread == 3);
  REQUIRE(one.receive(5, 0ms)->deliveries.size() == 1);
  CHECK(one.state(0)->lag == 0);

  (void)both.ask({"XREADGROUP", "GROUP", "g", "one", "COUNT", "1", "STREAMS", "s", ">"});
  (void)both.ask({"XTRIM", "s", "MAXLEN", "1"});
  (void)both.ask({"XREADGROUP", "GROUP", "g", "one", "STREAMS", "s", ">"});
  CHECK(both.ask({"XINFO", "GROUPS", "s"}).ends_with("lag, 3]]"));
}

TEST_SUITE_END();
