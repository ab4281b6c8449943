// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "../support/readable.hpp"
#include "../support/refused_call.hpp"
#include "pulse/pulse.hpp"

using namespace std::chrono_literals;
using pulse_test::readable;

namespace {

using Bytes = pulse::InMemoryBackend<std::string, pulse::ManualClock>;
static_assert(pulse::ArmingSubscription<Bytes::subscription_type>);

pulse::SubscribeOptions member(std::string consumer, std::vector<std::string> streams = {"s"}) {
  pulse::SubscribeOptions made;
  made.streams = std::move(streams);
  made.consumer = std::move(consumer);
  return made;
}

using Time = std::chrono::milliseconds;

}  // namespace

TEST_CASE("readiness: rings until it is cleared, and watches one socket at a time") {
  pulse::Readiness ready;
  REQUIRE(ready.descriptor() >= 0);
  CHECK_FALSE(readable(ready));
  ready.ring();
  ready.ring();
  CHECK(readable(ready));
  CHECK(readable(ready));
  ready.clear();
  CHECK_FALSE(readable(ready));
  ready.clear();
  pulse::Readiness one;
  pulse::Readiness two;
  ready.watch(one.descriptor());
  one.ring();
  CHECK(readable(ready));
  ready.clear();  // forgets who rang, not what is watched
  CHECK(readable(ready));
  ready.watch(two.descriptor());
  CHECK_FALSE(readable(ready));
  two.ring();
  CHECK(readable(ready));
  ready.watch(-1);
  CHECK_FALSE(readable(ready));
}

TEST_CASE("readiness: where no descriptor is left there is none, and it can be rung, cleared and armed all the same") {
  for (const long call : {SYS_epoll_create1, SYS_eventfd2}) {
    int descriptor = 0;
    Time due{};
    if (!pulse_test::refusing({call}, EMFILE, [&] {
          pulse::Readiness ready;
          descriptor = ready.descriptor();
          ready.ring();
          ready.clear();
          ready.watch(STDIN_FILENO);
          Bytes bus;
          auto one = *bus.subscribe(member("one"));
          due = *one.arm(10, 500ms, ready);  // the host waits by time alone
        })) {
      MESSAGE("left out: this system lets nobody refuse its calls");
      return;
    }
    CHECK(descriptor == -1);
    CHECK(due == 500ms);
  }
}

TEST_CASE("in memory: an armed subscription is told of what a receive would find, and of nothing else") {
  pulse::ManualClock clock;
  Bytes bus{{}, clock};
  auto one = *bus.subscribe(member("one", {"s", "t"}));
  pulse::Readiness ready;
  CHECK(*one.arm(10, 500ms, ready) == 500ms);
  (void)bus.publish("u", "not for it");
  // A stream that nobody armed for rings too, which costs its host a look: one bell for the whole backend.
  ready.clear();
  CHECK(one.receive(10, 0ms)->deliveries.empty());
  CHECK(*one.arm(10, 500ms, ready) == 500ms);
  CHECK_FALSE(readable(ready));
  (void)bus.publish("t", "a");
  CHECK(readable(ready));
  ready.clear();
  (void)bus.publish("t", "b");
  CHECK_FALSE(readable(ready));  // once: who was rung looks, and is armed again
  CHECK(*one.arm(10, 500ms, ready) == 0ms);
  CHECK(one.receive(10, 0ms)->deliveries.size() == 2);
  CHECK(*one.arm(10, 0ms, ready) == 0ms);  // due at once: nothing to ring for
  (void)bus.publish("t", "c");
  CHECK_FALSE(readable(ready));
  CHECK(one.receive(10, 0ms)->deliveries.size() == 1);

  ready.clear();
  const std::vector<pulse::RetryItem> later{{0, 200ms}};
  (void)one.settle({{}, later, {}});
  CHECK(*one.arm(10, 500ms, ready) == 200ms);  // the retry is due before
  clock.advance(200ms);
  CHECK(*one.arm(10, 500ms, ready) == 0ms);
  CHECK(one.receive(10, 0ms)->deliveries.front().delivery_count() == 2);
}

