// SPDX-License-Identifier: MIT
#pragma once

#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>

#include "pulse/detail/utf8.hpp"

namespace pulse::inline v0_1::detail {

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
