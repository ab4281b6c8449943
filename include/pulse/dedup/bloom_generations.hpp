// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "pulse/detail/big_vector.hpp"
#include "pulse/detail/prefetch.hpp"

namespace pulse::inline v0_1::detail {

/// How a Bloom filter in blocks of one cache line is made, so that it takes a new id for a known one with a given probability.
struct BloomShape {
  static constexpr std::uint32_t block_bits = 511;  ///< the last bit of a line is not the filter's

  std::uint32_t bits = 1;    ///< an id sets
  double ids_per_block = 0;  ///< on the average, when all are in

  /// The shape that takes the least memory. Requires: 0 < rate < 1.
  static BloomShape of(double rate) noexcept {
    BloomShape best;
    for (std::uint32_t bits = 1;; ++bits) {
      double low = 0;
      double high = block_bits;
      for (int i = 0; i < 30; ++i) {
        const double middle = (low + high) / 2;
        (false_rate(bits, middle) <= rate ? low : high) = middle;
      }
      if (low < best.ids_per_block) {  // it has one maximum
        return best;
      }
      best = {bits, low};
    }
  }

  /// What fills a block is a matter of chance: the rate is the mean over the ids that may be in it, which follow a Poisson distribution (Putze,
  /// Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007). At a low rate the fullest blocks count most, and it takes more bits than the
  /// formula of the filter without blocks says. Also a matter of chance is how many bits of a block are set: its variance is reckoned with
  /// to the second order.
  static double false_rate(std::uint32_t bits, double ids_per_block) noexcept {
    const double one_clear = std::pow(1 - 1.0 / block_bits, bits);  // of one bit that an id leaves it clear, of two bits both
    const double two_clear = std::pow(1 - 2.0 / block_bits, bits);
    double probability = std::exp(-ids_per_block);
    double one = 1;
    double two = 1;
    double sum = 0;
    const auto last = static_cast<std::uint32_t>(ids_per_block + 12 * std::sqrt(ids_per_block) + 24);  // beyond is next to nothing
    for (std::uint32_t ids = 1; ids < last; ++ids) {
      probability *= ids_per_block / ids;
      one *= one_clear;
      two *= two_clear;
      const double set = 1 - one;
      const double variance = one / block_bits + two * (1 - 1.0 / block_bits) - one * one;
      double all = probability * (1 + bits * (bits - 1.0) / 2 * variance / (set * set));
      for (std::uint32_t i = 0; i < bits; ++i) {
        all *= set;
      }
      sum += all;
    }
    return sum;
  }
};

/// Two generations of a Bloom filter in blocks: one that ids enter, and the one before, which is forgotten when `window` have entered. An id
/// has one block in each, on two cache lines side by side.
///
/// Nothing is cleared at once. The last bit of a line is a mark that says of which turn the line is; one that is of an earlier turn counts as empty, and is
/// cleared when an id enters, or by a sweep that has seen all lines of the generation before it ends.
class BloomGenerations {
 public:
  static constexpr std::size_t max_window = std::size_t{1} << 28;

  /// Requires: 1 <= window <= max_window, 0 < rate < 1.
  BloomGenerations(std::size_t window, double rate) : BloomGenerations(window, BloomShape::of(1 - std::sqrt(1 - rate))) {}

  void prefetch(std::uint64_t hash) const noexcept {
    const Pair& pair = pairs_[place(hash)];
    prefetch_line(&pair.lines[0]);
    prefetch_line(&pair.lines[1]);
  }

  [[nodiscard]] bool contains(std::uint64_t hash) const noexcept {
    const Pair& pair = pairs_[place(hash)];
    const Line& young = pair.lines[young_];
    const Line& old = pair.lines[young_ ^ 1];
    std::uint64_t in_young = is_stale(young) ? 0 : 1;
    std::uint64_t in_old = 1;
    each_bit(
        hash,
        [&](std::uint32_t word, std::uint32_t bit) {
          in_young &= young[word] >> bit;
          in_old &= old[word] >> bit;
        },
        [&] { return ((in_young | in_old) & 1) != 0; });
    return ((in_young | in_old) & 1) != 0;
  }

  void insert(std::uint64_t hash) noexcept {
    Line& line = pairs_[place(hash)].lines[young_];
    clear_stale(line);
    each_bit(hash, [&](std::uint32_t word, std::uint32_t bit) { line[word] |= std::uint64_t{1} << bit; }, [] { return true; });
    ++entered_;
    while (swept_ < pairs_.size() && swept_ * window_ < entered_ * pairs_.size()) {
      clear_stale(pairs_[swept_++].lines[young_]);
    }
    if (entered_ == window_) {
      before_ = window_;
      entered_ = 0;
      swept_ = 0;
      young_ ^= 1;
      turn_[young_] ^= mark;
    }
  }

  void renew(std::uint64_t hash) noexcept { insert(hash); }

  [[nodiscard]] std::size_t size() const noexcept { return before_ + entered_; }
  [[nodiscard]] std::size_t window() const noexcept { return static_cast<std::size_t>(window_); }
  [[nodiscard]] std::size_t bytes() const noexcept { return pairs_.size() * sizeof(Pair); }

 private:
  static constexpr std::size_t words = 8;
  static constexpr std::uint64_t mark = std::uint64_t{1} << 63;
  using Line = std::array<std::uint64_t, words>;
  struct alignas(128) Pair {
    std::array<Line, 2> lines{};
  };

  BloomGenerations(std::size_t window, BloomShape shape)
      : bits_(shape.bits), window_(window), pairs_(static_cast<std::size_t>(static_cast<double>(window) / shape.ids_per_block) + 1) {}

  [[nodiscard]] std::size_t place(std::uint64_t hash) const noexcept { return (hash >> 32) * pairs_.size() >> 32; }
  [[nodiscard]] bool is_stale(const Line& line) const noexcept { return (line[words - 1] & mark) != turn_[young_]; }
  void clear_stale(Line& line) const noexcept {
    if (is_stale(line)) {
      line.fill(0);
      line[words - 1] = turn_[young_];
    }
  }

  /// Calls `use(word, bit)` for the bits of an id, four at a time until `goes_on()` says no: four numbers of sixteen bits, each scaled to the bits of a
  /// block, come of one multiplication.
  template <class Use, class GoesOn>
  void each_bit(std::uint64_t hash, Use&& use, GoesOn&& goes_on) const noexcept {
    __extension__ using wide = unsigned __int128;
    std::uint32_t left = bits_;
    do {
      const wide product = static_cast<wide>(hash) * 0x9e3779b97f4a7c15ULL;
      hash = static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
      std::uint64_t numbers = hash;
      const std::uint32_t count = std::min(left, 4U);
      for (std::uint32_t i = 0; i < count; ++i, numbers >>= 16) {
        const auto at = static_cast<std::uint32_t>((numbers & 0xffff) * BloomShape::block_bits >> 16);
        use(at / 64, at % 64);
      }
      left -= count;
    } while (left > 0 && goes_on());
  }

  std::uint32_t bits_;
  std::uint32_t young_ = 0;
  std::array<std::uint64_t, 2> turn_{};  ///< the marks of the lines that are not stale
  std::uint64_t window_;
  std::uint64_t entered_ = 0;
  std::uint64_t before_ = 0;  ///< how many are in the generation before
  std::uint64_t swept_ = 0;
  BigVector<Pair> pairs_;
};

}  // namespace pulse::inline v0_1::detail
