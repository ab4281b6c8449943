// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "pulse/concept/dedup.hpp"
#include "pulse/dedup/claim_ring.hpp"
#include "pulse/dedup/seeded_hash.hpp"
#include "pulse/detail/refuse.hpp"

namespace pulse::inline v0_1 {

/// Remembers the `capacity` ids that were claimed last. Exact: it forgets, but never takes a new id for a known one.
///
/// An id stays known while fewer than capacity - L other ids are claimed as fresh after it, L being the most leases held meanwhile, and
/// those released among them counted. Asking for it again does not keep it longer: that is LruWindow. A lease is never forgotten; while
/// all `capacity` ids are leased, a claim of another answers `unavailable`.
///
/// Memory: 16 bytes an id in a ring, a quarter of one for its state, and 7.7 of index: 24 in all, 25.5 up to 65536 ids, taken at construction;
/// nothing is allocated or rehashed afterwards. Complexity: expected constant, under a secret seed; a claim looks at one cache line of the index, and at one of
/// the ring where the id is known. Thread safety: one thread. Contract page: docs/reference/dedup/fifo-window.md
class FifoWindow : private detail::ClaimRing<detail::TwoBitStates> {
  using Ring = detail::ClaimRing<detail::TwoBitStates>;

 public:
  static constexpr bool exact = true;
  static constexpr bool shared = false;
  static constexpr std::size_t default_capacity = 65536;
  using Ring::max_capacity;
  using typename Ring::lease_type;

  /// Errors: std::invalid_argument for a capacity outside 1..max_capacity.
  explicit FifoWindow(std::size_t capacity = default_capacity, std::uint64_t seed = detail::SeededHash::random_seed())
      : Ring{detail::checked_capacity("FifoWindow", capacity, max_capacity), detail::TwoBitStates{capacity}, seed} {}  // in braces: checked first

  /// One id; one id with its lease; a batch, whose searches wait for memory together.
  using Ring::claim;
  using Ring::commit;
  using Ring::known;
  using Ring::prefetch;
  using Ring::release;

  using Ring::bytes;
  using Ring::capacity;
  using Ring::size;
};

}  // namespace pulse::inline v0_1
