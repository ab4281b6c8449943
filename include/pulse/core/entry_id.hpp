// SPDX-License-Identifier: MIT
#pragma once

#include <compare>
#include <cstddef>
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
/// Reads the canonical unsigned decimal (no sign, no leading zero, fits 64 bits) that `text` begins with. Returns how many characters it has, 0
/// where there is none.
constexpr std::size_t leading_canonical_u64(std::string_view text, std::uint64_t& out) noexcept {
  constexpr std::size_t safe = 19;  // so many digits fit whatever they are
  const auto digit = [&](std::size_t at) { return static_cast<unsigned>(text[at] - '0'); };
  const std::size_t last = text.size() < safe ? text.size() : safe;
  std::uint64_t value = 0;
  std::size_t at = 0;
  for (; at < last && digit(at) < 10; ++at) {
    value = value * 10 + digit(at);
  }
  if (at == safe && at < text.size() && digit(at) < 10) [[unlikely]] {
    if (value > (std::numeric_limits<std::uint64_t>::max() - digit(at)) / 10) {
      return 0;
    }
    value = value * 10 + digit(at++);
  }
  if (at > 1 && text[0] == '0') {
    return 0;
  }
  out = value;
  return at;
}
/// Reads one that is all of `text`.
constexpr bool parse_canonical_u64(std::string_view text, std::uint64_t& out) noexcept {
  std::uint64_t value = 0;
  const std::size_t length = leading_canonical_u64(text, value);
  if (length == 0 || length != text.size()) {
    return false;
  }
  out = value;
  return true;
}
}  // namespace detail

/// Reads the canonical form "ms-seq" (no leading zeros, nothing else). Returns false and leaves `out` alone otherwise.
[[nodiscard]] constexpr bool parse_entry_id(std::string_view text, EntryId& out) noexcept {
  EntryId id;
  const std::size_t dash = detail::leading_canonical_u64(text, id.ms);
  if (dash == 0 || dash == text.size() || text[dash] != '-' || !detail::parse_canonical_u64(text.substr(dash + 1), id.seq)) {
    return false;
  }
  out = id;
  return true;
}

[[nodiscard]] inline std::string to_string(EntryId id) { return std::to_string(id.ms) + '-' + std::to_string(id.seq); }

}  // namespace pulse::inline v0_1
