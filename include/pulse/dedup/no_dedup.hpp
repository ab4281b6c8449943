// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include "pulse/concept/dedup.hpp"

namespace pulse::inline v0_1 {

/// Remembers nothing: every delivery is handled. Use when the handler is idempotent by itself. Compiles to nothing.
struct NoDedup {
  static constexpr bool exact = true;
  static constexpr bool shared = false;
  static constexpr bool keyless = true;

  static constexpr Claim claim(EventId) noexcept { return Claim::fresh; }
  static constexpr void commit(EventId) noexcept {}
  static constexpr void release(EventId) noexcept {}
  [[nodiscard]] static constexpr std::size_t size() noexcept { return 0; }
};

}  // namespace pulse::inline v0_1
