// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "pulse/dedup/index_bucket.hpp"

namespace pulse::inline v0_1::detail {

/// Tells which slot of a ring holds an id, for a ring in which slots are given out in turn and given again after `capacity` others.
///
/// An entry is 32 bits: the high ones are the sequence number under which its slot was given out, cut to as many as there is room for; the
/// low ones a fingerprint of the id. Its age, the distance from the newest sequence number, says both where the slot is and whether the entry still
/// counts: at `capacity` it has expired, without anybody touching it, so that eviction costs nothing. What is expired must not come to
/// life again when the cut numbers wrap: a sweep that looks at one bucket every `sweep_every` numbers holds their age at `capacity`.
///
/// Entries stand in buckets of one cache line, fifteen and a mark. A bucket's ways are given out in turn, so that the next is the one that
/// expires first: whether there is room is a look at one entry. An id whose bucket is full goes to the next that is not, and the buckets
/// it passed are marked with its number: while the mark is alive, a search goes on behind them.
///
/// Memory: 64 bytes for each 15 * load ids. Complexity: expected constant. Nothing is allocated after construction.
class AgingIndex {
 public:
  static constexpr std::size_t max_capacity = std::size_t{1} << 27;

  /// Requires: 1 <= capacity <= max_capacity.
  explicit AgingIndex(std::size_t capacity)
      : capacity_(static_cast<std::uint32_t>(capacity)),
        print_bits_(32 - number_bits(capacity)),
        print_mask_((std::uint32_t{1} << print_bits_) - 1),
        limit_(capacity_ << print_bits_),
        newest_(0xffffffff),
        buckets_(capacity),
        sweep_every_(((0xffffffff >> print_bits_) - capacity_) / buckets_.count()) {
    for (IndexBucket& bucket : buckets_) {
      bucket.entries.fill(expired());
    }
  }

  void prefetch(std::uint64_t hash) const noexcept { buckets_.prefetch(hash); }

  /// Calls `is(slots_back)` for what may be the id's entry, the age telling the slot: 0 is the one given out last. Returns whether it said
  /// yes, and then the age; otherwise where an entry of the id would go.
  struct Place {
    std::uint64_t hash;
    std::uint32_t bucket;
    std::uint32_t way;
    std::uint32_t age;
    bool found;
  };
  template <class Is>
  [[nodiscard]] Place find(std::uint64_t hash, Is&& is) const noexcept {
    const std::uint32_t wanted = fingerprint(hash);
    Place place{hash, 0, ways, 0, false};
    for (std::uint32_t at = buckets_.home(hash);; at = buckets_.after(at)) {
      const IndexBucket& bucket = buckets_[at];
      for (std::uint32_t match = matching_ways(bucket, print_mask_, wanted); match != 0; match &= match - 1) {
        const auto way = static_cast<std::uint32_t>(std::countr_zero(match));
        if (const std::uint32_t age = age_of(bucket.entries[way]); age < capacity_ && is(age)) {
          return {hash, at, way, age, true};
        }
      }
      if (place.way == ways) {
        place.bucket = at;
        place.way = free_way(bucket);
      }
      if (!alive(bucket.mark())) [[likely]] {
        return place;
      }
    }
  }

  /// Calls `looks(age)` for each entry of the id's own bucket that has its fingerprint: a hint of what a `find` will ask for.
  template <class Looks>
  void hint(std::uint64_t hash, Looks&& looks) const noexcept {
    const IndexBucket& bucket = buckets_[buckets_.home(hash)];
    for (std::uint32_t match = matching_ways(bucket, print_mask_, fingerprint(hash)); match != 0; match &= match - 1) {
      if (const std::uint32_t age = age_of(bucket.entries[static_cast<std::size_t>(std::countr_zero(match))]); age < capacity_) {
        looks(age);
      }
    }
  }

  /// Gives the next number to an id that is plainly new: nothing in its own bucket looks like it, and there is room. False, and nothing
  /// changed, where that takes a closer look: the path of nearly every new id, kept short.
  [[nodiscard]] bool insert_plain(std::uint64_t hash) noexcept {
    IndexBucket& bucket = buckets_[buckets_.home(hash)];
    const std::uint32_t print = fingerprint(hash);
    const std::uint32_t mark = bucket.mark();
    std::uint32_t& turn = bucket.entries[mark & turn_mask];
    if (matching_ways(bucket, print_mask_, print) != 0 || alive(mark) || alive(turn)) [[unlikely]] {
      return false;
    }
    turn = (newest_ + 1) | print;
    bucket.mark() = next_turn(mark);
    take_number();
    return true;
  }

