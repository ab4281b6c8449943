// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "pulse/concept/dedup.hpp"
#include "pulse/dedup/inner_lease.hpp"

namespace pulse::inline v0_1::conformance {

/// What a strategy promises, for the kit to hold it to.
struct DedupLaws {
  /// How many other ids may be claimed after a commit with the id still `done`; 0: it remembers nothing.
  std::size_t window = 0;
  /// Whether that counts from the claim that found the id fresh, as in a FIFO; else from the commit, and anew from each claim that found
  /// it done, as in an LRU.
  bool since_claim = false;
  /// The most ids it may hold; 0: no bound.
  std::size_t capacity = 0;
  std::uint64_t seed = 1;
  /// For a strategy that is not exact: the share of new ids that it may take for known ones. A fifth more is accepted, and what chance explains.
  double false_rate = 0;
  /// How many leases it can hold at least before it may answer `unavailable`; 0: as many as its capacity.
  std::size_t leases = 0;
  /// New ids ascend, as the entry ids of one stream do; only known ones come back. For strategies that need an order.
  bool ordered = false;
  /// For a strategy that any thread may call: how many do.
  std::size_t threads = 4;
};

namespace detail {

/// The n-th id of a test. Unordered ones have the number dealt out over four quarters, two bits to each but the first: a strategy that looks at a part of
/// an id, or at a sum or a XOR of its parts, takes one for another.
inline EventId id_of(std::uint64_t n, bool ordered) noexcept {
  if (ordered) {
    return {n / 7 + 1, n % 7};
  }
  constexpr std::uint64_t no_entry = std::uint64_t{1} << 63;
  return {n >> 6 << 32 | (n >> 4 & 3), no_entry | (n >> 2 & 3) << 32 | (n & 3)};
}

/// A claim that is ended by its lease or by its id, as the test's dice say.
template <class D>
struct Held {
  EventId id{};
  pulse::detail::inner_lease<D> lease{};

  Claim claim(D& dedup) { return pulse::detail::claim_inner(dedup, id, lease); }
  void commit(D& dedup, [[maybe_unused]] bool by_lease) const {
    if constexpr (LeasingDedup<D>) {
      by_lease ? dedup.commit(lease) : dedup.commit(id);
    } else {
      dedup.commit(id);
    }
  }
  void release(D& dedup, [[maybe_unused]] bool by_lease) const {
    if constexpr (LeasingDedup<D>) {
      by_lease ? dedup.release(lease) : dedup.release(id);
    } else {
      dedup.release(id);
    }
  }
};

/// Whether `falses` of `asked` are more than the rate, a fifth and four standard deviations allow.
inline bool too_many(std::uint64_t falses, std::uint64_t asked, double rate) noexcept {
  const double expected = static_cast<double>(asked) * rate;
  const double above = static_cast<double>(falses) - 1.2 * expected;
  return above > 0 && above * above > 16 * (expected + 1);
}

inline std::string broken(const DedupLaws& laws, const std::string& law) { return law + " (seed " + std::to_string(laws.seed) + ")"; }

}  // namespace detail
}  // namespace pulse::inline v0_1::conformance
