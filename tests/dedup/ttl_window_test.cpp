// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <algorithm>
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

namespace {
void keeps_the_laws_of_a_fifo(std::size_t capacity, std::uint64_t seed) {
  CAPTURE(capacity);
  const pulse::conformance::DedupLaws laws{.window = capacity / 2, .since_claim = true, .capacity = capacity, .seed = seed};
  CHECK(pulse::conformance::dedup([&] { return Window{1s, capacity, {}, {}, seed}; }, laws) == "");
}
}  // namespace

TEST_CASE("while time stands still a TtlWindow keeps the laws of a FIFO") {
  for (const std::size_t capacity : {1U, 2U, 3U, 15U, 16U, 33U, 100U, 1000U}) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      keeps_the_laws_of_a_fifo(capacity, seed);
    }
  }
}

TEST_CASE("while time stands still a TtlWindow keeps the laws of a FIFO: in brief") {
  keeps_the_laws_of_a_fifo(4, 9);
  keeps_the_laws_of_a_fifo(33, 9);
}

TEST_CASE("an id is known for its whole time, to the nanosecond, wherever in a tick its commit falls") {
  for (const auto ttl : {std::chrono::nanoseconds{10s}, 10s + 7ns}) {  // one that whole ticks make, and one that they do not
    for (const auto phase : {0ns, 1ns, 454'545'455ns, 909'090'908ns, 909'090'909ns, 999'999'999ns}) {
      pulse::ManualClock clock;
      Window window{ttl, 10, {.granularity = 1s}, clock, 1};
      clock.advance(phase);
      REQUIRE(window.claim(id(1)) == Claim::fresh);
      window.commit(id(1));
      clock.advance(ttl - 1ns);
      CHECK(window.claim(id(1)) == Claim::done);
      clock.advance(1s + 1ns);
      CHECK(window.claim(id(1)) == Claim::fresh);
    }
  }
}

TEST_CASE("every way to claim finds what has expired, and every way to commit begins an id's time with it") {
  pulse::ManualClock clock;
  const auto known_until_now = [&] {
    Window window{10s, 10, {.granularity = 1s}, clock, 1};
    REQUIRE(window.claim(id(1)) == Claim::fresh);
    window.commit(id(1));
    clock.advance(12s);
    return window;
  };
  Window::lease_type lease;
  CHECK(known_until_now().claim(id(1)) == Claim::fresh);
  CHECK(known_until_now().claim(id(1), lease) == Claim::fresh);
  const EventId one[] = {id(1)};
  Claim answers[1];
  known_until_now().claim(one, answers);
  CHECK(answers[0] == Claim::fresh);

  for (const bool by_lease : {false, true}) {
    Window window{10s, 10, {.granularity = 1s}, clock, 1};
    REQUIRE(window.claim(id(1), lease) == Claim::fresh);
    clock.advance(5s);
    by_lease ? window.commit(lease) : window.commit(id(1));
    clock.advance(9s);
    CHECK(window.claim(id(1)) == Claim::done);
  }
}

TEST_CASE("a TtlWindow knows as many ids as its time holds, turn after turn of the ticks, and none comes to life again") {
  for (const std::size_t capacity : {20U, 128U, 300U, 1000U}) {  // of which a tick sweeps one, two, three and eight
    CAPTURE(capacity);
    pulse::ManualClock clock;
    Window window{10s, capacity, {.granularity = 1s}, clock, 1};
    for (std::uint64_t n = 0; n < 600; ++n) {  // a tick each, and there are 253 of them
      REQUIRE(window.claim(id(n)) == Claim::fresh);
      window.commit(id(n));
      REQUIRE(window.size() == (n < 10 ? n + 1 : 11));
      for (std::uint64_t back = 0; back <= std::min<std::uint64_t>(n, 10); ++back) {
        REQUIRE(window.claim(id(n - back)) == Claim::done);
      }
      if (n >= 258) {
        REQUIRE(window.known(id(n - 258)) == Claim::unavailable);  // whose tick has the number of one five ticks ago
      }
      clock.advance(1s);
    }
    clock.advance(126s);  // all at once, of which a sweep sees but half
    CHECK(window.claim(id(599)) == Claim::fresh);
    CHECK(window.size() == 1);
    window.release(id(599));
    CHECK(window.size() == 0);
  }
}

TEST_CASE("of a small TtlWindow, too, none comes to life again when its place is not taken for a whole turn of the ticks") {
  pulse::ManualClock clock;
  Window window{10s, 100, {.granularity = 1s}, clock, 1};
  for (std::uint64_t n = 0; n < 300; ++n) {
    REQUIRE(window.claim(id(n)) == Claim::fresh);
    window.commit(id(n));
    for (std::uint64_t back = 4; back < std::min<std::uint64_t>(n, 100); ++back) {
      REQUIRE(window.known(id(n - back)) == Claim::unavailable);
    }
    clock.advance(3s);
  }
}

