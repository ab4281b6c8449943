// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "pipeline.hpp"

using namespace std::chrono_literals;
using namespace pulse_test;
using pulse::ErrorCode;

// A server that runs out of memory or disk, takes long to load, dies in the middle of what it was told, or is a cluster; and poison.

TEST_SUITE_BEGIN("redis-server");

namespace {

/// Lets children that are started meanwhile see a full disk as an error of their writes, not as a signal.
class FileSizeErrors {
 public:
  FileSizeErrors() : before_(std::signal(SIGXFSZ, SIG_IGN)) {}
  ~FileSizeErrors() { std::signal(SIGXFSZ, before_); }

 private:
  void (*before_)(int);
};

/// No file of the process grows beyond this, as on a disk that is full: any user may say so, whereas mounting a small disk is for root.
void limit_files(pid_t pid, rlim_t bytes) {
  const rlimit limit{bytes, RLIM_INFINITY};
  if (::prlimit(pid, RLIMIT_FSIZE, &limit, nullptr) != 0) {
    fail_errno("prlimit");
  }
}

std::uintmax_t largest_file(const std::filesystem::path& directory) {
  std::uintmax_t most = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator{directory}) {
    most = std::max(most, file.is_regular_file() ? file.file_size() : 0);
  }
  return most;
}