TEST_CASE("in memory: a group that begins beyond the end of its stream does not keep its host awake") {
  pulse::ManualClock clock;
  Bytes bus{{}, clock};
  pulse::SubscribeOptions wanted = member("one");
  wanted.start.after = {9'000'000'000'000, 0};
  auto one = *bus.subscribe(wanted);
  pulse::Readiness ready;
  (void)bus.publish("s", "before where it begins");
  CHECK(*one.arm(10, 500ms, ready) == 500ms);
  CHECK(one.receive(10, 0ms)->deliveries.empty());
}

TEST_CASE("in memory: what comes back from the dead letters, and a wake, ring") {
  Bytes bus;
  auto one = *bus.subscribe(member("one"));
  pulse::Readiness ready;
  (void)bus.publish("s", "a");
  (void)one.receive(1, 0ms);
  const std::vector<pulse::DeadLetterItem> dead{{0, "why"}};
  (void)one.settle({{}, {}, dead});
  CHECK(*one.arm(1, 1h, ready) == 1h);
  CHECK(*bus.redrive_all("s") == 1);
  CHECK(readable(ready));
  ready.clear();
  CHECK(one.receive(1, 0ms)->deliveries.size() == 1);
  CHECK(*one.arm(1, 1h, ready) == 1h);
  auto two = *bus.subscribe(member("two"));
  pulse::Readiness other;
  CHECK(two.receive(1, 0ms)->deliveries.empty());
  CHECK(*two.arm(1, 1h, other) == 1h);
  CHECK(two.receive(1, 0ms)->deliveries.empty());  // ends its own arming, and nobody else's
  pulse::Readiness instead;
  CHECK(*two.arm(1, 1h, other) == 1h);
  CHECK(*two.arm(1, 1h, instead) == 1h);  // instead of what was armed before
  one.wake();
  CHECK_FALSE(readable(other));
  CHECK(readable(instead));
  CHECK(readable(ready));
  CHECK(*one.arm(1, 1h, ready) == 0ms);
}

TEST_CASE("in memory: a subscription that is gone is not rung, one that moved is") {
  Bytes bus;
  std::optional<pulse::Readiness> ready{std::in_place};
  {
    auto one = *bus.subscribe(member("one"));
    CHECK(*one.arm(1, 1h, *ready) == 1h);
    auto moved = std::move(one);
    (void)bus.publish("s", "a");
    CHECK(readable(*ready));
    CHECK(moved.receive(1, 0ms)->deliveries.size() == 1);
    ready->clear();
    CHECK(*moved.arm(1, 1h, *ready) == 1h);
  }
  (void)bus.publish("s", "b");
  CHECK_FALSE(readable(*ready));
}

TEST_CASE("a consumer that is armed handles all that another thread publishes, and stops when it is rung") {
  pulse::InMemoryBackend<std::string> bus;
  const std::string stream = pulse::stream_key(pulse::feedback_stream);
  constexpr int events = 300;
  std::atomic<int> handled{0};
  auto handle = pulse::handlers(pulse::on<pulse::FeedbackEvent>([&](const pulse::FeedbackEvent&) { ++handled; }));
  pulse::Readiness ready;
  pulse::ConsumerOptions options;
  options.loop.wait = 24h;  // a word that is lost shows as a test that does not end
  options.loop.claim_interval = 24h;
  pulse::Consumer consumer{bus, pulse::FifoWindow{1024}, pulse::NoMetrics{}, handle, options};
  REQUIRE(consumer.start());
  std::thread others{[&] {
    pulse::Publisher publisher{bus, stream};
    for (int i = 0; i < events; ++i) {
      (void)publisher.publish(pulse::FeedbackEvent{.coordinator_id = "a", .queue_size = i, .capacity = 1000});
      if (i % 10 == 0) {
        std::this_thread::yield();
      }
    }
    while (handled < events) {
      std::this_thread::yield();
    }
    consumer.stop();
    ready.ring();
  }};
  while (true) {
    const auto report = consumer.poll();
    REQUIRE(report);
    if (report->stopped) {
      break;
    }
    const auto within = consumer.arm(ready);
    REQUIRE(within);
    if (*within > Time{0}) {
      CHECK(readable(ready, Time{3'600'000}));
    }
  }
  others.join();
  CHECK(handled == events);
  CHECK(bus.dead_letters(stream, {}, 1)->empty());
}
