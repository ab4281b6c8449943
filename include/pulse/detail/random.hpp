// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace pulse::inline v0_1::detail {

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014): small, seedable, for jitter and ids.
class SplitMix64 {
 public:
  explicit constexpr SplitMix64(std::uint64_t seed) noexcept : state_(seed) {}

  constexpr std::uint64_t operator()() noexcept {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }

  /// A value in [0, bound]; the bias of the modulo is below 2^-32 for what Pulse draws (milliseconds).
  constexpr std::uint64_t up_to(std::uint64_t bound) noexcept { return bound == ~std::uint64_t{0} ? (*this)() : (*this)() % (bound + 1); }

 private:
  std::uint64_t state_;
};

}  // namespace pulse::inline v0_1::detail
