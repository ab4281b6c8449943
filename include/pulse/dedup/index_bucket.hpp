// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "pulse/detail/big_vector.hpp"
#include "pulse/detail/prefetch.hpp"

namespace pulse::inline v0_1::detail {

/// One cache line of an index: fifteen entries, and a word about the buckets behind it.
struct alignas(64) IndexBucket {
  static constexpr std::uint32_t ways = 15;
  static constexpr std::uint32_t all_ways = (1U << ways) - 1;
  std::array<std::uint32_t, ways + 1> entries{};

  [[nodiscard]] std::uint32_t& mark() noexcept { return entries[ways]; }
  [[nodiscard]] std::uint32_t mark() const noexcept { return entries[ways]; }
};
static_assert(sizeof(IndexBucket) == 64);

/// The buckets of an index in a row that ends where it begins. An id's search starts at its home and goes on while the marks say so.
class IndexBuckets {
 public:
  /// At this load one new id in forty finds its bucket full, and an id takes 7.7 bytes.
  static constexpr double load = 0.555;
  /// At this one it is one in two hundred, and an id takes 9.2 bytes: for windows that the caches hold, where it is the processor's time that counts.
  static constexpr double light_load = 0.465;

  explicit IndexBuckets(std::size_t capacity, double filled = load)
      : count_(static_cast<std::uint32_t>(static_cast<double>(capacity) / (IndexBucket::ways * filled)) + 1), buckets_(count_) {}

  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return buckets_.size() * sizeof(IndexBucket); }
  [[nodiscard]] IndexBucket& operator[](std::uint32_t at) noexcept { return buckets_[at]; }
  [[nodiscard]] const IndexBucket& operator[](std::uint32_t at) const noexcept { return buckets_[at]; }
  [[nodiscard]] auto begin() noexcept { return buckets_.begin(); }
  [[nodiscard]] auto end() noexcept { return buckets_.end(); }

  [[nodiscard]] std::uint32_t home(std::uint64_t hash) const noexcept {
    return static_cast<std::uint32_t>((hash >> 32) * count_ >> 32);  // Lemire, "Fast random integer generation in an interval" (2019)
  }
  [[nodiscard]] std::uint32_t after(std::uint32_t bucket) const noexcept { return bucket + 1 == count_ ? 0 : bucket + 1; }
  void prefetch(std::uint32_t bucket) const noexcept { prefetch_line(&buckets_[bucket]); }

 private:
  std::uint32_t count_;
  BigVector<IndexBucket> buckets_;
};

#if defined(__SSE2__)
/// A bit for each of sixteen lanes that are all ones or all zeros.
inline std::uint32_t lane_bits(const __m128i (&lanes)[4]) noexcept {
  return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(_mm_packs_epi32(lanes[0], lanes[1]), _mm_packs_epi32(lanes[2], lanes[3]))));
}
inline __m128i four_lanes(const IndexBucket& bucket, std::size_t which) noexcept {
  return _mm_load_si128(reinterpret_cast<const __m128i*>(&bucket.entries[4 * which]));
}
inline __m128i all_lanes(std::uint32_t value) noexcept { return _mm_set1_epi32(static_cast<int>(value)); }
#endif

/// The entries, as bits, that are `wanted` where `mask` has ones.
inline std::uint32_t matching_lanes(const IndexBucket& bucket, std::uint32_t mask, std::uint32_t wanted) noexcept {
#if defined(__SSE2__)
  const __m128i masks = all_lanes(mask);
  const __m128i all = all_lanes(wanted);
  __m128i match[4];
  for (std::size_t i = 0; i < 4; ++i) {
    match[i] = _mm_cmpeq_epi32(_mm_and_si128(four_lanes(bucket, i), masks), all);
  }
  return lane_bits(match);
#else
  std::uint32_t match = 0;
  for (std::uint32_t lane = 0; lane < IndexBucket::ways + 1; ++lane) {
    match |= static_cast<std::uint32_t>((bucket.entries[lane] & mask) == wanted) << lane;
  }
  return match;
#endif
}
/// The same without the mark.
inline std::uint32_t matching_ways(const IndexBucket& bucket, std::uint32_t mask, std::uint32_t wanted) noexcept {
  return matching_lanes(bucket, mask, wanted) & IndexBucket::all_ways;
}

/// The entries, as bits, that are `distance` or more below `top`, the numbers going round.
inline std::uint32_t lanes_from(const IndexBucket& bucket, std::uint32_t top, std::uint32_t distance) noexcept {
#if defined(__SSE2__)
  // Signed comparison is all there is: both sides are moved by half the range, which turns their first bits.
  constexpr std::uint32_t half = 0x80000000;
  const __m128i tops = all_lanes(top ^ half);
  const __m128i limit = all_lanes((distance ^ half) - 1);
  __m128i far[4];
  for (std::size_t i = 0; i < 4; ++i) {
    far[i] = _mm_cmpgt_epi32(_mm_sub_epi32(tops, four_lanes(bucket, i)), limit);
  }
  return lane_bits(far);
#else
  std::uint32_t far = 0;
  for (std::uint32_t lane = 0; lane < IndexBucket::ways + 1; ++lane) {
    far |= static_cast<std::uint32_t>(top - bucket.entries[lane] >= distance) << lane;
  }
  return far;
#endif
}

}  // namespace pulse::inline v0_1::detail
