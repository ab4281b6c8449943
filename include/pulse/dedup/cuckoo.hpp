// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "pulse/concept/dedup.hpp"
#include "pulse/dedup/cuckoo_table.hpp"
#include "pulse/dedup/leased_filter.hpp"
#include "pulse/dedup/seeded_hash.hpp"
#include "pulse/detail/refuse.hpp"

namespace pulse::inline v0_1 {

/// How much a Cuckoo has in flight.
struct CuckooOptions {
  /// How many ids may be in flight at a time; while so many are, a new id is `unavailable`. Default 1024, 36 to 40 bytes each. Allowed: 1 to 1048576.
  std::size_t leases = 1024;
};

/// Remembers at least the `window` ids that were committed last, and at most a fifteenth more. NOT exact: it takes a new id for a known one with a probability
/// of up to `max_false_rate`, one in two millions, and alone in a Consumer so loses that event: see AllowLoss, and Tiered, where it loses none.
///
/// A cuckoo filter of fingerprints of 26 bits with the epoch of their commit, which expire by their age. Asking for an id again does not keep it
/// longer. No id that was committed and is in the window is ever called fresh, unless its fingerprint found no place and had to push out the
/// oldest of those in its way: that is counted (`forgotten_early`), and has not been seen to happen in 10^9 commits. What is leased stands
/// beside it in an exact table.
///
/// Memory: 4.7 bytes for each id of the window (more below a thousand), and 36 to 40 for each lease; nothing is allocated after construction. Complexity:
/// constant; two cache lines, and where both are full up to 32 others, one commit in seventy. Thread safety: one thread. Contract page:
/// docs/reference/dedup/cuckoo.md
class Cuckoo : private detail::LeasedFilter<detail::CuckooTable<6>> {
  using Table = detail::CuckooTable<6>;
  using Base = detail::LeasedFilter<Table>;

 public:
  static constexpr bool exact = false;
  static constexpr bool shared = false;
  static constexpr std::size_t default_capacity = 65536;
  static constexpr std::size_t max_capacity = Table::max_window;
  static constexpr double max_false_rate = Table::max_false_rate;
  using options_type = CuckooOptions;
  using Base::max_leases;
  using typename Base::lease_type;

  /// Errors: std::invalid_argument for a window outside 1..max_capacity, or leases outside 1..max_leases.
  explicit Cuckoo(std::size_t window = default_capacity, CuckooOptions options = {}, std::uint64_t seed = detail::SeededHash::random_seed())
      : Base("Cuckoo", Table{detail::checked_capacity("Cuckoo", window, max_capacity)}, options.leases, seed) {}

  /// One id; one id with its lease; a batch, whose searches wait for memory together.
  using Base::claim;
  using Base::commit;
  using Base::prefetch;
  using Base::release;
  using Base::remember;

  using Base::bytes;
  using Base::capacity;
  using Base::size;
  /// How many ids were forgotten inside the window, because a fingerprint found no place.
  [[nodiscard]] std::uint64_t forgotten_early() const noexcept { return Base::filter().forgotten(); }
};

}  // namespace pulse::inline v0_1
