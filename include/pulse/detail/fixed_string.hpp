// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string_view>

namespace pulse::inline v0_1 {

/// A string literal as a template argument: `Field<"queue_size", ...>`.
template <std::size_t N>
struct FixedString {
  char text[N]{};

  constexpr FixedString(const char (&literal)[N]) noexcept {
    for (std::size_t i = 0; i < N; ++i) {
      text[i] = literal[i];
    }
  }

  [[nodiscard]] constexpr std::string_view view() const noexcept { return {text, N - 1}; }
  [[nodiscard]] static constexpr std::size_t size() noexcept { return N - 1; }
};

}  // namespace pulse::inline v0_1
