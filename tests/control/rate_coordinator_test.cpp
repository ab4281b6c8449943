// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "pulse/concept/controller.hpp"
#include "pulse/control/rate_coordinator.hpp"
#include "pulse/detail/random.hpp"

using namespace std::chrono_literals;
using pulse::Circuit;
using pulse::ErrorCode;
using pulse::ManualClock;
using pulse::ProviderOptions;
using pulse::RateCoordinator;
using enum pulse::BackpressureLevel;

static_assert(pulse::RateController<RateCoordinator<>>);

namespace {

struct Fixture {
  ManualClock clock;
  RateCoordinator<ManualClock> rates{clock};

  void add(ProviderOptions options) { REQUIRE(rates.register_provider("p", options)); }
  bool take(std::uint32_t n = 1) { return rates.try_acquire("p", n).has_value(); }
  ErrorCode refusal(std::uint32_t n = 1) {
    const auto status = rates.try_acquire("p", n);
    REQUIRE(!status);
    return status.error().code;
  }
  int drain() {
    int taken = 0;
    while (take()) {
      ++taken;
    }
    return taken;
  }
  Circuit circuit() { return rates.provider_state("p")->circuit; }

  /// Lets virtual time pass until the waiting threads are through.
  void pass_until(const std::atomic<bool>& done, std::chrono::nanoseconds step) {
    while (!done.load()) {
      clock.advance(step);
      std::this_thread::yield();
    }
  }
  void until_waiting(std::size_t n) {
    while (rates.provider_state("p")->waiting != n) {
      std::this_thread::yield();
    }
  }
};

/// A clock on which it is at once as late as somebody wants to wait for; keeps how long each wait was to be.
struct LeapingClock : ManualClock {
  std::shared_ptr<std::vector<std::chrono::nanoseconds>> waits = std::make_shared<std::vector<std::chrono::nanoseconds>>();

  void wait_until(std::condition_variable&, std::unique_lock<std::mutex>&, pulse::SteadyTime deadline) const {
    waits->push_back(deadline - steady());
    ManualClock{*this}.advance(waits->back());
  }
};
static_assert(pulse::Clock<LeapingClock>);

}  // namespace

TEST_CASE_FIXTURE(Fixture, "rate: a burst, then the refill rate") {
  add({.capacity = 10, .refill_rate = 100});
  CHECK(drain() == 10);
  CHECK(refusal() == ErrorCode::capacity);
  clock.advance(50ms);
  CHECK(drain() == 5);
  clock.advance(1h);
  CHECK(drain() == 10);
}

// guarantee 8
TEST_CASE_FIXTURE(Fixture, "rate: never more than the scaled rate over time plus the burst") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    pulse::detail::SplitMix64 random{seed};
    const std::string name = "p" + std::to_string(seed);
    const ProviderOptions options{.capacity = static_cast<double>(1 + random.up_to(50)), .refill_rate = static_cast<double>(1 + random.up_to(1000))};
    REQUIRE(rates.register_provider(name, options));
    double allowed = options.capacity;
    double granted = 0;
    double own = 1;
    double global = 1;
    for (int step = 0; step < 3000; ++step) {
      switch (random.up_to(7)) {
        case 0:
          own = static_cast<double>(random.up_to(4)) / 4;
          REQUIRE(rates.set_budget_scale(name, own));
          break;
        case 1: {
          const auto level = static_cast<pulse::BackpressureLevel>(random.up_to(2));
          global = pulse::FeedbackSettings{}.scale(level);
          REQUIRE(rates.set_global_pressure(level));
          break;
        }
        case 2:
        case 3: {
          const std::chrono::nanoseconds by{random.up_to(20'000'000)};
          clock.advance(by);
          allowed += options.refill_rate * std::min(own, global) * std::chrono::duration<double>(by).count();
          break;
        }
        default: {
          const auto n = static_cast<std::uint32_t>(1 + random.up_to(static_cast<std::uint64_t>(options.capacity) - 1));
          if (rates.try_acquire(name, n)) {
            granted += n;
            REQUIRE(std::min(own, global) > 0);
          }
        }
      }
      REQUIRE(granted <= allowed + 1e-6);
    }
    CHECK(granted > 0);
    REQUIRE(rates.set_global_pressure(ok));
  }
}

