// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

/// What each fuzz target defines: it takes any bytes, and ends the program where a law does not hold. libFuzzer calls it with bytes of its own,
/// replay.cpp with those of the corpus. Returns 0.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace pulse_fuzz {

/// A law that every input keeps. The program's end is what both callers take for a find.
inline void law(bool holds, const char* what, std::string_view detail = {}) {
  if (!holds) {
    std::fprintf(stderr, "law broken: %s: %s\n", what, std::string(detail).c_str());
    std::abort();
  }
}

/// Whether a text is UTF-8, by what each code point says of its own length.
inline bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i++]);
    const int more = first < 0x80 ? 0 : first >> 5 == 6 ? 1 : first >> 4 == 14 ? 2 : first >> 3 == 30 ? 3 : -1;
    std::uint32_t point = more > 0 ? first & (0x3fU >> more) : first;
    for (int k = 0; k < more; ++k, ++i) {
      if (i == text.size() || (static_cast<unsigned char>(text[i]) & 0xc0U) != 0x80) {
        return false;
      }
      point = point << 6 | (static_cast<unsigned char>(text[i]) & 0x3fU);
    }
    constexpr std::uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (more < 0 || point < least[more] || point > 0x10ffff || point >> 11 == 0x1b) {
      return false;
    }
  }
  return true;
}

/// A message for people: one line, printable, of bounded length.
inline void readable(std::string_view message, std::size_t most) {
  law(is_utf8(message), "a message is UTF-8", message);
  law(!message.empty() && message.size() <= most, "a message says something, briefly", message);
  for (const char c : message) {
    law(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f, "a message holds no control character", message);
  }
}

/// An input taken apart: numbers first, the rest as text. Beyond its end are zeros.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) noexcept : left_(reinterpret_cast<const char*>(data), size) {}

  std::uint8_t byte() noexcept {
    if (left_.empty()) {
      return 0;
    }
    const auto value = static_cast<std::uint8_t>(left_.front());
    left_.remove_prefix(1);
    return value;
  }
  /// Of `bytes` bytes, the lowest first.
  std::uint64_t number(int bytes) noexcept {
    std::uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) {
      value |= static_cast<std::uint64_t>(byte()) << (8 * i);
    }
    return value;
  }
  /// Up to the next `end`, which is passed over.
  std::string text(char end) {
    const std::size_t at = left_.find(end);
    std::string out{left_.substr(0, at)};
    left_.remove_prefix(at == std::string_view::npos ? left_.size() : at + 1);
    return out;
  }
  [[nodiscard]] std::string_view rest() const noexcept { return left_; }
  [[nodiscard]] bool done() const noexcept { return left_.empty(); }

 private:
  std::string_view left_;
};

}  // namespace pulse_fuzz
