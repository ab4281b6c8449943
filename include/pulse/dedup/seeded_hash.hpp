// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>

#include "pulse/core/event_id.hpp"

namespace pulse::inline v0_1::detail {

/// Hashes 16-byte ids under a secret seed: ids chosen to collide under one seed do not under another, so a hostile producer cannot
/// slow a table down. What it gives stays the same from version to version: the shards of a journal are found by it. Two rounds of a folded 64x64
/// multiplication, the mixing step of wyhash (Wang Yi, 2019).
class SeededHash {
 public:
  explicit SeededHash(std::uint64_t seed) noexcept
      : key0_(mix(seed ^ 0xa0761d6478bd642fULL, 0xe7037ed1a0b428dbULL)), key1_(mix(seed ^ 0x8ebc6af09c88c6e3ULL, key0_)) {}

  [[nodiscard]] std::uint64_t operator()(EventId id) const noexcept { return mix(mix(id.high ^ key0_, id.low ^ key1_) ^ id.low, key0_ | 1); }

  /// A seed that nobody outside the process knows.
  [[nodiscard]] static std::uint64_t random_seed() {
    std::random_device device;
    const std::uint64_t high = device();
    return high << 32 | device();
  }

 private:
  static std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
    __extension__ using wide = unsigned __int128;
    const wide product = static_cast<wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }

  std::uint64_t key0_;
  std::uint64_t key1_;
};

/// The same as a functor for standard containers.
struct SeededIdHash {
  SeededHash hash{SeededHash::random_seed()};
  [[nodiscard]] std::size_t operator()(EventId id) const noexcept { return hash(id); }
};

}  // namespace pulse::inline v0_1::detail
