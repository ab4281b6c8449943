// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <deque>
#include <stdexcept>
#include <string>
#include <utility>

#include "../counting_new.hpp"
#include "pulse/dedup/conformance.hpp"
#include "pulse/dedup/cuckoo.hpp"
#include "pulse/dedup/fifo_window.hpp"
#include "pulse/dedup/lru_window.hpp"
#include "pulse/dedup/no_dedup.hpp"
#include "pulse/dedup/rotating_bloom.hpp"
#include "pulse/dedup/seen_set.hpp"
#include "pulse/dedup/ttl_window.hpp"
#include "pulse/dedup/watermark.hpp"

using pulse::Claim;
using pulse::EventId;

static_assert(pulse::Dedup<pulse::NoDedup> && pulse::Dedup<pulse::SeenSet> && pulse::Dedup<pulse::LruWindow>);
static_assert(pulse::BatchedDedup<pulse::LruWindow> && pulse::PrefetchingDedup<pulse::LruWindow> && pulse::LeasingDedup<pulse::LruWindow> &&
              pulse::KeylessDedup<pulse::NoDedup>);
static_assert(pulse::BatchedDedup<pulse::FifoWindow> && pulse::LeasingDedup<pulse::FifoWindow> && !pulse::KeylessDedup<pulse::FifoWindow>);
static_assert(sizeof(pulse::NoDedup) == 1);

namespace {

EventId id(std::uint64_t n) { return {0, n}; }

}  // namespace

TEST_CASE("SeenSet keeps the laws without a bound") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CHECK(pulse::conformance::dedup([] { return pulse::SeenSet{}; }, {.window = 1000, .capacity = 0, .seed = seed}) == "");
  }
}

namespace {

void lru_keeps_the_laws(std::size_t capacity, std::uint64_t seed) {
  CAPTURE(capacity);
  CHECK(pulse::conformance::dedup([&] { return pulse::LruWindow{capacity, seed * 77}; }, {.window = capacity / 2, .capacity = capacity, .seed = seed}) == "");
}
void fifo_keeps_the_laws(std::size_t capacity, std::uint64_t seed) {
  CAPTURE(capacity);
  const pulse::conformance::DedupLaws laws{.window = capacity / 2, .since_claim = true, .capacity = capacity, .seed = seed};
  CHECK(pulse::conformance::dedup([&] { return pulse::FifoWindow{capacity, seed * 77}; }, laws) == "");
}

}  // namespace

// guarantee 2
TEST_CASE("LruWindow keeps the laws at every small capacity and some large") {
  for (const std::size_t capacity : {1U, 2U, 3U, 4U, 7U, 15U, 16U, 17U, 31U, 32U, 33U, 100U, 1000U, 4096U}) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      lru_keeps_the_laws(capacity, seed);
    }
  }
}

TEST_CASE("LruWindow and FifoWindow keep the laws: in brief, what breaks one mostly shows here") {
  for (const std::size_t capacity : {4U, 17U, 100U}) {
    lru_keeps_the_laws(capacity, 9);
    fifo_keeps_the_laws(capacity, 9);
  }
}

TEST_CASE("an LruWindow forgets the least recently used, exactly") {
  pulse::LruWindow window{3, 1};
  for (const std::uint64_t n : {1U, 2U, 3U}) {
    CHECK(window.claim(id(n)) == Claim::fresh);
    window.commit(id(n));
  }
  CHECK(window.claim(id(1)) == Claim::done);  // refreshed: 2 is the oldest now
  CHECK(window.claim(id(4)) == Claim::fresh);
  window.commit(id(4));
  CHECK(window.claim(id(1)) == Claim::done);
  CHECK(window.claim(id(3)) == Claim::done);
  CHECK(window.size() == 3);
  CHECK(window.claim(id(2)) == Claim::fresh);
}

TEST_CASE("leases are never evicted: a window full of them says so") {
  pulse::LruWindow window{2, 1};
  CHECK(window.claim(id(1)) == Claim::fresh);
  CHECK(window.claim(id(2)) == Claim::fresh);
  CHECK(window.claim(id(3)) == Claim::unavailable);
  CHECK(window.claim(id(1)) == Claim::leased);
  window.release(id(2));
  CHECK(window.claim(id(3)) == Claim::fresh);
  CHECK(window.claim(id(1)) == Claim::leased);
}

