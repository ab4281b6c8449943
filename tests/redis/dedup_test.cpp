// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

#include <pulse/backend/in_memory.hpp>
#include <pulse/control/rate_coordinator.hpp>
#include <pulse/dedup/conformance.hpp>
#include <pulse/dedup/redis_dedup.hpp>

#include "failover.hpp"
#include "pipeline.hpp"

using namespace std::chrono_literals;
using namespace pulse_test;
using pulse::Claim;
using pulse::EventId;

TEST_SUITE_BEGIN("redis-server");

namespace {
pulse::RedisDedup<> shared(const std::string& url, std::string owner = "one", pulse::RedisDedupOptions options = {}) {
  options.owner = std::move(owner);
  options.prefix = "d";
  options.connect_timeout = options.command_timeout = 200ms;
  return pulse::RedisDedup<>{url_of(url), options};
}
EventId id(std::uint64_t n) { return {n, ~n}; }
}  // namespace

TEST_CASE("redis dedup: keeps the laws of a dedup") {
  RedisServer server;
  int run = 0;
  CHECK(pulse::conformance::dedup(
            [&] {
              pulse::RedisDedupOptions options;
              options.owner = "one";
              options.prefix = "run-" + std::to_string(++run);
              return pulse::RedisDedup<>{url_of(server.unix_url()), options};
            },
            {.window = 100}) == "");
  static_assert(pulse::RemoteDedup<pulse::RedisDedup<>>);
}

TEST_CASE("redis dedup: one window for all members; what a member had leased before it was started anew is its own") {
  RedisServer server;
  auto one = shared(server.url(), "one");
  auto two = shared(server.url(), "two");
  CHECK(one.claim(id(1)) == Claim::fresh);
  CHECK(one.claim(id(2)) == Claim::fresh);
  CHECK(two.claim(id(1)) == Claim::leased);
  one.commit(id(1));
  one.release(id(2));
  CHECK(two.claim(id(1)) == Claim::leased);  // it was not said yet
  CHECK(one.flush(pulse_test::patience));
  CHECK(two.claim(id(1)) == Claim::done);
  CHECK(two.claim(id(2)) == Claim::fresh);
  CHECK(one.claim(id(2)) == Claim::leased);
  auto again = shared(server.url(), "two");
  CHECK(again.claim(id(2)) == Claim::fresh);
  again.commit(id(2));
  CHECK(again.flush(pulse_test::patience));
  CHECK(one.claim(id(2)) == Claim::done);
}

TEST_CASE("redis dedup: members are told apart by the names of their consumers, and by what the options say before these") {
  RedisServer server;
  auto one = shared(server.url(), "");
  auto two = shared(server.url(), "");
  auto named = shared(server.url(), "one");
  static_assert(pulse::OwnedDedup<pulse::RedisDedup<>>);
  std::vector<EventId> ids{id(1)};
  std::vector<Claim> claims(1);
  const auto nobody = one.claim(ids, claims);
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error().code == pulse::ErrorCode::config);
  one.owner("one");
  two.owner("two");
  named.owner("three");
  CHECK(one.claim(id(1)) == Claim::fresh);
  CHECK(two.claim(id(1)) == Claim::leased);
  CHECK(named.claim(id(1)) == Claim::fresh);  // "one", started anew: in its first call as before
}

