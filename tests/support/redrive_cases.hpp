// SPDX-License-Identifier: MIT
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <pulse/backend/redrive.hpp>
#include <pulse/core/clock.hpp>
#include <pulse/pulse.hpp>

/// What redriving and purging promise, for any backend of bytes that is empty. The stream is "s".
namespace pulse_test::redriving {

using namespace std::chrono_literals;

/// A clock that whoever waits on it moves to where he wants it; what else happens while he waits is `meanwhile`.
struct JumpingClock : pulse::ManualClock {
  using ManualClock::ManualClock;
  std::function<void()> meanwhile = [] {};
  void wait_until(std::condition_variable&, std::unique_lock<std::mutex>& lock, pulse::SteadyTime deadline) const {
    if (steady() < deadline) {
      ManualClock{*this}.advance(deadline - steady());  // a copy is a handle on the same clock
      lock.unlock();
      meanwhile();
      lock.lock();
    }
  }
};

/// A backend with something done before each redrive, which may stand in for its result.
template <class B>
struct Watched {
  using payload_type = typename B::payload_type;
  using subscription_type = typename B::subscription_type;
  static constexpr pulse::Capabilities capabilities = B::capabilities;

  B& bus;
  std::function<pulse::Status(pulse::EntryId)> before = [](pulse::EntryId) { return pulse::Status{}; };
  std::function<void()> after = [] {};

  auto subscribe(const pulse::SubscribeOptions& options) { return bus.subscribe(options); }
  auto publish(std::string_view stream, std::string payload) { return bus.publish(stream, std::move(payload)); }
  [[nodiscard]] auto health() const { return bus.health(); }
  auto dead_letters(std::string_view stream, pulse::EntryId from, std::size_t max) { return bus.dead_letters(stream, from, max); }
  auto purge(std::string_view stream, pulse::EntryId id) { return bus.purge(stream, id); }
  pulse::Result<pulse::EntryId> redrive(std::string_view stream, pulse::EntryId id) {
    if (pulse::Status first = before(id); !first) {
      return std::move(first).error();
    }
    auto done = bus.redrive(stream, id);
    after();
    return done;
  }
};

template <class B>
auto subscribe(B& bus) {
  pulse::SubscribeOptions options;
  options.streams = {"s"};
  auto made = bus.subscribe(options);
  REQUIRE(made);
  return std::move(*made);
}

/// Dead-letters whatever the group has not seen; returns the ids of all dead letters.
template <class B>
std::vector<pulse::EntryId> bury(B& bus) {
  auto group = subscribe(bus);
  while (true) {
    const auto batch = group.receive(100, 0ms);
    REQUIRE(batch);
    if (batch->deliveries.empty()) {
      break;
    }
    std::vector<pulse::DeadLetterItem> all;
    for (std::uint32_t i = 0; i < batch->deliveries.size(); ++i) {
      all.push_back({i, "no good"});
    }
    REQUIRE(group.settle({{}, {}, all}));
    REQUIRE(group.flush(5s));
  }
  std::vector<pulse::EntryId> ids;
  REQUIRE(pulse::each_dead_letter(bus, "s", {}, [&](const pulse::DeadLetter& letter) {
    ids.push_back(letter.id);
    return true;
  }));
  return ids;
}
/// Publishes "0" to "n-1" and dead-letters them.
template <class B>
std::vector<pulse::EntryId> bury(B& bus, int n) {
  for (int i = 0; i < n; ++i) {
    REQUIRE(bus.publish("s", std::to_string(i)));
  }
  return bury(bus);
}

/// What the group gets now, in order, and acknowledges: "0r 1r "; r: redriven.
template <class B>
std::string take(B& bus) {
  auto group = subscribe(bus);
  std::string out;
  while (true) {
    const auto batch = group.receive(100, 0ms);
    REQUIRE(batch);
    if (batch->deliveries.empty()) {
      return out;
    }
    std::vector<std::uint32_t> all;
    for (std::uint32_t i = 0; i < batch->deliveries.size(); ++i) {
      out += std::string(batch->deliveries[i].data()) + (batch->deliveries[i].redriven() ? "r " : " ");
      all.push_back(i);
    }
    REQUIRE(group.settle({all, {}, {}}));
    REQUIRE(group.flush(5s));
  }
}

template <class B>
std::size_t dead(B& bus) {
  return subscribe(bus).state(0)->dead_letters;
}

template <class B>
void takes_a_range_and_no_more_than_asked_for(B& bus) {
  const auto ids = bury(bus, 10);
  REQUIRE(ids.size() == 10);
  const pulse::RedriveOptions middle{.range = {ids[2], ids[7]}, .max = 4};
  auto report = pulse::redrive(bus, "s", middle);
  CHECK(report.end == pulse::RedriveEnd::max);
  CHECK(report.redriven == 4);
  CHECK(report.last == ids[5]);
  CHECK(take(bus) == "2r 3r 4r 5r ");
  report = pulse::redrive(bus, "s", middle);
  CHECK(report.end == pulse::RedriveEnd::done);
  CHECK(report.redriven == 2);
  CHECK(report.last == ids[7]);
  CHECK(take(bus) == "6r 7r ");
  report = pulse::redrive(bus, "s", middle);
  CHECK(report.redriven == 0);
  CHECK(report.last == pulse::EntryId{});
  CHECK(dead(bus) == 4);
  CHECK(pulse::redrive(bus, "s", {.range = {ids[1], ids[1]}}).redriven == 1);
  CHECK(pulse::redrive(bus, "s").redriven == 3);
  CHECK(take(bus) == "1r 0r 8r 9r ");
  CHECK(pulse::redrive(bus, "s").end == pulse::RedriveEnd::done);
}

template <class B>
void keeps_to_its_rate(B& bus) {
  (void)bury(bus, 6);
  JumpingClock clock;
  const auto start = clock.steady();
  std::vector<std::int64_t> at;
  Watched<B> slow{bus, [&](pulse::EntryId) {
                    at.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(clock.steady() - start).count());
                    if (at.size() == 3) {
                      clock.advance(350ms);  // a step that takes long is not made up for
                    }
                    return pulse::Status{};
                  }};
  CHECK(pulse::redrive(slow, "s", {.per_second = 10}, pulse::StopToken{}, clock).redriven == 6);
  CHECK(at == std::vector<std::int64_t>{0, 100, 200, 550, 650, 750});
}

