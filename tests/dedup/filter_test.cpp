// SPDX-License-Identifier: MIT
//
// The strategies that are not exact: RotatingBloom and Cuckoo.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "journal_place.hpp"
#include "pulse/dedup/conformance.hpp"
#include "pulse/dedup/conformance/recovery.hpp"
#include "pulse/dedup/cuckoo.hpp"
#include "pulse/dedup/fifo_window.hpp"
#include "pulse/dedup/journaled.hpp"
#include "pulse/dedup/rotating_bloom.hpp"
#include "pulse/dedup/sharded.hpp"
#include "pulse/dedup/tiered.hpp"

using pulse::AllowLoss;
using pulse::Claim;
using pulse::Cuckoo;
using pulse::EventId;
using pulse::FifoWindow;
using pulse::RotatingBloom;
using pulse::Tiered;
using pulse::detail::BloomGenerations;
using pulse::detail::BloomShape;
using pulse::detail::CuckooTable;
using pulse::detail::LeasedFilter;
using pulse::detail::SeededHash;
using pulse_test::journal::id;

static_assert(pulse::Dedup<RotatingBloom> && pulse::Dedup<Cuckoo> && !RotatingBloom::exact && !Cuckoo::exact);
static_assert(pulse::BatchLeasingDedup<RotatingBloom> && pulse::PrefetchingDedup<Cuckoo> && pulse::requirement::DedupRemember<Cuckoo>);
static_assert(pulse::assert_dedup<AllowLoss<RotatingBloom>>() && pulse::assert_dedup<AllowLoss<Cuckoo>>());
static_assert(pulse::assert_dedup<Tiered<RotatingBloom, FifoWindow>>() && Tiered<Cuckoo, FifoWindow>::exact);

namespace {

template <class D>
void handle(D& dedup, std::uint64_t n) {
  typename D::lease_type lease;
  if (dedup.claim(id(n), lease) == Claim::fresh) {
    dedup.commit(lease);
  }
}

/// How many of `asked` ids that it was never told a filter takes for known.
template <class Filter>
double falses(const Filter& filter, const SeededHash& hash, std::uint64_t asked) {
  std::uint64_t count = 0;
  for (std::uint64_t n = 0; n < asked; ++n) {
    count += filter.contains(hash({~std::uint64_t{0}, n})) ? 1 : 0;
  }
  return static_cast<double>(count);
}

const std::size_t windows[] = {1, 2, 3, 4, 7, 15, 16, 17, 31, 32, 33, 63, 64, 100, 1000, 4096};

/// The most ids that a Cuckoo may hold, as it states it.
std::size_t most(std::size_t window, std::size_t leases) { return window + window / 15 + 1 + leases; }

}  // namespace

namespace {
void bloom_keeps_the_laws(std::size_t window, std::uint64_t seed) {
  CAPTURE(window);
  const pulse::conformance::DedupLaws laws{
      .window = window / 2, .since_claim = true, .capacity = 2 * window - 1 + 64, .seed = seed, .false_rate = 0.01, .leases = 64};
  CHECK(pulse::conformance::dedup([&] { return RotatingBloom{window, {.false_rate = 0.01, .leases = 64}, seed}; }, laws) == "");
}
void cuckoo_keeps_the_laws(std::size_t window, std::uint64_t seed) {
  CAPTURE(window);
  const pulse::conformance::DedupLaws laws{
      .window = window / 2, .since_claim = true, .capacity = most(window, 64), .seed = seed, .false_rate = Cuckoo::max_false_rate, .leases = 64};
  CHECK(pulse::conformance::dedup([&] { return Cuckoo{window, {.leases = 64}, seed}; }, laws) == "");
}
}  // namespace

TEST_CASE("RotatingBloom and Cuckoo keep the laws: in brief") {
  for (const std::size_t window : {3U, 33U}) {
    bloom_keeps_the_laws(window, 9);
    cuckoo_keeps_the_laws(window, 9);
  }
}

// guarantee 2, 3, 9
TEST_CASE("RotatingBloom keeps the laws at every small window and some large") {
  for (const std::size_t window : windows) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      bloom_keeps_the_laws(window, seed);
    }
  }
}

// guarantee 2, 3, 9
TEST_CASE("Cuckoo keeps the laws at every small window and some large") {
  for (const std::size_t window : windows) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      cuckoo_keeps_the_laws(window, seed);
    }
  }
}

