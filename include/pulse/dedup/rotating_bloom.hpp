// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>

#include "pulse/concept/dedup.hpp"
#include "pulse/dedup/bloom_generations.hpp"
#include "pulse/dedup/leased_filter.hpp"
#include "pulse/dedup/seeded_hash.hpp"
#include "pulse/detail/refuse.hpp"

namespace pulse::inline v0_1 {

/// How often a RotatingBloom may be wrong, and how much it has in flight.
struct RotatingBloomOptions {
  /// The share of new ids that may be taken for known ones, when it is at its fullest. Default 0.001. Allowed: 1e-8 to 0.5.
  double false_rate = 0.001;
  /// How many ids may be in flight at a time; while so many are, a new id is `unavailable`. Default 1024, 36 to 40 bytes each. Allowed: 1 to 1048576.
  std::size_t leases = 1024;
};

/// Remembers at least the `window` ids that were committed last, and at most twice as many less one. NOT exact: it takes a new id for a known one with a
/// probability of up to `false_rate`, and alone in a Consumer so loses that event: see AllowLoss, and Tiered, where it loses none.
///
/// Two generations of a Bloom filter, one cache line of each for an id: ids enter the younger one when they are committed, and when `window` have
/// entered, the older one is forgotten. Asking for an id again does not keep it longer. No id that was committed and is in the window is ever called fresh.
/// What is leased stands beside it in an exact table.
///
/// Memory: by the rate, 2.9 bytes for each id of the window at 0.01, 4.4 at 0.001, 6.1 at 0.0001; and 36 to 40 for each lease. From 0.0005 down a Cuckoo
/// takes less, and is wrong less often. Nothing is allocated after construction, and nothing cleared at once. Complexity: constant; two cache
/// lines side by side. Thread safety: one thread. Contract page: docs/reference/dedup/rotating-bloom.md
class RotatingBloom : private detail::LeasedFilter<detail::BloomGenerations> {
  using Base = detail::LeasedFilter<detail::BloomGenerations>;

 public:
  static constexpr bool exact = false;
  static constexpr bool shared = false;
  static constexpr std::size_t default_capacity = 65536;
  static constexpr std::size_t max_capacity = detail::BloomGenerations::max_window;
  static constexpr double min_false_rate = 1e-8;
  static constexpr double max_false_rate = 0.5;
  using options_type = RotatingBloomOptions;
  using Base::max_leases;
  using typename Base::lease_type;

  /// Errors: std::invalid_argument for a window outside 1..max_capacity, or an option outside what RotatingBloomOptions allows.
  explicit RotatingBloom(std::size_t window = default_capacity, RotatingBloomOptions options = {}, std::uint64_t seed = detail::SeededHash::random_seed())
      : Base("RotatingBloom", {detail::checked_capacity("RotatingBloom", window, max_capacity), checked(options.false_rate)}, options.leases, seed),
        false_rate_(options.false_rate) {}

  /// One id; one id with its lease; a batch, whose searches wait for memory together.
  using Base::claim;
  using Base::commit;
  using Base::prefetch;
  using Base::release;
  using Base::remember;

  using Base::bytes;
  using Base::capacity;
  using Base::size;
  [[nodiscard]] double false_rate() const noexcept { return false_rate_; }

 private:
  static double checked(double rate) {
    if (!(rate >= min_false_rate && rate <= max_false_rate)) {  // nor is it a number
      char text[32];
      std::snprintf(text, sizeof text, "%g", rate);
      detail::refuse("RotatingBloom", "false-positive rate", text, "1e-8 to 0.5");
    }
    return rate;
  }

  double false_rate_;
};

}  // namespace pulse::inline v0_1