// guarantee 8
TEST_CASE_FIXTURE(Fixture, "rate: scale 0 pauses wholly, whatever is in the bucket, and scale s recovers within n / (rate * s)") {
  add({.capacity = 10, .refill_rate = 100});
  rates.apply({"p", 0.0, hard, 1});
  CHECK(refusal() == ErrorCode::unavailable);
  clock.advance(1h);
  CHECK(refusal() == ErrorCode::unavailable);
  CHECK(rates.provider_state("p")->reason == hard);
  rates.apply({"p", 0.5, soft, 2});
  CHECK(drain() == 10);
  clock.advance(199ms);
  CHECK(!take(10));
  clock.advance(1ms);
  CHECK(take(10));
}

TEST_CASE_FIXTURE(Fixture, "rate: time at scale 0 fills no bucket") {
  add({.capacity = 10, .refill_rate = 100});
  CHECK(drain() == 10);
  REQUIRE(rates.set_budget_scale("p", 0));
  clock.advance(1h);
  REQUIRE(rates.set_budget_scale("p", 1));
  CHECK(drain() == 0);
}

TEST_CASE_FIXTURE(Fixture, "rate: a change of scale keeps what the bucket was filled with before it") {
  add({.capacity = 10, .refill_rate = 100});
  CHECK(drain() == 10);
  clock.advance(50ms);
  REQUIRE(rates.set_budget_scale("p", 0.5));
  CHECK(rates.provider_state("p")->tokens == 5);
  clock.advance(50ms);
  CHECK(drain() == 7);
}

TEST_CASE_FIXTURE(Fixture, "rate: without a word of how many, it is one token") {
  add({.capacity = 10});
  CHECK(rates.try_acquire("p"));
  CHECK(rates.provider_state("p")->tokens == 9);
  CHECK(rates.acquire("p"));
  CHECK(rates.provider_state("p")->tokens == 8);
}

TEST_CASE("rate: a scale of the global pressure that is out of range is refused, and nothing changes") {
  pulse::FeedbackSettings pressure;
  pressure.scale_ok = 1.5;
  pressure.scale_soft = -0.5;
  pressure.scale_hard = 0.25;
  RateCoordinator<ManualClock> rates{ManualClock{}, pressure};
  REQUIRE(rates.register_provider("p", {}));
  REQUIRE(rates.set_global_pressure(hard));
  for (const auto level : {ok, soft, static_cast<pulse::BackpressureLevel>(3)}) {
    CAPTURE(static_cast<int>(level));
    const auto refused = rates.set_global_pressure(level);
    REQUIRE(!refused);
    CHECK(refused.error().code == ErrorCode::config);
  }
  CHECK(rates.provider_state("p")->scale == 0.25);
}

TEST_CASE_FIXTURE(Fixture, "rate: the global pressure holds everyone, later ones too, and the smaller scale counts") {
  add({.capacity = 10, .refill_rate = 100});
  REQUIRE(rates.set_global_pressure(hard));
  REQUIRE(rates.register_provider("later", {}));
  CHECK(!take());
  CHECK(!rates.try_acquire("later"));
  REQUIRE(rates.set_budget_scale("p", 0.25));
  REQUIRE(rates.set_global_pressure(soft));
  CHECK(rates.provider_state("p")->scale == 0.25);
  CHECK(rates.provider_state("later")->scale == 0.5);
  REQUIRE(rates.set_global_pressure(ok));
  CHECK(rates.provider_state("p")->scale == 0.25);
}

TEST_CASE_FIXTURE(Fixture, "rate: a cooldown holds until it has passed") {
  add({.capacity = 10, .refill_rate = 100, .cooldown = 5s});
  REQUIRE(rates.trigger_cooldown("p"));
  CHECK(refusal() == ErrorCode::unavailable);
  clock.advance(5s - 1ns);
  CHECK(!take());
  clock.advance(1ns);
  CHECK(take());
}

TEST_CASE_FIXTURE(Fixture, "breaker: opens after failures in a row, lets one probe pass, closes on its success") {
  add({.capacity = 10, .refill_rate = 100, .breaker_threshold = 3, .breaker_timeout = 10s});
  const auto fail = [&] { REQUIRE(rates.record_failure("p")); };
  fail(), fail();
  REQUIRE(rates.record_success("p"));
  fail(), fail();
  CHECK(circuit() == Circuit::closed);
  fail();
  CHECK(circuit() == Circuit::open);
  CHECK(refusal() == ErrorCode::unavailable);
  REQUIRE(rates.record_success("p"));  // of a call from before
  CHECK(circuit() == Circuit::open);
  clock.advance(9s);
  fail();  // of a call from before: does not put the probe off
  clock.advance(1s);
  CHECK(take());
  CHECK(circuit() == Circuit::half_open);
  CHECK(refusal() == ErrorCode::unavailable);  // one probe only
  fail();
  CHECK(circuit() == Circuit::open);
  clock.advance(10s);
  CHECK(take());
  REQUIRE(rates.record_success("p"));
  CHECK(circuit() == Circuit::closed);
  CHECK(take());
}