TEST_CASE("a RotatingBloom is wrong as often as it was told that it may be, when it is at its fullest") {
  constexpr std::size_t window = 50'000;
  for (const double rate : {0.5, 0.1, 0.05, 0.01, 0.001, 0.0001}) {
    for (std::uint64_t seed = 1; seed <= 2; ++seed) {
      BloomGenerations filter{window, rate};
      const SeededHash hash{seed};
      for (std::uint64_t n = 0; n < 4 * window - 1; ++n) {
        filter.insert(hash(id(n)));
      }
      REQUIRE(filter.size() == 2 * window - 1);
      constexpr std::uint64_t asked = 2'000'000;
      const double expected = rate * asked;
      const double found = falses(filter, hash, asked);
      CAPTURE(rate);
      CAPTURE(found / asked);
      CHECK(found <= expected + 4 * std::sqrt(expected));
      CHECK(found >= expected / 1.1 - 4 * std::sqrt(expected));  // nor is memory wasted
    }
  }
}

namespace {

/// The rate of a block that is filled by chance, without a formula: how many bits are set after so many ids, bit by bit, and how many ids there are.
double exact_rate(std::uint32_t bits, double ids_per_block) {
  constexpr double size = BloomShape::block_bits;
  std::vector<double> set(BloomShape::block_bits + 1);  // the probability that so many are
  set[0] = 1;
  double probability = std::exp(-ids_per_block);
  double sum = 0;
  for (std::uint32_t ids = 1; ids < 10 * ids_per_block; ++ids) {
    for (std::uint32_t bit = 0; bit < bits; ++bit) {
      for (std::size_t n = BloomShape::block_bits; n > 0; --n) {
        set[n] = set[n] * static_cast<double>(n) / size + set[n - 1] * (size - static_cast<double>(n - 1)) / size;
      }
      set[0] = 0;
    }
    probability *= ids_per_block / ids;
    for (std::size_t n = 1; n <= BloomShape::block_bits; ++n) {
      sum += probability * set[n] * std::pow(static_cast<double>(n) / size, bits);
    }
  }
  return sum;
}

/// A hash of which the pair of lines is the `pair`th of so many.
std::uint64_t hash_in(std::uint64_t pair, std::uint64_t pairs, std::uint32_t low) { return ((pair << 32) + pairs - 1) / pairs << 32 | low; }

}  // namespace

TEST_CASE("the rate that a RotatingBloom is made for is that of exact reckoning, and its shape the one that takes the least memory") {
  CHECK(BloomShape::false_rate(1, 30) == doctest::Approx(exact_rate(1, 30)).epsilon(1e-9));
  CHECK(BloomShape::false_rate(2, 1) == doctest::Approx(exact_rate(2, 1)).epsilon(1e-9));
  CHECK(BloomShape::false_rate(4, 40) == doctest::Approx(exact_rate(4, 40)).epsilon(2e-5));
  CHECK(BloomShape::false_rate(9, 20) == doctest::Approx(exact_rate(9, 20)).epsilon(2e-4));
  for (const double rate : {0.5, 0.1, 0.01, 1e-4, 1e-8}) {
    CAPTURE(rate);
    const BloomShape shape = BloomShape::of(rate);
    CHECK(BloomShape::false_rate(shape.bits, shape.ids_per_block) <= rate);
    CHECK(BloomShape::false_rate(shape.bits, shape.ids_per_block + 1e-5) > rate);
    for (std::uint32_t other = 1; other < 40; ++other) {
      CHECK((other == shape.bits || BloomShape::false_rate(other, shape.ids_per_block) > rate));
    }
  }
}

TEST_CASE("a RotatingBloom is wrong as often as it may be: in brief") {
  for (const double rate : {0.5, 0.1, 0.05, 0.02, 0.01, 0.005}) {
    CAPTURE(rate);
    double expected = 0;
    double found = 0;
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      BloomGenerations filter{1000, rate};
      const SeededHash hash{seed};
      for (std::uint64_t n = 0; n < 1999; ++n) {
        filter.insert(hash(id(n)));
      }
      found += falses(filter, hash, 20'000);
      expected += 20'000 * rate;
    }
    CHECK(found < expected * 1.1);
    CHECK(found > expected / 1.3);  // a block is half empty at so few
  }
}

