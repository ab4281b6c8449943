// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <csignal>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "../support/child_process.hpp"
#include "pipeline.hpp"

using namespace std::chrono_literals;
using namespace pulse_test;

// A consumer that is killed at any step between a read and its ack loses nothing, and applies again only what it had applied and not acked.

TEST_SUITE_BEGIN("redis-server");

namespace {

constexpr int events = 60;
constexpr int batch = 10;

/// A subscription that may be killed around each of its calls.
template <class S>
class MortalSubscription : public S {
 public:
  explicit MortalSubscription(S inner) : S(std::move(inner)) {}
  auto receive(std::size_t max, std::chrono::milliseconds wait) {
    failpoint("before a read");
    auto got = S::receive(max, wait);
    failpoint("after a read");
    return got;
  }
  pulse::Status settle(const pulse::Settlement& settlement) {
    failpoint("before settling");
    pulse::Status settled = S::settle(settlement);
    failpoint("after settling");
    return settled;
  }
  pulse::Status flush(std::chrono::milliseconds wait) {
    failpoint("before a flush");
    pulse::Status flushed = S::flush(wait);
    failpoint("after a flush");
    return flushed;
  }
};

class MortalBackend : public pulse::RedisBackend<> {
 public:
  using pulse::RedisBackend<>::RedisBackend;
  using subscription_type = MortalSubscription<pulse::RedisBackend<>::subscription_type>;
  pulse::Result<subscription_type> subscribe(const pulse::SubscribeOptions& options) {
    auto made = pulse::RedisBackend<>::subscribe(options);
    return made ? pulse::Result<subscription_type>{subscription_type{std::move(*made)}} : pulse::Result<subscription_type>{std::move(made).error()};
  }
};

struct MortalDedup : pulse::LruWindow {
  using pulse::LruWindow::LruWindow;
  using lease_type = pulse::LruWindow::lease_type;
  pulse::Claim claim(pulse::EventId id, lease_type& lease) {
    failpoint("before a claim");
    const pulse::Claim claimed = pulse::LruWindow::claim(id, lease);
    failpoint("after a claim");
    return claimed;
  }
  using pulse::LruWindow::claim;
  void commit(lease_type lease) {
    failpoint("before a commit");
    pulse::LruWindow::commit(lease);
    failpoint("after a commit");
  }
  using pulse::LruWindow::commit;
};

std::map<int, int> effects(const std::string& file) {
  std::map<int, int> times;
  std::ifstream in{file};
  for (int event = 0; in >> event;) {
    ++times[event];
  }
  return times;
}

}  // namespace

TEST_CASE("child: consumes what there is, writes each event to a file, and stops" * doctest::skip()) {
  auto options = hurried();
  options.loop.batch = batch;
  options.loop.wait = 20ms;
  options.subscribe.prefetch = variable("PULSE_PREFETCH") == "1";
  std::ofstream out{variable("PULSE_EFFECTS"), std::ios::app};
  MortalBackend backend{url_of(variable("PULSE_URL"))};
  pulse::Consumer consumer{backend, MortalDedup{4096}, pulse::NoMetrics{},
                           pulse::handlers(pulse::on<pulse::FeedbackEvent>([&](const pulse::FeedbackEvent& event) {
                             failpoint("before the effect");
                             out << event.queue_size << std::endl;  // to the system, which outlives this process
                             failpoint("after the effect");
                           })),
                           options};
  int idle = 0;
  while (idle < 3) {
    const auto report = consumer.poll(20ms);
    REQUIRE(report);
    idle = report->received > 0 ? 0 : idle + 1;
  }
  consumer.stop();
  REQUIRE(consumer.run());
}

// guarantee 1
TEST_CASE("redis crash: killed at every step between a read and its ack, a consumer loses nothing") {
  RedisServer server;
  pulse::RedisBackend<> direct{url_of(server.url())};
  int deaths = 0;
  for (const std::string step : {"before a read", "after a read", "before a claim", "after a claim", "before the effect", "after the effect", "before a commit",
                                 "after a commit", "before settling", "after settling", "before a flush", "after a flush"}) {
    for (const char* const when : {":1", ":3", ":25"}) {
      CAPTURE(step);
      CAPTURE(when);
      const bool prefetch = when == std::string_view{":3"};
      (void)cli(server, {"FLUSHALL"});
      publish_events(direct, 0, events);
      TempDir directory;
      const std::string file = (directory.path() / "effects").string();
      const std::vector<std::pair<std::string, std::string>> environment{
          {"PULSE_URL", server.url()}, {"PULSE_EFFECTS", file}, {"PULSE_PREFETCH", prefetch ? "1" : "0"}};
      const std::string child = "child: consumes what there is*";
      const auto first = ChildProcess{child, step + when, environment}.wait();
      REQUIRE(first);
      const bool killed = first->signal == SIGKILL;
      CHECK((killed || first->code == 0));
      deaths += killed ? 1 : 0;
      const auto before = effects(file);
      CHECK(ChildProcess(child, "", environment).wait() == Exit{0, 0});
      const auto after = effects(file);
      CHECK(after.size() == events);
      int again = 0;
      for (const auto& [event, times] : after) {
        CHECK(times <= 2);
        again += times - 1;
      }
      // Of what had been applied, the acks of the last batch at most were not out, with one more where it reads ahead.
      CHECK(again <= (killed ? batch * (prefetch ? 2 : 1) : 0));
      CHECK(cli(server, {"XPENDING", "s", "g"})[0] == "0");
      CHECK(cli(server, {"XLEN", "s.dlq"}) == "0");
    }
  }
  CHECK(deaths >= 28);  // some steps come less often than asked for
}

TEST_SUITE_END();
