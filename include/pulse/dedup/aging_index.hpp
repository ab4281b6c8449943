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
/// life again when the cut numbers wrap: a sweep that looks at one bucket every so many numbers holds their age at `capacity`.
///
/// Entries stand in buckets of one cache line, fifteen and a mark. A bucket's ways are given out in turn, so that the next is the one that
/// expires first: whether there is room is a look at one entry. Where there is none, that oldest entry moves on to the next bucket that has
/// room, and the buckets it passes are marked with its number: while the mark is alive, a search goes on behind them. It is the oldest that moves
/// because it expires soonest: had the new id to go on, its mark would make searches long for a whole window.
///
/// Memory: 7.7 bytes an id; 9.2 in a small one. Complexity: expected constant. Nothing is allocated after construction.
class AgingIndex {
 public:
  static constexpr std::size_t max_capacity = std::size_t{1} << 27;
  static constexpr std::size_t small = std::size_t{1} << 16;  ///< up to this many, entries stand less dense

  /// Requires: 1 <= capacity <= max_capacity.
  explicit AgingIndex(std::size_t capacity)
      : capacity_(static_cast<std::uint32_t>(capacity)),
        print_bits_(32 - number_bits(capacity)),
        print_mask_((std::uint32_t{1} << print_bits_) - 1),
        limit_(capacity_ << print_bits_),
        buckets_(capacity, capacity <= small ? IndexBuckets::light_load : IndexBuckets::load),
        sweep_mask_((std::bit_floor(((0xffffffff >> print_bits_) - capacity_) / buckets_.count()) - 1) << print_bits_) {
    for (IndexBucket& bucket : buckets_) {
      bucket.entries.fill(expired());
    }
  }

  /// What the index knows of an id: where its search begins, and its fingerprint.
  struct Spot {
    std::uint32_t home;
    std::uint32_t print;
  };
  [[nodiscard]] Spot spot(std::uint64_t hash) const noexcept { return {buckets_.home(hash), static_cast<std::uint32_t>(hash) & print_mask_}; }
  void prefetch(Spot spot) const noexcept { buckets_.prefetch(spot.home); }

  /// Where an id's entry stands. Its age tells the slot: 0 is the one given out last.
  struct Place {
    std::uint32_t home;
    std::uint32_t bucket;
    std::uint32_t way;
    std::uint32_t age;
    bool found;
  };
  /// Calls `is(age)` for what may be the id's entry until it says yes.
  template <class Is>
  [[nodiscard]] Place find(Spot spot, Is&& is) const noexcept {
    for (std::uint32_t at = spot.home;; at = buckets_.after(at)) {
      const IndexBucket& bucket = buckets_[at];
      for (std::uint32_t match = matching_ways(bucket, print_mask_, spot.print); match != 0; match &= match - 1) {
        const auto way = static_cast<std::uint32_t>(std::countr_zero(match));
        if (const std::uint32_t age = age_of(bucket.entries[way]); age < capacity_ && is(age)) {
          return {spot.home, at, way, age, true};
        }
      }
      if (!alive(bucket.mark())) [[likely]] {
        return {spot.home, at, 0, 0, false};
      }
    }
  }

  /// The age of an entry in the id's own bucket that has its fingerprint, or some age where there is none: what a `find` will ask for first, as
  /// a hint. Free of branches, which would be hard to foretell.
  [[nodiscard]] std::uint32_t hint(Spot spot) const noexcept {
    const IndexBucket& bucket = buckets_[spot.home];
    const std::uint32_t match = matching_ways(bucket, print_mask_, spot.print) | 1U << ways;
    const std::uint32_t age = age_of(bucket.entries[static_cast<std::size_t>(std::countr_zero(match))]);
    return age < capacity_ ? age : 0;
  }

  /// Gives the next number to an id that is plainly new: nothing in its own bucket looks like it, and there is room. False, and nothing
  /// changed, where that takes a closer look: the path of nearly every new id, kept short.
  [[nodiscard]] bool insert_plain(Spot spot) noexcept {
    if (put_plain(buckets_[spot.home], spot.print, newest_, print_mask_, limit_)) [[likely]] {
      take_number();
      return true;
    }
    return false;
  }
  /// The same for many. Stops at the first that takes a closer look, and returns how many it has taken.
  [[nodiscard]] std::size_t insert_plain(const Spot* spots, std::size_t count) noexcept {
    IndexBucket* const buckets = &buckets_[0];  // all here, because a store into a bucket might be one into a member, for all that the compiler knows
    const std::uint32_t print_mask = print_mask_;
    const std::uint32_t limit = limit_;
    const std::uint32_t sweep_mask = sweep_mask_;
    std::uint32_t newest = newest_;
    std::size_t done = 0;
    for (; done < count && put_plain(buckets[spots[done].home], spots[done].print, newest, print_mask, limit); ++done) {
      newest += print_mask + 1;
      if (((newest + 1) & sweep_mask) == 0) [[unlikely]] {
        newest_ = newest;
        sweep();
      }
    }
    newest_ = newest;
    return done;
  }