TEST_CASE("the window is the capacity less the leases held") {
  pulse::LruWindow window{4, 1};
  CHECK(window.claim(id(1)) == Claim::fresh);  // held throughout
  for (const std::uint64_t n : {2U, 3U, 4U}) {
    CHECK(window.claim(id(n)) == Claim::fresh);
    window.commit(id(n));
  }
  CHECK(window.claim(id(2)) == Claim::done);  // two others since: within 4 - 1
  CHECK(window.claim(id(5)) == Claim::fresh);
  CHECK(window.claim(id(3)) == Claim::fresh);  // it was the oldest of three
}

TEST_CASE("in an LruWindow a lease stays, whatever comes and goes") {
  pulse::LruWindow window{8, 1};
  pulse::LruWindow::lease_type held;
  REQUIRE(window.claim(id(0), held) == Claim::fresh);
  for (std::uint64_t n = 1; n < 100'000; ++n) {
    pulse::LruWindow::lease_type lease;
    REQUIRE(window.claim(id(n), lease) == Claim::fresh);
    window.commit(lease);
    REQUIRE(window.claim(id(n)) == Claim::done);
  }
  CHECK(window.size() == 8);
  CHECK(window.claim(id(0)) == Claim::leased);
  window.release(held);
  CHECK(window.size() == 7);
  CHECK(window.claim(id(0)) == Claim::fresh);
}

TEST_CASE("an LruWindow takes 32 bytes an id, and is exact where its buckets run over") {
  constexpr std::size_t capacity = 100'000;
  pulse::LruWindow window{capacity, 3};
  CHECK(static_cast<double>(window.bytes()) / capacity <= 32);
  for (std::uint64_t n = 0; n < capacity * 5; ++n) {
    pulse::LruWindow::lease_type lease;
    REQUIRE(window.claim(id(n), lease) == Claim::fresh);
    window.commit(lease);
  }
  for (std::uint64_t n = capacity * 4; n < capacity * 5; ++n) {
    REQUIRE(window.claim(id(n)) == Claim::done);
  }
  CHECK(window.claim(id(capacity * 4 - 1)) == Claim::fresh);
}

// guarantee 2
TEST_CASE("field bug 25: a failed event's redelivery is fresh, a handled one's is not") {
  pulse::LruWindow window{8, 1};
  CHECK(window.claim(id(1)) == Claim::fresh);
  window.release(id(1));  // the handler failed
  CHECK(window.claim(id(1)) == Claim::fresh);
  window.commit(id(1));
  CHECK(window.claim(id(1)) == Claim::done);
}

// guarantee 9
TEST_CASE("nothing is allocated after construction") {
  pulse::LruWindow window{1000};
  const long before = allocations;
  for (std::uint64_t n = 0; n < 10'000; ++n) {
    (void)window.claim(id(n));
    (n % 7 == 0) ? window.release(id(n)) : window.commit(id(n));
  }
  CHECK(allocations == before);
  CHECK(window.size() <= 1000);
}

