// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "pulse/codec/json.hpp"
#include "pulse/control/handlers.hpp"
#include "pulse/pulse.hpp"
#include "pulse/testing/clock.hpp"
#include "pulse/testing/codec.hpp"
#include "pulse/testing/controller.hpp"
#include "pulse/testing/faulty_backend.hpp"

using namespace std::chrono_literals;

// The kits that a user holds his own policies against: ours pass, and each that is broken on purpose fails by the name of its law.

namespace {

std::vector<pulse::Envelope<pulse::FeedbackEvent>> samples(int count) {
  std::vector<pulse::Envelope<pulse::FeedbackEvent>> made;
  for (int i = 0; i < count; ++i) {
    pulse::Envelope<pulse::FeedbackEvent> envelope;
    envelope.id = "event-" + std::to_string(i);
    envelope.ts = 1.7e9 + i;
    envelope.meta.schema_id = pulse::schema_id_of<pulse::FeedbackEvent>;
    envelope.payload = {"store-1", i, 1000, pulse::BackpressureLevel::soft, "st\"\xc3\xa9\n", 1.7e9};
    made.push_back(std::move(envelope));
  }
  return made;
}

/// Each thing it is asked goes back a little.
struct ClockThatGoesBack {
  std::shared_ptr<std::int64_t> asked = std::make_shared<std::int64_t>(1'000'000'000);
  [[nodiscard]] static pulse::WallTime wall() { return pulse::SystemClock::wall(); }
  [[nodiscard]] pulse::SteadyTime steady() const { return pulse::SteadyTime{std::chrono::nanoseconds{--*asked}}; }
  static void wait_until(std::condition_variable& condition, std::unique_lock<std::mutex>& lock, pulse::SteadyTime) { condition.wait_for(lock, 1ms); }
};

/// Whoever waits on it sleeps until he is notified.
struct ClockWithoutDeadlines {
  [[nodiscard]] static pulse::WallTime wall() { return pulse::SystemClock::wall(); }
  [[nodiscard]] static pulse::SteadyTime steady() { return pulse::SystemClock::steady(); }
  static void wait_until(std::condition_variable& condition, std::unique_lock<std::mutex>& lock, pulse::SteadyTime deadline) {
    if (steady() < deadline) {
      condition.wait(lock);
    }
  }
};

struct CodecThatReplaces : pulse::JsonCodec {
  template <class Env>
  void encode(const Env& envelope, std::string& out) {
    out.clear();
    pulse::JsonCodec::encode(envelope, out);
  }
};
struct CodecWithoutWords : pulse::JsonCodec {
  template <class Env>
  pulse::DecodeResult decode(std::string_view data, Env& envelope, pulse::DecodeError& error) {
    const auto result = pulse::JsonCodec::decode(data, envelope, error);
    error.text.clear();
    return result;
  }
};

struct Rate {
  double scale = 1;
  double newest = 0;
  bool by_time = false;
  void apply(const pulse::RateAdjustment& adjustment) {
    if (by_time && adjustment.ts < newest) {
      return;
    }
    newest = adjustment.ts;
    scale = adjustment.scale;
  }
};

}  // namespace

TEST_CASE("kit of clocks: ours pass, one that goes back and one that forgets deadlines do not") {
  CHECK(pulse::conformance::clock(pulse::SystemClock{}) == "");
  CHECK(pulse::conformance::clock(pulse::ManualClock{}) == "");
  CHECK(pulse::conformance::clock(ClockThatGoesBack{}).find("steady never goes back") == 0);
  CHECK(pulse::conformance::clock(ClockWithoutDeadlines{}).find("a wait ends about its deadline") == 0);
}

TEST_CASE("kit of codecs: ours passes, those that are broken are told what they break") {
  CHECK(pulse::conformance::codec(pulse::JsonCodec{}, samples(2)) == "");
  CHECK(pulse::conformance::codec(CodecThatReplaces{}, samples(1)).find("encode appends") == 0);
  CHECK(pulse::conformance::codec(CodecWithoutWords{}, samples(1)) != "");
}

TEST_CASE("kit of rate controllers: one that applies passes, one that judges the time again does not") {
  Rate rate;
  CHECK(pulse::conformance::rate_controller(rate, "ibkr", [&] { return rate.scale; }) == "");
  Rate judge;
  judge.by_time = true;
  CHECK(pulse::conformance::rate_controller(judge, "ibkr", [&] { return judge.scale; }).find("the last call counts") == 0);
}

TEST_CASE("kit of event handlers: over a transport that fails, each event has one effect; a handler that throws after its effect is found out") {
  std::size_t effects = 0;
  auto good = pulse::handlers(pulse::on<pulse::FeedbackEvent>([&](const pulse::FeedbackEvent&) { ++effects; }));
  CHECK(pulse::conformance::event_handler(good, samples(40), [&] { return effects; }) == "");
  std::set<std::int64_t> failed;
  auto late = pulse::handlers(pulse::on<pulse::FeedbackEvent>([&](const pulse::FeedbackEvent& event) {
    ++effects;
    if (failed.insert(event.queue_size).second) {
      throw std::runtime_error("after the effect");
    }
  }));
  CHECK(pulse::conformance::event_handler(late, samples(40), [&] { return effects; }).find("each event has one effect") == 0);
}

TEST_CASE("faulty backend: injects what it says, and nothing where it is told not to") {
  pulse::InMemoryBackend<> bus;
  pulse::testing::FaultyBackend faulty{bus, {.one_in = 2, .seed = 3}};
  int refused = 0;
  for (int i = 0; i < 200; ++i) {
    refused += faulty.publish("s", "x") ? 0 : 1;
  }
  CHECK(faulty.injected() == static_cast<std::uint64_t>(refused));
  CHECK(refused > 50);
  CHECK(refused < 150);
  CHECK(bus.length("s") > 200 - static_cast<std::uint64_t>(refused));  // some were done, and only their reply was lost
  faulty.set_one_in(0);
  for (int i = 0; i < 200; ++i) {
    CHECK(faulty.publish("s", "x"));
  }
}
