// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "pulse/core/context.hpp"
#include "pulse/dedup/conformance.hpp"
#include "pulse/dedup/watermark.hpp"

using pulse::Claim;
using pulse::EntryId;
using pulse::EventId;
using pulse::Watermark;

static_assert(pulse::BatchedDedup<Watermark> && Watermark::exact);

namespace {
EventId id(std::uint64_t ms, std::uint64_t seq = 0) { return EventId::from_entry({ms, seq}); }
void handle(Watermark& window, EventId event) {
  REQUIRE(window.claim(event) == Claim::fresh);
  window.commit(event);
}
}  // namespace

TEST_CASE("Watermark keeps the laws over ids in order, and as a FIFO over ids that are none of a stream") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CHECK(pulse::conformance::dedup([&] { return Watermark{EntryId::min(), {}, seed}; },
                                    {.window = 1000, .since_claim = true, .seed = seed, .leases = 1000, .ordered = true}) == "");
    CHECK(pulse::conformance::dedup([&] { return Watermark{EntryId::max(), {}, seed}; },
                                    {.window = 1000, .since_claim = true, .seed = seed, .leases = 1000, .ordered = true}) == "");
    CHECK(pulse::conformance::dedup([&] { return Watermark{EntryId::min(), {.ranges = 4, .others = 200}, seed}; },
                                    {.window = 100, .since_claim = true, .capacity = 204, .seed = seed, .leases = 200}) == "");
  }
}

TEST_CASE("Watermark keeps the laws: in brief") {
  CHECK(pulse::conformance::dedup([] { return Watermark{EntryId::min(), {}, 9}; },
                                  {.window = 40, .since_claim = true, .seed = 9, .leases = 40, .ordered = true}) == "");
  CHECK(pulse::conformance::dedup([] { return Watermark{EntryId::min(), {.ranges = 4, .others = 40}, 9}; },
                                  {.window = 20, .since_claim = true, .capacity = 44, .seed = 9, .leases = 40}) == "");
}

TEST_CASE("a million handled entries are one range, and a replay of all of them is absorbed") {
  Watermark window{EntryId::min()};
  const std::size_t bytes = window.bytes();
  for (std::uint64_t n = 0; n < 1'000'000; ++n) {
    handle(window, id(1'700'000'000'000 + n / 3 * 7, n % 3));
  }
  CHECK(window.ranges() == 1);
  CHECK(window.size() == 1'000'000);
  CHECK(window.bytes() == bytes);
  for (std::uint64_t n = 0; n < 1'000'000; n += 101) {
    REQUIRE(window.claim(id(1'700'000'000'000 + n / 3 * 7, n % 3)) == Claim::done);
  }
}

TEST_CASE("work that ends in another order than it began holds ranges apart until it is done") {
  Watermark window{EntryId::min()};
  for (const std::uint64_t n : {1U, 2U, 3U, 4U, 5U}) {
    REQUIRE(window.claim(id(n)) == Claim::fresh);
  }
  window.commit(id(5));
  window.commit(id(2));
  window.release(id(3));
  CHECK(window.ranges() == 5);
  CHECK(window.size() == 4);
  CHECK(window.claim(id(5)) == Claim::done);
  CHECK(window.claim(id(4)) == Claim::leased);
  CHECK(window.claim(id(3)) == Claim::fresh);  // it had failed
  for (const std::uint64_t n : {3U, 4U, 1U}) {
    window.commit(id(n));
  }
  CHECK(window.ranges() == 1);
  CHECK(window.size() == 5);
}

TEST_CASE("entries left from an earlier life are handled, between and after new ones, in any order") {
  Watermark window{EntryId{50, 0}};
  handle(window, id(12));  // abandoned long enough to be claimed first
  handle(window, id(60));  // new
  handle(window, id(61));
  for (const std::uint64_t n : {50U, 10U, 45U, 13U, 11U}) {  // claimed later
    handle(window, id(n));
    CHECK(window.claim(id(n)) == Claim::done);
  }
  handle(window, id(62));
  handle(window, id(49));
  for (const std::uint64_t n : {10U, 11U, 12U, 13U, 45U, 49U, 50U, 60U, 61U, 62U}) {
    CHECK(window.claim(id(n)) == Claim::done);
  }
  CHECK(window.claim(id(30)) == Claim::fresh);
}

