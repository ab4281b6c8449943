// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pulse::inline v0_1::detail {

/// Appends foreign text as a message may show it: at most `most` bytes, and '?' for each control character. Whoever writes a name into an event, a
/// URL or a variable writes into our messages, and must not be able to forge a line of a log or drive a terminal.
inline void append_printable(std::string& out, std::string_view text, std::size_t most = std::string_view::npos) {
  for (const char c : text.substr(0, most)) {
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
}

/// A value in quotes, short, on one line.
inline std::string shown(std::string_view value) {
  constexpr std::size_t most = 64;
  std::string out = "\"";
  append_printable(out, value, most);
  return out + (value.size() > most ? "...\"" : "\"");
}

}  // namespace pulse::inline v0_1::detail
