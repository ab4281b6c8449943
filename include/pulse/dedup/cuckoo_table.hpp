// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "pulse/dedup/index_bucket.hpp"
#include "pulse/detail/big_vector.hpp"
#include "pulse/detail/prefetch.hpp"

namespace pulse::inline v0_1::detail {

/// Fingerprints of the ids that were inserted last, each with the epoch of its insertion: a cuckoo filter (Fan, Andersen, Kaminsky, Mitzenmacher,
/// "Cuckoo Filter: Practically Better Than Bloom", 2014) that forgets by itself.
///
/// An entry is 32 bits: the high ones the epoch, the low ones a fingerprint. An epoch ends after so many insertions; what is older than `life`
/// epochs counts no more, without anybody touching it, and its place is free. So that nothing comes to life again when the numbers of the
/// epochs wrap, a sweep that goes on with the insertions holds the age of what has expired.
///
/// Buckets are cache lines of sixteen entries. A fingerprint has two of them, and either tells the other: they add up to a number that follows
/// from the fingerprint, which unlike an exclusive-or works with any number of buckets. A new one goes to the emptier of the two. Where both are full, one of
/// the entries there moves to its other bucket; where none can, the oldest is forgotten early, and counted.
///
/// False positives: at most 2 * 16 entries are looked at, each equal by chance with 2^-print_bits.
/// Memory: 4 bytes for each id that may be known at a time, by the load. Complexity: two cache lines; where both are full, up to 34.
template <unsigned EpochBits>
class CuckooTable {
  static constexpr unsigned print_bits = 32 - EpochBits;
  static constexpr std::uint32_t one_epoch = std::uint32_t{1} << print_bits;
  static constexpr std::uint32_t print_mask = one_epoch - 1;
  static constexpr std::uint32_t epochs = std::uint32_t{1} << EpochBits;
  static constexpr std::uint32_t max_life = epochs / 2 - 1;
  static constexpr std::uint32_t sweep_epochs = epochs / 4;  ///< in so many each bucket is swept: max_life and these are fewer than there are numbers

 public:
  /// At this load one new id in seventy finds both buckets full, and none has been seen to find no place; from 0.97 on some do.
  static constexpr double default_load = 0.88;
  static constexpr std::size_t max_window = std::size_t{1} << 28;
  static constexpr double max_false_rate = 2.0 * 16 / static_cast<double>(one_epoch);

  /// Requires: 1 <= window <= max_window, 0.15 <= load: of an emptier table a sweep of one bucket at a time would not see all in time.
  explicit CuckooTable(std::size_t window, double load = default_load)
      : window_(window),
        epoch_size_(static_cast<std::uint32_t>((window + max_life - 1) / max_life)),
        life_(static_cast<std::uint32_t>((window + epoch_size_ - 1) / epoch_size_)),
        limit_((life_ + 1) << print_bits),
        now_(limit_ | print_mask),  // all zeros has expired
        buckets_(static_cast<std::size_t>(static_cast<double>(most()) / (ways * load)) + 2),
        count_(static_cast<std::uint32_t>(buckets_.size())),
        sweep_every_(std::uint64_t{epoch_size_} * sweep_epochs / count_) {}

  void prefetch(std::uint64_t hash) const noexcept {
    const std::uint32_t first = home(hash);
    prefetch_line(&buckets_[first]);
    prefetch_line(&buckets_[other(first, print(hash))]);
  }

  [[nodiscard]] bool contains(std::uint64_t hash) const noexcept {
    const Pair pair = pair_of(hash);
    for (std::uint32_t match = matches(pair, print(hash)); match != 0; match &= match - 1) {
      if (alive(entry(pair, match))) {
        return true;
      }
    }
    return false;
  }

  /// Requires: it was not contained a moment ago. Where it is by now, it takes a place more, and no harm is done.
  void insert(std::uint64_t hash) noexcept {
    const Pair pair = pair_of(hash);
    const std::uint32_t first = free_ways(buckets_[pair.first]);
    const std::uint32_t second = free_ways(buckets_[pair.second]);
    if ((first | second) == 0) [[unlikely]] {
      enter(make_room(pair), hash);
    } else {
      const bool to_first = as_many(first, second);
      enter(buckets_[to_first ? pair.first : pair.second].entries[static_cast<std::size_t>(std::countr_zero(to_first ? first : second))], hash);
    }
  }