template <class B>
void may_be_interrupted_and_goes_on(B& bus) {
  const auto ids = bury(bus, 150);
  REQUIRE(ids.size() == 150);
  std::string wanted;
  for (int i = 0; i < 150; ++i) {
    wanted += std::to_string(i) + "r ";
  }
  pulse::StopSource first;
  Watched<B> watched{bus};
  int steps = 0;
  watched.after = [&] {
    if (++steps == 70) {
      first.request_stop();
    }
  };
  auto report = pulse::redrive(watched, "s", {}, first.token());
  CHECK(report.end == pulse::RedriveEnd::stopped);
  CHECK(report.redriven == 70);
  REQUIRE(report.last == ids[69]);
  CHECK(pulse::redrive(bus, "s", {}, first.token()).redriven == 0);
  CHECK(dead(bus) == 80);

  // While it waits for its turn, too.
  pulse::StopSource second;
  JumpingClock clock;
  int waits = 0;
  clock.meanwhile = [&] {
    if (++waits == 5) {
      second.request_stop();
    }
  };
  report = pulse::redrive(bus, "s", {.range = {report.last.next(), pulse::EntryId::max()}, .per_second = 1}, second.token(), clock);
  CHECK(report.end == pulse::RedriveEnd::stopped);
  CHECK(report.redriven == 5);
  CHECK(report.last == ids[74]);

  // An error in between: the report says how far it came.
  watched.after = [] {};
  watched.before = [&](pulse::EntryId id) { return id == ids[100] ? pulse::Status{pulse::Error{pulse::ErrorCode::unavailable, "cut"}} : pulse::Status{}; };
  report = pulse::redrive(watched, "s");
  CHECK(report.end == pulse::RedriveEnd::failed);
  CHECK(report.error.message == "cut");
  CHECK(report.last == ids[99]);
  report = pulse::redrive(bus, "s", {.range = {report.last.next(), pulse::EntryId::max()}});
  CHECK(report.end == pulse::RedriveEnd::done);
  CHECK(report.last == ids[149]);
  CHECK(take(bus) == wanted);  // each once, in order
  CHECK(dead(bus) == 0);
}