TEST_CASE("a TtlWindow takes 25 bytes an id, and nothing after construction, whatever time does") {
  pulse::ManualClock clock;
  pulse::BasicTtlWindow<pulse::ManualClock> window{std::chrono::seconds{64}, 100'000, {}, clock};
  CHECK(static_cast<double>(window.bytes()) / 100'000 <= 25);
  const long before = allocations;
  for (std::uint64_t n = 0; n < 300'000; ++n) {
    (void)window.claim(id(n));
    (n % 7 == 0) ? window.release(id(n)) : window.commit(id(n));
    clock.advance(std::chrono::milliseconds{n == 150'000 ? 1'000'000 : 1});
  }
  CHECK(allocations == before);
  CHECK(window.size() <= 100'000);
}

TEST_CASE("a Watermark allocates nothing after construction") {
  pulse::Watermark window{pulse::EntryId::min(), {.ranges = 100, .others = 100}};
  const long before = allocations;
  for (std::uint64_t n = 0; n < 10'000; ++n) {
    for (const EventId event : {id(n), EventId{n, ~std::uint64_t{0}}}) {
      (void)window.claim(event);
      (n % 7 == 0) ? window.release(event) : window.commit(event);
    }
  }
  CHECK(allocations == before);
  CHECK(window.ranges() > 90);  // full all the time
}

// guarantee 9
TEST_CASE("a capacity out of bounds is refused with what is allowed") {
  CHECK_THROWS_WITH_AS(pulse::LruWindow{0}, "LruWindow: the capacity is 0: allowed are 1 to 134217728", std::invalid_argument);
}

TEST_CASE("ids that collide under one seed do not under another") {
  const pulse::detail::SeededHash known{1};
  const pulse::detail::SeededHash other{2};
  int checked = 0;
  int still = 0;
  for (std::uint64_t n = 0; checked < 200; ++n) {
    if ((known({n, ~n}) & 0xfff) == 0) {
      ++checked;
      still += (other({n, ~n}) & 0xfff) == 0 ? 1 : 0;
    }
  }
  CHECK(still <= 3);
}

TEST_CASE("the hash under a seed is pinned: the shards of a journal are found by it after a start, whichever Pulse made them") {
  const EventId event{0x0123456789abcdef, 0xfedcba9876543210};
  CHECK(pulse::detail::SeededHash{0}(EventId{1, 2}) == 0x4c1c61d47493037d);
  CHECK(pulse::detail::SeededHash{7}(EventId{1, 2}) == 0x453602b392afe9f5);
  CHECK(pulse::detail::SeededHash{0}(event) == 0xe106fe23c72e16f6);
  CHECK(pulse::detail::SeededHash{7}(event) == 0xb693c38f1cd05bca);
  CHECK(pulse::detail::SeededHash{~std::uint64_t{0}}(event) == 0x4eaaea8630b05ab3);
}

TEST_CASE("two seeds of chance have neither half in common") {
  const std::uint64_t one = pulse::detail::SeededHash::random_seed();
  const std::uint64_t other = pulse::detail::SeededHash::random_seed();
  CHECK((one >> 32) != (other >> 32));
  CHECK((one & 0xffffffff) != (other & 0xffffffff));
}

// guarantee 10
TEST_CASE("NoDedup handles everything") {
  CHECK(pulse::NoDedup::claim(id(1)) == Claim::fresh);
  pulse::NoDedup::commit(id(1));
  CHECK(pulse::NoDedup::claim(id(1)) == Claim::fresh);
  CHECK(pulse::NoDedup::size() == 0);
}

// guarantee 2
TEST_CASE("FifoWindow keeps the laws, batches and leases included, at every small capacity and some large") {
  for (const std::size_t capacity : {1U, 2U, 3U, 4U, 7U, 15U, 16U, 31U, 32U, 33U, 100U, 1000U, 4096U}) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      fifo_keeps_the_laws(capacity, seed);
    }
  }
}

TEST_CASE("a FifoWindow forgets in the order of claims, exactly, and being asked keeps nothing longer") {
  pulse::FifoWindow window{3, 1};
  for (const std::uint64_t n : {1U, 2U, 3U}) {
    CHECK(window.claim(id(n)) == Claim::fresh);
    window.commit(id(n));
  }
  CHECK(window.claim(id(1)) == Claim::done);
  CHECK(window.claim(id(4)) == Claim::fresh);
  window.commit(id(4));
  CHECK(window.size() == 3);
  CHECK(window.claim(id(2)) == Claim::done);
  CHECK(window.claim(id(3)) == Claim::done);
  CHECK(window.claim(id(1)) == Claim::fresh);
}

TEST_CASE("in a FifoWindow a lease outlasts the window, whatever comes and goes") {
  pulse::FifoWindow window{8, 1};
  pulse::FifoWindow::lease_type held;
  REQUIRE(window.claim(id(0), held) == Claim::fresh);
  for (std::uint64_t n = 1; n < 100'000; ++n) {  // the numbers of its index wrap many times
    pulse::FifoWindow::lease_type lease;
    REQUIRE(window.claim(id(n), lease) == Claim::fresh);
    window.commit(lease);
    REQUIRE(window.claim(id(0)) == Claim::leased);
    REQUIRE(window.claim(id(n)) == Claim::done);
    if (n > 7) {
      REQUIRE(window.size() == 8);
    }
  }
  window.commit(held);
  CHECK(window.claim(id(0)) == Claim::done);
}

TEST_CASE("a FifoWindow whose index is dense knows each id to the edge of the window") {
  constexpr std::uint64_t capacity = 70'000;
  pulse::FifoWindow window{capacity, 1};
  std::uint64_t unknown = 0;
  std::uint64_t taken_for_known = 0;
  for (std::uint64_t n = 0; n < 2'500'000; ++n) {  // more than the index has numbers
    pulse::FifoWindow::lease_type lease;
    taken_for_known += window.claim(id(n), lease) == Claim::fresh ? 0 : 1;
    window.commit(lease);
    if (n % 8 == 0 && n > capacity) {
      unknown += window.claim(id(n + 1 - capacity)) == Claim::done ? 0 : 1;
      unknown += window.claim(id(n - n * 0x9e3779b97f4a7c15 % capacity)) == Claim::done ? 0 : 1;
    }
  }
  CHECK(unknown == 0);
  CHECK(taken_for_known == 0);
}

namespace {

void finds_what_is_not_expired(std::uint64_t homes, int numbers) {
  constexpr std::uint64_t capacity = 100;
  CAPTURE(homes);
  pulse::detail::AgingIndex index{capacity};
  using Spot = pulse::detail::AgingIndex::Spot;
  std::deque<std::pair<Spot, bool>> last;  // the one given out last is in front; whether it is in
  std::uint64_t lost = 0;
  std::uint64_t random = homes;
  const auto at_age = [](std::uint32_t wanted) { return [wanted](std::uint32_t age) { return age == wanted; }; };
  for (int n = 0; n < numbers; ++n) {
    random = random * 6364136223846793005 + 1442695040888963407;
    Spot spot = index.spot((random >> 33) % homes << 61 | random >> 40);
    if (n % 16 == 5 && last.size() == capacity && last.back().second) {  // the oldest is kept
      spot = last.back().first;
      const auto place = index.find(spot, at_age(capacity - 1));
      REQUIRE(place.found);
      index.renew(place);
    } else if (!index.insert_plain(spot)) {
      index.insert(spot);
    }
    last.emplace_front(spot, true);
    if (last.size() > capacity) {
      last.pop_back();
    }
    const auto any = static_cast<std::uint32_t>((random >> 20) % last.size());
    if (n % 16 == 11 && last[any].second) {
      index.erase(index.find(last[any].first, at_age(any)));
      last[any].second = false;
    }
    for (std::uint32_t age = 0; age < last.size(); ++age) {
      lost += index.find(last[age].first, at_age(age)).found == last[age].second ? 0 : 1;
    }
  }
  CHECK(lost == 0);
}

}  // namespace

TEST_CASE("which entries of a bucket lie so far below a number is told to the edge, also where the numbers go round") {
  std::uint64_t random = 1;
  for (int round = 0; round < 1000; ++round) {
    random = random * 6364136223846793005 + 1442695040888963407;
    const auto top = static_cast<std::uint32_t>(random >> 32);
    const std::uint32_t distance = 8 + static_cast<std::uint32_t>(random >> 5) % 0xfffffff0;
    pulse::detail::IndexBucket bucket;
    for (std::uint32_t lane = 0; lane < 16; ++lane) {
      bucket.entries[lane] = top - (distance - 8 + lane);
    }
    REQUIRE(pulse::detail::lanes_from(bucket, top, distance) == 0xff00);
  }
}

TEST_CASE("a bucket that one id went past is searched past, also when all that were in it have gone") {
  pulse::detail::SlotIndex index{1000};
  const std::uint64_t home = std::uint64_t{5} << 61;
  for (std::uint32_t slot = 0; slot < 16; ++slot) {  // the last one finds it full
    const auto place = index.find(home + slot, [](std::uint32_t) { return false; });
    REQUIRE_FALSE(place.found);
    index.insert(home + slot, place, slot);
  }
  for (std::uint32_t slot = 0; slot < 15; ++slot) {
    index.erase(home + slot, slot);
  }
  CHECK(index.find(home + 15, [](std::uint32_t slot) { return slot == 15; }).found);
  index.erase(home + 15, 15);
  CHECK_FALSE(index.find(home + 15, [](std::uint32_t) { return true; }).found);
}

TEST_CASE("windows of millions know their ids") {
  for (const std::size_t capacity : {std::size_t{1} << 22, (std::size_t{1} << 22) + 1, std::size_t{6'291'456}}) {
    CAPTURE(capacity);
    pulse::FifoWindow fifo{capacity, 1};
    pulse::LruWindow lru{capacity, 1};
    for (std::uint64_t n = 0; n < 1000; ++n) {
      REQUIRE(fifo.claim(id(n)) == Claim::fresh);
      REQUIRE(lru.claim(id(n)) == Claim::fresh);
    }
    for (std::uint64_t n = 0; n < 1000; ++n) {
      REQUIRE(fifo.claim(id(n)) == Claim::leased);
      REQUIRE(lru.claim(id(n)) == Claim::leased);
    }
  }
}

TEST_CASE("what a window takes: an id's place, its state, and buckets of 64 bytes for 15 ids at the load that is said") {
  const auto buckets = [](double capacity, double load) { return static_cast<std::size_t>(capacity / (15 * load)) + 1; };
  CHECK(pulse::FifoWindow{1000}.bytes() == 16 * 1000 + 16 * (1000 / 64 + 1) + 64 * buckets(1000, 0.465));
  CHECK(pulse::FifoWindow{65'536}.bytes() == 16 * 65'536 + 16 * (65'536 / 64 + 1) + 64 * buckets(65'536, 0.465));
  CHECK(pulse::FifoWindow{65'537}.bytes() == 16 * 65'537 + 16 * (65'537 / 64 + 1) + 64 * buckets(65'537, 0.555));
  CHECK(pulse::TtlWindow{std::chrono::hours{1}, 1000}.bytes() == 16 * 1000 + 1000 + 64 * buckets(1000, 0.465));
  CHECK(pulse::LruWindow{1000}.bytes() == 24 * 1000 + 64 * buckets(1000, 0.555));
}

TEST_CASE("the index finds whatever is not expired, though all ids have a few homes") {
  for (const std::uint64_t homes : {1U, 2U, 5U}) {
    finds_what_is_not_expired(homes, 20'000);
  }
}

TEST_CASE("the index finds an id that is kept over many windows in another bucket than its own") {
  constexpr std::uint32_t capacity = 100;
  pulse::detail::AgingIndex index{capacity};
  const auto put = [&](std::uint64_t hash) {
    if (const auto spot = index.spot(hash); !index.insert_plain(spot)) {
      index.insert(spot);
    }
  };
  for (std::uint64_t n = 0; n < 16; ++n) {  // all of one bucket, which is full then: the oldest moves on
    put(n);
  }
  std::uint64_t other = 0;
  for (int round = 0; round < 50; ++round) {
    for (std::uint32_t age = round == 0 ? 15 : 0; age < capacity - 1; ++age) {
      ++other;
      put((4 + other % 12) << 60 | other);
    }
    const auto place = index.find(index.spot(0), [](std::uint32_t age) { return age == capacity - 1; });
    REQUIRE(place.found);
    CHECK(place.bucket != place.home);
    index.renew(place);
  }
}

TEST_CASE("the index finds whatever is not expired when its numbers have come round") { finds_what_is_not_expired(2, 3'000); }

TEST_CASE("a FifoWindow full of leases says so, and a release makes room") {
  pulse::FifoWindow window{2, 1};
  CHECK(window.claim(id(1)) == Claim::fresh);
  CHECK(window.claim(id(2)) == Claim::fresh);
  CHECK(window.claim(id(3)) == Claim::unavailable);
  CHECK(window.claim(id(1)) == Claim::leased);
  window.release(id(2));
  CHECK(window.size() == 1);
  CHECK(window.claim(id(3)) == Claim::fresh);
  CHECK(window.claim(id(1)) == Claim::leased);
}

TEST_CASE("a FifoWindow takes 24 bytes an id, and nothing after construction") {
  pulse::FifoWindow window{100'000};
  CHECK(static_cast<double>(window.bytes()) / 100'000 <= 24);
  const long before = allocations;
  for (std::uint64_t n = 0; n < 300'000; ++n) {
    (void)window.claim(id(n));
    (n % 7 == 0) ? window.release(id(n)) : window.commit(id(n));
  }
  CHECK(allocations == before);
  CHECK(window.size() <= 100'000);
  CHECK_THROWS_AS(pulse::FifoWindow{0}, std::invalid_argument);
  CHECK_THROWS_AS(pulse::FifoWindow{pulse::FifoWindow::max_capacity + 1}, std::invalid_argument);
  for (const std::size_t much : {std::size_t{1} << 50, ~std::size_t{0}}) {  // refused before there is memory taken
    CHECK_THROWS_AS(pulse::FifoWindow{much}, std::invalid_argument);
    CHECK_THROWS_AS(pulse::LruWindow{much}, std::invalid_argument);
    CHECK_THROWS_AS((pulse::TtlWindow{std::chrono::hours{1}, much}), std::invalid_argument);
    CHECK_THROWS_AS(pulse::RotatingBloom{much}, std::invalid_argument);
    CHECK_THROWS_AS(pulse::Cuckoo{much}, std::invalid_argument);
  }
}

// guarantee 9
TEST_CASE_TEMPLATE("a filter allocates nothing after construction", D, pulse::RotatingBloom, pulse::Cuckoo) {
  D filter{1000};
  const long before = allocations;
  for (std::uint64_t n = 0; n < 10'000; ++n) {
    (void)filter.claim(id(n));
    (n % 7 == 0) ? filter.release(id(n)) : filter.commit(id(n));
  }
  CHECK(allocations == before);
}
