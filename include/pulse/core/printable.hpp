// SPDX-License-Identifier: MIT
#pragma once

#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>

namespace pulse::inline v0_1::detail {

/// How many bytes the character of UTF-8 at `at` has; 0: there is none. Source: RFC 3629, the table of well-formed sequences (section 4).
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

/// Appends foreign text as a message may show it: at most `most` bytes, whole characters of UTF-8, and '?' for each control character (those from U+0080 to
/// U+009F too) and each byte that is part of no character. Whoever writes a name into an event, a URL or a variable writes into our messages, and must not be
/// able to forge a line of a log, drive a terminal, or make a page of JSON unreadable.
inline void append_printable(std::string& out, std::string_view text, std::size_t most = std::string_view::npos) {
  for (std::size_t at = 0, length = 1; at < text.size(); at += length) {
    const std::size_t whole = utf8_length(text, at);
    length = whole > 0 ? whole : 1;
    if (at + length > most) {
      return;
    }
    const auto first = static_cast<unsigned char>(text[at]);
    const bool control = first < 0x20 || first == 0x7f || (first == 0xc2 && static_cast<unsigned char>(text[at + length - 1]) < 0xa0);
    control || whole == 0 ? out += '?' : out.append(text, at, length);
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
