// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "pulse/dedup/index_bucket.hpp"

namespace pulse::inline v0_1::detail {

/// Tells which slot of an array holds an id, where slots are given out in any order and an entry stays until it is taken out.
///
/// An entry is 32 bits: the slot's number in the high ones, in the low ones as much of the id's hash as there is room for. Entries stand in
/// buckets of one cache line, fifteen and a mark: which ways are taken, and how many ids found the bucket full and went to the next that is
/// not. While there are any, a search goes on behind it.
///
/// Memory: 64 bytes for each 15 * load ids. Complexity: expected constant. Nothing is allocated after construction.
class SlotIndex {
 public:
  static constexpr std::size_t max_capacity = std::size_t{1} << 27;
  static constexpr std::uint32_t not_plain = IndexBucket::ways;

  /// Requires: 1 <= capacity <= max_capacity; never more than `capacity` entries.
  explicit SlotIndex(std::size_t capacity)
      : print_bits_(32 - static_cast<unsigned>(std::bit_width((capacity - 1) | 1))), print_mask_((std::uint32_t{1} << print_bits_) - 1), buckets_(capacity) {}

  void prefetch(std::uint64_t hash) const noexcept { buckets_.prefetch(buckets_.home(hash)); }

  /// Where an id stands, or, if it was not found, where it would go.
  struct Place {
    std::uint32_t bucket;
    std::uint32_t way;
    std::uint32_t slot;
    bool found;
  };
  /// Calls `is(slot)` for what may be the id's slot until it says yes.
  template <class Is>
  [[nodiscard]] Place find(std::uint64_t hash, Is&& is) const noexcept {
    Place place{0, ways, 0, false};
    for (std::uint32_t at = buckets_.home(hash);; at = buckets_.after(at)) {
      const IndexBucket& bucket = buckets_[at];
      for (std::uint32_t match = look(bucket, hash); match != 0; match &= match - 1) {
        const auto way = static_cast<std::uint32_t>(std::countr_zero(match));
        const std::uint32_t slot = bucket.entries[way] >> print_bits_;
        if (is(slot)) {
          return {at, way, slot, true};
        }
      }
      if (place.way == ways) {
        place.bucket = at;
        place.way = free_way(bucket);
      }
      if (bucket.mark() < one_past) [[likely]] {
        return place;
      }
    }
  }

  /// Calls `looks(slot)` for each entry of the id's own bucket that has its print: a hint of what a `find` will ask for.
  template <class Looks>
  void hint(std::uint64_t hash, Looks&& looks) const noexcept {
    const IndexBucket& bucket = buckets_[buckets_.home(hash)];
    for (std::uint32_t match = look(bucket, hash); match != 0; match &= match - 1) {
      looks(bucket.entries[static_cast<std::size_t>(std::countr_zero(match))] >> print_bits_);
    }
  }

  /// Where an id goes that is plainly new: nothing in its own bucket looks like it, and there is room. `not_plain` where that takes a closer
  /// look: the path of nearly every new id, kept short.
  [[nodiscard]] std::uint32_t plain_way(std::uint64_t hash) const noexcept {
    const IndexBucket& bucket = buckets_[buckets_.home(hash)];
    const std::uint32_t mark = bucket.mark();
    return mark >= IndexBucket::all_ways || (matching_ways(bucket, print_mask_, print(hash)) & mark) != 0 ? not_plain : free_way(bucket);
  }
  /// Enters it there. Requires: nothing was inserted since.
  void insert_plain(std::uint64_t hash, std::uint32_t way, std::uint32_t slot) noexcept {
    IndexBucket& bucket = buckets_[buckets_.home(hash)];
    bucket.entries[way] = entry(hash, slot);
    bucket.mark() |= 1U << way;
  }

  /// Enters an id that was not found. Requires: nothing was inserted since.
  void insert(std::uint64_t hash, Place place, std::uint32_t slot) noexcept {
    while (place.way == ways) [[unlikely]] {  // the bucket is full: go on until one is not
      place.bucket = buckets_.after(place.bucket);
      place.way = free_way(buckets_[place.bucket]);
    }
    for (std::uint32_t passed = buckets_.home(hash); passed != place.bucket; passed = buckets_.after(passed)) {
      buckets_[passed].mark() += one_past;
    }
    IndexBucket& bucket = buckets_[place.bucket];
    bucket.entries[place.way] = entry(hash, slot);
    bucket.mark() |= 1U << place.way;
  }
  /// Takes out the entry of an id and its slot. Requires: it is in.
  void erase(std::uint64_t hash, std::uint32_t slot) noexcept {
    for (std::uint32_t at = buckets_.home(hash);; at = buckets_.after(at)) {
      IndexBucket& bucket = buckets_[at];
      if (const std::uint32_t match = matching_ways(bucket, 0xffffffff, entry(hash, slot)) & bucket.mark(); match != 0) {
        bucket.mark() ^= match;  // a slot has one entry
        return;
      }
      bucket.mark() -= one_past;
    }
  }

  [[nodiscard]] std::size_t bytes() const noexcept { return buckets_.bytes(); }

 private:
  static constexpr std::uint32_t ways = IndexBucket::ways;

  static constexpr std::uint32_t one_past = 1U << ways;  ///< in a mark; seventeen bits of them, where a run of full buckets is a few long

  [[nodiscard]] std::uint32_t print(std::uint64_t hash) const noexcept { return static_cast<std::uint32_t>(hash) & print_mask_; }
  [[nodiscard]] std::uint32_t entry(std::uint64_t hash, std::uint32_t slot) const noexcept { return slot << print_bits_ | print(hash); }
  [[nodiscard]] std::uint32_t look(const IndexBucket& bucket, std::uint64_t hash) const noexcept {
    return matching_ways(bucket, print_mask_, print(hash)) & bucket.mark();
  }
  /// `ways` where none is free.
  [[nodiscard]] static std::uint32_t free_way(const IndexBucket& bucket) noexcept {
    return static_cast<std::uint32_t>(std::countr_zero(~bucket.mark() | one_past));
  }

  unsigned print_bits_;
  std::uint32_t print_mask_;
  IndexBuckets buckets_;
};

}  // namespace pulse::inline v0_1::detail
