// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string_view>

namespace pulse::inline v0_1::detail {

/// How many bytes the character of UTF-8 at `at` has; 0 where there is none: no overlong form, no surrogate, nothing over U+10FFFF. Source: Unicode 15,
/// table 3-7.
constexpr std::size_t utf8_length(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U; };
  const auto follows = [&](std::size_t i, unsigned from = 0x80, unsigned to = 0xbf) { return byte(i) >= from && byte(i) <= to; };
  const unsigned first = byte(0);
  if (first < 0x80) {
    return 1;
  }
  if (first < 0xe0) {
    return first >= 0xc2 && follows(1) ? 2 : 0;
  }
  if (first < 0xf0) {
    return follows(1, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf) && follows(2) ? 3 : 0;
  }
  return first <= 0xf4 && follows(1, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf) && follows(2) && follows(3) ? 4 : 0;
}

}  // namespace pulse::inline v0_1::detail
