// SPDX-License-Identifier: MIT
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <new>
#include <random>
#include <string>

#include "pulse/detail/random.hpp"

namespace pulse::inline v0_1::detail {

/// Counts the forks that this process descends from, since `watch_forks`. Asking the system for the process at each id would cost more than the id.
inline std::atomic<std::uint32_t> forks{0};
inline void watch_forks() {
  static const int refused = ::pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });
  if (refused != 0) {
    throw std::bad_alloc{};
  }
}

/// Makes random UUIDs (RFC 9562, version 4) for idempotency keys. Two generators never give the same one in practice: each is seeded
/// with 128 bits of the system's randomness, and anew in a process that was forked; so is a copy, which else would go on with the same ones as what
/// it was copied from. Not for secrets. One thread.
class UuidGenerator {
 public:
  UuidGenerator() : high_(seed()), low_(seed()) {
    watch_forks();
    born_ = forks.load(std::memory_order_relaxed);
  }
  UuidGenerator(const UuidGenerator&) : UuidGenerator() {}
  UuidGenerator(UuidGenerator&&) noexcept = default;
  UuidGenerator& operator=(const UuidGenerator&) noexcept { return *this; }
  UuidGenerator& operator=(UuidGenerator&&) noexcept { return *this; }
  ~UuidGenerator() = default;

  /// Writes the 36 characters of the next UUID into `out`, reusing its storage.
  void next(std::string& out) {
    if (const std::uint32_t now = forks.load(std::memory_order_relaxed); now != born_) [[unlikely]] {
      high_ = SplitMix64{seed()};  // the parent has a copy, and so have its other children
      low_ = SplitMix64{seed()};
      born_ = now;
    }
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
  std::uint32_t born_ = 0;  ///< after how many forks it was seeded
};

}  // namespace pulse::inline v0_1::detail