TEST_CASE_FIXTURE(Fixture, "breaker: a probe nobody reports on does not shut the circuit for good") {
  add({.capacity = 10, .refill_rate = 100, .breaker_threshold = 1, .breaker_timeout = 10s});
  REQUIRE(rates.record_failure("p"));
  clock.advance(10s);
  CHECK(take());
  clock.advance(10s);
  CHECK(take());
  CHECK(!take());
}

TEST_CASE_FIXTURE(Fixture, "field bug 24: failures never raise the rate, and the probe is bound by the scale") {
  add({.capacity = 10, .refill_rate = 100, .breaker_threshold = 1, .breaker_timeout = 1s});
  REQUIRE(rates.set_budget_scale("p", 0.5));
  for (int i = 0; i < 1000; ++i) {
    REQUIRE(rates.record_failure("p"));
    clock.advance(1ms);
  }
  CHECK(rates.provider_state("p")->scale == 0.5);
  CHECK(rates.provider_state("p")->tokens == 10);
  REQUIRE(rates.set_budget_scale("p", 0));
  clock.advance(1h);
  CHECK(!take());  // a probe is due, but the store says hard
  CHECK(circuit() == Circuit::open);
}

TEST_CASE_FIXTURE(Fixture, "rate: what is out of range is refused and named") {
  const auto message = [&](ProviderOptions options) {
    const auto status = rates.register_provider("p", options);
    REQUIRE(!status);
    CHECK(status.error().code == ErrorCode::config);
    return status.error().message;
  };
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  constexpr double inf = std::numeric_limits<double>::infinity();
  for (const double bad : {nan, -1.0, 0.0, inf, 0.5}) {
    CHECK(message({.capacity = bad}).find("capacity is ") != std::string::npos);
  }
  for (const double bad : {nan, -1.0, 0.0, inf}) {
    CHECK(message({.refill_rate = bad}).find("refill_rate is ") != std::string::npos);
  }
  CHECK(message({.cooldown = -1s}).find("cooldown is ") != std::string::npos);
  CHECK(message({.breaker_timeout = 0s}).find("breaker_timeout is ") != std::string::npos);
  CHECK(!rates.register_provider("", {}));
  CHECK(!rates.try_acquire("p"));
  add({.capacity = 2});
  CHECK(!rates.register_provider("p", {}));
  CHECK(rates.register_provider("Interactive Brokers", {}));
  for (const double bad : {nan, -0.1, 1.1, inf}) {
    CHECK(!rates.set_budget_scale("p", bad));
    CHECK_THROWS_AS(rates.apply({"p", bad, ok, 1}), std::invalid_argument);
  }
  CHECK_THROWS_AS(rates.apply({"unknown", 1, ok, 1}), std::invalid_argument);
  CHECK(rates.provider_state("p")->scale == 1);
  CHECK(refusal(0) == ErrorCode::config);
  CHECK(refusal(3) == ErrorCode::config);
  CHECK(rates.acquire("unknown").error().code == ErrorCode::not_found);
  CHECK(rates.record_failure("unknown").error().code == ErrorCode::not_found);
  CHECK(rates.provider_state("unknown").error().code == ErrorCode::not_found);
  CHECK(!rates.set_global_pressure(static_cast<pulse::BackpressureLevel>(7)));
}

TEST_CASE_FIXTURE(Fixture, "rate: without a threshold no failure opens the circuit") {
  add({.capacity = 10, .breaker_threshold = 0});
  for (int i = 0; i < 100; ++i) {
    REQUIRE(rates.record_failure("p"));
  }
  CHECK(circuit() == Circuit::closed);
  CHECK(take());
}