TEST_CASE("a block that nothing enters is forgotten with its generation, does not come to life again, and is empty") {
  const std::uint64_t pairs = BloomGenerations{1000, 0.5}.bytes() / 128;
  REQUIRE(pairs > 2);
  for (const std::uint64_t pair : {std::uint64_t{0}, std::uint64_t{1}, pairs / 2, pairs - 1}) {
    CAPTURE(pair);
    BloomGenerations filter{1000, 0.5};
    filter.insert(hash_in(pair, pairs, 77));
    for (std::uint64_t n = 1; n < 7000; ++n) {
      REQUIRE(filter.contains(hash_in(pair, pairs, 77)) == (n < 2000));
      filter.insert(hash_in((pair + 1) % pairs, pairs, static_cast<std::uint32_t>(n)));
    }
    for (std::uint32_t low = 0; low < 1000; ++low) {
      REQUIRE_FALSE(filter.contains(hash_in(pair, pairs, low)));
    }
  }
}

TEST_CASE("ids that were found to be taken for known ones under one seed are no more so under another than any") {
  constexpr std::size_t window = 5'000;
  constexpr double rate = 0.05;
  BloomGenerations attacked{window, rate};
  BloomGenerations other{window, rate};
  const SeededHash seen{1};
  const SeededHash secret{2};
  for (std::uint64_t n = 0; n < 2 * window - 1; ++n) {
    attacked.insert(seen(id(n)));
    other.insert(secret(id(n)));
  }
  double found = 0;
  double again = 0;
  for (std::uint64_t n = 0; n < 400'000; ++n) {
    const EventId chosen{~std::uint64_t{0}, n};
    if (attacked.contains(seen(chosen))) {
      ++found;
      again += other.contains(secret(chosen)) ? 1 : 0;
    }
  }
  CHECK(found > 10'000);
  CHECK(again <= found * rate + 4 * std::sqrt(found * rate));
}

TEST_CASE("the memory of a RotatingBloom is what its page says") {
  constexpr std::size_t window = 1'000'000;
  const auto bytes = [](double rate) { return static_cast<double>(RotatingBloom{window, {.false_rate = rate, .leases = 1}}.bytes()) / window; };
  CHECK(bytes(0.1) < 1.6);
  CHECK(bytes(0.01) < 2.95);
  CHECK(bytes(0.001) < 4.4);
  CHECK(bytes(0.0001) < 6.1);
  // The formula for a filter without blocks: at a low rate it says too little.
  CHECK(2 * BloomShape::block_bits / BloomShape::of(0.0001 / 2).ids_per_block > 2 * std::log(2 / 0.0001) / std::log(2) / std::log(2) * 1.15);
}

TEST_CASE("a Cuckoo is wrong less often than it states, at full load, and by as much as its fingerprints explain") {
  constexpr std::size_t window = 50'000;
  const SeededHash hash{5};
  CuckooTable<6> table{window};
  CuckooTable<12> coarse{window};  // fingerprints of 20 bits: wrong so often that it can be counted
  for (std::uint64_t n = 0; n < 4 * window; ++n) {
    table.insert(hash(id(n)));
    coarse.insert(hash(id(n)));
  }
  constexpr std::uint64_t asked = 4'000'000;
  const double most_falses = Cuckoo::max_false_rate * asked;
  CHECK(falses(table, hash, asked) <= most_falses + 4 * std::sqrt(most_falses));
  const double expected = CuckooTable<12>::max_false_rate * CuckooTable<12>::default_load * asked;
  const double found = falses(coarse, hash, asked);
  CAPTURE(found / asked);
  CHECK(found <= expected + 4 * std::sqrt(expected));
  CHECK(found >= expected / 1.1 - 4 * std::sqrt(expected));
}

TEST_CASE("a table holds the window and the epoch that has just begun, however few they are and however much room there is") {
  CHECK(CuckooTable<6>{31'000}.most() == 32'000);
  CHECK(CuckooTable<6>{310}.most() == 320);
  CHECK(CuckooTable<6>{5}.most() == 6);
  const SeededHash hash{3};
  for (const std::size_t window : {1U, 5U, 20U, 31U, 32U, 100U, 310U}) {
    CAPTURE(window);
    for (const double load : {0.15, 0.88}) {
      CAPTURE(load);
      CuckooTable<6> table{window, load};
      for (std::uint64_t n = 0; n < 200 * window + 200; ++n) {  // the numbers of the epochs wrap three times and more
        table.insert(hash(id(n)));
        REQUIRE(table.size() <= table.most());
        if (n > 2 * window + 2) {
          REQUIRE(table.size() >= window);
          REQUIRE(table.contains(hash(id(n - window + 1))));
          REQUIRE_FALSE(table.contains(hash(id(n * 7919 % (n - 2 * window - 1)))));
        }
      }
      CHECK(table.forgotten() == 0);
    }
  }
}

TEST_CASE("a Cuckoo takes 4.7 bytes an id") {
  CHECK(CuckooTable<6>{31'000}.bytes() == 64 * (static_cast<std::size_t>(32'000 / (16 * 0.88)) + 2));
  CHECK(static_cast<double>(Cuckoo{1'000'000, {.leases = 1}}.bytes()) / 1'000'000 < 4.72);
  CHECK(static_cast<double>(Cuckoo{10'000, {.leases = 1}}.bytes()) / 10'000 < 4.8);
}

// guarantee 2
TEST_CASE_TEMPLATE("what was committed within the window is never fresh, from one turn to the next, and what is long gone is forgotten", D, RotatingBloom,
                   Cuckoo) {
  for (const std::size_t window : {1U, 2U, 15U, 31U, 32U, 61U, 62U, 63U, 100U, 500U}) {
    CAPTURE(window);
    D dedup{window, {}, 11};
    std::uint64_t revived = 0;
    std::uint64_t asked = 0;
    std::vector<bool> taken;                                   // an id that was taken for a known one was not committed
    for (std::uint64_t n = 0; n < window * 400 + 5000; ++n) {  // the epochs of a Cuckoo wrap six times and more, the marks of a RotatingBloom 200 times
      typename D::lease_type lease;
      taken.push_back(dedup.claim(id(n), lease) == Claim::fresh);
      if (taken.back()) {
        dedup.commit(lease);
      }
      for (const std::uint64_t back : {std::uint64_t{1}, (window + 1) / 2, std::uint64_t{window}}) {  // of the last `window` commits
        if (back <= n + 1 && taken[n + 1 - back]) {
          REQUIRE(dedup.claim(id(n + 1 - back)) == Claim::done);
        }
      }
      if (n % 7 == 0) {  // at every age, those included at which numbers that were cut come round
        const std::uint64_t age = 2 * window + 1 + n % (10 * window + 100);
        if (age <= n) {
          const EventId old = id(n - age);
          const Claim answer = dedup.claim(old);
          ++asked;
          revived += answer == Claim::done ? 1 : 0;
          dedup.release(old);
        }
      }
    }
    CHECK_FALSE(pulse::conformance::detail::too_many(revived, asked, 0.001));
  }
}

TEST_CASE("a RotatingBloom forgets a generation when the next is full, and not before") {
  constexpr std::size_t window = 1000;
  RotatingBloom bloom{window, {.false_rate = 1e-6}, 3};
  std::uint64_t n = 0;
  for (; n < window; ++n) {
    handle(bloom, n);
  }
  CHECK(bloom.size() == window);
  for (; n < 2 * window - 1; ++n) {
    handle(bloom, n);
    REQUIRE(bloom.claim(id(0)) == Claim::done);
  }
  CHECK(bloom.size() == 2 * window - 1);
  handle(bloom, n++);
  CHECK(bloom.size() == window);
  for (std::uint64_t old = 0; old < window; ++old) {
    REQUIRE(bloom.claim(id(old)) == Claim::fresh);
    bloom.release(id(old));
  }
  for (std::uint64_t young = window; young < 2 * window; ++young) {
    REQUIRE(bloom.claim(id(young)) == Claim::done);
  }
}

TEST_CASE("a Cuckoo forgets an epoch at a time") {
  constexpr std::size_t window = 31'000;
  Cuckoo cuckoo{window, {}, 3};
  for (std::uint64_t n = 0; n < 10 * window; ++n) {
    handle(cuckoo, n);
    REQUIRE(cuckoo.size() <= most(window, 0));
    if (n >= window) {
      REQUIRE(cuckoo.size() >= window);
    }
  }
  CHECK(cuckoo.size() == window);  // an epoch of a thousand has just ended
  CHECK(cuckoo.claim(id(9 * window)) == Claim::done);
  CHECK(cuckoo.claim(id(9 * window - 1)) == Claim::fresh);
  CHECK(cuckoo.forgotten_early() == 0);
}

TEST_CASE("a Cuckoo that is told of an id again keeps one fingerprint of it, as young as the last time") {
  constexpr std::size_t window = 310;
  Cuckoo cuckoo{window, {}, 3};
  for (int times = 0; times < 100; ++times) {  // more often than there are places for it
    cuckoo.remember(id(0));
  }
  CHECK(cuckoo.size() == 1);
  for (std::uint64_t n = 1; n < window; ++n) {
    handle(cuckoo, n);
    REQUIRE(cuckoo.claim(id(0)) == Claim::done);
  }
  CHECK(cuckoo.size() == window);
  CHECK(cuckoo.forgotten_early() == 0);
}

TEST_CASE("of many ids that are told of again each is as young as then, and no other pays for it") {
  constexpr std::uint64_t window = 3100;  // an epoch is a hundred
  const SeededHash hash{2};
  CuckooTable<6> table{window};
  for (std::uint64_t n = 0; n < window; ++n) {
    table.insert(hash(id(n)));
  }
  for (std::uint64_t n = 0; n < window; n += 2) {
    table.renew(hash(id(n)));
    REQUIRE(table.size() <= window);
  }
  for (std::uint64_t n = 1; n < window; n += 2) {         // of those that were not, the ones that are young enough
    REQUIRE(table.contains(hash(id(n))) == (n >= 1500));  // 31 epochs and the one that has begun
  }
  for (std::uint64_t n = window; n < window + window / 2 - 100; ++n) {
    table.insert(hash(id(n)));
  }
  for (std::uint64_t n = 0; n < window; n += 2) {
    REQUIRE(table.contains(hash(id(n))));
  }
  CHECK(table.forgotten() == 0);
}

TEST_CASE("at a load of 0.98 less than one id in ten thousand finds no place: the emptier bucket takes an id, and what has expired makes room at once") {
  const SeededHash hash{1};
  CuckooTable<6> table{31'000, 0.98};
  for (std::uint64_t n = 0; n < 20 * 31'000; ++n) {
    table.insert(hash(id(n)));
  }
  CHECK(table.forgotten() < 62);
}

TEST_CASE("a table that is too full forgets the oldest, and counts each") {
  constexpr std::size_t window = 3100;
  const SeededHash hash{1};
  CuckooTable<6> table{window, 1.2};
  for (std::uint64_t n = 0; n < 20 * window; ++n) {
    table.insert(hash(id(n)));
    REQUIRE(table.size() <= table.most());
    REQUIRE(table.contains(hash(id(n))));
  }
  CHECK(table.forgotten() > 100);
  CHECK(table.forgotten() < 20 * window);
  CHECK(table.size() <= table.bytes() / 4);
  std::uint64_t missing = 0;
  std::uint64_t young_missing = 0;
  for (std::uint64_t back = 1; back <= window; ++back) {
    const bool gone = !table.contains(hash(id(20 * window - back)));
    missing += gone ? 1 : 0;
    young_missing += gone && back <= window / 2 ? 1 : 0;
  }
  CHECK(missing > 100);
  CHECK(young_missing * 20 < missing);  // the oldest of what stood in the way
  CHECK(table.forgotten() >= missing);

  table = CuckooTable<6>{window};
  for (std::uint64_t n = 0; n < 20 * window; ++n) {
    table.insert(hash(id(n)));
  }
  CHECK(table.forgotten() == 0);
}

// guarantee 2
TEST_CASE_TEMPLATE("field bug 25: an id whose handler failed is fresh again, however it looks to the filter", D, RotatingBloom, Cuckoo) {
  D dedup{100, {.leases = 2}, 1};
  typename D::lease_type one;
  typename D::lease_type two;
  typename D::lease_type three;
  REQUIRE(dedup.claim(id(1), one) == Claim::fresh);
  REQUIRE(dedup.claim(id(2), two) == Claim::fresh);
  CHECK(dedup.claim(id(3), three) == Claim::unavailable);
  CHECK(dedup.claim(id(1)) == Claim::leased);
  CHECK(dedup.size() == 2);
  dedup.release(one);
  CHECK(dedup.claim(id(3), three) == Claim::fresh);
  dedup.release(three);
  CHECK(dedup.claim(id(1), one) == Claim::fresh);
  dedup.commit(one);
  CHECK(dedup.claim(id(1)) == Claim::done);
  CHECK(dedup.claim(id(2)) == Claim::leased);
  dedup.remember(id(7));
  CHECK(dedup.claim(id(7)) == Claim::done);
  CHECK(dedup.size() == 3);
  dedup.remember(id(2));  // ends the lease as well
  CHECK(dedup.claim(id(2)) == Claim::done);
  CHECK(dedup.size() == 3);
}

TEST_CASE("what is leased stays so when others come that look the same to the filter") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    RotatingBloom bloom{50, {.false_rate = 0.5}, seed};
    RotatingBloom::lease_type lease;
    REQUIRE(bloom.claim(id(0), lease) == Claim::fresh);
    for (std::uint64_t n = 1; n < 2000; ++n) {
      handle(bloom, n);
      REQUIRE(bloom.claim(id(0)) == Claim::leased);
    }
    bloom.commit(lease);
    CHECK(bloom.claim(id(0)) == Claim::done);
  }
}

namespace {

/// An exact strategy that does not search where the filter says that an id is new: it takes its word for it.
struct Store : FifoWindow {
  using FifoWindow::FifoWindow;
  Claim claim_new(EventId id, lease_type& lease) {
    const Claim answer = FifoWindow::claim(id, lease);
    return answer == Claim::done ? Claim::fresh : answer;
  }
};
/// Says that it may be wrong, and does not listen to what it was wrong about.
struct Deaf : RotatingBloom {
  using RotatingBloom::RotatingBloom;
  void remember(EventId) {}
};

template <class Tier>
std::string verdict(std::uint64_t seed) {
  const pulse::conformance::DedupLaws laws{.window = 400, .since_claim = true, .capacity = 800, .seed = seed};
  return pulse::conformance::dedup(
      [] {
        using Filter = std::decay_t<decltype(std::declval<Tier>().filter())>;
        using Exact = std::decay_t<decltype(std::declval<Tier>().inner())>;
        if constexpr (std::is_base_of_v<RotatingBloom, Filter>) {
          return Tier{Filter{1200, {.false_rate = 0.2}}, Exact{800}};
        } else {
          return Tier{Filter{1200}, Exact{800}};
        }
      },
      laws);
}

}  // namespace

// guarantee 3
TEST_CASE("behind either filter an exact strategy keeps its laws, asked about every id or spared the new ones") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    CHECK(verdict<Tiered<RotatingBloom, FifoWindow>>(seed) == "");
    CHECK(verdict<Tiered<Cuckoo, FifoWindow>>(seed) == "");
    CHECK(verdict<Tiered<RotatingBloom, Store>>(seed) == "");
    CHECK(verdict<Tiered<Cuckoo, Store>>(seed) == "");
  }
}

