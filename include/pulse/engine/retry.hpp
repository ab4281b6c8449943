// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstdint>

#include "pulse/detail/random.hpp"

namespace pulse::inline v0_1 {

/// When a failed delivery is tried again, and when no more: a doubling delay with jitter, up to a cap.
/// The delay after delivery n is drawn from [d/2, d] with d = min(cap, base * 2^(n-1)): never at once, never in step with others.
struct ExponentialBackoff {
  std::chrono::milliseconds base{100};  ///< >= 1 ms
  std::chrono::milliseconds cap{30'000};
  std::uint64_t max_deliveries = 5;  ///< >= 1; the failure of this delivery dead-letters

  /// `random` is any uniform 64-bit value.
  [[nodiscard]] constexpr std::chrono::milliseconds delay(std::uint64_t delivery_count, std::uint64_t random) const noexcept {
    const auto ceiling = bounded(base, cap, delivery_count);
    const auto half = ceiling / 2;
    return std::chrono::milliseconds{half + static_cast<std::int64_t>(random % static_cast<std::uint64_t>(ceiling - half + 1))};
  }

  /// base * 2^(n-1), at most cap, at least 1, in milliseconds; never overflows.
  static constexpr std::int64_t bounded(std::chrono::milliseconds base, std::chrono::milliseconds cap, std::uint64_t n) noexcept {
    std::int64_t value = std::max<std::int64_t>(base.count(), 1);
    for (std::uint64_t i = 1; i < n && value < cap.count(); ++i) {
      value = value > cap.count() / 2 ? cap.count() : value * 2;
    }
    return std::max<std::int64_t>(std::min<std::int64_t>(value, cap.count()), 1);
  }
};

/// A retry policy: `delay(delivery_count, random)`, of which at most RetryItem::longest counts, and `max_deliveries`, at least 1: a consumer refuses 0
/// at its start.
template <class R>
concept RetryPolicy = requires(const R& retry, std::uint64_t n) {
  { retry.delay(n, n) } -> std::convertible_to<std::chrono::milliseconds>;
  { retry.max_deliveries } -> std::convertible_to<std::uint64_t>;
};

}  // namespace pulse::inline v0_1