/// Waits until the consumer's health names it.
bool says(Pipeline& pipeline, const std::string& word) {
  for (const auto deadline = within(patience); std::chrono::steady_clock::now() < deadline; std::this_thread::sleep_for(1ms)) {
    if (pipeline.health().detail.find(word) != std::string::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("redis outage: the disk is full, the server ends, and it goes on when there is room (appendfsync always)") {
  const FileSizeErrors errors;
  RedisServer server{"appendonly yes", "appendfsync always"};
  FaultProxy proxy{server.port()};
  Pipeline pipeline{proxy.url()};
  pulse::RedisBackend<> direct{url_of(server.unix_url())};
  publish_events(direct, 0, 100);
  const pid_t pid = server.pid();  // while this thread waits for the end of it, the handler's must not ask
  pipeline.on_event([&, pid](int event) {
    if (event == 40) {
      limit_files(pid, largest_file(server.data()) + 100);
    }
  });
  REQUIRE(pipeline.subscribe());
  pipeline.start();
  const auto end = server.wait();
  REQUIRE(end);
  CHECK(end->code == 1);
  CHECK_MESSAGE(server.log().find("Short write while writing to the AOF file") != std::string::npos, server.log());
  const auto before = proxy.counts().connections;
  std::this_thread::sleep_for(500ms);
  CHECK_FALSE(pipeline.health().ready);
  CHECK(proxy.counts().connections - before < 100);  // pauses of up to 50 ms, of two connections
  server.start();
  CHECK(pipeline.handled(100));
  CHECK(settled(server));
  CHECK(pipeline.twice() == 0);
  CHECK(pipeline.stop());
}

TEST_CASE("redis outage: the disk is full, and the server refuses until there is room (MISCONF, appendfsync everysec)") {
  const FileSizeErrors errors;
  RedisServer server{"appendonly yes", "appendfsync everysec"};
  Pipeline pipeline{server.url()};
  pulse::RedisBackend<> direct{url_of(server.unix_url())};
  publish_events(direct, 0, 100);
  pipeline.on_event([&](int event) {
    if (event == 40) {
      limit_files(server.pid(), largest_file(server.data()) + 100);
    }
  });
  REQUIRE(pipeline.subscribe());
  pipeline.start();
  CHECK(says(pipeline, "MISCONF"));
  const auto refused = direct.publish("s", "x");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::unavailable);
  limit_files(server.pid(), RLIM_INFINITY);
  CHECK(pipeline.handled(100));
  CHECK(settled(server));
  CHECK(pipeline.twice() == 0);
  CHECK(pipeline.stop());
}

TEST_CASE("redis outage: a server that takes long to load is waited for (LOADING)") {
  RedisServer server{"appendonly yes", "appendfsync always"};
  Pipeline pipeline{server.url()};
  pulse::RedisBackend<> direct{url_of(server.unix_url())};
  publish_events(direct, 0, 100);
  {
    Cli redis = server.connect();
    CHECK(redis({"EVAL", "for i = 1, 20000 do redis.call('SET', 'key:' .. i, 'x') end", "0"}) == "nil");
  }
  pipeline.on_event([&](int event) {
    if (event == 40) {
      server.kill();
      server.configure("key-load-delay 100");  // microseconds a command: two seconds in all, longer than any pause before an attempt by then
      server.start_without_waiting();
    }
  });
  REQUIRE(pipeline.subscribe());
  pipeline.start();
  CHECK(says(pipeline, "LOADING"));
  CHECK(pipeline.handled(100));
  CHECK(settled(server));
  CHECK(pipeline.twice() == 0);
  CHECK(pipeline.stop());
}

TEST_CASE("redis outage: without memory what was published is read and acked, and nothing new is taken (OOM)") {
  RedisServer server{"maxmemory-policy noeviction"};
  Pipeline pipeline{server.url()};
  pulse::RedisBackend<> direct{url_of(server.unix_url())};
  publish_events(direct, 0, 100);
  REQUIRE(pipeline.subscribe());
  (void)cli(server, {"CONFIG", "SET", "maxmemory", "1"});
  const auto refused = direct.publish("s", "x");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::unavailable);
  CHECK(refused.error().message.find("OOM") != std::string::npos);
  auto other = member("one");
  other.group = "another";
  const auto group = direct.subscribe(other);
  REQUIRE_FALSE(group);
  CHECK(group.error().message.find("OOM") != std::string::npos);
  pipeline.start();
  CHECK(pipeline.handled(100));
  CHECK(settled(server));
  CHECK(pipeline.twice() == 0);
  (void)cli(server, {"CONFIG", "SET", "maxmemory", "0"});
  publish_events(direct, 100, 110);
  CHECK(pipeline.handled(110));
  CHECK(pipeline.stop());
}

TEST_CASE("redis outage: killed in the middle of what it was told, a server leaves the rest unknown: said again under the same ids it is applied once") {
  RedisServer server{"appendonly yes", "appendfsync always"};
  FaultProxy proxy{server.port()};
  std::vector<std::string> events;
  for (int i = 0; i < 100; ++i) {
    events.push_back(envelope(i, "event-" + std::to_string(i)));
  }
  pulse::RedisBackend<> producer{url_of(proxy.url()), hurried_redis()};
  REQUIRE(producer.publish("other", "x"));        // it is connected
  proxy.cut_after(1000, FaultProxy::Cut::reset);  // in the fortieth reply
  const auto published = producer.publish("s", std::span<const std::string>{events});
  REQUIRE_FALSE(published);
  CHECK(published.error().code == ErrorCode::unavailable);
  server.kill();
  server.start();
  CHECK(cli(server, {"XLEN", "s"}).integer >= 40);
  for (bool done = false; !done;) {  // it pauses before it connects again
    done = producer.publish("s", std::span<const std::string>{events}).has_value();
    std::this_thread::sleep_for(1ms);
  }
  CHECK(cli(server, {"XLEN", "s"}).integer > 100);
  Pipeline pipeline{server.url()};
  REQUIRE(pipeline.subscribe());
  pipeline.start();
  CHECK(pipeline.handled(100));
  CHECK(settled(server));
  CHECK(pipeline.twice() == 0);
  CHECK(pipeline.stop());
}

// guarantee 5
TEST_CASE("redis outage: poison is tried as often as allowed, holds nobody up, and becomes one dead letter") {
  RedisServer server;
  Pipeline pipeline{server.url()};
  pulse::RedisBackend<> direct{url_of(server.unix_url())};
  publish_events(direct, 0, 50);
  int tries = 0;
  std::size_t others = 0;
  pipeline.on_event([&](int event) {
    if (event == 7) {
      others = ++tries == 2 ? pipeline.handled() : others;
      throw std::runtime_error("poison");
    }
  });
  REQUIRE(pipeline.subscribe());
  pipeline.start();
  CHECK(pipeline.handled(49));
  CHECK(settled(server));
  CHECK(pipeline.stop());
  CHECK(tries == 5);
  CHECK(others >= 9);  // what followed it was handled before its second try: a retried event comes after its neighbours
  const auto letters = direct.dead_letters("s", {}, 10);
  REQUIRE(letters);
  REQUIRE(letters->size() == 1);
  CHECK(letters->front().deliveries == 5);
  CHECK(letters->front().reason == "failed 5 times, allowed are 5; the last time: poison");
}

namespace {

/// Two nodes of a cluster of which the first has all slots.
struct Cluster {
  static std::vector<std::string> config() {
    return {"cluster-enabled yes", "cluster-port " + std::to_string(free_port()), "cluster-require-full-coverage no", "cluster-node-timeout 60000"};
  }
  std::vector<std::string> first_config = config();
  std::vector<std::string> second_config = config();
  RedisServer first{first_config};
  RedisServer second{second_config};
  std::string second_id = cli(second, {"CLUSTER", "MYID"}).text;

  Cluster() {
    CHECK(cli(first, {"CLUSTER", "ADDSLOTSRANGE", "0", "16383"}) == "OK");
    CHECK(cli(first, {"CLUSTER", "MEET", "127.0.0.1", std::to_string(second.port()), second_config[1].substr(13)}) == "OK");
    until(first, "NODES", second_id);
    until(second, "INFO", "cluster_slots_assigned:16384");
    until(first, "INFO", "cluster_state:ok");
  }
  static void until(const RedisServer& node, std::string_view what, const std::string& there) {
    for (const auto deadline = within(patience); cli(node, {"CLUSTER", what}).text.find(there) == std::string::npos;) {
      if (std::chrono::steady_clock::now() > deadline) {
        fail("the cluster does not get together: " + cli(node, {"CLUSTER", what}).text);
      }
      std::this_thread::sleep_for(5ms);
    }
  }
  std::string slot = std::to_string(cli(first, {"CLUSTER", "KEYSLOT", "{p}s"}).integer);
};

}  // namespace

// field bug 23
TEST_CASE("redis outage: a node of a cluster, while it has the slot and while nobody has it; a slot that moves away is named") {
  Cluster cluster;
  Backend backend{url_of(cluster.first.url())};
  auto made = backend.subscribe(member("one", {"{p}s", "{p}t"}));
  REQUIRE_MESSAGE(made, made.error().message);
  auto one = std::move(*made);
  for (const char* const event : {"0", "1", "2"}) {
    REQUIRE(backend.publish("{p}s", event));
  }
  REQUIRE(backend.publish("{p}t", "3"));
  CHECK(text(one.receive(2, 0ms)) == "0:1 3:1 ");
  const std::vector<std::uint32_t> ack{0};
  const std::vector<pulse::DeadLetterItem> letter{{1, "because"}};
  CHECK(one.settle({ack, {}, letter}));
  CHECK(one.flush(pulse_test::patience));
  CHECK(*backend.length("{p}t.dlq") == 1);

  CHECK(cli(cluster.first, {"CLUSTER", "DELSLOTS", cluster.slot}) == "OK");
  auto down = one.receive(2, 0ms);
  REQUIRE_FALSE(down);
  CHECK(down.error().code == ErrorCode::unavailable);
  CHECK_MESSAGE(down.error().message.find("CLUSTERDOWN") != std::string::npos, down.error().message);
  CHECK(cli(cluster.first, {"CLUSTER", "ADDSLOTS", cluster.slot}) == "OK");
  CHECK(text(one.receive(2, 0ms)) == "1:1 ");

  // On its way to the other node: what is still here is read, and a letter whose stream is here and whose DLQ is there waits (TRYAGAIN).
  CHECK(cli(cluster.first, {"DEL", "{p}t.dlq"}) == "1");
  CHECK(cli(cluster.first, {"CLUSTER", "SETSLOT", cluster.slot, "MIGRATING", cluster.second_id}) == "OK");
  const std::vector<pulse::DeadLetterItem> first{{0, "because"}};
  CHECK(one.settle({{}, {}, first}));
  auto torn = one.flush(300ms);
  REQUIRE_FALSE(torn);
  CHECK(torn.error().code == ErrorCode::unavailable);
  CHECK_MESSAGE(torn.error().message.find("TRYAGAIN") != std::string::npos, torn.error().message);
  CHECK(cli(cluster.first, {"CLUSTER", "SETSLOT", cluster.slot, "STABLE"}) == "OK");
  CHECK(one.flush(pulse_test::patience));
  CHECK(*backend.length("{p}s.dlq") == 1);

  std::string word;
  SUBCASE("the slot is the other's (MOVED)") {
    CHECK(cli(cluster.first, {"DEL", "{p}s", "{p}t", "{p}s.dlq"}) == "3");
    CHECK(cli(cluster.first, {"CLUSTER", "SETSLOT", cluster.slot, "NODE", cluster.second_id}) == "OK");
    word = "MOVED";
  }
  SUBCASE("the streams went there before the slot (ASK)") {
    CHECK(cli(cluster.first, {"DEL", "{p}s", "{p}t", "{p}s.dlq"}) == "3");
    CHECK(cli(cluster.first, {"CLUSTER", "SETSLOT", cluster.slot, "MIGRATING", cluster.second_id}) == "OK");
    word = "ASK";
  }
  auto moved = one.receive(2, 0ms);
  REQUIRE_FALSE(moved);
  CHECK(moved.error().code == ErrorCode::denied);
  CHECK_MESSAGE(moved.error().message.find(word) != std::string::npos, moved.error().message);
  CHECK_MESSAGE(moved.error().message.find("redirections of a cluster are not followed") != std::string::npos, moved.error().message);
}

TEST_SUITE_END();
