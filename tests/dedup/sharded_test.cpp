// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "pulse/dedup/conformance.hpp"
#include "pulse/dedup/fifo_window.hpp"
#include "pulse/dedup/lru_window.hpp"
#include "pulse/dedup/no_dedup.hpp"
#include "pulse/dedup/seen_set.hpp"
#include "pulse/dedup/sharded.hpp"

using pulse::Claim;
using pulse::EventId;
using pulse::FifoWindow;
using pulse::Sharded;

static_assert(pulse::ConcurrentDedup<Sharded<FifoWindow>> && !pulse::ConcurrentDedup<FifoWindow>);
static_assert(pulse::BatchLeasingDedup<Sharded<FifoWindow>> && pulse::PrefetchingDedup<Sharded<FifoWindow>>);
static_assert(Sharded<FifoWindow>::exact && !Sharded<FifoWindow>::shared && !pulse::LossAllowed<Sharded<FifoWindow>>);

namespace {

struct Lossy : FifoWindow {
  using FifoWindow::FifoWindow;
  static constexpr bool exact = false;
};
static_assert(!Sharded<Lossy>::exact && !pulse::LossAllowed<Sharded<Lossy>>);
static_assert(pulse::LossAllowed<Sharded<pulse::AllowLoss<Lossy>>> && pulse::LossAllowed<pulse::AllowLoss<Sharded<Lossy>>>);

/// With a table of leases beside the ids, as the filters have one.
struct Sized : FifoWindow {
  struct options_type {
    std::size_t leases = 100;
  };
  Sized(std::size_t capacity, options_type options) : FifoWindow(capacity), leases(options.leases) {}
  explicit Sized(std::size_t capacity) : Sized(capacity, {}) {}
  std::size_t leases;
};

/// Kept by no thread but one at a time, or it says so.
struct Watched : FifoWindow {
  using FifoWindow::claim;
  using FifoWindow::FifoWindow;
  static inline std::atomic<int> meetings{0};
  std::unique_ptr<std::atomic<int>> inside = std::make_unique<std::atomic<int>>(0);
  Claim claim(EventId id, lease_type& lease) {
    meetings += inside->fetch_add(1) == 0 ? 0 : 1;
    const Claim answer = FifoWindow::claim(id, lease);
    inside->fetch_sub(1);
    return answer;
  }
};

}  // namespace

namespace {
void keeps_the_laws(std::size_t capacity, std::size_t shards, std::uint64_t seed) {
  CAPTURE(shards);
  const std::size_t leases = capacity * 7 / 20;
  const Sharded<FifoWindow> one{capacity, shards};
  const pulse::conformance::DedupLaws fifo{.window = capacity / 2, .since_claim = true, .capacity = one.capacity(), .seed = seed, .leases = leases};
  CHECK(pulse::conformance::dedup([&] { return Sharded<FifoWindow>{capacity, shards, seed}; }, fifo) == "");
  const Sharded<pulse::LruWindow> other{capacity, shards};
  const pulse::conformance::DedupLaws lru{.window = capacity / 2, .capacity = other.capacity(), .seed = seed, .leases = leases};
  CHECK(pulse::conformance::dedup([&] { return Sharded<pulse::LruWindow>{capacity, shards, seed}; }, lru) == "");
}
}  // namespace

TEST_CASE("Sharded keeps the laws of what it shards, for any count of shards, and those of threads") {
  for (const std::size_t shards : {1U, 2U, 3U, 16U, 61U}) {
    for (std::uint64_t seed = 1; seed <= 2; ++seed) {
      keeps_the_laws(2000, shards, seed);
    }
  }
}

TEST_CASE("Sharded keeps the laws of what it shards: in brief") { keeps_the_laws(300, 3, 9); }

TEST_CASE("Sharded takes a strategy that has neither batches nor leases") {
  const auto make = [] { return Sharded<pulse::SeenSet>{8, [](std::size_t) { return pulse::SeenSet{}; }, 1}; };
  CHECK(pulse::conformance::dedup(make, {.window = 500}) == "");
}

TEST_CASE("a window that is sharded holds what one that is not holds") {
  constexpr std::uint64_t window = 100'000;
  Sharded<FifoWindow> sharded{window, 32};
  for (std::uint64_t n = 0; n < 3 * window; ++n) {
    Sharded<FifoWindow>::lease_type lease;
    REQUIRE(sharded.claim({n * 0x9e3779b97f4a7c15ULL, n}, lease) == Claim::fresh);
    sharded.commit(lease);
  }
  std::uint64_t forgotten = 0;
  for (std::uint64_t n = 2 * window + 1; n < 3 * window; ++n) {
    forgotten += sharded.claim({n * 0x9e3779b97f4a7c15ULL, n}) == Claim::done ? 0U : 1U;
  }
  CHECK(forgotten == 0);
  CHECK(sharded.capacity() < window * 115 / 100);
}

