// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "pulse/control/feedback_bus.hpp"
#include "pulse/control/feedback_handler.hpp"
#include "pulse/core/clock.hpp"
#include "pulse/metrics/no_metrics.hpp"

using namespace std::chrono_literals;
using pulse::BackpressureLevel;
using pulse::FeedbackEvent;
using pulse::FeedbackHandler;
using pulse::FeedbackOptions;
using pulse::ManualClock;
using pulse::NoMetrics;
using pulse::Verdict;
using enum pulse::BackpressureLevel;

namespace {

struct Recorder {
  std::vector<double> scales;
  pulse::RateAdjustment last;
  bool fail = false;
  void apply(const pulse::RateAdjustment& adjustment) {
    if (fail) {
      throw std::runtime_error("no");
    }
    scales.push_back(adjustment.scale);
    last = adjustment;
  }
};

struct Gauges {
  static constexpr bool enabled = true;
  std::map<std::string, double> values;
  template <class L>
  pulse::LabelSlot<L> slot(std::string_view) const {
    return {};
  }
  template <class F, class... L>
  void add(F, std::uint64_t, L...) {}
  template <class F, class... L>
  void set(F, double value, L...) {
    values[std::string(F::name)] = value;
  }
  template <class F, class... L>
  void observe(F, std::chrono::nanoseconds, L...) {}
};

constexpr double start = 1'700'000'000;

FeedbackEvent event(std::string id, BackpressureLevel level, double ts) { return {std::move(id), 7, 10, level, "store", ts}; }

struct Fixture {
  Recorder rates;
  NoMetrics metrics;
  ManualClock clock;
  FeedbackHandler<Recorder, NoMetrics, ManualClock> handler{rates, metrics, {}, clock};
  Verdict::Kind give(std::string id, BackpressureLevel level, double ts) { return handler.handle(event(std::move(id), level, ts)).kind(); }
};

}  // namespace

static_assert(pulse::EventHandler<FeedbackHandler<Recorder, NoMetrics>>);
static_assert(pulse::EventHandler<FeedbackHandler<Recorder, NoMetrics, pulse::SystemClock, pulse::v2::FeedbackEventView>>);

TEST_CASE_FIXTURE(Fixture, "feedback: the level becomes the provider's scale") {
  CHECK(give("a", hard, start) == Verdict::Kind::ack);
  CHECK(rates.last == pulse::RateAdjustment{"ibkr", 0.0, hard, start});
  CHECK(give("a", soft, start + 1) == Verdict::Kind::ack);
  CHECK(rates.last == pulse::RateAdjustment{"ibkr", 0.5, soft, start + 1});
  CHECK(give("a", ok, start + 2) == Verdict::Kind::ack);
  CHECK(rates.last == pulse::RateAdjustment{"ibkr", 1.0, ok, start + 2});
}

// guarantee 8
TEST_CASE_FIXTURE(Fixture, "feedback: an older event never overrides a newer one") {
  CHECK(give("a", ok, start) == Verdict::Kind::ack);
  CHECK(give("a", hard, start - 86400) == Verdict::Kind::stale);
  CHECK(rates.scales == std::vector{1.0});
  CHECK(give("b", hard, start - 86400) == Verdict::Kind::ack);  // another coordinator has its own time
  CHECK(rates.last.scale == 0);
  CHECK(rates.last.ts == start);  // and the adjustments do not go back in time
}

TEST_CASE_FIXTURE(Fixture, "feedback: the same ts again is applied again, to the same effect") {
  CHECK(give("a", hard, start) == Verdict::Kind::ack);
  CHECK(give("a", hard, start) == Verdict::Kind::ack);
  CHECK(rates.scales == std::vector{0.0, 0.0});
}

// guarantee 8
TEST_CASE_FIXTURE(Fixture, "feedback: the worst of several coordinators wins") {
  give("a", hard, start);
  give("b", ok, start + 1);
  CHECK(rates.last.scale == 0);
  give("a", soft, start + 2);
  CHECK(rates.last.scale == 0.5);
  give("a", ok, start + 3);
  CHECK(rates.last.scale == 1);
}

// guarantee 8
TEST_CASE_FIXTURE(Fixture, "feedback: a silent coordinator expires, and its old events stay stale") {
  give("a", hard, start);
  clock.advance(30s);
  give("b", soft, start + 30);
  clock.advance(30s - 1ns);
  CHECK(handler.tick());
  CHECK(rates.last.scale == 0);
  clock.advance(1ns);
  CHECK(handler.tick());
  CHECK(rates.last.scale == 0.5);
  CHECK(rates.last.ts == start + 60);
  clock.advance(30s);
  CHECK(handler.tick());
  CHECK(rates.last.scale == 1);
  const auto applied = rates.scales.size();
  CHECK(handler.tick());
  CHECK(rates.scales.size() == applied);
  CHECK(give("a", hard, start - 1) == Verdict::Kind::stale);
  CHECK(give("a", hard, start + 91) == Verdict::Kind::ack);
  CHECK(rates.last.scale == 0);
}

