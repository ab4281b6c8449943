// SPDX-License-Identifier: MIT
#include "pulse/engine/retry.hpp"

#include <doctest/doctest.h>

#include <cstdint>

#include "pulse/detail/random.hpp"

using namespace std::chrono_literals;

// guarantee 5
TEST_CASE("field bug 19: a failed delivery waits, doubling up to a cap, and never overflows") {
  CHECK(pulse::ExponentialBackoff::bounded(100ms, 30'000ms, 1) == 100);
  CHECK(pulse::ExponentialBackoff::bounded(100ms, 30'000ms, 2) == 200);
  CHECK(pulse::ExponentialBackoff::bounded(100ms, 30'000ms, 4) == 800);
  CHECK(pulse::ExponentialBackoff::bounded(100ms, 30'000ms, 10) == 30'000);
  CHECK(pulse::ExponentialBackoff::bounded(100ms, 30'000ms, ~std::uint64_t{0}) == 30'000);
  CHECK(pulse::ExponentialBackoff::bounded(0ms, 0ms, 3) == 1);
  CHECK(pulse::ExponentialBackoff::bounded(2ms, 5ms, 2) == 4);
  CHECK(pulse::ExponentialBackoff::bounded(2ms, 5ms, 3) == 5);
  constexpr auto forever = std::chrono::milliseconds::max();  // a cap that caps nothing
  CHECK(pulse::ExponentialBackoff::bounded(100ms, forever, 10) == 51'200);
  CHECK(pulse::ExponentialBackoff::bounded(100ms, forever, ~std::uint64_t{0}) == forever.count());
  CHECK(pulse::ExponentialBackoff::bounded(0ms, 100ms, 3) == 4);
}

TEST_CASE("without a word of one's own: 100 ms doubling to 30 s, five deliveries") {
  const auto made = [] { return pulse::ExponentialBackoff{}; };  // while the program runs
  const pulse::ExponentialBackoff backoff = made();
  CHECK(backoff.base == 100ms);
  CHECK(backoff.cap == 30s);
  CHECK(backoff.max_deliveries == 5);
}

TEST_CASE("both ends of a step are drawn, and nothing beyond them") {
  constexpr pulse::ExponentialBackoff backoff{2ms, 2ms, 5};
  for (std::uint64_t random = 0; random < 10; ++random) {
    CHECK(backoff.delay(1, random) == (random % 2 == 0 ? 1ms : 2ms));
  }
}

TEST_CASE("a delay is between half and the whole of its step, and spreads") {
  constexpr pulse::ExponentialBackoff backoff{};
  pulse::detail::SplitMix64 random{7};
  std::int64_t least = 1'000'000;
  std::int64_t most = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto delay = backoff.delay(3, random()).count();
    REQUIRE(delay >= 200);
    REQUIRE(delay <= 400);
    least = delay < least ? delay : least;
    most = delay > most ? delay : most;
  }
  CHECK(least < 220);
  CHECK(most > 380);
}

static_assert(pulse::RetryPolicy<pulse::ExponentialBackoff>);
