// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

/// The trace that an event belongs to, as it travels in the header `traceparent` of its envelope: W3C Trace Context, level 1.
namespace pulse::inline v0_1 {

/// The name of the header.
inline constexpr std::string_view traceparent_header = "traceparent";

/// A traceparent in its parts, which are views into it.
struct TraceParent {
  std::string_view trace_id;   ///< 32 lower-case hexadecimal digits, not all 0
  std::string_view parent_id;  ///< 16 of them, not all 0: the span that published
  std::string_view flags;      ///< 2 of them
  bool sampled = false;

  /// "00-<trace_id>-<parent_id>-<flags>"; a later version may have more behind it, which is left out. None where it is not that.
  [[nodiscard]] static constexpr std::optional<TraceParent> parse(std::string_view text) noexcept {
    constexpr std::size_t length = 55;
    if (text.size() < length || text[2] != '-' || text[35] != '-' || text[52] != '-') {
      return std::nullopt;
    }
    const std::string_view format = text.substr(0, 2);
    const TraceParent found{text.substr(3, 32), text.substr(36, 16), text.substr(53, 2), (digit(text[54]) & 1) != 0};
    const bool later = format != "00";
    if (!hexadecimal(format) || format == "ff" || (later ? text.size() > length && text[length] != '-' : text.size() != length)) {
      return std::nullopt;
    }
    if (!hexadecimal(found.trace_id) || !hexadecimal(found.parent_id) || !hexadecimal(found.flags) || zero(found.trace_id) || zero(found.parent_id)) {
      return std::nullopt;
    }
    return found;
  }

 private:
  static constexpr int digit(char c) noexcept { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }
  static constexpr bool hexadecimal(std::string_view text) noexcept {
    for (const char c : text) {
      if (digit(c) < 0) {
        return false;
      }
    }
    return true;
  }
  static constexpr bool zero(std::string_view text) noexcept { return text.find_first_not_of('0') == std::string_view::npos; }
};

}  // namespace pulse::inline v0_1