TEST_CASE("rate: each option may be its least and its most, and nothing beyond") {
  const auto good = [](const ProviderOptions& options) { return pulse::check(options).has_value(); };
  CHECK(good({.capacity = 1}));
  CHECK(good({.capacity = 1e9}));
  CHECK_FALSE(good({.capacity = 1e9 + 1}));
  CHECK(good({.refill_rate = 1e-6}));
  CHECK_FALSE(good({.refill_rate = 0.9e-6}));
  CHECK(good({.refill_rate = 1e9}));
  CHECK_FALSE(good({.refill_rate = 1e9 + 1}));
  CHECK(good({.cooldown = 0s}));
  CHECK_FALSE(good({.cooldown = -1ns}));
  CHECK(good({.cooldown = 24h}));
  CHECK_FALSE(good({.cooldown = 24h + 1ns}));
  CHECK(good({.breaker_timeout = 1ns}));
  CHECK_FALSE(good({.breaker_timeout = 0ns}));
  CHECK(good({.breaker_timeout = 24h}));
  CHECK_FALSE(good({.breaker_timeout = 24h + 1ns}));
}

TEST_CASE("rate: without a word of one's own, the options are those of the documentation") {
  const ProviderOptions options;
  CHECK(options.capacity == 1);
  CHECK(options.refill_rate == 1);
  CHECK(options.cooldown == 1s);
  CHECK(options.breaker_threshold == 0);
  CHECK(options.breaker_timeout == 30s);
  const pulse::ProviderState state;
  CHECK(state.scale == 1);
  CHECK(state.budget_scale == 1);
  CHECK(state.pressure_scale == 1);
  CHECK(state.tokens == 0);
  CHECK(state.failures == 0);
  CHECK(state.cooldown_left == 0ns);
  CHECK(state.waiting == 0);
}

TEST_CASE_FIXTURE(Fixture, "rate: a provider's state says all of it") {
  add({.capacity = 10, .refill_rate = 10, .cooldown = 5s, .breaker_threshold = 3});
  const auto fresh = rates.provider_state("p");
  CHECK(fresh->scale == 1);
  CHECK(fresh->budget_scale == 1);
  CHECK(fresh->pressure_scale == 1);
  CHECK(fresh->tokens == 10);
  CHECK(fresh->failures == 0);
  CHECK(fresh->cooldown_left == 0ns);
  CHECK(fresh->waiting == 0);
  REQUIRE(take(4));
  REQUIRE(rates.set_budget_scale("p", 0.75, soft));
  REQUIRE(rates.set_global_pressure(soft));
  REQUIRE(rates.record_failure("p"));
  REQUIRE(rates.trigger_cooldown("p"));
  clock.advance(200ms);
  const auto state = rates.provider_state("p");
  CHECK(state->scale == 0.5);
  CHECK(state->budget_scale == 0.75);
  CHECK(state->pressure_scale == 0.5);
  CHECK(state->reason == soft);
  CHECK(state->tokens == 7);
  CHECK(state->failures == 1);
  CHECK(state->cooldown_left == 4800ms);
  clock.advance(4800ms);
  CHECK(rates.provider_state("p")->cooldown_left == 0ns);
}

TEST_CASE("rate: the next chance is when the tokens are there, the cooldown over and the probe due; at scale 0 it is looked at again in an hour") {
  const pulse::SteadyTime now{1h};
  using Gate = pulse::detail::RateGate;
  const ProviderOptions options{.capacity = 10, .refill_rate = 4, .cooldown = 60s, .breaker_threshold = 1, .breaker_timeout = 90s};
  Gate gate{options, now};
  CHECK(gate.next_chance(10, now) == now);
  REQUIRE(gate.take(10, now) == Gate::Refusal::none);
  CHECK(gate.next_chance(2, now) == now + 500ms);
  gate.set_budget(0.5, now);
  CHECK(gate.next_chance(2, now) == now + 1s);
  gate.set_budget(0, now);
  CHECK(gate.next_chance(2, now) == now + 1h);
  gate.set_budget(1, now);
  gate.cool_down(now);
  CHECK(gate.next_chance(2, now) == now + 60s);
  gate.failed(now);
  CHECK(gate.next_chance(2, now) == now + 90s);
  Gate slow{{.capacity = 10, .refill_rate = 1e-6}, now};
  REQUIRE(slow.take(10, now) == Gate::Refusal::none);
  CHECK(slow.next_chance(1, now) == now + 1h);  // and not so far away that a clock cannot say it
}

