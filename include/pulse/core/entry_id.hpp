// SPDX-License-Identifier: MIT
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace pulse::inline v0_1 {

/// The id of an entry of a stream, as Redis Streams has it: milliseconds since the epoch, and a sequence within them.
/// Ids of one stream grow strictly.
struct EntryId {
  std::uint64_t ms = 0;
  std::uint64_t seq = 0;

  friend constexpr auto operator<=>(const EntryId&, const EntryId&) = default;

  [[nodiscard]] static constexpr EntryId min() noexcept { return {}; }
  [[nodiscard]] static constexpr EntryId max() noexcept { return {std::numeric_limits<std::uint64_t>::max(), std::numeric_limits<std::uint64_t>::max()}; }
  /// The smallest id after this one. Requires: not max().
  [[nodiscard]] constexpr EntryId next() const noexcept { return seq == std::numeric_limits<std::uint64_t>::max() ? EntryId{ms + 1, 0} : EntryId{ms, seq + 1}; }
  /// The greatest id before this one. Requires: not min().
  [[nodiscard]] constexpr EntryId previous() const noexcept {
    return seq == 0 ? EntryId{ms - 1, std::numeric_limits<std::uint64_t>::max()} : EntryId{ms, seq - 1};
  }
};

namespace detail {
/// Reads a canonical unsigned decimal (no sign, no leading zero, fits 64 bits) that is all of `text`.
constexpr bool parse_canonical_u64(std::string_view text, std::uint64_t& out) noexcept {
  if (text.empty() || text.size() > 20 || (text.size() > 1 && text[0] == '0')) {
    return false;
  }
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') {
      return false;
    }
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (value > (std::numeric_limits<std::uint64_t>::max() - digit) / 10) {
      return false;
    }
    value = value * 10 + digit;
  }
  out = value;
  return true;
}
}  // namespace detail

/// Reads the canonical form "ms-seq" (no leading zeros, nothing else). Returns false and leaves `out` alone otherwise.
[[nodiscard]] constexpr bool parse_entry_id(std::string_view text, EntryId& out) noexcept {
  const auto dash = text.find('-');
  EntryId id;
  if (dash == std::string_view::npos || !detail::parse_canonical_u64(text.substr(0, dash), id.ms) ||
      !detail::parse_canonical_u64(text.substr(dash + 1), id.seq)) {
    return false;
  }
  out = id;
  return true;
}

[[nodiscard]] inline std::string to_string(EntryId id) { return std::to_string(id.ms) + '-' + std::to_string(id.seq); }

}  // namespace pulse::inline v0_1