TEST_CASE("a pause of any length takes out what expired in it and nothing else, and what comes then counts as ever") {
  for (const auto pause : {11s, 127s, 128s, 129s, 253s, 264s, 3600s}) {
    CAPTURE(pause.count());
    pulse::ManualClock clock;
    Window window{10s, 100, {.granularity = 1s}, clock, 1};
    Window::lease_type held;
    REQUIRE(window.claim(id(1000), held) == Claim::fresh);
    for (int round = 0; round < 5; ++round) {
      for (std::uint64_t n = 0; n < 20; ++n) {
        REQUIRE(window.claim(id(n)) == Claim::fresh);
        window.commit(id(n));
      }
      REQUIRE(window.size() == 21);
      clock.advance(pause + 1s);
      for (std::uint64_t n = 0; n < 20; ++n) {
        REQUIRE(window.known(id(n)) == Claim::unavailable);
      }
      REQUIRE(window.known(id(1000)) == Claim::leased);
      REQUIRE(window.size() == 1);
    }
    for (std::uint64_t n = 0; n < 400; ++n) {  // over a whole turn of the ticks
      REQUIRE(window.claim(id(2000 + n)) == Claim::fresh);
      window.commit(id(2000 + n));
      REQUIRE(window.size() == 1 + std::min<std::uint64_t>(n + 1, 11));
      clock.advance(1s);
    }
    CHECK(window.forgotten_early() == 0);
  }
}

namespace {
/// Coarse readings are late by what is set.
struct LateClock : pulse::ManualClock {
  static inline std::chrono::nanoseconds late{0};
  static inline int readings = 0;
  [[nodiscard]] pulse::SteadyTime coarse_steady() const noexcept {
    ++readings;
    return steady() - late;
  }
};
}  // namespace

TEST_CASE("from a granularity of 200 ms on a TtlWindow reads the coarse clock, and keeps its word though that is late") {
  for (const auto granularity : {199ms, 200ms}) {
    for (const auto phase : {0ms, 5ms, 195ms, 204ms}) {
      LateClock clock;
      LateClock::readings = 0;
      LateClock::late = 0ms;
      pulse::BasicTtlWindow<LateClock> window{10s, 10, {.granularity = granularity}, clock, 1};
      clock.advance(phase);
      LateClock::late = 10ms;
      REQUIRE(window.claim(id(1)) == Claim::fresh);
      window.commit(id(1));
      LateClock::late = 0ms;
      clock.advance(10s - 1ns);
      CHECK(window.claim(id(1)) == Claim::done);
      CHECK(window.granularity() == (granularity == 200ms ? 196'274'510ns : 196'078'432ns));  // a 51st of the time, and of 10 ms that a reading is late
      CHECK((LateClock::readings > 0) == (granularity == 200ms));
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
  forgets.commit(id(3));
  CHECK(forgets.size() == 3);
  CHECK(waits.claim(id(3)) == Claim::unavailable);
  CHECK(waits.claim(id(0)) == Claim::done);
  CHECK(waits.size() == 3);
  clock.advance(11s);
  CHECK(waits.claim(id(3)) == Claim::fresh);
  CHECK(waits.claim(id(0)) == Claim::fresh);
  CHECK(waits.forgotten_early() == 0);
  CHECK(forgets.claim(id(4)) == Claim::fresh);
  CHECK(forgets.size() == 1);  // what was forgotten early does not expire once more
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
  CHECK_THROWS_AS((Window{12ms, 10, {.granularity = 99'999ns}}), std::invalid_argument);
  CHECK_THROWS_AS((Window{12ms, 10, {.granularity = 13ms}}), std::invalid_argument);
  CHECK_THROWS_AS((Window{12ms, 10, {.granularity = -1ms}}), std::invalid_argument);
  CHECK_THROWS_AS((Window{24h * 4000, 10}), std::invalid_argument);
  CHECK_THROWS_AS((Window{1ms - 1ns, 10}), std::invalid_argument);
  CHECK_THROWS_AS((Window{Window::max_ttl + 1ns, 10}), std::invalid_argument);
  CHECK(Window{1ms, 10}.granularity() <= 15'625ns);
  CHECK(Window{Window::max_ttl, 10}.granularity() > 0ns);
  CHECK(Window{64s, 10}.granularity() == 1s);
  CHECK(Window{12ms, 10, {.granularity = 100us}}.granularity() == 100us);
  CHECK(Window{12ms, 10, {.granularity = 12ms}}.granularity() == 12ms);
  CHECK(Window{12s + 1ns, 10, {.granularity = 100ms}}.granularity() <= 100ms);
}