TEST_CASE_FIXTURE(Fixture, "acquire: waits for tokens; a passed deadline and a stop end the wait") {
  add({.capacity = 1, .refill_rate = 10});
  CHECK(rates.acquire("p"));
  CHECK(rates.acquire("p", 1, clock.steady()).error().code == ErrorCode::capacity);
  std::atomic<bool> done{false};
  const auto before = clock.steady();
  std::thread waits{[&] {
    CHECK(rates.acquire("p"));
    done = true;
  }};
  until_waiting(1);
  CHECK(!take());
  pass_until(done, 1ms);
  waits.join();
  CHECK(clock.steady() - before >= 100ms);

  pulse::StopSource stop;
  REQUIRE(rates.set_budget_scale("p", 0));
  std::thread stopped{[&] { CHECK(rates.acquire("p", 1, pulse::SteadyTime::max(), stop.token()).error().code == ErrorCode::stopped); }};
  until_waiting(1);
  stop.request_stop();
  stopped.join();
  CHECK(rates.provider_state("p")->waiting == 0);
}

TEST_CASE_FIXTURE(Fixture, "acquire: whoever waits at scale 0 goes on when the scale rises, with no time passing") {
  add({.capacity = 2, .refill_rate = 1});
  REQUIRE(rates.set_budget_scale("p", 0));
  std::vector<std::thread> waits;
  for (int i = 0; i < 2; ++i) {
    waits.emplace_back([&] { CHECK(rates.acquire("p")); });
  }
  until_waiting(2);
  rates.apply({"p", 1.0, ok, 1});
  for (auto& thread : waits) {
    thread.join();
  }
}

TEST_CASE("acquire: with the system's clock a rising scale wakes who waits") {
  RateCoordinator rates;
  REQUIRE(rates.register_provider("p", {.capacity = 1, .refill_rate = 1e6}));
  rates.apply({"p", 0.0, hard, 1});
  std::thread waits{[&] { CHECK(rates.acquire("p")); }};
  while (rates.provider_state("p")->waiting == 0) {
    std::this_thread::yield();
  }
  rates.apply({"p", 1.0, ok, 2});
  waits.join();  // hangs for an hour if nobody notifies
}

TEST_CASE("acquire: with the system's clock a stop and a global pressure that goes wake who waits") {
  RateCoordinator rates;
  REQUIRE(rates.register_provider("p", {.capacity = 1, .refill_rate = 1e6}));
  REQUIRE(rates.set_global_pressure(hard));
  const auto until_one_waits = [&] {
    while (rates.provider_state("p")->waiting == 0) {
      std::this_thread::yield();
    }
    std::this_thread::sleep_for(1ms);  // it sleeps by now, most of the time
  };
  pulse::StopSource stop;
  std::thread stopped{[&] { CHECK(rates.acquire("p", 1, pulse::SteadyTime::max(), stop.token()).error().code == ErrorCode::stopped); }};
  until_one_waits();
  stop.request_stop();
  stopped.join();
  std::thread waits{[&] { CHECK(rates.acquire("p")); }};
  until_one_waits();
  REQUIRE(rates.set_global_pressure(ok));
  waits.join();
}

TEST_CASE("acquire: with the system's clock whoever is next is woken by the one before") {
  RateCoordinator rates;
  REQUIRE(rates.register_provider("p", {.capacity = 2, .refill_rate = 50}));
  REQUIRE(rates.try_acquire("p", 2));
  rates.apply({"p", 0.0, hard, 1});
  std::vector<std::thread> waits;
  for (std::size_t i = 0; i < 2; ++i) {
    waits.emplace_back([&] { CHECK(rates.acquire("p", 2)); });
    while (rates.provider_state("p")->waiting != i + 1) {
      std::this_thread::yield();
    }
  }
  rates.apply({"p", 1.0, ok, 2});  // the first has to wait for 40 ms more; the second looks once, and is not heard of again until it is its turn
  for (auto& thread : waits) {
    thread.join();
  }
}

TEST_CASE("acquire: who waits sleeps until there may be tokens, or until the deadline") {
  LeapingClock clock;
  RateCoordinator<LeapingClock> rates{clock};
  REQUIRE(rates.register_provider("p", {.capacity = 1, .refill_rate = 10, .cooldown = 5s}));
  using Waits = std::vector<std::chrono::nanoseconds>;
  const auto take_waits = [&] { return std::exchange(*clock.waits, {}); };
  CHECK(rates.acquire("p"));
  CHECK(take_waits().empty());
  CHECK(rates.acquire("p"));
  CHECK(take_waits() == Waits{100ms});
  CHECK(rates.acquire("p", 1, clock.steady() + 30ms).error().code == ErrorCode::capacity);
  CHECK(take_waits() == Waits{30ms});
  REQUIRE(rates.trigger_cooldown("p"));
  CHECK(rates.acquire("p"));
  CHECK(take_waits() == Waits{5s});
}