TEST_CASE("feedback: the level of a silent coordinator is a choice") {
  Recorder rates;
  NoMetrics metrics;
  ManualClock clock;
  FeedbackHandler handler{rates, metrics, pulse::FeedbackSettings{}, clock, FeedbackOptions{.expire_after = 5s, .expired_level = soft}};
  (void)handler.handle(event("a", ok, start));
  clock.advance(5s);
  CHECK(handler.tick());
  CHECK(rates.last.scale == 0.5);
}

TEST_CASE_FIXTURE(Fixture, "feedback: a ts far ahead freezes nobody") {
  CHECK(give("a", hard, start + 1e9) == Verdict::Kind::ack);
  clock.advance(1s);
  CHECK(give("a", ok, start + 1) == Verdict::Kind::ack);
  CHECK(rates.last.scale == 1);
  clock.advance(1s);
  CHECK(give("a", hard, start + 1e9) == Verdict::Kind::stale);  // the redelivery is as old as the event was
  CHECK(rates.last.scale == 1);
  // A clock that is ahead for good still has an order.
  CHECK(give("a", soft, start + 1e9 + 1) == Verdict::Kind::ack);
  CHECK(give("a", soft, start + 1e9 + 1) == Verdict::Kind::ack);
  CHECK(give("a", hard, start + 1e9 + 0.5) == Verdict::Kind::stale);
  CHECK(rates.last.scale == 0.5);
}

TEST_CASE_FIXTURE(Fixture, "feedback: a ts far ahead is of the time it arrived first, however often it is delivered") {
  CHECK(give("a", soft, start + 1e9) == Verdict::Kind::ack);
  clock.advance(1s);
  CHECK(give("a", soft, start + 1e9) == Verdict::Kind::ack);
  CHECK(rates.last.ts == start);
  CHECK(give("a", hard, start + 0.5) == Verdict::Kind::ack);  // newer than that
  CHECK(rates.last.scale == 0);
}