// guarantee 2: a filter in front of an exact strategy that never learns of the ids it was wrong about: their duplicates pass
TEST_CASE("a filter that does not learn what it was wrong about makes duplicates pass, and the kit sees it") {
  CHECK(verdict<Tiered<Deaf, FifoWindow>>(1) == "");  // asked about every id, the exact strategy does not care
  CHECK(verdict<Tiered<Deaf, Store>>(1) != "");
}

namespace {

/// Is wrong ten times as often as it says.
struct Careless : RotatingBloom {
  explicit Careless(std::uint64_t seed) : RotatingBloom(1000, {.false_rate = 0.1}, seed) {}
};
/// Has room for less than its window.
struct Cramped : LeasedFilter<CuckooTable<6>> {
  static constexpr bool exact = false;
  static constexpr bool shared = false;
  explicit Cramped(std::uint64_t seed) : LeasedFilter("Cramped", CuckooTable<6>{2000, 1.5}, 64, seed) {}
};

}  // namespace

// guarantee 3: a Bloom filter that is wrong ten times as often as it says; fingerprints that are pushed out inside the window
TEST_CASE("the kit catches a filter that is wrong more often, or remembers less, than it states") {
  CHECK(pulse::conformance::dedup([] { return Careless{1}; }, {.window = 1000, .since_claim = true, .false_rate = 0.01, .leases = 1024}) ==
        "no false duplicates: a new id is fresh, but for the stated share (seed 1)");
  CHECK(pulse::conformance::dedup([] { return Cramped{1}; }, {.window = 2000, .since_claim = true, .false_rate = 1e-6, .leases = 64}) ==
        "a committed id is remembered for the stated window, to its edge (seed 1)");
  CHECK(pulse::conformance::dedup([] { return RotatingBloom{1000, {}, 1}; }, {.window = 2001, .false_rate = 0.001, .leases = 1024}) ==
        "a committed id is remembered for the stated window, to its edge (seed 1)");
}