TEST_CASE("acquire: a stop that cannot call is looked for every 50 ms") {
  LeapingClock clock;
  RateCoordinator<LeapingClock> rates{clock};
  REQUIRE(rates.register_provider("p", {}));
  REQUIRE(rates.set_budget_scale("p", 0));
  struct Third {
    int* asked;
    bool stop_requested() const { return ++*asked == 3; }
  };
  int asked = 0;
  CHECK(rates.acquire("p", 1, pulse::SteadyTime::max(), Third{&asked}).error().code == ErrorCode::stopped);
  CHECK(*clock.waits == std::vector<std::chrono::nanoseconds>{50ms, 50ms});
}

TEST_CASE_FIXTURE(Fixture, "acquire: who came first is served first, whatever each of them wants") {
  add({.capacity = 3, .refill_rate = 1});
  REQUIRE(take(3));
  std::mutex mutex;
  std::vector<std::uint32_t> served;
  std::atomic<std::size_t> through{0};
  std::vector<std::thread> waits;
  for (const std::uint32_t n : {3U, 2U, 1U}) {
    waits.emplace_back([&, n] {
      CHECK(rates.acquire("p", n));
      const std::lock_guard lock{mutex};
      served.push_back(n);
      ++through;
    });
    until_waiting(waits.size());
  }
  clock.advance(2s);  // enough for the others, were it their turn
  std::size_t count = 0;
  for (const auto more : {1s, 2s, 1s}) {  // each time what one of them waits for, so that there is one order of them
    clock.advance(more);
    ++count;
    while (through.load() != count) {
      std::this_thread::yield();
    }
  }
  for (auto& thread : waits) {
    thread.join();
  }
  CHECK(served == std::vector<std::uint32_t>{3, 2, 1});
}

TEST_CASE_FIXTURE(Fixture, "acquire: many at once get what the law allows, and a large request is not starved by small ones") {
  add({.capacity = 8, .refill_rate = 1000});
  const auto begin = clock.steady();
  std::atomic<int> granted{0};
  std::atomic<int> running{4};
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const std::uint32_t n = t == 0 ? 8 : 1;
      for (int i = 0; i < 50; ++i) {
        CHECK(rates.acquire("p", n));
        granted += static_cast<int>(n);
      }
      done = --running == 0;
    });
  }
  threads.emplace_back([&] {
    for (int i = 0; i < 200; ++i) {
      CHECK(rates.set_budget_scale("p", i % 2 ? 1.0 : 0.5));
      CHECK(rates.set_global_pressure(ok));
    }
  });
  pass_until(done, 100us);
  for (auto& thread : threads) {
    thread.join();
  }
  CHECK(granted == 50 * 8 + 3 * 50);
  CHECK(granted <= 8 + 1000 * std::chrono::duration<double>(clock.steady() - begin).count() + 1e-6);
}

TEST_CASE_FIXTURE(Fixture, "rate: who is not first in the queue is told why nobody is granted anything, too") {
  add({.capacity = 1, .refill_rate = 1});
  REQUIRE(rates.set_budget_scale("p", 0));
  pulse::StopSource stop;
  std::thread first{[&] { (void)rates.acquire("p", 1, pulse::SteadyTime::max(), stop.token()); }};
  until_waiting(1);
  const auto second = rates.acquire("p", 1, clock.steady());
  REQUIRE_FALSE(second);
  CHECK(second.error().message == "provider \"p\" is paused: its scale is 0");
  CHECK(refusal() == ErrorCode::unavailable);
  REQUIRE(rates.set_budget_scale("p", 1));
  stop.request_stop();
  first.join();
}

TEST_CASE_FIXTURE(Fixture, "rate: a number that is refused is shown in full") {
  CHECK(check(ProviderOptions{.capacity = 0.9999999}).error().message == "capacity is 0.9999999; allowed is 1 to 1e9");
  CHECK(check(ProviderOptions{.refill_rate = 1e-7}).error().message == "refill_rate is 1e-07; allowed is 1e-6 to 1e9 a second");
  add({});
  CHECK(rates.set_budget_scale("p", 1 + 1e-15).error().message == "provider \"p\": scale is 1.000000000000001; allowed is 0 to 1");
}