TEST_CASE("an entry that comes out of order is handled where that can be told") {
  Watermark window{EntryId::min()};
  REQUIRE(window.claim(id(10)) == Claim::fresh);
  REQUIRE(window.claim(id(20)) == Claim::fresh);
  REQUIRE(window.claim(id(14)) == Claim::fresh);
  for (const std::uint64_t n : {10U, 20U, 14U}) {
    window.commit(id(n));
  }
  CHECK(window.claim(id(12)) == Claim::fresh);
  CHECK(window.claim(id(17)) == Claim::fresh);
  CHECK(window.claim(id(14)) == Claim::done);
}

TEST_CASE("a stream with retries, dead letters, failovers and an earlier life, against a model: nothing lost, nothing twice") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    pulse::detail::SplitMix64 random{seed};
    std::vector<EventId> stream;
    std::uint64_t ms = 1000;
    for (int n = 0; n < 5000; ++n) {
      ms += random.up_to(3);
      stream.push_back(id(ms, static_cast<std::uint64_t>(n)));
    }
    const std::size_t lived = random.up_to(100);  // delivered in the earlier life; some of them are pending
    std::vector<EventId> pending;
    for (std::size_t n = 0; n < lived; ++n) {
      if (random.up_to(2) == 0) {
        pending.push_back(stream[n]);
      }
    }
    Watermark window{lived == 0 ? EntryId::min() : EntryId{stream[lived - 1].high, stream[lived - 1].low}, {.ranges = 1000}};
    std::set<EventId> done;
    std::set<EventId> dead;
    std::vector<EventId> running;
    std::size_t next = lived;
    while (next < stream.size()) {
      EventId event;
      switch (random.up_to(9)) {
        case 0:  // an entry of the earlier life
        case 1:  // a retry
          if (pending.empty()) {
            continue;
          }
          std::swap(pending[random.up_to(pending.size() - 1)], pending.back());
          event = pending.back();
          pending.pop_back();
          break;
        case 2:  // a failover forgot some reads and acknowledgements
          event = stream[lived + (next > lived ? random.up_to(next - lived - 1) : 0)];
          if (next == lived || dead.contains(event)) {
            continue;
          }
          break;
        default: event = stream[next++]; break;
      }
      const bool runs = std::find(running.begin(), running.end(), event) != running.end();
      const Claim answer = window.claim(event);
      REQUIRE(answer == (done.contains(event) ? Claim::done : runs ? Claim::leased : Claim::fresh));
      if (answer == Claim::fresh) {
        running.push_back(event);
        std::erase(pending, event);
      }
      if (running.size() > random.up_to(20)) {
        std::swap(running[random.up_to(running.size() - 1)], running.back());
        const EventId ended = running.back();
        running.pop_back();
        const std::uint64_t how = random.up_to(99);
        if (how < 80) {
          window.commit(ended);
          done.insert(ended);
        } else {
          window.release(ended);
          (how < 98) ? pending.push_back(ended) : static_cast<void>(dead.insert(ended));
        }
      }
    }
    for (const EventId event : done) {
      REQUIRE(window.claim(event) == Claim::done);
    }
    CHECK(window.size() == done.size() + running.size());
  }
}

TEST_CASE("a full Watermark forgets what was released, then the lowest range; never a lease, and never takes the forgotten for done") {
  Watermark window{EntryId::min(), {.ranges = 5, .others = 1}};
  for (std::uint64_t n = 1; n <= 5; ++n) {
    REQUIRE(window.claim(id(n)) == Claim::fresh);
  }
  CHECK(window.claim(id(6)) == Claim::unavailable);
  window.release(id(2));  // a dead letter
  CHECK(window.claim(id(6)) == Claim::fresh);
  for (const std::uint64_t n : {1U, 3U, 4U, 5U, 6U}) {
    window.commit(id(n));
  }
  CHECK(window.ranges() == 3);                 // the refused one has one of its own
  CHECK(window.claim(id(2)) == Claim::fresh);  // nothing grew over it
  window.release(id(2));
  for (std::uint64_t n = 7; n < 20; ++n) {  // every other one stays in flight
    (n % 2 == 0) ? static_cast<void>(window.claim(id(n))) : handle(window, id(n));
    if (n == 13) {
      break;
    }
  }
  CHECK(window.claim(id(8)) == Claim::leased);
  CHECK(window.claim(id(10)) == Claim::leased);
  CHECK(window.claim(id(12)) == Claim::leased);
  CHECK(window.claim(id(13)) == Claim::done);
  CHECK(window.claim(id(3)) == Claim::fresh);  // of the lowest range, which was forgotten
}