// guarantee 3
TEST_CASE("with consent, in shards and in a journal") {
  using Shards = pulse::Sharded<AllowLoss<RotatingBloom>>;
  static_assert(pulse::assert_dedup<Shards>());
  const pulse::conformance::DedupLaws laws{.window = 500, .since_claim = true, .false_rate = 0.001, .leases = 1024};
  CHECK(pulse::conformance::dedup([] { return Shards{4, [](std::size_t i) { return AllowLoss<RotatingBloom>{1000, {}, i}; }, 1}; }, laws) == "");

  const pulse_test::journal::Place place;
  const auto open = [&] { return *pulse::Journaled<AllowLoss<Cuckoo>>::open(AllowLoss<Cuckoo>{300}, {.path = place.path()}); };
  CHECK(pulse::conformance::recovery(open, [&] { place.erase(); }, {.window = 300, .kills = 3}) == "");
}

namespace {

/// Commits ids from..to, those that are taken for known ones aside, and adds them to `committed`.
template <class D>
void feed(D& dedup, std::uint64_t from, std::uint64_t to, std::vector<std::uint64_t>& committed) {
  for (std::uint64_t n = from; n < to; ++n) {
    typename D::lease_type lease;
    if (dedup.claim(id(n), lease) == Claim::fresh) {
      dedup.commit(lease);
      committed.push_back(n);
    }
  }
}

}  // namespace