  /// Gives the next number to an id that was not found.
  void insert(Spot spot) noexcept {
    IndexBucket& home = buckets_[spot.home];
    std::uint32_t way = free_way(home);
    if (way == ways) {
      way = home.mark() & turn_mask;
      move_on(spot.home, home.entries[way]);
    }
    take(spot.home, way, (newest_ + 1) | spot.print);
    take_number();
  }
  /// Gives the next number to an entry that was found, instead of its own.
  void renew(const Place& place) noexcept {
    for (std::uint32_t passed = place.home; passed != place.bucket; passed = buckets_.after(passed)) {
      std::uint32_t& mark = buckets_[passed].mark();
      mark = (newest_ + 1) | (mark & turn_mask);
    }
    std::uint32_t& entry = buckets_[place.bucket].entries[place.way];
    entry = (newest_ + 1) | (entry & print_mask_);
    take_number();
  }
  /// Takes an entry that was found out.
  void erase(const Place& place) noexcept { buckets_[place.bucket].entries[place.way] = expired(); }

  [[nodiscard]] std::size_t bytes() const noexcept { return buckets_.bytes(); }

 private:
  static constexpr std::uint32_t ways = IndexBucket::ways;
  static constexpr std::uint32_t turn_mask = 15;  ///< in a mark: the way that is given out next

  /// Sixteen times the capacity, so that the sweep is rare, where at least ten bits are left for the fingerprint; never less than one and a half.
  static constexpr unsigned number_bits(std::size_t capacity) noexcept {
    const auto least = static_cast<unsigned>(std::bit_width(capacity + std::max<std::size_t>(capacity / 2, 1024)));
    return std::max(least, std::min(22U, static_cast<unsigned>(std::bit_width(capacity * 16))));
  }

  [[nodiscard]] std::uint32_t age_of(std::uint32_t entry) const noexcept { return (newest_ - entry) >> print_bits_; }
  [[nodiscard]] bool alive(std::uint32_t entry) const noexcept { return newest_ - entry < limit_; }
  [[nodiscard]] std::uint32_t expired() const noexcept { return newest_ - print_mask_ - limit_; }
  [[nodiscard]] static std::uint32_t next_turn(std::uint32_t mark) noexcept { return (mark & turn_mask) == ways - 1 ? mark & ~turn_mask : mark + 1; }

  static bool put_plain(IndexBucket& bucket, std::uint32_t print, std::uint32_t newest, std::uint32_t print_mask, std::uint32_t limit) noexcept {
    const std::uint32_t mark = bucket.mark();
    std::uint32_t& turn = bucket.entries[mark & turn_mask];
    if (matching_ways(bucket, print_mask, print) != 0 || newest - mark < limit || newest - turn < limit) [[unlikely]] {
      return false;
    }
    turn = (newest + 1) | print;  // the next number: the ones below the newest carry over
    bucket.mark() = next_turn(mark);
    return true;
  }

  /// The way whose turn it is; another where that is alive still, having been kept or its turn having come early; `ways` where all are.
  [[nodiscard]] std::uint32_t free_way(const IndexBucket& bucket) const noexcept {
    std::uint32_t way = bucket.mark() & turn_mask;
    if (alive(bucket.entries[way])) [[unlikely]] {
      for (way = 0; way < ways && alive(bucket.entries[way]); ++way) {
      }
    }
    return way;
  }
  void take(std::uint32_t bucket, std::uint32_t way, std::uint32_t entry) noexcept {
    std::uint32_t& mark = buckets_[bucket].mark();
    mark = next_turn((mark & ~turn_mask) | way);
    buckets_[bucket].entries[way] = entry;
  }
  /// Puts an entry of a full bucket into the next one with room.
  void move_on(std::uint32_t bucket, std::uint32_t entry) noexcept {
    std::uint32_t way = ways;
    do {
      std::uint32_t& mark = buckets_[bucket].mark();
      if (newest_ - mark > newest_ - entry) {  // else what passed here before lives longer
        mark = (entry & ~print_mask_) | (mark & turn_mask);
      }
      bucket = buckets_.after(bucket);
      way = free_way(buckets_[bucket]);
    } while (way == ways);
    take(bucket, way, entry);
  }

  void take_number() noexcept {
    newest_ += print_mask_ + 1;
    if (((newest_ + 1) & sweep_mask_) == 0) [[unlikely]] {
      sweep();
    }
  }

  [[gnu::noinline]] void sweep() noexcept {
    const std::uint32_t newest = newest_;
    const std::uint32_t longest = limit_ + print_mask_;
    for (std::uint32_t& entry : buckets_[swept_].entries) {
      entry = newest - entry > longest ? (newest - longest) | (entry & turn_mask) : entry;
    }
    swept_ = buckets_.after(swept_);
  }

  std::uint32_t capacity_;
  unsigned print_bits_;
  std::uint32_t print_mask_;
  std::uint32_t limit_;  ///< the capacity where the number stands in an entry
  IndexBuckets buckets_;
  std::uint32_t sweep_mask_;  ///< a sweep is due where these bits of the next number are zeros

  // What changes stands last, as in what this is a member of: threads that take turns then hand each other one cache line of it.
  std::uint32_t newest_ = 0xffffffff;  ///< the last number given out where it stands in an entry, above ones: so no fingerprint borrows from a difference
  std::uint32_t swept_ = 0;
};

}  // namespace pulse::inline v0_1::detail
