// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <stdexcept>
#include <type_traits>

#include "pulse/dedup/conformance.hpp"
#include "pulse/dedup/fifo_window.hpp"
#include "pulse/dedup/lru_window.hpp"
#include "pulse/dedup/no_dedup.hpp"
#include "pulse/dedup/seeded_hash.hpp"
#include "pulse/dedup/seen_set.hpp"
#include "pulse/dedup/sharded.hpp"
#include "pulse/dedup/tiered.hpp"
#include "pulse/dedup/watermark.hpp"

using pulse::Claim;
using pulse::EventId;
using pulse::FifoWindow;
using pulse::Tiered;

namespace {

/// A filter that takes every `Every`-th new id for a known one, and so would lose it.
template <std::uint64_t Every>
struct Lossy : FifoWindow {
  using FifoWindow::FifoWindow;
  static constexpr bool exact = false;
  Claim claim(EventId id) {
    lease_type ignored;
    return claim(id, ignored);
  }
  Claim claim(EventId id, lease_type& lease) {
    const Claim answer = FifoWindow::claim(id, lease);
    if (answer == Claim::fresh && (pulse::detail::SeededHash{1}(id) >> 20) % Every == 0) {
      FifoWindow::release(lease);
      return id.low % 2 == 0 ? Claim::done : Claim::leased;
    }
    return answer;
  }
};
/// A filter that is always wrong: it takes everything for known.
struct Liar : pulse::NoDedup {
  static constexpr bool exact = false;
  static constexpr Claim claim(EventId) noexcept { return Claim::done; }
};

/// An exact strategy that counts how often it is asked to search.
struct Store : FifoWindow {
  using FifoWindow::FifoWindow;
  int searches = 0;
  Claim claim(EventId id) {
    ++searches;
    return FifoWindow::claim(id);
  }
  Claim claim(EventId id, lease_type& lease) {
    ++searches;
    return FifoWindow::claim(id, lease);
  }
  Claim claim_new(EventId id, lease_type& lease) { return FifoWindow::claim(id, lease); }
};
/// Counts what ends here.
struct Counted : FifoWindow {
  using FifoWindow::claim;
  using FifoWindow::FifoWindow;
  int commits = 0;
  int releases = 0;
  template <class Named>
  void commit(Named named) {
    ++commits;
    FifoWindow::commit(named);
  }
  template <class Named>
  void release(Named named) {
    ++releases;
    FifoWindow::release(named);
  }
};
static_assert(pulse::requirement::DedupClaimNew<Store> && !pulse::requirement::DedupClaimNew<FifoWindow>);

using Window = Tiered<Lossy<7>, FifoWindow>;
static_assert(Window::exact && pulse::assert_dedup<Window>() && !Window::shared && !Window::durable);
static_assert(pulse::BatchLeasingDedup<Window> && pulse::PrefetchingDedup<Window>);
static_assert(pulse::Sharded<Window>::exact);

}  // namespace

// guarantee 3
TEST_CASE("Tiered keeps the laws of its exact strategy behind any filter: one that is often wrong, always wrong, or knows nothing") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const pulse::conformance::DedupLaws laws{.window = 400, .since_claim = true, .capacity = 800, .seed = seed};
    CHECK(pulse::conformance::dedup([] { return Window{Lossy<7>{800}, FifoWindow{800}}; }, laws) == "");
    CHECK(pulse::conformance::dedup([] { return Tiered<Liar, FifoWindow>{Liar{}, FifoWindow{800}}; }, laws) == "");
    CHECK(pulse::conformance::dedup([] { return Tiered<pulse::NoDedup, FifoWindow>{pulse::NoDedup{}, FifoWindow{800}}; }, laws) == "");
    CHECK(pulse::conformance::dedup([] { return Tiered<Lossy<7>, FifoWindow>{Lossy<7>{50}, FifoWindow{800}}; }, laws) == "");
    CHECK(pulse::conformance::dedup([] { return Tiered<Lossy<7>, pulse::SeenSet>{Lossy<7>{800}, pulse::SeenSet{}}; }, {.window = 400, .seed = seed}) == "");
    // With claim_new the filter must not forget first: asking the strategy for what it has dropped takes places in the filter only.
    CHECK(pulse::conformance::dedup([] { return Tiered<FifoWindow, Store>{FifoWindow{1600}, Store{800}}; }, laws) == "");
  }
}