// guarantee 2
TEST_CASE("a filter in a journal knows the window that it states after a start, also what it takes under its new seed for another id") {
  using Filter = pulse::Journaled<RotatingBloom>;
  std::uint64_t forgotten = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const pulse_test::journal::Place place;
    std::vector<std::uint64_t> committed;
    const auto open = [&](std::uint64_t other) {
      return Filter::open(RotatingBloom{1000, {.false_rate = 0.01}, seed + other}, {.path = place.path(), .window = 3000});
    };
    {
      auto filter = open(0);
      REQUIRE(filter);
      feed(*filter, 0, 3500, committed);
    }
    auto filter = open(1000);
    REQUIRE(filter);
    CHECK(filter->recovered() == committed.size());
    feed(*filter, 100'000, 100'600, committed);
    for (std::size_t back = 1; back <= 1000; ++back) {
      forgotten += filter->claim(id(committed[committed.size() - back])) == Claim::done ? 0U : 1U;
    }
  }
  CHECK(forgotten == 0);
}

// guarantee 2
TEST_CASE_TEMPLATE("in a journal and in shards a filter learns what it was wrong about, and keeps it", Filter, pulse::Journaled<RotatingBloom>,
                   pulse::Sharded<RotatingBloom>) {
  const pulse_test::journal::Place place;
  const auto make = [&](std::size_t) { return RotatingBloom{1000, {.false_rate = 0.2}, 1}; };
  const auto start = [&] {
    if constexpr (pulse::DurableDedup<Filter>) {
      return *Filter::open(make(0), {.path = place.path()});
    } else {
      return Filter{4, make, 1};
    }
  };
  static_assert(pulse::requirement::DedupRemember<Filter>);
  Tiered<Filter, Store> tiered{start(), Store{1000}};
  for (std::uint64_t n = 0; n < 20'000; ++n) {
    typename Tiered<Filter, Store>::lease_type lease;
    REQUIRE(tiered.claim(id(n), lease) == Claim::fresh);
    tiered.commit(lease);
    if (n >= 900) {
      REQUIRE(tiered.claim(id(n - 900)) == Claim::done);
    }
  }
  Filter alone = [&] {
    if constexpr (pulse::DurableDedup<Filter>) {
      return *Filter::open(make(0), {.path = place.path("alone")});
    } else {
      return Filter{4, make, 1};
    }
  }();
  REQUIRE(alone.claim(id(1)) == Claim::fresh);
  alone.remember(id(1));  // ends the lease
  alone.remember(id(2));
  CHECK(alone.claim(id(1)) == Claim::done);
  CHECK(alone.claim(id(2)) == Claim::done);
  CHECK(alone.size() == 2);
  if constexpr (pulse::DurableDedup<Filter>) {
    CHECK(alone.journal().records() == 2);
    for (std::uint64_t n = 3; n < 80'000; ++n) {  // more than the file has room for at once, and of leases at all
      if (n % 2 == 0) {
        (void)alone.claim(id(n));
      }
      alone.remember(id(n));
      REQUIRE(alone.claim(id(n)) == Claim::done);
    }
    CHECK(alone.journal().status());
    for (std::uint64_t n = 80'000; n < 120'000; ++n) {
      alone.remember(id(n));
    }
    CHECK(alone.journal().status());
    CHECK(alone.claim(id(119'999)) == Claim::done);
    Filter told = *Filter::open(make(0), {.path = place.path("told")});  // of what it never claimed
    for (std::uint64_t n = 0; n < 20'000; ++n) {
      told.remember(id(n));
    }
    CHECK(told.journal().records() == 20'000 - 16'384);
  }
}

TEST_CASE_TEMPLATE("all shards together lease what one filter would, and take no more memory for it than for the ids", Filter, AllowLoss<RotatingBloom>,
                   Cuckoo) {
  using Shards = pulse::Sharded<Filter>;
  Shards window{65536};
  CHECK(window.shards() == 2048);
  const std::size_t filters_alone = Shards{2048, [](std::size_t) { return Filter{80, {.leases = 1}}; }, 1}.bytes();
  CHECK(window.bytes() < 2 * filters_alone);
  std::size_t leased = 0;
  for (std::uint64_t n = 0; n < 1024; ++n) {
    leased += window.claim(EventId{n * 0x9e3779b97f4a7c15ULL, n}) == Claim::fresh ? 1U : 0U;
  }
  CHECK(leased == 1024);
  Shards one{1000, 1};
  CHECK(one.bytes() == Filter{1000}.bytes() + Shards{1, [](std::size_t) { return Filter{1}; }, 1}.bytes() - Filter{1}.bytes());
}

TEST_CASE("a lease takes 32 bytes and 4 for its chain, and there are 1024 of them where nobody says how many") {
  CHECK(RotatingBloom{10, {.leases = 512}}.bytes() - RotatingBloom{10, {.leases = 256}}.bytes() == 256 * 36);
  CHECK(Cuckoo{10, {.leases = 512}}.bytes() - Cuckoo{10, {.leases = 256}}.bytes() == 256 * 36);
  CHECK(RotatingBloom{10}.bytes() == RotatingBloom{10, {.leases = 1024}}.bytes());
  CHECK(Cuckoo{10}.bytes() == Cuckoo{10, {.leases = 1024}}.bytes());
  CHECK(RotatingBloom{10, {.leases = 1}}.bytes() == BloomGenerations{10, 0.001}.bytes() + 36);
}

TEST_CASE("settings that a filter cannot work with are refused with what is allowed") {
  CHECK_THROWS_WITH_AS((RotatingBloom{0}), "RotatingBloom: the capacity is 0: allowed are 1 to 268435456", std::invalid_argument);
  CHECK_THROWS_AS((RotatingBloom{RotatingBloom::max_capacity + 1}), std::invalid_argument);
  CHECK_THROWS_WITH_AS((RotatingBloom{10, {.false_rate = 0}}), "RotatingBloom: the false-positive rate is 0: allowed are 1e-8 to 0.5", std::invalid_argument);
  CHECK_THROWS_WITH_AS((RotatingBloom{10, {.false_rate = 1}}), "RotatingBloom: the false-positive rate is 1: allowed are 1e-8 to 0.5", std::invalid_argument);
  CHECK_THROWS_WITH_AS((RotatingBloom{10, {.false_rate = -0.25}}), "RotatingBloom: the false-positive rate is -0.25: allowed are 1e-8 to 0.5",
                       std::invalid_argument);
  CHECK_THROWS_AS((RotatingBloom{10, {.false_rate = std::numeric_limits<double>::quiet_NaN()}}), std::invalid_argument);
  CHECK_THROWS_WITH_AS((RotatingBloom{10, {.leases = 0}}), "RotatingBloom: the number of leases is 0: allowed are 1 to 1048576", std::invalid_argument);
  CHECK_NOTHROW((RotatingBloom{1, {.false_rate = 1e-8, .leases = 1048576}}));
  CHECK_NOTHROW((RotatingBloom{1, {.false_rate = 0.5, .leases = 1}}));
  CHECK_THROWS_WITH_AS((Cuckoo{0}), "Cuckoo: the capacity is 0: allowed are 1 to 268435456", std::invalid_argument);
  CHECK_THROWS_AS((Cuckoo{Cuckoo::max_capacity + 1}), std::invalid_argument);
  CHECK_THROWS_WITH_AS((Cuckoo{10, {.leases = 1048577}}), "Cuckoo: the number of leases is 1048577: allowed are 1 to 1048576", std::invalid_argument);
}