TEST_CASE("a shard is for 64 ids, and there are 32 to 2048 of them where nobody says how many") {
  CHECK(Sharded<FifoWindow>{1}.shards() == 32);
  CHECK(Sharded<FifoWindow>{64 * 32 - 1}.shards() == 32);
  CHECK(Sharded<FifoWindow>{64 * 32}.shards() == 64);
  CHECK(Sharded<FifoWindow>{64 * 128 - 1}.shards() == 128);
  CHECK(Sharded<FifoWindow>{64 * 128}.shards() == 256);
  CHECK(Sharded<FifoWindow>::default_shards(10'000'000) == 2048);
}

TEST_CASE("a shard has its part of the capacity and six deviations more, and never more than all; so it is with leases, of which it has 16") {
  CHECK(Sharded<FifoWindow>{10'000, 16}.capacity() == 16 * (625 + 6 * 25 + 4));
  CHECK(Sharded<FifoWindow>{100, 1}.capacity() == 100);
  CHECK(Sharded<FifoWindow>{9, 4}.capacity() == 4 * 9);
  const auto leases = [](Sharded<Sized> sharded) {
    std::size_t total = 0;
    sharded.each([&](const Sized& one) { total += one.leases; });
    return total;
  };
  CHECK(leases(Sharded<Sized>{1600, 4}) == 4 * (25 + 6 * 5 + 4));
  CHECK(leases(Sharded<Sized>{1600, 1}) == 100);
  CHECK(leases(Sharded<Sized>{1600, 64}) == 64 * 16);
}

TEST_CASE("what a Sharded says of itself is the sum over its shards, which `each` visits") {
  Sharded<FifoWindow> sharded{1000, 4};
  CHECK(sharded.size() == 0);
  for (std::uint64_t n = 0; n < 100; ++n) {
    REQUIRE(sharded.claim({n, n}) == Claim::fresh);
  }
  CHECK(sharded.size() == 100);
  std::size_t visited = 0;
  std::size_t size = 0;
  std::size_t bytes = 0;
  sharded.each([&](FifoWindow& one) {
    ++visited;
    CHECK(one.size() > 0);
    size += one.size();
    bytes += one.bytes();
  });
  CHECK(visited == 4);
  CHECK(size == 100);
  const std::size_t beside = (sharded.bytes() - bytes) / 4;  // a strategy with its lock on pairs of cache lines of its own, and a pointer to them
  CHECK(beside % 128 == sizeof(void*));
  CHECK(beside > sizeof(FifoWindow));
  CHECK(beside < sizeof(FifoWindow) + 256);
}

TEST_CASE("no two threads are in one shard") {
  Sharded<Watched> sharded{1000, 2};
  std::vector<std::thread> threads;
  for (std::uint64_t worker = 0; worker < 4; ++worker) {
    threads.emplace_back([&sharded, worker] {
      for (std::uint64_t n = 0; n < 50'000; ++n) {
        Sharded<Watched>::lease_type lease;
        if (sharded.claim({worker, n}, lease) == Claim::fresh) {
          sharded.commit(lease);
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(Watched::meetings == 0);
}

TEST_CASE("a count of shards out of bounds is refused with what is allowed, and so is a capacity of zero") {
  CHECK_THROWS_WITH_AS((Sharded<FifoWindow>{100, 0}), "Sharded: the count of shards is 0: allowed are 1 to 65536", std::invalid_argument);
  CHECK_THROWS_AS((Sharded<FifoWindow>{100, 65537}), std::invalid_argument);
  CHECK_THROWS_AS((Sharded<FifoWindow>{0, 4}), std::invalid_argument);
  CHECK_THROWS_AS((Sharded<FifoWindow>{0, 1}), std::invalid_argument);
  CHECK_THROWS_WITH_AS((Sharded<FifoWindow>{~std::size_t{0}, 1}), "FifoWindow: the capacity is 18446744073709551615: allowed are 1 to 134217728",
                       std::invalid_argument);
  const auto make = [](std::size_t) { return pulse::NoDedup{}; };
  CHECK_THROWS_AS((Sharded<pulse::NoDedup>{0, make, 1}), std::invalid_argument);
  CHECK_THROWS_AS((Sharded<pulse::NoDedup>{65537, make, 1}), std::invalid_argument);
  const Sharded<pulse::NoDedup> most{65536, make, 1};
  CHECK(most.shards() == 65536);
}