TEST_CASE("an exact strategy with claim_new is asked only about what the filter knows") {
  Tiered<FifoWindow, Store> tiered{FifoWindow{1000}, Store{1000}};
  Tiered<FifoWindow, Store>::lease_type lease;
  for (std::uint64_t n = 0; n < 500; ++n) {
    REQUIRE(tiered.claim({n, n}, lease) == Claim::fresh);
    tiered.commit(lease);
  }
  CHECK(tiered.inner().searches == 0);
  CHECK(tiered.claim({7, 7}) == Claim::done);
  CHECK(tiered.inner().searches == 1);
}

TEST_CASE("a filter that took for new what is known keeps it where it is done, and gives its lease back where it is in flight; one by one and in batches") {
  using Two = Tiered<Counted, FifoWindow>;
  FifoWindow known{10};
  REQUIRE(known.claim({1, 1}) == Claim::fresh);
  known.commit(EventId{1, 1});
  REQUIRE(known.claim({2, 2}) == Claim::fresh);
  const EventId ids[]{{1, 1}, {2, 2}, {3, 3}};
  for (const bool batch : {false, true}) {
    CAPTURE(batch);
    Two tiered{Counted{10}, known};
    Claim claims[3];
    Two::lease_type leases[3];
    if (batch) {
      tiered.claim(ids, claims, leases);
    } else {
      for (std::size_t i = 0; i < 3; ++i) {
        claims[i] = tiered.claim(ids[i], leases[i]);
      }
    }
    CHECK(claims[0] == Claim::done);
    CHECK(claims[1] == Claim::leased);
    CHECK(claims[2] == Claim::fresh);
    CHECK(tiered.filter().commits == 1);
    CHECK(tiered.filter().releases == 1);
    CHECK(tiered.filter().known(ids[0]) == Claim::done);
    CHECK(tiered.filter().known(ids[1]) == Claim::unavailable);
    CHECK(tiered.filter().known(ids[2]) == Claim::leased);
    tiered.release(leases[2]);
    CHECK(tiered.filter().known(ids[2]) == Claim::unavailable);
    REQUIRE(tiered.claim(ids[2], leases[2]) == Claim::fresh);
    tiered.commit(leases[2]);
    CHECK(tiered.filter().known(ids[2]) == Claim::done);
  }
}

TEST_CASE("a commit and a release by id end the lease in the filter, too") {
  Tiered<FifoWindow, FifoWindow> tiered{FifoWindow{10}, FifoWindow{10}};
  REQUIRE(tiered.claim({1, 1}) == Claim::fresh);
  REQUIRE(tiered.claim({2, 2}) == Claim::fresh);
  tiered.prefetch({1, 1});
  tiered.commit(EventId{1, 1});
  tiered.release(EventId{2, 2});
  CHECK(tiered.filter().known({1, 1}) == Claim::done);
  CHECK(tiered.filter().known({2, 2}) == Claim::unavailable);
  CHECK(tiered.inner().known({1, 1}) == Claim::done);
  CHECK(tiered.inner().known({2, 2}) == Claim::unavailable);
  CHECK(tiered.bytes() == 2 * FifoWindow{10}.bytes());
}

TEST_CASE("a batch of a strategy that has batches and no leases") {
  const auto make = [] { return Tiered<FifoWindow, pulse::Watermark>{FifoWindow{100}, pulse::Watermark{pulse::EntryId::min(), {}, 1}}; };
  CHECK(pulse::conformance::dedup(make, {.window = 40, .since_claim = true, .leases = 40, .ordered = true}) == "");
}

TEST_CASE("a filter that is relied on and holds less is refused") {
  CHECK_THROWS_WITH_AS((Tiered<FifoWindow, Store>{FifoWindow{99}, Store{100}}),
                       "Tiered: the filter holds 99 ids, less than the exact strategy's 100: it must hold as many", std::invalid_argument);
}
