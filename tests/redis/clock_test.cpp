// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>
#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <pulse/dedup/sharded.hpp>

#include "pipeline.hpp"

using namespace std::chrono_literals;
using namespace pulse_test;

// A server whose clock is set, forward or back, while its clients' clocks go on: idle times and the ends of waits are reckoned by it.

TEST_SUITE_BEGIN("redis-server");

namespace {

/// A server whose wall clock can be set.
class ClockedServer {
 public:
  RedisServer& operator*() noexcept { return server_; }
  RedisServer* operator->() noexcept { return &server_; }

  /// Its clock is `by` off the machine's from now on.
  void set_clock(std::chrono::nanoseconds by) {
    shift_->store(by.count(), std::memory_order_relaxed);
    const auto expected = std::chrono::duration_cast<std::chrono::seconds>((std::chrono::system_clock::now() + by).time_since_epoch()).count();
    const std::int64_t told = std::stoll(cli(server_, {"TIME"})[0].text);
    REQUIRE(told >= expected - 2);
    REQUIRE(told <= expected + 60);
  }

 private:
  std::string make_file() const {
    const auto path = (directory_.path() / "clock").string();
    std::ofstream{path} << std::string(sizeof(std::int64_t), '\0');
    return path;
  }
  std::atomic<std::int64_t>* map() const {
    const Fd file{::open(path_.c_str(), O_RDWR | O_CLOEXEC)};
    void* const page = ::mmap(nullptr, sizeof(std::int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (page == MAP_FAILED) {
      fail_errno("mmap " + path_);
    }
    return static_cast<std::atomic<std::int64_t>*>(page);
  }

  TempDir directory_;
  std::string path_ = make_file();
  std::atomic<std::int64_t>* shift_ = map();  // stays mapped: a page
  RedisServer server_{std::vector<std::string>{}, {{"LD_PRELOAD", PULSE_SHIFTED_CLOCK}, {"PULSE_CLOCK", path_}}};
};

}  // namespace

TEST_CASE("redis clock: set forward, it makes live work look abandoned: another member takes it, and a window for both keeps each event single") {
  ClockedServer server;
  pulse::RedisBackend<> backend{url_of(server->url()), hurried_redis()};
  publish_events(backend, 0, 10);
  pulse::Sharded<pulse::LruWindow> window{4096};
  std::mutex mutex;
  std::map<std::int64_t, int> times;
  std::atomic<bool> reached{false};
  std::atomic<bool> released{false};
  const auto handle = [&](const pulse::FeedbackEvent& event) {
    if (event.queue_size == 5 && !reached.exchange(true)) {
      while (!released) {
        std::this_thread::sleep_for(1ms);
      }
    }
    const std::lock_guard lock{mutex};
    ++times[event.queue_size];
  };
  auto options = hurried();
  options.heartbeat = 60s;  // as one that is late: the server sees an hour without it
  options.loop.claim_idle = 30min;
  options.loop.claim_interval = 24h;
  options.lease_wait = 5ms;
  pulse::Consumer one{backend, window, pulse::NoMetrics{}, pulse::handlers(pulse::on<pulse::FeedbackEvent>(handle)), options};
  options.subscribe.consumer = "two";
  options.loop.claim_interval = 20ms;
  pulse::Consumer two{backend, window, pulse::NoMetrics{}, pulse::handlers(pulse::on<pulse::FeedbackEvent>(handle)), options};
  std::thread first{[&] { CHECK(one.run()); }};
  while (!reached) {
    std::this_thread::sleep_for(1ms);
  }
  const auto owned_by_two = [&] { return cli(*server, {"XPENDING", "s", "g", "-", "+", "100", "two"}).size(); };
  for (int polls = 0; polls < 5; ++polls) {
    REQUIRE(two.poll(5ms));
  }
  CHECK(owned_by_two() == 0);
  server.set_clock(1h);
  for (const auto deadline = within(patience); std::chrono::steady_clock::now() < deadline; std::this_thread::sleep_for(1ms)) {
    REQUIRE(two.poll(5ms));
    const auto pending = cli(*server, {"XPENDING", "s", "g"})[0].integer;
    if (pending == 1) {
      released = true;  // two has done what it could: all but the one that is being handled
    } else if (pending == 0) {
      break;
    }
  }
  CHECK(settled(*server));
  one.stop();
  first.join();
  CHECK(times.size() == 10);
  for (const auto& [event, count] : times) {
    CHECK(count == 1);
  }
}

TEST_CASE("redis clock: set back, nothing can be claimed until it has caught up") {
  ClockedServer server;
  pulse::RedisBackend<> backend{url_of(server->url())};
  auto one = backend.subscribe(member("one"));
  auto two = backend.subscribe(member("two"));
  REQUIRE(two);
  REQUIRE(backend.publish("s", "x"));
  CHECK(text(one->receive(1, 0ms)) == "x:1 ");
  server.set_clock(-1h);
  CHECK(text(two->claim_stale(1ms, 10)) == "");
  REQUIRE(backend.publish("s", "y"));  // ids grow all the same
  CHECK(text(two->receive(1, 0ms)) == "y:1 ");
  server.set_clock(1s);
  CHECK(text(two->claim_stale(500ms, 10)) == "x:2 y:2 ");  // what was delivered meanwhile now looks an hour old
}

TEST_CASE("redis clock: set back under a read that waits, the server would wait an hour more: the client does not, and goes on") {
  ClockedServer server;
  auto options = hurried();
  options.loop.wait = 100ms;
  Pipeline pipeline{server->url(), options};
  pulse::RedisBackend<> direct{url_of(server->unix_url())};
  publish_events(direct, 0, 10);
  REQUIRE(pipeline.subscribe());
  pipeline.start();
  REQUIRE(pipeline.handled(10));
  for (int tries = 0; tries < 100 && pipeline.backend().health().reconnects == 0; ++tries) {  // until it falls into a wait
    server.set_clock(std::chrono::hours{-1 - tries});
    std::this_thread::sleep_for(400ms);
  }
  CHECK(pipeline.backend().health().reconnects > 0);
  publish_events(direct, 10, 20);
  CHECK(pipeline.handled(20));
  CHECK(settled(*server));
  CHECK(pipeline.twice() == 0);
  CHECK(pipeline.stop());
}

TEST_SUITE_END();
