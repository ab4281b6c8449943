// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <deque>
#include <map>
#include <stdexcept>

#include "pulse/dedup/conformance.hpp"
#include "pulse/dedup/ttl_window.hpp"

using pulse::Claim;
using pulse::EventId;
using pulse::TtlOptions;
using namespace std::chrono_literals;
using Window = pulse::BasicTtlWindow<pulse::ManualClock>;

static_assert(pulse::BatchLeasingDedup<pulse::TtlWindow> && pulse::PrefetchingDedup<pulse::TtlWindow> && pulse::TtlWindow::exact);

namespace {
EventId id(std::uint64_t n) { return {0, n}; }
}  // namespace

TEST_CASE("while time stands still a TtlWindow keeps the laws of a FIFO") {
  for (const std::size_t capacity : {1U, 2U, 3U, 15U, 16U, 33U, 100U, 1000U}) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      CAPTURE(capacity);
      const pulse::conformance::DedupLaws laws{.window = capacity / 2, .since_claim = true, .capacity = capacity, .seed = seed};
      CHECK(pulse::conformance::dedup([&] { return Window{1s, capacity, {}, {}, seed}; }, laws) == "");
    }
  }
}

TEST_CASE("an id is known for its time after the commit, and a granularity longer at most: against a model, over many turns of the ticks") {
  for (const auto granularity : {100ms, 120ms, 1000ms, 3000ms, 12000ms}) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      pulse::ManualClock clock;
      constexpr auto ttl = 12s;
      Window window{ttl, 2000, {.granularity = granularity}, clock, seed};
      REQUIRE(window.granularity() <= granularity);
      pulse::detail::SplitMix64 random{seed};
      std::map<EventId, pulse::SteadyTime> committed;
      std::map<EventId, Window::lease_type> leased;
      std::deque<EventId> order;
      std::uint64_t known = 0;
      std::uint64_t expired = 0;
      for (int step = 0; step < 60'000; ++step) {
        const EventId chosen = id(random.up_to(1500));
        Window::lease_type lease;
        const Claim answer = window.claim(chosen, lease);
        if (leased.contains(chosen)) {
          REQUIRE(answer == Claim::leased);
        } else if (const auto at = committed.find(chosen); at != committed.end()) {
          const auto age = clock.steady() - at->second;
          if (age < ttl) {
            REQUIRE(answer == Claim::done);
            ++known;
          } else if (age > ttl + granularity) {
            REQUIRE(answer == Claim::fresh);
            ++expired;
          }
        } else {
          REQUIRE(answer == Claim::fresh);
        }
        if (answer == Claim::fresh) {
          if (random.up_to(1) == 0) {
            window.commit(lease);
            committed[chosen] = clock.steady();
          } else {
            committed.erase(chosen);
            leased[chosen] = lease;
            order.push_back(chosen);
          }
        }
        if (order.size() > 100) {  // work takes about 200 steps: some seconds, or a pause
          window.commit(leased[order.front()]);
          committed[order.front()] = clock.steady();
          leased.erase(order.front());
          order.pop_front();
        }
        clock.advance(std::chrono::milliseconds{random.up_to(30)});
        if (random.up_to(2000) == 0) {
          clock.advance(std::chrono::seconds{random.up_to(40)});  // a pause: a few ticks, or more than there are stamps
        }
      }
      CHECK(known > 1000);
      CHECK(expired > 1000);
      CHECK(window.forgotten_early() == 0);
    }
  }
}

TEST_CASE("what expired does not count, and a lease does not expire") {
  pulse::ManualClock clock;
  Window window{10s, 100, {.granularity = 1s}, clock, 1};
  Window::lease_type held;
  REQUIRE(window.claim(id(1000), held) == Claim::fresh);
  for (std::uint64_t n = 0; n < 50; ++n) {
    (void)window.claim(id(n));
    window.commit(id(n));
  }
  CHECK(window.size() == 51);
  clock.advance(9s);
  CHECK(window.claim(id(7)) == Claim::done);
  clock.advance(2s + 1ns);
  CHECK(window.claim(id(1000)) == Claim::leased);
  CHECK(window.size() == 1);
  clock.advance(1h);
  CHECK(window.claim(id(1000)) == Claim::leased);
  window.commit(held);
  CHECK(window.claim(id(1000)) == Claim::done);  // its time begins with the commit
  CHECK(window.claim(id(7)) == Claim::fresh);
  CHECK(window.size() == 2);
}

TEST_CASE("a wall clock that jumps changes nothing") {
  pulse::ManualClock clock;
  Window window{10s, 100, {}, clock, 1};
  (void)window.claim(id(1));
  window.commit(id(1));
  clock.set_wall(clock.wall() + 24h);
  CHECK(window.claim(id(1)) == Claim::done);
  clock.set_wall(clock.wall() - 48h);
  CHECK(window.claim(id(1)) == Claim::done);
}

TEST_CASE("a full TtlWindow forgets the oldest and counts it, or waits, as it was told") {
  pulse::ManualClock clock;
  Window forgets{10s, 3, {}, clock, 1};
  Window waits{10s, 3, {.full = TtlOptions::Full::wait}, clock, 1};
  for (std::uint64_t n = 0; n < 3; ++n) {
    for (Window* const window : {&forgets, &waits}) {
      REQUIRE(window->claim(id(n)) == Claim::fresh);
      window->commit(id(n));
    }
  }
  CHECK(forgets.claim(id(3)) == Claim::fresh);
  CHECK(forgets.forgotten_early() == 1);
  CHECK(waits.claim(id(3)) == Claim::unavailable);
  CHECK(waits.claim(id(0)) == Claim::done);
  CHECK(waits.size() == 3);
  clock.advance(11s);
  CHECK(waits.claim(id(3)) == Claim::fresh);
  CHECK(waits.claim(id(0)) == Claim::fresh);
  CHECK(waits.forgotten_early() == 0);
}

TEST_CASE("a TtlWindow on the machine's own clock, with fine ticks and with coarse ones") {
  for (const auto ttl : {std::chrono::nanoseconds{1h}, std::chrono::nanoseconds{10min}, std::chrono::nanoseconds{100s}}) {
    pulse::TtlWindow window{ttl};
    CHECK(window.granularity() > ttl / 70);
    CHECK(window.granularity() <= ttl / 60);
    CHECK(window.claim(id(1)) == Claim::fresh);
    window.commit(id(1));
    CHECK(window.claim(id(1)) == Claim::done);
  }
}

TEST_CASE("settings that cannot work are refused with what is allowed") {
  CHECK_THROWS_WITH_AS((Window{1s, 0}), "TtlWindow: the capacity is 0: allowed are 1 to 134217728", std::invalid_argument);
  CHECK_THROWS_WITH_AS((Window{0s, 10}), "TtlWindow: the time to live is 0 ns: allowed are 1 ms to 3650 days", std::invalid_argument);
  CHECK_THROWS_WITH_AS((Window{12ms, 10, {.granularity = 99us}}),
                       "TtlWindow: the granularity is 99000 ns: allowed are a 120th of the time to live to all of it, 100000 ns to 12000000 ns",
                       std::invalid_argument);
  CHECK_THROWS_AS((Window{12ms, 10, {.granularity = 13ms}}), std::invalid_argument);
  CHECK_THROWS_AS((Window{12ms, 10, {.granularity = -1ms}}), std::invalid_argument);
  CHECK_THROWS_AS((Window{24h * 4000, 10}), std::invalid_argument);
}
