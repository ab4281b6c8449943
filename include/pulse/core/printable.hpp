// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>

namespace pulse::inline v0_1::detail {

/// Appends foreign text as a message may show it: at most `most` bytes, cut between characters of UTF-8, and '?' for each control character, those of
/// two bytes (U+0080 to U+009F) too. Whoever writes a name into an event, a
/// URL or a variable writes into our messages, and must not be able to forge a line of a log or drive a terminal.
inline void append_printable(std::string& out, std::string_view text, std::size_t most = std::string_view::npos) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  std::size_t end = std::min(most, text.size());
  for (int back = 0; back < 3 && end > 0 && end < text.size() && (at(end) & 0xc0) == 0x80; ++back) {
    --end;
  }
  for (std::size_t i = 0; i < end; ++i) {
    const bool two_bytes = at(i) == 0xc2 && i + 1 < end && at(i + 1) >= 0x80 && at(i + 1) < 0xa0;
    out += two_bytes || at(i) < 0x20 || at(i) == 0x7f ? '?' : text[i];
    i += two_bytes ? 1 : 0;
  }
}

/// A value in quotes, short, on one line.
inline std::string shown(std::string_view value) {
  constexpr std::size_t most = 64;
  std::string out = "\"";
  append_printable(out, value, most);
  return out + (value.size() > most ? "...\"" : "\"");
}

/// A number in as few digits as give it back: 0.9999999 is not shown as 1.
template <class Number>
std::string shown_number(Number value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

}  // namespace pulse::inline v0_1::detail