  /// Gives the next number to an id that was not found. Requires: no number was given out or entry expired since.
  void insert(Place place) noexcept {
    while (place.way == ways) [[unlikely]] {  // the bucket is full: go on until one is not
      place.bucket = buckets_.after(place.bucket);
      place.way = free_way(buckets_[place.bucket]);
    }
    std::uint32_t& mark = buckets_[place.bucket].mark();
    mark = next_turn((mark & ~turn_mask) | place.way);
    write(place);
  }
  /// Gives the next number to an entry that was found, instead of its own.
  void renew(const Place& place) noexcept { write(place); }
  /// Takes an entry that was found out.
  void erase(const Place& place) noexcept { buckets_[place.bucket].entries[place.way] = expired(); }

  [[nodiscard]] std::size_t bytes() const noexcept { return buckets_.bytes(); }

 private:
  static constexpr std::uint32_t ways = IndexBucket::ways;

  static constexpr std::uint32_t turn_mask = 15;  ///< in a mark: the way that is given out next

  /// Four times the capacity, so that the sweep is rare, where at least ten bits are left for the fingerprint; never less than one and a half.
  static constexpr unsigned number_bits(std::size_t capacity) noexcept {
    const auto least = static_cast<unsigned>(std::bit_width(capacity + std::max<std::size_t>(capacity / 2, 1024)));
    return std::max(least, std::min(22U, static_cast<unsigned>(std::bit_width(capacity * 4))));
  }

  [[nodiscard]] std::uint32_t fingerprint(std::uint64_t hash) const noexcept { return static_cast<std::uint32_t>(hash) & print_mask_; }
  [[nodiscard]] std::uint32_t age_of(std::uint32_t entry) const noexcept { return (newest_ - entry) >> print_bits_; }
  [[nodiscard]] bool alive(std::uint32_t entry) const noexcept { return newest_ - entry < limit_; }
  [[nodiscard]] std::uint32_t expired() const noexcept { return newest_ - print_mask_ - limit_; }
  [[nodiscard]] static std::uint32_t next_turn(std::uint32_t mark) noexcept { return (mark & turn_mask) == ways - 1 ? mark & ~turn_mask : mark + 1; }

  /// The way whose turn it is; another where that is alive still, having been kept or its turn having come early; `ways` where all are.
  [[nodiscard]] std::uint32_t free_way(const IndexBucket& bucket) const noexcept {
    std::uint32_t way = bucket.mark() & turn_mask;
    if (alive(bucket.entries[way])) [[unlikely]] {
      for (way = 0; way < ways && alive(bucket.entries[way]); ++way) {
      }
    }
    return way;
  }

  void write(const Place& place) noexcept {
    for (std::uint32_t passed = buckets_.home(place.hash); passed != place.bucket; passed = buckets_.after(passed)) {
      buckets_[passed].mark() = (newest_ + 1) | (buckets_[passed].mark() & turn_mask);
    }
    buckets_[place.bucket].entries[place.way] = (newest_ + 1) | fingerprint(place.hash);  // the next number: the ones below the newest carry over
    take_number();
  }
  void take_number() noexcept {
    newest_ += print_mask_ + 1;
    if (--until_sweep_ == 0) [[unlikely]] {
      sweep();
    }
  }

  [[gnu::noinline]] void sweep() noexcept {
    until_sweep_ = sweep_every_;
    for (std::uint32_t& entry : buckets_[swept_].entries) {
      if (age_of(entry) > capacity_) {
        entry = expired() | (entry & turn_mask);
      }
    }
    swept_ = buckets_.after(swept_);
  }

  std::uint32_t capacity_;
  unsigned print_bits_;
  std::uint32_t print_mask_;
  std::uint32_t limit_;   ///< the capacity where the number stands in an entry
  std::uint32_t newest_;  ///< the last number given out where it stands in an entry, above ones: so no fingerprint borrows from a difference
  IndexBuckets buckets_;
  std::uint32_t sweep_every_;
  std::uint32_t until_sweep_ = 1;
  std::uint32_t swept_ = 0;
};

}  // namespace pulse::inline v0_1::detail
