// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "pulse/detail/random.hpp"

namespace pulse::inline v0_1::detail {

/// Makes random UUIDs (RFC 9562, version 4) for idempotency keys. Two generators never give the same one in practice: each is seeded
/// with 128 bits of the system's randomness. Not for secrets. One thread.
class UuidGenerator {
 public:
  UuidGenerator() : high_(seed()), low_(seed()) {}

  /// Writes the 36 characters of the next UUID into `out`, reusing its storage.
  void next(std::string& out) {
    const std::uint64_t high = (high_() & ~std::uint64_t{0xf000}) | 0x4000;
    const std::uint64_t low = (low_() & ~(std::uint64_t{3} << 62)) | std::uint64_t{2} << 62;
    out.resize(36);
    char* at = out.data();
    for (int digit = 0; digit < 32; ++digit) {
      if (digit == 8 || digit == 12 || digit == 16 || digit == 20) {
        *at++ = '-';
      }
      const std::uint64_t word = digit < 16 ? high : low;
      *at++ = "0123456789abcdef"[(word >> (60 - 4 * (digit % 16))) & 15];
    }
  }

 private:
  static std::uint64_t seed() {
    std::random_device device;
    const std::uint64_t high = device();
    return high << 32 | device();
  }

  SplitMix64 high_;
  SplitMix64 low_;
};

}  // namespace pulse::inline v0_1::detail