TEST_CASE("redis dedup: leases and marks expire, and a lease that lasts is kept") {
  RedisServer server;
  pulse::RedisDedupOptions options;
  options.lease = 30s;
  options.window = 1h;
  auto one = shared(server.url(), "one", options);
  CHECK(one.claim(id(1)) == Claim::fresh);
  CHECK(one.claim(id(2)) == Claim::fresh);
  one.commit(id(1));
  CHECK(one.flush(pulse_test::patience));
  Cli redis = server.connect();
  const std::string done = "d:" + std::string("0000000000000001fffffffffffffffe");
  const std::string leased = "d:" + std::string("0000000000000002fffffffffffffffd");
  CHECK(redis({"GET", done}) == "d");
  CHECK(redis({"PTTL", done}).integer > 3'500'000);
  CHECK(redis({"PTTL", done}).integer <= 3'600'000);
  CHECK(redis({"PTTL", leased}).integer > 20'000);
  CHECK(redis({"PTTL", leased}).integer <= 30'000);
  (void)redis({"PEXPIRE", leased, "1"});
  auto two = shared(server.url(), "two");
  for (Claim found = Claim::leased; found != Claim::fresh;) {
    found = two.claim(id(2));
  }
  one.release(id(2));  // another's by now: left alone
  CHECK(one.flush(pulse_test::patience));
  CHECK(redis({"GET", leased}).text.starts_with("ltwo:"));

  auto long_batch = shared(server.url(), "long", options);
  CHECK(long_batch.claim(id(4)) == Claim::fresh);
  const std::string waits = "d:0000000000000004fffffffffffffffb";
  (void)redis({"PEXPIRE", waits, "10000"});
  CHECK(long_batch.flush(pulse_test::patience));  // with nothing to tell, and before a third of its time
  CHECK(redis({"PTTL", waits}).integer > 20'000);

  options.lease = 3ms;  // each flush keeps what is still held
  auto brief = shared(server.url(), "brief", options);
  CHECK(brief.claim(id(3)) == Claim::fresh);
  const std::string kept = "d:0000000000000003fffffffffffffffc";
  bool renewed = false;
  for (int i = 0; i < 2000 && !renewed; ++i) {
    (void)redis({"SET", kept, "lbrief:1", "PX", "100000"});
    CHECK(brief.flush(pulse_test::patience));
    renewed = redis({"PTTL", kept}).integer <= 3;
  }
  CHECK(renewed);
}

TEST_CASE("redis dedup: what nobody says is a day for a mark, 20 s for a lease and 2 s for an answer") {
  const pulse::RedisDedupOptions options;
  CHECK(options.window == 24h);
  CHECK(options.lease == 20s);
  CHECK(options.connect_timeout == 2s);
  CHECK(options.command_timeout == 2s);
}

TEST_CASE("redis dedup: a claim keeps the leases that are held when a third of their time is over, and else is one command") {
  RedisServer server;
  FaultProxy proxy{server.port()};
  Cli redis = server.connect();
  pulse::RedisDedupOptions options;
  options.lease = 600ms;
  auto one = shared(proxy.url(), "one", options);
  CHECK(one.claim(id(1)) == Claim::fresh);
  const auto claimed = std::chrono::steady_clock::now();
  (void)redis({"PEXPIRE", "d:0000000000000001fffffffffffffffe", "100000"});
  std::this_thread::sleep_until(claimed + 210ms);
  CHECK(one.claim(id(2)) == Claim::fresh);
  const auto kept = [&] {
    const auto left = redis({"PTTL", "d:0000000000000001fffffffffffffffe"}).integer;
    return left > 0 && left <= 600;
  };
  CHECK(kept());
  (void)redis({"PEXPIRE", "d:0000000000000001fffffffffffffffe", "100000"});
  for (std::uint64_t n = 5; n < 10; ++n) {  // each before a third of its time is over since the last one
    std::this_thread::sleep_for(90ms);
    CHECK(one.claim(id(n)) == Claim::fresh);
  }
  CHECK(kept());

  options.lease = 3s;
  for (const bool by_flush : {false, true}) {  // kept by the claim before, or by a flush
    CAPTURE(by_flush);
    std::size_t commands = 0;
    for (auto begin = std::chrono::steady_clock::time_point{}; std::chrono::steady_clock::now() - begin >= options.lease / 3;) {  // again where others ran
      auto other = shared(proxy.url(), "other", options);
      begin = std::chrono::steady_clock::now();
      CHECK(other.claim(id(3)) == Claim::fresh);
      if (by_flush) {
        std::this_thread::sleep_for(850ms);
        begin = std::chrono::steady_clock::now();
        CHECK(other.flush(pulse_test::patience));
      }
      std::this_thread::sleep_for(850ms);
      commands = proxy.counts().commands;
      CHECK(other.claim(id(4)) != Claim::unavailable);
      commands = proxy.counts().commands - commands;
    }
    CHECK(commands == 1);
  }
}

TEST_CASE("redis dedup: a flush waits no longer than it is told") {
  RedisServer server;
  FaultProxy proxy{server.port()};
  pulse::RedisDedupOptions options;
  options.owner = "one";
  options.command_timeout = 24h;
  pulse::RedisDedup<> one{url_of(proxy.url()), options};
  CHECK(one.claim(id(1)) == Claim::fresh);
  one.commit(id(1));
  proxy.drop_replies();
  CHECK_FALSE(one.flush(20ms));  // or never
  CHECK(one.size() == 1);
  proxy.pass();
  CHECK(one.flush(pulse_test::patience));
  CHECK(one.size() == 0);
}

TEST_CASE("redis dedup: more marks than one script takes are all told") {
  RedisServer server;
  auto one = shared(server.url());
  std::vector<EventId> ids;
  for (std::uint64_t i = 1; i <= 2500; ++i) {
    ids.push_back(id(i));
  }
  std::vector<Claim> claims(ids.size());
  CHECK(one.claim(ids, claims));
  CHECK(std::count(claims.begin(), claims.end(), Claim::fresh) == 2500);
  for (const EventId event : ids) {
    one.commit(event);
  }
  CHECK(one.size() == 2500);
  CHECK(one.flush(pulse_test::patience));
  CHECK(one.size() == 0);
  CHECK(one.claim(ids, claims));
  CHECK(std::count(claims.begin(), claims.end(), Claim::done) == 2500);
  CHECK(cli(server, {"DBSIZE"}) == "2500");
}

TEST_CASE("redis dedup: its size is what is leased here and what is not told yet") {
  RedisServer server;
  auto one = shared(server.url());
  CHECK(one.size() == 0);
  CHECK(one.claim(id(1)) == Claim::fresh);
  CHECK(one.claim(id(2)) == Claim::fresh);
  CHECK(one.claim(id(3)) == Claim::fresh);
  one.commit(id(1));
  CHECK(one.size() == 3);
  CHECK(one.flush(pulse_test::patience));
  CHECK(one.size() == 2);
}

TEST_CASE("redis dedup: the longest times are taken by the server") {
  RedisServer server;
  pulse::RedisDedupOptions options;
  options.lease = options.window = 87'600h;
  auto one = shared(server.url(), "one", options);
  CHECK(one.claim(id(1)) == Claim::fresh);
  one.commit(id(1));
  CHECK(one.flush(pulse_test::patience));
  CHECK(one.claim(id(1)) == Claim::done);
}

TEST_CASE("redis dedup: a batch is one command, its marks are another") {
  RedisServer server;
  FaultProxy proxy{server.port()};
  auto one = shared(proxy.url());
  CHECK(one.claim(id(0)) == Claim::fresh);
  one.commit(id(0));
  CHECK(one.flush(pulse_test::patience));
  std::vector<EventId> ids;
  for (std::uint64_t i = 1; i <= 500; ++i) {
    ids.push_back(id(i));
  }
  ids.push_back(id(1));
  std::vector<Claim> claims(ids.size());
  const auto before = proxy.counts().commands;
  CHECK(one.claim(ids, claims));
  CHECK(std::count(claims.begin(), claims.end(), Claim::fresh) == 500);
  CHECK(claims.back() == Claim::leased);
  for (std::size_t i = 0; i < 500; ++i) {
    one.commit(ids[i]);
  }
  CHECK(one.flush(pulse_test::patience));
  CHECK(one.flush(pulse_test::patience));
  CHECK(proxy.counts().commands - before == 2);
  CHECK(cli(server, {"DBSIZE"}) == "501");
}

TEST_CASE("redis dedup: a claim whose reply is lost is claimed again, and marks whose reply is lost are said again") {
  RedisServer server;
  FaultProxy proxy{server.port()};
  auto one = shared(proxy.url());
  CHECK(one.claim(id(0)) == Claim::fresh);
  std::vector<EventId> ids;
  for (std::uint64_t i = 1; i <= 1500; ++i) {
    ids.push_back(id(i));
  }
  std::vector<Claim> claims(ids.size());
  proxy.cut_after(4100);  // in the second thousand
  const auto failed = one.claim(ids, claims);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == pulse::ErrorCode::unavailable);
  CHECK(one.claim(ids, claims));
  CHECK(std::count(claims.begin(), claims.end(), Claim::fresh) == 1500);
  one.commit(ids[0]);
  one.release(ids[1]);
  proxy.cut_after(0);
  CHECK_FALSE(one.flush(5s));
  CHECK(one.flush(pulse_test::patience));
  auto two = shared(server.url(), "two");
  CHECK(two.claim(ids[0]) == Claim::done);
  CHECK(two.claim(ids[1]) == Claim::fresh);
  CHECK(two.claim(ids[2]) == Claim::leased);
}

TEST_CASE("redis dedup: settings that cannot be, and a server that is away") {
  pulse::RedisDedupOptions options;
  options.owner = "a:b";
  pulse::RedisDedup<> wrong{pulse::RedisUrl{}, options};
  std::vector<EventId> ids{id(1)};
  std::vector<Claim> claims(1);
  const auto refused = wrong.claim(ids, claims);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == pulse::ErrorCode::config);
  CHECK(refused.error().message.find("RedisDedupOptions.owner, or the name of the consumer in its place, is \"a:b\"") == 0);
  const struct {
    const char* name;
    std::chrono::milliseconds pulse::RedisDedupOptions::* part;
    std::chrono::milliseconds most;
    const char* said;
  } times[] = {{"lease", &pulse::RedisDedupOptions::lease, 87'600h, "3650 days"},
               {"window", &pulse::RedisDedupOptions::window, 87'600h, "3650 days"},
               {"connect_timeout", &pulse::RedisDedupOptions::connect_timeout, 24h, "a day"},
               {"command_timeout", &pulse::RedisDedupOptions::command_timeout, 24h, "a day"}};
  for (const auto& time : times) {
    for (const auto value : {0ms, time.most + 1ms, std::chrono::milliseconds::max()}) {
      pulse::RedisDedupOptions odd;
      odd.owner = "one";
      odd.*time.part = value;
      const auto unset = pulse::RedisDedup<>{pulse::RedisUrl{}, odd}.claim(ids, claims);
      REQUIRE_FALSE(unset);
      CHECK(unset.error().code == pulse::ErrorCode::config);
      CHECK(unset.error().message ==
            "RedisDedupOptions." + std::string(time.name) + " is " + std::to_string(value.count()) + " ms: allowed are 1 ms to " + time.said);
    }
    for (const auto value : {1ms, time.most}) {
      pulse::RedisDedupOptions odd;
      odd.owner = "one";
      odd.*time.part = value;
      const auto taken = pulse::RedisDedup<>{url_of("redis://127.0.0.1:" + std::to_string(free_port())), odd}.claim(ids, claims);
      REQUIRE_FALSE(taken);
      CHECK(taken.error().code == pulse::ErrorCode::unavailable);
    }
  }
  auto away = shared("redis://127.0.0.1:" + std::to_string(free_port()));
  CHECK(away.claim(id(1)) == Claim::unavailable);

  pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>> bus;
  pulse::RateCoordinator rates;
  pulse::RedisDedupOptions brief;
  brief.lease = 5s;
  pulse::Consumer never{bus, pulse::RedisDedup<>{pulse::RedisUrl{}, brief}, pulse::NoMetrics{}, rates};  // which beats every 10 s
  const auto started = never.start();
  REQUIRE_FALSE(started);
  CHECK(started.error().message.find("the Dedup policy leases ids for 5000 ms") == 0);
}

namespace {

/// A member of the group "g" with the shared window; a count of what it handled goes to `times`.
template <class Backend, class Handler>
auto consumer(Backend& backend, const std::string& url, const std::string& name, Handler handler) {
  auto options = hurried();
  options.subscribe = member(name);
  options.lease_wait = 20ms;
  pulse::RedisDedupOptions window;
  window.owner = name;
  window.connect_timeout = window.command_timeout = 200ms;
  using H = pulse::Handlers<pulse::On<pulse::FeedbackEvent, Handler>>;
  return std::make_unique<pulse::Consumer<Backend&, pulse::RedisDedup<>, pulse::NoMetrics, H>>(
      backend, pulse::RedisDedup<>{url_of(url), window}, pulse::NoMetrics{}, pulse::handlers(pulse::on<pulse::FeedbackEvent>(std::move(handler))), options);
}

}  // namespace

TEST_CASE("redis dedup: two members of a group apply a duplicate once") {
  RedisServer server;
  pulse::RedisBackend<> backend{url_of(server.url())};
  publish_events(backend, 0, 50);
  publish_events(backend, 0, 50);  // the same ids: a producer that was not sure
  std::map<std::int64_t, int> times;
  const auto note = [&](const pulse::FeedbackEvent& event) { ++times[event.queue_size]; };
  auto one = consumer(backend, server.url(), "one", note);
  auto two = consumer(backend, server.url(), "two", note);
  for (int i = 0; i < 1000 && !(times.size() == 50 && cli(server, {"XPENDING", "s", "g"})[0] == "0"); ++i) {
    REQUIRE(one->poll(1ms));
    REQUIRE(two->poll(1ms));
  }
  CHECK(times.size() == 50);
  for (const auto& [event, count] : times) {
    CHECK(count == 1);
  }
  CHECK(*backend.length("s.dlq") == 0);
}

TEST_CASE("redis dedup: a failover loses marks with the acks that follow them, and only what had lost its mark is handled twice") {
  Failover world;
  pulse::RedisBackend<> direct{url_of(world.old.url())};
  publish_events(direct, 0, 50);
  std::map<std::int64_t, int> times;
  bool fell = false;
  pulse::RedisBackend<> backend{url_of(world.address.url()), hurried_redis()};
  auto one = consumer(backend, world.address.url(), "one", [&](const pulse::FeedbackEvent& event) {
    ++times[event.queue_size];
    if (event.queue_size == 25 && !fell) {
      world.part();
    } else if (event.queue_size == 35 && !fell) {
      fell = true;
      world.fall();
    }
  });
  const auto done = [&] { return fell && times.size() == 50 && cli(world.heir, {"XPENDING", "s", "g"})[0] == "0"; };
  for (const auto deadline = within(patience); !done() && std::chrono::steady_clock::now() < deadline;) {
    const auto report = one->poll(5ms);
    REQUIRE(report);
    std::this_thread::sleep_for(std::min(report->pause, 50ms));
  }
  CHECK(times.size() == 50);
  int again = 0;
  for (const auto& [event, count] : times) {
    CAPTURE(event);
    CHECK(count <= 2);
    if (count == 2) {
      ++again;
      CHECK(event >= 20);  // the batch whose marks were the first that the heir did not hear of
      CHECK(event < 40);   // the last that the old server gave
    }
  }
  CHECK(again > 0);
}

TEST_CASE("redis dedup: without memory for its marks nothing is handled, nothing acked, and it goes on when there is some (OOM)") {
  RedisServer server{"maxmemory-policy noeviction"};
  pulse::RedisBackend<> backend{url_of(server.url())};
  publish_events(backend, 0, 30);
  std::map<std::int64_t, int> times;
  const auto memory = [&](const char* bytes) { CHECK(cli(server, {"CONFIG", "SET", "maxmemory", bytes}) == "OK"); };
  auto one = consumer(backend, server.url(), "one", [&](const pulse::FeedbackEvent& event) {
    ++times[event.queue_size];
    if (event.queue_size == 5) {
      memory("1");
    }
  });
  std::string seen;
  for (int i = 0; i < 50; ++i) {
    const auto report = one->poll(1ms);
    REQUIRE(report);
    seen += one->health().detail + '\n';
    std::this_thread::sleep_for(std::min(report->pause, 5ms));
  }
  CHECK_MESSAGE(seen.find("OOM") != std::string::npos, seen);
  CHECK(times.size() == 10);  // the batch that was claimed when there was memory
  CHECK(cli(server, {"XPENDING", "s", "g"})[0].integer >= 10);
  memory("0");
  for (const auto deadline = within(patience); std::chrono::steady_clock::now() < deadline;) {
    const auto report = one->poll(5ms);
    REQUIRE(report);
    std::this_thread::sleep_for(std::min(report->pause, 50ms));
    if (times.size() == 30 && cli(server, {"XPENDING", "s", "g"})[0] == "0") {
      break;
    }
  }
  CHECK(times.size() == 30);
  for (const auto& [event, count] : times) {
    CHECK(count == 1);
  }
  CHECK(*backend.length("s.dlq") == 0);
}

TEST_CASE("redis dedup: while the window cannot be asked nothing is handled, nothing is counted, and a stop is bounded") {
  RedisServer server;
  FaultProxy proxy{server.port()};
  pulse::RedisBackend<> backend{url_of(server.url())};
  publish_events(backend, 0, 20);
  std::map<std::int64_t, int> times;
  auto one = consumer(backend, proxy.url(), "one", [&](const pulse::FeedbackEvent& event) { ++times[event.queue_size]; });
  REQUIRE(one->poll(1ms));
  proxy.refuse();
  proxy.cut();
  const std::size_t before = times.size();
  for (int i = 0; i < 100; ++i) {
    const auto report = one->poll(1ms);
    REQUIRE(report);
    std::this_thread::sleep_for(std::min(report->pause, 5ms));
  }
  CHECK(times.size() <= before + 10);  // a batch that was claimed before
  CHECK_FALSE(one->health().ready);
  bool comes_back = false;
  SUBCASE("it comes back") { comes_back = true; }
  SUBCASE("a stop does not wait for it") {}
  if (comes_back) {
    proxy.pass();
    for (int i = 0; i < 1000 && !(times.size() == 20 && cli(server, {"XPENDING", "s", "g"})[0] == "0"); ++i) {
      const auto report = one->poll(5ms);
      REQUIRE(report);
      std::this_thread::sleep_for(std::min(report->pause, 50ms));
    }
    CHECK(times.size() == 20);
    for (const auto& [event, count] : times) {
      CHECK(count == 1);
    }
    CHECK(*backend.length("s.dlq") == 0);
    for (const Reply& pending : cli(server, {"XPENDING", "s", "g", "-", "+", "100"}).items) {
      CHECK(pending[3].integer == 1);
    }
  } else {
    one->stop();
    for (int i = 0; i < 100; ++i) {
      const auto report = one->poll(1ms);
      if (!report || report->stopped) {
        break;
      }
    }
    CHECK(cli(server, {"XPENDING", "s", "g"})[0].integer >= 10);  // the rest stays pending
  }
}

TEST_SUITE_END();
