// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "pulse/concept/metrics.hpp"

namespace pulse::inline v0_1 {

/// Records nothing. Empty, and callers do not even read a clock for it.
struct NoMetrics {
  static constexpr bool enabled = false;

  template <class Label>
  [[nodiscard]] constexpr LabelSlot<Label> slot(std::string_view) const noexcept {
    return {};
  }
  template <class Family, class... Labels>
  constexpr void add(Family, std::uint64_t, Labels...) const noexcept {}
  template <class Family, class... Labels>
  constexpr void set(Family, double, Labels...) const noexcept {}
  template <class Family, class... Labels>
  constexpr void observe(Family, std::chrono::nanoseconds, Labels...) const noexcept {}
};

}  // namespace pulse::inline v0_1
