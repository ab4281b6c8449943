// SPDX-License-Identifier: MIT
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

#include "pulse/core/entry_id.hpp"
#include "pulse/detail/siphash.hpp"

namespace pulse {

/// An idempotency key in 16 bytes. Three kinds of text share the space without meeting, told apart by the two top bits of `low`:
///
///     0x  a stream id "ms-seq" with seq < 2^63, exactly        (high = ms, low = seq)
///     10  a UUID of the RFC 9562 variant, any letter case      (high, low = its 16 bytes, big-endian)
///     11  anything else, by 126 bits of SipHash-2-4-128 under a fixed key
///
/// So two different stream ids or UUIDs never collide, and two other texts do with a probability of 2^-126. Values are pinned by
/// tests: a journal or a shared store that keeps them stays valid across versions.
struct EventId {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  friend constexpr auto operator<=>(const EventId&, const EventId&) = default;

  /// The id of an entry; exact unless seq >= 2^63, which no server makes by itself.
  [[nodiscard]] static constexpr EventId from_entry(EntryId id) noexcept;

  /// The id a producer gave, in whatever form. Complexity: linear in the text.
  [[nodiscard]] static constexpr EventId from_text(std::string_view text) noexcept;

  /// The id of an event within one of several streams, so that equal entry ids of two streams differ. One-to-one within a stream.
  [[nodiscard]] constexpr EventId within(EventId stream_salt) const noexcept { return {high ^ stream_salt.high, low ^ stream_salt.low}; }
};

namespace detail {

inline constexpr std::uint64_t event_id_key0 = 0x70756c73652d6964ULL;  // "pulse-id": part of the pinned format, never changed
inline constexpr std::uint64_t event_id_key1 = 0x2d7631000000000dULL;

constexpr EventId hash_event_id(std::string_view text) noexcept {
  const Hash128 hash = SipHash128{event_id_key0, event_id_key1}(text);
  return {hash.high, hash.low | std::uint64_t{3} << 62};
}

constexpr int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// Reads "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx". False when it is not of that form.
constexpr bool parse_uuid(std::string_view text, EventId& out) noexcept {
  if (text.size() != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-') {
    return false;
  }
  EventId id;
  int bad = 0;
  const auto read = [&](std::size_t from, std::size_t to, std::uint64_t& word) {
    for (std::size_t i = from; i < to; ++i) {
      const int digit = hex_value(text[i]);
      bad |= digit;
      word = word << 4 | static_cast<std::uint64_t>(digit & 15);
    }
  };
  read(0, 8, id.high);
  read(9, 13, id.high);
  read(14, 18, id.high);
  read(19, 23, id.low);
  read(24, 36, id.low);
  if (bad < 0) {
    return false;
  }
  out = id;
  return true;
}

}  // namespace detail

constexpr EventId EventId::from_entry(EntryId id) noexcept {
  if (id.seq >> 63 == 0) [[likely]] {
    return {id.ms, id.seq};
  }
  const detail::Hash128 hash = detail::SipHash128{detail::event_id_key0 ^ id.ms, detail::event_id_key1 ^ id.seq}({});
  return {hash.high, hash.low | std::uint64_t{3} << 62};
}

constexpr EventId EventId::from_text(std::string_view text) noexcept {
  EventId uuid;
  if (detail::parse_uuid(text, uuid) && uuid.low >> 62 == 2) {
    return uuid;
  }
  EntryId entry;
  if (text.size() <= 41 && parse_entry_id(text, entry)) {
    return from_entry(entry);
  }
  return detail::hash_event_id(text);
}

}  // namespace pulse