TEST_CASE_FIXTURE(Fixture, "feedback: a wall clock that steps back does not stop a coordinator that is ahead") {
  CHECK(give("a", hard, start + 1e9) == Verdict::Kind::ack);
  clock.set_wall(pulse::WallTime{std::chrono::seconds{1'600'000'000}});
  CHECK(give("a", ok, start + 1e9 + 1) == Verdict::Kind::ack);
  CHECK(rates.last.scale == 1);
  clock.set_wall(pulse::WallTime{std::chrono::seconds{1'700'000'000}});
  CHECK(give("a", hard, start - 1) == Verdict::Kind::stale);  // nor does it make what is old new
}

TEST_CASE_FIXTURE(Fixture, "feedback: one ts out of all reason does not silence a coordinator whose clock stays ahead, once it counts as silent") {
  CHECK(give("a", ok, start * 1000) == Verdict::Kind::ack);
  bool heard = false;
  for (int second = 1; second <= 120 && !heard; ++second) {
    clock.advance(1s);
    heard = give("a", hard, start + 600 + second) == Verdict::Kind::ack;
    CHECK(handler.tick());
    CHECK(heard == (second > 60));
  }
  CHECK(rates.last.scale == 0);
}

TEST_CASE_FIXTURE(Fixture, "feedback: a ts of before 1970 is said as it is") {
  CHECK(give("a", ok, -1) == Verdict::Kind::ack);
  CHECK(rates.last.ts == -1);
}

TEST_CASE("feedback: without a word of one's own, the options are those of the documentation") {
  const FeedbackOptions options;
  CHECK(options.expire_after == 60s);
  CHECK(options.expired_level == ok);
  CHECK(options.max_skew == 5min);
  CHECK(options.max_coordinators == 1024);
}

TEST_CASE_FIXTURE(Fixture, "feedback: what is no number is dead-lettered and changes nothing") {
  CHECK(give("a", hard, std::numeric_limits<double>::quiet_NaN()) == Verdict::Kind::dead_letter);
  CHECK(give("a", hard, std::numeric_limits<double>::infinity()) == Verdict::Kind::dead_letter);
  CHECK(give("a", static_cast<BackpressureLevel>(9), start) == Verdict::Kind::dead_letter);
  CHECK(rates.scales.empty());
  CHECK(handler.coordinators() == 0);
}

TEST_CASE_FIXTURE(Fixture, "feedback: an apply that fails is made good by the redelivery, or by a tick") {
  rates.fail = true;
  CHECK_THROWS(give("a", hard, start));
  rates.fail = false;
  CHECK(give("a", hard, start) == Verdict::Kind::ack);
  CHECK(rates.last.scale == 0);
  rates.fail = true;
  clock.advance(61s);
  CHECK(!handler.tick());
  rates.fail = false;
  CHECK(handler.tick());
  CHECK(rates.last.scale == 1);
}

TEST_CASE_FIXTURE(Fixture, "feedback: a level that was in force and whose repetition failed is applied again by a tick, once") {
  CHECK(give("a", hard, start) == Verdict::Kind::ack);
  rates.fail = true;
  CHECK_THROWS(give("a", hard, start));
  rates.fail = false;
  CHECK(handler.tick());
  CHECK(rates.scales == std::vector{0.0, 0.0});
  CHECK(handler.tick());
  CHECK(rates.scales.size() == 2);
}

TEST_CASE("feedback: disabled, it acknowledges without effect") {
  Recorder rates;
  Gauges metrics;
  pulse::FeedbackSettings settings;
  settings.enable = false;
  FeedbackHandler handler{rates, metrics, settings, ManualClock{}};
  CHECK(handler.handle(event("a", hard, start)).kind() == Verdict::Kind::ack);
  CHECK(handler.tick());
  CHECK(rates.scales.empty());
  CHECK(metrics.values.empty());
}

// guarantee 9
TEST_CASE("feedback: the number of coordinators is bounded, the one not heard from for longest goes") {
  Recorder rates;
  NoMetrics metrics;
  ManualClock clock;
  FeedbackHandler handler{rates, metrics, pulse::FeedbackSettings{}, clock, FeedbackOptions{.max_coordinators = 2}};
  for (const char* id : {"a", "b", "a", "c"}) {
    clock.advance(1s);
    (void)handler.handle(event(id, *id == 'b' ? hard : ok, start));
  }
  CHECK(handler.coordinators() == 2);
  CHECK(handler.level() == ok);  // b is forgotten
  CHECK(handler.handle(event("a", hard, start - 1)).kind() == Verdict::Kind::stale);
  CHECK(handler.handle(event("c", hard, start - 1)).kind() == Verdict::Kind::stale);
}

// guarantee 9
TEST_CASE("feedback: where there is room for one, who takes another's place takes nothing else of it") {
  Recorder rates;
  NoMetrics metrics;
  FeedbackHandler handler{rates, metrics, pulse::FeedbackSettings{}, ManualClock{}, FeedbackOptions{.max_coordinators = 1}};
  CHECK(handler.handle(event("a", hard, start + 1e9 + 5)).kind() == Verdict::Kind::ack);
  CHECK(handler.handle(event("b", ok, start)).kind() == Verdict::Kind::ack);
  CHECK(handler.coordinators() == 1);
  CHECK(rates.last.scale == 1);
  CHECK(handler.handle(event("b", hard, start + 1e9)).kind() == Verdict::Kind::ack);  // less far ahead than a was
  CHECK(rates.last.scale == 0);
}

TEST_CASE("feedback: options that cannot be are refused with what is allowed") {
  Recorder rates;
  NoMetrics metrics;
  const auto refused = [&](FeedbackOptions options) -> std::string {
    try {
      FeedbackHandler handler{rates, metrics, pulse::FeedbackSettings{}, ManualClock{}, options};
    } catch (const std::invalid_argument& thrown) {
      return thrown.what();
    }
    return "taken";
  };
  CHECK(refused({.expire_after = 0s}) == "FeedbackOptions: the expire_after is 0 ns: allowed are 1 ns and more");
  CHECK(refused({.expire_after = 1ns}) == "taken");
  CHECK(refused({.max_skew = -1ns}) == "FeedbackOptions: the max_skew is -1 ns: allowed are 0 ns and more");
  CHECK(refused({.max_skew = 0s}) == "taken");
  CHECK(refused({.max_coordinators = 0}) == "FeedbackOptions: the max_coordinators is 0: allowed are 1 and more");
}

TEST_CASE("feedback: what a tick cannot apply is an error whatever is thrown, and the next tick tries again") {
  struct Odd {
    int thrown = 0;  // 1: an exception, 2: something else
    double scale = -1;
    void apply(const pulse::RateAdjustment& adjustment) {
      if (thrown == 1) {
        throw std::runtime_error("no");
      }
      if (thrown == 2) {
        throw 7;
      }
      scale = adjustment.scale;
    }
  };
  Odd rates;
  NoMetrics metrics;
  ManualClock clock;
  FeedbackHandler<Odd, NoMetrics, ManualClock> handler{rates, metrics, {}, clock};
  CHECK(handler.tick());  // nobody has said anything
  CHECK(rates.scale == -1);
  REQUIRE(handler.handle(event("a", hard, start)).kind() == Verdict::Kind::ack);
  CHECK(rates.scale == 0);
  clock.advance(24h);  // a is silent, its level has expired
  rates.thrown = 1;
  CHECK(handler.tick().error().message == "the rate could not be adjusted: no");
  rates.thrown = 2;
  CHECK(handler.tick().error().message == "the rate could not be adjusted: an exception that is no std::exception");
  CHECK(handler.tick().error().code == pulse::ErrorCode::unavailable);
  CHECK(rates.scale == 0);
  rates.thrown = 0;
  CHECK(handler.tick());
  CHECK(rates.scale == 1);
}

TEST_CASE("feedback: gauges say scale, level and queue depth; adjustments are announced on change only") {
  Recorder rates;
  Gauges metrics;
  std::vector<double> announced;
  bool fail = false;
  const auto announce = [&](const pulse::RateAdjustment& adjustment) {
    if (fail) {
      throw std::runtime_error("no");
    }
    announced.push_back(adjustment.scale);
  };
  FeedbackHandler<Recorder, Gauges, ManualClock, FeedbackEvent, decltype(announce)> handler{rates, metrics, {}, ManualClock{}, {}, announce};
  (void)handler.handle(event("a", soft, start));
  (void)handler.handle(event("a", soft, start + 1));
  CHECK(metrics.values == std::map<std::string, double>{{"pipeline_backpressure_state", 1}, {"pipeline_feedback_queue_depth", 7}, {"rate_scale_current", 0.5}});
  CHECK(announced == std::vector{0.5});
  fail = true;
  CHECK_THROWS((void)handler.handle(event("a", hard, start + 2)));
  fail = false;
  (void)handler.handle(event("a", hard, start + 2));
  CHECK(announced == std::vector{0.5, 0.0});
}

TEST_CASE("feedback: the first adjustment is announced, even that all is well") {
  Recorder rates;
  NoMetrics metrics;
  std::vector<double> announced;
  const auto announce = [&](const pulse::RateAdjustment& adjustment) { announced.push_back(adjustment.scale); };
  FeedbackHandler<Recorder, NoMetrics, ManualClock, FeedbackEvent, decltype(announce)> handler{rates, metrics, {}, ManualClock{}, {}, announce};
  (void)handler.handle(event("a", ok, start));
  (void)handler.handle(event("a", ok, start + 1));
  CHECK(announced == std::vector{1.0});
}

TEST_CASE("feedback: both tracks, text owned or viewed") {
  Recorder rates;
  NoMetrics metrics;
  FeedbackHandler handler{rates, metrics, pulse::FeedbackSettings{}, ManualClock{}};
  pulse::v2::FeedbackEventView view;
  view.coordinator_id = "a";
  view.level = soft;
  view.ts = start;
  CHECK(handler.handle(view).kind() == Verdict::Kind::ack);
  CHECK(handler.handle(event("a", hard, start - 1)).kind() == Verdict::Kind::stale);  // the same coordinator
}

TEST_CASE("bus: everyone is called, one that throws stops nobody, who left is not called") {
  pulse::FeedbackBus bus;
  std::string calls;
  auto a = bus.subscribe([&](const FeedbackEvent&) { calls += 'a'; });
  auto b = bus.subscribe([&](const FeedbackEvent&) { calls += 'b', throw std::runtime_error("b"); });
  auto c = bus.subscribe([&](const FeedbackEvent& e) { calls += e.coordinator_id; });
  auto report = bus.publish(event("c", ok, start));
  CHECK(calls == "abc");
  CHECK(report.delivered == 2);
  CHECK(report.failed == 1);
  b.reset();
  a = {};
  report = bus.publish(event("d", ok, start));
  CHECK(calls == "abcd");
  CHECK(bus.subscribers() == 1);
}

TEST_CASE("bus: whose subscription ends while an event is handed out is not called any more") {
  pulse::FeedbackBus bus;
  std::string calls;
  pulse::FeedbackBus::Subscription second;
  const auto first = bus.subscribe([&](const FeedbackEvent&) {
    calls += '1';
    second.reset();
  });
  second = bus.subscribe([&](const FeedbackEvent&) { calls += '2'; });
  const auto third = bus.subscribe([&](const FeedbackEvent&) { calls += '3'; });
  CHECK(bus.publish({}).delivered == 2);
  CHECK(calls == "13");
}

TEST_CASE("bus: a callback ends its own subscription; a subscription outlives its bus") {
  pulse::FeedbackBus::Subscription self;
  int calls = 0;
  {
    pulse::FeedbackBus bus;
    self = bus.subscribe([&](const FeedbackEvent&) {
      ++calls;
      self.reset();
    });
    bus.publish({});
    bus.publish({});
    CHECK(calls == 1);
    self = bus.subscribe([](const FeedbackEvent&) {});
  }
  self.reset();
}