TEST_CASE("an entry that was refused while all ranges were leased is not grown over") {
  for (const bool behind : {true, false}) {
    CAPTURE(behind);
    Watermark window{EntryId::min(), {.ranges = 2, .others = 1}};
    const EventId refused = behind ? id(3) : id(2);
    const EventId other = behind ? id(2) : id(3);
    REQUIRE(window.claim(id(1)) == Claim::fresh);
    REQUIRE(window.claim(other) == Claim::fresh);
    REQUIRE(window.claim(refused) == Claim::unavailable);
    window.commit(id(1));
    window.commit(other);
    handle(window, id(4));
    CHECK(window.claim(id(4)) == Claim::done);
    handle(window, refused);
  }
}

TEST_CASE("several entries that were refused are not grown over when one of them has come again") {
  Watermark window{EntryId::min(), {.ranges = 2, .others = 1}};
  REQUIRE(window.claim(id(1)) == Claim::fresh);
  REQUIRE(window.claim(id(2)) == Claim::fresh);
  REQUIRE(window.claim(id(3)) == Claim::unavailable);
  REQUIRE(window.claim(id(4)) == Claim::unavailable);
  window.commit(id(1));
  window.commit(id(2));
  handle(window, id(3));
  handle(window, id(5));
  handle(window, id(4));
}

TEST_CASE("an entry that a caller was told of without a claim is not grown over either, and puts out nothing") {
  Watermark window{EntryId::min(), {.ranges = 4, .others = 1}};
  handle(window, id(1));
  CHECK(window.known(id(2)) == Claim::unavailable);
  REQUIRE(window.claim(id(3)) == Claim::fresh);
  CHECK(window.known(id(3)) == Claim::leased);
  window.commit(id(3));
  CHECK(window.known(id(3)) == Claim::done);
  CHECK(window.ranges() == 3);
  CHECK(window.known(id(4)) == Claim::unavailable);
  for (std::uint64_t n = 5; n < 10; ++n) {  // more than there are ranges
    CHECK(window.known(id(n)) == Claim::unavailable);
    CHECK(window.ranges() == 4);
  }
  CHECK(window.size() == 2);
  CHECK(window.known(id(1)) == Claim::done);
  CHECK(window.known(id(3)) == Claim::done);
  handle(window, id(10));
  for (const std::uint64_t n : {2U, 9U, 7U}) {
    handle(window, id(n));
  }
}

TEST_CASE("an entry that a caller was told of while all ranges were leased is not grown over either") {
  Watermark window{EntryId::min(), {.ranges = 2, .others = 1}};
  REQUIRE(window.claim(id(1)) == Claim::fresh);
  REQUIRE(window.claim(id(2)) == Claim::fresh);
  REQUIRE(window.known(id(3)) == Claim::unavailable);
  window.commit(id(1));
  window.commit(id(2));
  handle(window, id(4));
  handle(window, id(3));
}

TEST_CASE("ranges grow together again behind an entry that was refused and has come again") {
  Watermark window{EntryId::min(), {.ranges = 8, .others = 1}};
  for (std::uint64_t n = 1; n <= 8; ++n) {
    REQUIRE(window.claim(id(n)) == Claim::fresh);
  }
  REQUIRE(window.claim(id(9)) == Claim::unavailable);
  for (std::uint64_t n = 1; n <= 8; ++n) {
    window.commit(id(n));
  }
  for (std::uint64_t n = 9; n < 20; ++n) {
    handle(window, id(n));
  }
  CHECK(window.ranges() == 2);
}

TEST_CASE("the first new entry grows together with the last of the earlier life, between which nothing lies") {
  Watermark window{EntryId{50, 0}};
  handle(window, id(50));
  handle(window, id(51));
  CHECK(window.ranges() == 1);
}

TEST_CASE("a Watermark's size is what it remembers, also after it forgot a range of several") {
  Watermark window{EntryId::min(), {.ranges = 3, .others = 1}};
  for (std::uint64_t n = 1; n <= 3; ++n) {
    handle(window, id(n));
  }
  REQUIRE(window.claim(id(5)) == Claim::fresh);
  handle(window, id(6));
  CHECK(window.size() == 5);
  REQUIRE(window.claim(id(7)) == Claim::fresh);  // in the place of 1 to 3
  CHECK(window.size() == 3);

  Watermark earlier{EntryId::max(), {.ranges = 3, .others = 1}};  // each for itself
  for (std::uint64_t n = 1; n <= 10; ++n) {
    handle(earlier, id(n));
  }
  CHECK(earlier.size() == 3);
}