  /// The same of one that may be contained: then it is as young as if it was inserted now.
  void renew(std::uint64_t hash) noexcept {
    const Pair pair = pair_of(hash);
    for (std::uint32_t match = matches(pair, print(hash)); match != 0; match &= match - 1) {
      if (std::uint32_t& same = entry(pair, match); alive(same)) {
        --counts_[same >> print_bits];
        --size_;
        enter(same, hash);
        return;
      }
    }
    insert(hash);
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t window() const noexcept { return window_; }
  /// How many may be known at a time: the window, and the epoch that has just begun.
  [[nodiscard]] std::size_t most() const noexcept { return std::size_t{life_ + 1} * epoch_size_; }
  [[nodiscard]] std::uint64_t forgotten() const noexcept { return forgotten_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return buckets_.size() * sizeof(IndexBucket); }

 private:
  static constexpr std::uint32_t ways = 16;
  struct Pair {
    std::uint32_t first;
    std::uint32_t second;
  };

  [[nodiscard]] static std::uint32_t print(std::uint64_t hash) noexcept { return static_cast<std::uint32_t>(hash) & print_mask; }
  [[nodiscard]] std::uint32_t home(std::uint64_t hash) const noexcept { return static_cast<std::uint32_t>((hash >> 32) * count_ >> 32); }
  [[nodiscard]] std::uint32_t other(std::uint32_t bucket, std::uint32_t wanted) const noexcept {
    const std::uint64_t spread = static_cast<std::uint32_t>(wanted * std::uint64_t{0x9e3779b1});
    const auto sum = static_cast<std::uint32_t>(spread * count_ >> 32);
    return sum >= bucket ? sum - bucket : sum + count_ - bucket;
  }
  [[nodiscard]] Pair pair_of(std::uint64_t hash) const noexcept {
    const std::uint32_t first = home(hash);
    return {first, other(first, print(hash))};
  }

  /// A bit for each entry of the two buckets that has the fingerprint.
  [[nodiscard]] std::uint32_t matches(Pair pair, std::uint32_t wanted) const noexcept {
    return matching_lanes(buckets_[pair.first], print_mask, wanted) | matching_lanes(buckets_[pair.second], print_mask, wanted) << ways;
  }
  [[nodiscard]] std::uint32_t entry(Pair pair, std::uint32_t bits) const noexcept {
    const auto lane = static_cast<std::uint32_t>(std::countr_zero(bits));
    return buckets_[lane < ways ? pair.first : pair.second].entries[lane % ways];
  }
  [[nodiscard]] std::uint32_t& entry(Pair pair, std::uint32_t bits) noexcept {
    const auto lane = static_cast<std::uint32_t>(std::countr_zero(bits));
    return buckets_[lane < ways ? pair.first : pair.second].entries[lane % ways];
  }
  [[nodiscard]] bool alive(std::uint32_t at) const noexcept { return now_ - at < limit_; }
  [[nodiscard]] std::uint32_t free_ways(const IndexBucket& bucket) const noexcept { return lanes_from(bucket, now_, limit_); }

  /// Whether `a` has at least as many ones as `b`, of sixteen bits each: both are counted at once, in parts that double, because std::popcount is
  /// a call where the compiler may not count on the instruction.
  [[nodiscard]] static bool as_many(std::uint32_t a, std::uint32_t b) noexcept {
    std::uint32_t counts = a << ways | b;
    counts -= counts >> 1 & 0x55555555;
    counts = (counts & 0x33333333) + (counts >> 2 & 0x33333333);
    counts = (counts + (counts >> 4)) & 0x0f0f0f0f;
    counts += counts >> 8;
    return (counts >> ways & 31) >= (counts & 31);
  }

  [[gnu::noinline]] std::uint32_t& make_room(Pair pair) noexcept {
    std::uint32_t* oldest = &buckets_[pair.first].entries[0];
    for (const std::uint32_t full : {pair.first, pair.second}) {
      for (std::uint32_t& at : buckets_[full].entries) {
        IndexBucket& elsewhere = buckets_[other(full, at & print_mask)];
        if (const std::uint32_t free = free_ways(elsewhere); free != 0) {
          elsewhere.entries[static_cast<std::size_t>(std::countr_zero(free))] = at;
          return at;
        }
        if (now_ - at > now_ - *oldest) {
          oldest = &at;
        }
      }
    }
    ++forgotten_;
    --size_;
    --counts_[*oldest >> print_bits];
    return *oldest;
  }

  void enter(std::uint32_t& place, std::uint64_t hash) noexcept {
    place = (now_ & ~print_mask) | print(hash);
    ++counts_[now_ >> print_bits];
    ++size_;
    go_on();
  }
  void go_on() noexcept {
    if (--until_sweep_ == 0) {
      until_sweep_ = sweep_every_;
      for (std::uint32_t& at : buckets_[swept_].entries) {
        at = alive(at) ? at : now_ - print_mask - limit_;
      }
      swept_ = swept_ + 1 == count_ ? 0 : swept_ + 1;
    }
    if (++in_epoch_ == epoch_size_) {
      in_epoch_ = 0;
      now_ += one_epoch;
      std::uint32_t& expired = counts_[(now_ - limit_) >> print_bits];
      size_ -= expired;
      expired = 0;
    }
  }

  std::size_t window_;
  std::size_t size_ = 0;
  std::uint64_t forgotten_ = 0;
  std::uint32_t epoch_size_;
  std::uint32_t life_;
  std::uint32_t limit_;  ///< the epochs that count, where the epoch stands in an entry
  std::uint32_t now_;    ///< this epoch where it stands in an entry, above ones: so no fingerprint borrows from a difference
  std::uint32_t in_epoch_ = 0;
  BigVector<IndexBucket> buckets_;
  std::uint32_t count_;
  std::uint64_t sweep_every_;
  std::uint64_t until_sweep_ = 1;
  std::uint32_t swept_ = 0;
  std::array<std::uint32_t, epochs> counts_{};  ///< how many ids have the epoch
};

}  // namespace pulse::inline v0_1::detail
