// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <pulse/dedup/no_dedup.hpp>
#include <pulse/metrics/prometheus.hpp>
#include <pulse/metrics/prometheus_text.hpp>

#include "../support/scripted_server.hpp"
#include "pipeline.hpp"

using namespace std::chrono_literals;
using namespace pulse_test;
using pulse::ErrorCode;

// What networks and servers do to a running consumer: nothing is lost, nothing is applied twice, and it says what it sees.

TEST_SUITE_BEGIN("redis-server");

namespace {

/// Two hundred events, with a fault after the first forty, and then now and again unless there is something to mend.
void survives(RedisServer& server, Pipeline& pipeline, const std::function<void()>& fault, const std::function<void()>& mend = {}) {
  pulse::RedisBackend<> direct{url_of(server.unix_url())};
  publish_events(direct, 0, 200);
  std::atomic<int> faults{0};
  pipeline.on_event([&](int event) {
    if (event % 60 == 40 && faults < (mend ? 1 : 3)) {
      ++faults;
      fault();
    }
  });
  REQUIRE(pipeline.subscribe());
  pipeline.start();
  (void)pipeline.handled(41);
  if (mend) {
    mend();
  }
  CHECK(pipeline.handled(200));
  CHECK(settled(server));
  CHECK(faults > 0);
  CHECK(pipeline.twice() == 0);
  CHECK(pipeline.stop());
  CHECK(cli(server, {"XLEN", "s.dlq"}) == "0");
}

}  // namespace

// field bug 15
TEST_CASE("redis fault: connections are cut") {
  RedisServer server;
  FaultProxy proxy{server.port()};
  Pipeline pipeline{proxy.url()};
  SUBCASE("closed") {
    survives(server, pipeline, [&] { proxy.cut(); });
  }
  SUBCASE("reset") {
    survives(server, pipeline, [&] { proxy.cut(FaultProxy::Cut::reset); });
  }
  SUBCASE("by the server (CLIENT KILL)") {
    survives(server, pipeline, [&] { (void)cli(server, {"CLIENT", "KILL", "TYPE", "normal"}); });
  }
  CHECK(pipeline.backend().health().reconnects > 0);
}

TEST_CASE("redis fault: a reply is lost, of a read or of an ack, whole or from any byte on") {
  RedisServer server;
  FaultProxy proxy{server.port()};
  Pipeline pipeline{proxy.url()};
  std::size_t bytes = 0;
  SUBCASE("the whole reply") {}
  SUBCASE("after a byte") { bytes = 1; }
  SUBCASE("between the ack's and the read's") { bytes = 4; }
  SUBCASE("in the first entry") { bytes = 100; }
  SUBCASE("in the middle of a batch") { bytes = 1111; }
  survives(server, pipeline, [&] { proxy.cut_after(bytes, FaultProxy::Cut::reset); });
  CHECK(pipeline.backend().health().reconnects > 0);
}

TEST_CASE("redis fault: replies vanish, or nothing goes either way: the wait for them ends (half-open connections)") {
  RedisServer server;
  FaultProxy proxy{server.port()};
  Pipeline pipeline{proxy.url()};
  const auto heal_soon = [&] {
    std::this_thread::sleep_for(300ms);  // beyond the time that a reply may take
    proxy.pass();
  };
  SUBCASE("replies") {
    survives(server, pipeline, [&] { proxy.drop_replies(); }, heal_soon);
  }
  SUBCASE("everything") {
    survives(server, pipeline, [&] { proxy.drop_all(); }, heal_soon);
  }
}

TEST_CASE("redis fault: a slow network, one byte at a time") {
  RedisServer server;
  FaultProxy proxy{server.port()};
  pulse::RedisOptions patient;
  Pipeline pipeline{proxy.url(), hurried(), patient};
  SUBCASE("in pieces") { proxy.split(97, 50us); }
  SUBCASE("late") { proxy.delay(5ms); }
  survives(server, pipeline, [] {});
  CHECK(pipeline.backend().health().reconnects == 0);
}

TEST_CASE("redis fault: the server stands still, and its late replies are nobody's (SIGSTOP)") {
  RedisServer server;
  Pipeline pipeline{server.url()};
  survives(
      server, pipeline, [&] { server.pause(); },
      [&] {
        std::this_thread::sleep_for(500ms);
        CHECK_FALSE(pipeline.backend().health().ready);
        CHECK_FALSE(pipeline.health().ready);
        server.resume();
      });
  CHECK(pipeline.backend().health().ready);
}