TEST_CASE("a commit or a release of an id that has no lease is of no other one") {
  Watermark window{EntryId::min()};
  REQUIRE(window.claim(id(7)) == Claim::fresh);
  window.commit(id(5));
  window.release(id(6));
  window.commit(id(8));
  CHECK(window.claim(id(7)) == Claim::leased);
  CHECK(window.size() == 1);
}

TEST_CASE("a Watermark takes 48 bytes a range, and beside them what its FifoWindow takes") {
  CHECK(Watermark{EntryId::min()}.bytes() == std::size_t{4096} * 48 + pulse::FifoWindow{4096}.bytes());
  CHECK(Watermark{EntryId::min(), {.ranges = 7, .others = 9}}.bytes() == std::size_t{7} * 48 + pulse::FifoWindow{9}.bytes());
}

TEST_CASE("what was told in order and claimed later is one range") {
  Watermark window{EntryId::min()};
  handle(window, id(1));
  for (std::uint64_t n = 2; n < 1000; ++n) {
    CHECK(window.known(id(n)) == Claim::unavailable);
  }
  for (std::uint64_t n = 2; n < 1000; ++n) {
    handle(window, id(n));
  }
  CHECK(window.ranges() == 1);
}

TEST_CASE("a UUID of one of several streams goes to the window beside it, also where 16 of its bits are the salt's") {
  const EventId salt = pulse::detail::hash_event_id("mdp:events");
  Watermark window{EntryId::min(), {.ranges = 4, .others = 4}};
  handle(window, EventId{salt.high ^ 3000, std::uint64_t{2} << 62}.within(salt));
  handle(window, EventId{salt.high ^ 5000, std::uint64_t{2} << 62}.within(salt));
  handle(window, EventId{salt.high ^ 4000, std::uint64_t{2} << 62}.within(salt));
  CHECK(window.ranges() == 0);
}

TEST_CASE("a released entry that was the last one and was forgotten is not grown over either") {
  Watermark window{EntryId::min(), {.ranges = 2, .others = 1}};
  REQUIRE(window.claim(id(1)) == Claim::fresh);
  REQUIRE(window.claim(id(2)) == Claim::fresh);
  window.release(id(2));
  REQUIRE(window.claim(id(3)) == Claim::fresh);
  window.commit(id(1));
  window.commit(id(3));
  CHECK(window.claim(id(2)) == Claim::fresh);
}

TEST_CASE("UUIDs, texts and salted entry ids go to the window beside it") {
  Watermark window{EntryId::min(), {.ranges = 1, .others = 4}};
  handle(window, id(1000));
  const EventId uuid = EventId::from_text("123e4567-e89b-42d3-a456-426614174000");
  const EventId text = EventId::from_text("order 17");
  const EventId salted = id(1000).within(EventId::from_text("another stream"));
  const EventId odd = EventId::from_entry({5, ~std::uint64_t{0}});
  for (const EventId other : {uuid, text, salted, odd}) {
    handle(window, other);
    CHECK(window.claim(other) == Claim::done);
  }
  CHECK(window.ranges() == 1);
  CHECK(window.claim(id(1000)) == Claim::done);
  CHECK(window.size() == 5);
}

TEST_CASE("an id of a producer that reads like an entry id loses nothing that comes after it") {
  Watermark window{EntryId::min()};
  pulse::BasicEnvelopeHeader<std::string> envelope;
  handle(window, pulse::idempotency_key(envelope, {1000, 0}, false));
  for (const char* like : {"99999999999999-1", "1001-1", "1001-3", "1001-2"}) {
    envelope.id = like;
    handle(window, pulse::idempotency_key(envelope, {1001, 0}, false));
    CHECK(window.claim(pulse::idempotency_key(envelope, {1002, 0}, false)) == Claim::done);
  }
  envelope.id.reset();
  for (std::uint64_t n = 1001; n < 1010; ++n) {
    handle(window, pulse::idempotency_key(envelope, {n, 1}, false));
  }
  CHECK(window.ranges() == 1);
}

TEST_CASE("a Watermark refuses what it cannot work with") {
  CHECK_THROWS_WITH_AS((Watermark{EntryId::min(), {.ranges = 0}}), "Watermark: the number of ranges is 0: allowed are 1 to 1048576", std::invalid_argument);
  CHECK_THROWS_AS((Watermark{EntryId::min(), {.ranges = Watermark::max_ranges + 1}}), std::invalid_argument);
  CHECK_NOTHROW((Watermark{EntryId::min(), {.ranges = Watermark::max_ranges}}));
  CHECK_THROWS_AS((Watermark{EntryId::min(), {.others = 0}}), std::invalid_argument);
}