template <class B>
void leaves_what_comes_back_and_passes_over_what_others_take(B& bus) {
  (void)bury(bus, 5);
  Watched<B> watched{bus};
  watched.after = [&] { (void)bury(bus); };  // fails again, at once
  auto report = pulse::redrive(watched, "s", {.max = 100});
  CHECK(report.end == pulse::RedriveEnd::done);
  CHECK(report.redriven == 5);
  CHECK(report.came_back == 5);
  CHECK(dead(bus) == 5);

  watched.after = [] {};
  int steps = 0;
  watched.before = [&](pulse::EntryId id) { return ++steps % 2 == 0 ? bus.purge("s", id) : pulse::Status{}; };
  report = pulse::redrive(watched, "s");
  CHECK(report.end == pulse::RedriveEnd::done);
  CHECK(report.redriven == 3);
  CHECK(take(bus) == "0r 2r 4r ");
}

template <class B>
void refuses_options_that_make_no_sense(B& bus) {
  const auto ids = bury(bus, 2);
  for (const double rate : {-1.0, 1e-9, 1e9, std::nan(""), std::numeric_limits<double>::infinity()}) {
    const auto report = pulse::redrive(bus, "s", {.per_second = rate});
    CHECK(report.end == pulse::RedriveEnd::failed);
    CHECK(report.error.code == pulse::ErrorCode::config);
    CHECK(report.error.message.find("per_second") != std::string::npos);
  }
  CHECK(pulse::redrive(bus, "s", {.range = {ids[1], ids[0]}}).error.code == pulse::ErrorCode::config);
  CHECK(dead(bus) == 2);
}

template <class B>
void purges_a_range(B& bus) {
  const auto ids = bury(bus, 200);
  CHECK(*pulse::purge(bus, "s", {ids[10], ids[99]}) == 90);
  CHECK(*pulse::purge(bus, "s", {ids[10], ids[99]}) == 0);
  pulse::StopSource stopped;
  stopped.request_stop();
  CHECK(*pulse::purge(bus, "s", {}, stopped.token()) == 0);
  CHECK(dead(bus) == 110);
  CHECK(*pulse::purge(bus, "s", {ids[199], pulse::EntryId::max()}) == 1);
  CHECK(*pulse::purge(bus, "s", {}) == 109);
  CHECK(dead(bus) == 0);
  CHECK(take(bus) == "");
}

/// A consumer whose handler refuses an event while `refuses`, over a dedup window that already knows the event as done.
template <class B>
void is_never_swallowed_by_dedup(B& bus) {
  std::vector<std::string> handled;
  bool refuses = true;
  auto controller = pulse::handlers(pulse::on<pulse::FeedbackEvent>([&](const pulse::FeedbackEvent& event) {
    handled.push_back(event.coordinator_id);
    return refuses ? pulse::Verdict::dead_letter("refused") : pulse::Verdict::ack();
  }));
  pulse::ConsumerOptions options;
  options.subscribe.streams = {"s"};
  pulse::Consumer consumer{bus, pulse::SeenSet{}, pulse::NoMetrics{}, controller, options};
  const auto drain = [&] {
    REQUIRE(consumer.start());
    for (int idle = 0; idle < 2;) {  // what was settled last goes out with a read that finds nothing; a look for abandoned entries is no read
      idle = consumer.poll()->received > 0 ? 0 : idle + 1;
    }
  };
  pulse::Publisher publisher{bus, "s"};
  pulse::FeedbackEvent event;
  event.coordinator_id = "bars";
  event.capacity = 1;
  REQUIRE(publisher.publish(event, {.id = "one"}));
  drain();
  REQUIRE(dead(bus) == 1);
  refuses = false;
  REQUIRE(publisher.publish(event, {.id = "one"}));  // the producer repeats it, and now it is done
  REQUIRE(publisher.publish(event, {.id = "one"}));  // and a duplicate
  drain();
  REQUIRE(handled.size() == 2);

  refuses = true;
  CHECK(pulse::redrive(bus, "s").redriven == 1);
  drain();
  CHECK(handled.size() == 3);
  CHECK(dead(bus) == 1);
  refuses = false;
  CHECK(pulse::redrive(bus, "s").redriven == 1);  // once more: it has yet another entry id
  drain();
  CHECK(handled.size() == 4);
  CHECK(dead(bus) == 0);
}

}  // namespace pulse_test::redriving