TEST_CASE("redis fault: the server is killed and comes back with what it had written (SIGKILL, appendonly)") {
  RedisServer server{"appendonly yes", "appendfsync always"};
  Pipeline pipeline{server.url()};
  survives(
      server, pipeline, [&] { ::kill(server.pid(), SIGKILL); },
      [&] {
        std::this_thread::sleep_for(100ms);
        server.restart();
      });
}

// field bug 2
TEST_CASE("redis fault: the group is gone, and a policy says what then") {
  const std::vector<std::pair<const char*, std::function<void(RedisServer&)>>> ways{
      {"the server comes back empty", [](RedisServer& server) { server.restart_empty(); }},
      {"it is flushed under a read that waits (UNBLOCKED)", [](RedisServer& server) { (void)cli(server, {"FLUSHALL"}); }},
      {"the stream is deleted", [](RedisServer& server) { (void)cli(server, {"DEL", "s"}); }},
      {"the group alone (NOGROUP)", [](RedisServer& server) { (void)cli(server, {"XGROUP", "DESTROY", "s", "g"}); }}};
  for (const auto& [name, lose] : ways) {
    CAPTURE(name);
    for (const bool goes_on : {false, true}) {
      CAPTURE(goes_on);
      RedisServer server;
      auto options = hurried();
      if (goes_on) {
        options.loop.group_lost = pulse::engine::GroupLost::recreate_at_beginning;
      }
      Pipeline pipeline{server.url(), options};
      pulse::RedisBackend<> direct{url_of(server.url())};
      publish_events(direct, 0, 20);
      REQUIRE(pipeline.subscribe());
      pipeline.start();
      REQUIRE(pipeline.handled(20));
      lose(server);
      if (goes_on) {
        pulse::RedisBackend<> again{url_of(server.url())};
        publish_events(again, 20, 40);
        CHECK(pipeline.handled(40));
        CHECK(settled(server));
        CHECK(pipeline.twice() == 0);
        CHECK(pipeline.stop());
      } else {
        const auto ended = pipeline.ended();
        REQUIRE_FALSE(ended);
        CHECK(ended.error().code == ErrorCode::no_group);
        CHECK_MESSAGE(ended.error().message.find("NOGROUP") != std::string::npos, ended.error().message);
      }
    }
  }
}

TEST_CASE("redis fault: replies larger than the server lets gather: less is asked for at a time") {
  RedisServer server{"client-output-buffer-limit normal 300kb 0 0"};
  ScriptedServer front{server.port()};  // notes what is asked
  pulse::RedisBackend<> direct{url_of(server.url())};
  publish_events(direct, 0, 40, std::string(100'000, 'x'));
  Pipeline pipeline{front.url()};
  REQUIRE(pipeline.subscribe());
  pipeline.start();
  CHECK(pipeline.handled(40));
  CHECK(settled(server));
  CHECK(pipeline.twice() == 0);
  CHECK(pipeline.backend().health().reconnects > 0);
  const auto asked_for = [&](const std::string& count) {  // by a read, or by the script that recovers what was pending
    std::size_t times = 0;
    for (const std::string& command : front.transcript()) {
      times += (command.starts_with("XREADGROUP") && command.find(" COUNT " + count + ' ') != std::string::npos) ||
                       (command.starts_with("EVALSHA") && command.find(" g one 0-0 ") != std::string::npos && command.ends_with(' ' + count + " 0"))
                   ? 1
                   : 0;
    }
    return times;
  };
  CHECK(asked_for("10") >= 2);
  CHECK(asked_for("10") <= 3);  // not for ever: the first page of its own, a read, and the page that has what the read's reply held
  CHECK(asked_for("5") >= 1);
  CHECK(asked_for("2") >= 1);
}

TEST_CASE("redis fault: what the server refuses for a while is tried again, and shows meanwhile") {
  RedisServer server;
  std::function<void()> refuse;
  std::function<void()> relent;
  std::string word;
  SUBCASE("a replica (READONLY)") {
    refuse = [&] { (void)cli(server, {"REPLICAOF", "127.0.0.1", "1"}); };
    relent = [&] { (void)cli(server, {"REPLICAOF", "NO", "ONE"}); };
    word = "READONLY";
  }
  SUBCASE("without the replicas it wants (NOREPLICAS)") {
    refuse = [&] { (void)cli(server, {"CONFIG", "SET", "min-replicas-to-write", "1"}); };
    relent = [&] { (void)cli(server, {"CONFIG", "SET", "min-replicas-to-write", "0"}); };
    word = "NOREPLICAS";
  }
  SUBCASE("held up by a script (BUSY)") {
    (void)cli(server, {"CONFIG", "SET", "busy-reply-threshold", "1"});
    refuse = [&] { server.connect().send({"EVAL", "while true do end", "0"}); };
    relent = [&] {
      while (!(cli(server, {"SCRIPT", "KILL"}) == "OK")) {
        std::this_thread::sleep_for(5ms);
      }
    };
    word = "BUSY";
  }
  SUBCASE("out of connections") {
    refuse = [&] {
      (void)cli(server, {"CONFIG", "SET", "maxclients", "1"});
      (void)cli(server, {"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    };
    word = "max number of clients";
  }
  SUBCASE("that cannot save (MISCONF)") {
    const auto in_the_way = server.data() / "dump.rdb" / "x";  // a directory of this name: the file cannot take its place, whoever runs this
    (void)cli(server, {"CONFIG", "SET", "save", "3600 1000000"});
    refuse = [&server, in_the_way] {
      std::filesystem::create_directories(in_the_way);
      (void)cli(server, {"BGSAVE"});
    };
    relent = [&server, in_the_way] {
      std::filesystem::remove_all(in_the_way.parent_path());
      (void)cli(server, {"BGSAVE"});
    };
    word = "MISCONF";
  }
  Cli held = server.connect();  // for the last: who has a connection keeps it
  (void)held({"PING"});
  if (!relent) {
    refuse = [&] {
      (void)held({"CONFIG", "SET", "maxclients", "1"});
      (void)held({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    };
    relent = [&] { (void)held({"CONFIG", "SET", "maxclients", "100"}); };
  }
  pulse::RedisBackend<> direct{url_of(server.url())};
  publish_events(direct, 0, 100);
  Pipeline pipeline{server.url()};
  std::atomic<bool> refused{false};
  pipeline.on_event([&](int event) {
    if (event == 40 && !refused.exchange(true)) {
      refuse();
    }
  });
  REQUIRE(pipeline.subscribe());
  pipeline.start();
  std::string seen;
  for (const auto deadline = within(patience); seen.find(word) == std::string::npos && std::chrono::steady_clock::now() < deadline;) {
    seen = pipeline.health().detail;
    std::this_thread::sleep_for(1ms);
  }
  CHECK_MESSAGE(seen.find(word) != std::string::npos, seen);
  relent();
  CHECK(pipeline.handled(100));
  CHECK(settled(server));
  CHECK(pipeline.twice() == 0);
  CHECK(pipeline.stop());
}

TEST_CASE("redis fault: replies that are errors, from a server that says them once") {
  RedisServer server;
  ScriptedServer scripted{server.port()};
  pulse::RedisBackend<> direct{url_of(server.url())};
  publish_events(direct, 0, 60);
  Pipeline pipeline{scripted.url()};
  std::string reply;
  SUBCASE("LOADING") { reply = "-LOADING Redis is loading the dataset in memory\r\n"; }
  SUBCASE("MASTERDOWN") { reply = "-MASTERDOWN Link with MASTER is down\r\n"; }
  SUBCASE("MISCONF") { reply = "-MISCONF Redis is configured to save RDB snapshots\r\n"; }
  SUBCASE("TRYAGAIN") { reply = "-TRYAGAIN Multiple keys request during rehashing of slot\r\n"; }
  SUBCASE("CLUSTERDOWN") { reply = "-CLUSTERDOWN The cluster is down\r\n"; }
  SUBCASE("NOSCRIPT, after a SCRIPT FLUSH") { reply = "-NOSCRIPT No matching script.\r\n"; }
  SUBCASE("an error that nobody knows") { reply = "-WHATEVER it is\r\n"; }
  // What is no reply to this command, or no reply at all.
  SUBCASE("a number") { reply = ":1\r\n"; }
  SUBCASE("an empty array of entries") { reply = "*1\r\n*2\r\n$1\r\ns\r\n:7\r\n"; }
  SUBCASE("another stream") { reply = "*1\r\n*2\r\n$1\r\nx\r\n*0\r\n"; }
  SUBCASE("an id that is none") { reply = "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-x\r\n*2\r\n$4\r\ndata\r\n$1\r\nx\r\n"; }
  SUBCASE("a name without a value") { reply = "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*1\r\n$4\r\ndata\r\n"; }
  SUBCASE("a text of half a gigabyte") { reply = "$536870912\r\n"; }
  SUBCASE("an array of two billion") { reply = "*2000000000\r\n"; }
  SUBCASE("arrays in arrays") {
    for (int i = 0; i < 1000; ++i) {
      reply += "*1\r\n";
    }
    reply += ":1\r\n";
  }
  SUBCASE("no RESP") { reply = "hello\r\n"; }
  scripted.once("XREADGROUP", {reply});
  if (!reply.starts_with(":")) {  // to this command that is a reply, and believed
    scripted.once("XACK", {reply});
  }
  REQUIRE(pipeline.subscribe());
  pipeline.start();
  CHECK(pipeline.handled(60));
  CHECK(settled(server));
  CHECK(pipeline.twice() == 0);
  CHECK(pipeline.backend().health().reconnects > 0);
}

TEST_CASE("redis fault: what is refused for good ends the consumer with its name, and is not tried again") {
  RedisServer server;
  ScriptedServer scripted{server.port()};
  Pipeline pipeline{scripted.url()};
  std::string reply;
  std::string words;
  SUBCASE("MOVED") {
    reply = "-MOVED 3999 127.0.0.1:6381\r\n";
    words = "redirections of a cluster are not followed: connect to the node that has the slot";
  }
  SUBCASE("NOPERM") {
    reply = "-NOPERM this user has no permissions to run the 'xreadgroup' command\r\n";
    words = "XREADGROUP at 127.0.0.1:" + std::to_string(scripted.port()) + ": NOPERM";
  }
  SUBCASE("WRONGTYPE") {
    reply = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    words = "WRONGTYPE";
  }
  SUBCASE("CROSSSLOT") {
    reply = "-CROSSSLOT Keys in request don't hash to the same slot\r\n";
    words = "only where their keys share a {hash tag}";
  }
  scripted.on("XREADGROUP", {{reply}});
  REQUIRE(pipeline.subscribe());
  pipeline.start();
  const auto ended = pipeline.ended();
  REQUIRE_FALSE(ended);
  CHECK(ended.error().code == ErrorCode::denied);
  CHECK_MESSAGE(ended.error().message.find(words) != std::string::npos, ended.error().message);
}

TEST_CASE("redis fault: however often the connection is lost, a recovery that counts is counted once for each start") {
  RedisServer server;
  pulse::ManualClock clock;
  Backend backend{url_of(server.url()), {}, clock};
  auto wanted = member("one");
  auto before = backend.subscribe(wanted);
  REQUIRE(before);
  for (const char* const event : {"a", "b", "c", "d"}) {
    REQUIRE(backend.publish("s", event));
  }
  CHECK(text(before->receive(10, 0ms)) == "a:1 b:1 c:1 d:1 ");
  wanted.count_recoveries = true;
  auto one = backend.subscribe(wanted);
  REQUIRE(one);
  CHECK(text(one->receive(10, 0ms)) == "a:2 ");
  const std::vector<pulse::RetryItem> retry{{0, 100s}};
  CHECK(one->settle({{}, retry, {}}));
  CHECK(text(one->receive(10, 0ms)) == "b:2 ");
  const auto after_a_loss = [&] {
    CHECK(cli(server, {"CLIENT", "KILL", "TYPE", "normal"}).integer > 0);
    CHECK_FALSE(one->receive(10, 0ms));
    return text(one->receive(10, 0ms));
  };
  for (int losses = 0; losses < 3; ++losses) {
    CHECK(after_a_loss() == "b:2 ");
  }
  CHECK(one->settle(acks(1)));
  CHECK(text(one->receive(10, 0ms)) == "c:2 ");  // what was not tried yet is counted
  CHECK(one->settle(acks(1)));
  CHECK(text(one->receive(10, 0ms)) == "d:2 ");
  CHECK(after_a_loss() == "d:2 ");  // c's ack is said again, and it does not come
  CHECK(one->settle(acks(1)));
  CHECK(text(one->receive(10, 0ms)) == "");
  clock.advance(100s);
  CHECK(text(one->receive(10, 0ms)) == "a:3 ");  // its retry
}

// field bug 16
TEST_CASE("redis fault: never a storm: what is asked while the server is down, and while there is nothing, is bounded") {
  RedisServer server;
  FaultProxy proxy{server.port()};
  auto options = hurried();
  options.loop.error_base = 50ms;
  options.loop.error_cap = 5000ms;
  options.loop.wait = 1000ms;
  options.loop.claim_interval = 5000ms;
  Pipeline pipeline{proxy.url(), options};
  REQUIRE(pipeline.subscribe());
  pipeline.start();
  SUBCASE("idle") {
    (void)proxy.wait([](const auto& counts) { return counts.commands >= 12; }, within(2s));  // it has begun
    const auto before = proxy.counts().commands;
    std::this_thread::sleep_for(2s);
    CHECK(proxy.counts().commands - before <= 8);  // a read a second, a round of claiming
  }
  SUBCASE("down") {
    pulse::RedisBackend<> publisher{url_of(proxy.url())};
    REQUIRE(publisher.publish("s", "x"));
    proxy.drop_all();
    proxy.cut();
    const auto before = proxy.counts().connections;
    std::size_t refusals = 0;
    for (const auto until = within(2s); std::chrono::steady_clock::now() < until; std::this_thread::sleep_for(100us)) {
      refusals += publisher.publish("s", "x") ? 0 : 1;  // as fast as it can
    }
    CHECK(refusals > 0);  // how many, the jitter decides: an attempt that hangs takes all the time there is
    CHECK(proxy.counts().connections - before <= 40);
  }
}

TEST_CASE("redis fault: of two consumers of one backend one counts a connection that was made anew") {
  RedisServer server;
  FaultProxy proxy{server.port()};
  pulse::RedisBackend<> backend{url_of(proxy.url())};
  pulse::PrometheusMetrics metrics;
  auto handler = pulse::handlers(pulse::on<pulse::FeedbackEvent>([](const pulse::FeedbackEvent&) {}));
  auto options = hurried();
  options.loop.claim_interval = 10ms;
  auto other = options;
  options.subscribe.streams = {"s"};
  other.subscribe.streams = {"t"};
  pulse::Consumer one{backend, pulse::NoDedup{}, metrics, handler, options};
  pulse::Consumer two{backend, pulse::NoDedup{}, metrics, handler, other};
  const auto poll = [&](auto done) {
    for (const auto until = within(patience); !done() && std::chrono::steady_clock::now() < until;) {
      for (auto* const consumer : {&one, &two}) {
        const auto polled = consumer->poll(1ms);
        REQUIRE_MESSAGE(polled, polled.error().message);
        std::this_thread::sleep_for(polled->pause);
      }
    }
  };
  int rounds = 0;
  poll([&] { return ++rounds == 3; });
  proxy.cut();
  poll([&] { return backend.health().reconnects >= 2; });
  rounds = 0;
  poll([&] { return ++rounds == 100; });
  CHECK(pulse::prometheus_text(metrics).find("\npulse_reconnects_total " + std::to_string(backend.health().reconnects) + "\n") != std::string::npos);
}

// field bug 13
TEST_CASE("redis fault: a stop returns within its deadline, whatever the server does") {
  RedisServer server;
  auto options = hurried();
  options.loop.drain_deadline = 300ms;
  Pipeline pipeline{server.url(), options};
  pulse::RedisBackend<> direct{url_of(server.url())};
  publish_events(direct, 0, 15);
  std::atomic<bool> reached{false};
  std::atomic<bool> released{false};
  pipeline.on_event([&](int event) {
    if (event == 12) {  // in the middle of the second batch
      reached = true;
      while (!released) {
        std::this_thread::sleep_for(1ms);
      }
    }
  });
  REQUIRE(pipeline.subscribe());
  pipeline.start();
  while (!reached) {
    std::this_thread::sleep_for(1ms);
  }
  bool gone = false;
  SUBCASE("it works") {}
  SUBCASE("it stands still") {
    server.pause();
    gone = true;
  }
  SUBCASE("it is gone") {
    server.kill();
    gone = true;
  }
  const auto begin = std::chrono::steady_clock::now();
  std::thread release{[&] {
    std::this_thread::sleep_for(20ms);
    released = true;
  }};
  const auto stopped = pipeline.stop();
  release.join();
  CHECK(std::chrono::steady_clock::now() - begin < patience);
  CHECK(stopped.has_value() == !gone);
  CHECK(pipeline.handled() == 13);  // the one that ran was finished, the next was not begun
  if (!gone) {
    CHECK(cli(server, {"XPENDING", "s", "g"})[0] == "2");
    CHECK(cli(server, {"XLEN", "s.dlq"}) == "0");
  }
  server.resume();
}

TEST_SUITE_END();
