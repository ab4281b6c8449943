// SPDX-License-Identifier: MIT
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

#include "pulse/core/entry_id.hpp"
#include "pulse/detail/siphash.hpp"

namespace pulse::inline v0_1 {

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

  /// Whether it is an entry's, by which entries are in order: milliseconds of 2^48 end in the year 10889.
  [[nodiscard]] constexpr bool is_entry() const noexcept { return low >> 63 == 0 && high >> 48 == 0; }

  /// The id of an event within one of several streams, so that equal entry ids of two streams differ, and that is no entry's: two streams have no
  /// common order. One-to-one within a stream; but for one salt in 65536, which begins with 16 zeros: there an entry and a UUID may meet, with a
  /// probability of 2^-122.
  [[nodiscard]] constexpr EventId within(EventId stream_salt) const noexcept {
    EventId mixed{high ^ stream_salt.high, low ^ stream_salt.low};
    if (stream_salt != EventId{} && mixed.is_entry()) [[unlikely]] {  // a UUID or a hash, one in 65536
      mixed.low |= std::uint64_t{1} << 63;
    }
    return mixed;
  }
};

namespace detail {

inline constexpr std::uint64_t event_id_key0 = 0x70756c73652d6964ULL;  // "pulse-id": part of the pinned format, never changed
inline constexpr std::uint64_t event_id_key1 = 0x2d7631000000000dULL;

constexpr EventId hash_event_id(std::string_view text) noexcept {
  const Hash128 hash = SipHash128{event_id_key0, event_id_key1}(text);
  return {hash.high, hash.low | std::uint64_t{3} << 62};
}

/// Eight characters as one word, the first one highest.
constexpr std::uint64_t load_text(const char* at) noexcept {
  std::uint64_t word = 0;
  for (int i = 0; i < 8; ++i) {
    word = word << 8 | static_cast<unsigned char>(at[i]);
  }
  return word;
}

/// Eight hexadecimal digits of any letter case, all at once: each byte of `text` is looked at in its own lane. Lowers `valid` to 0 when
/// one is none.
constexpr std::uint64_t hex_word(std::uint64_t text, std::uint64_t& valid) noexcept {
  constexpr std::uint64_t lanes = 0x0101010101010101;
  constexpr std::uint64_t tops = 0x80 * lanes;
  const std::uint64_t plain = text & ~tops;                                                                 // so that no sum below carries into the next lane
  const std::uint64_t lower = plain | 0x20 * lanes;                                                         // a letter's small form
  const auto from = [](std::uint64_t word, std::uint64_t least) { return word + (0x80 - least) * lanes; };  // top bit: byte >= least
  const std::uint64_t digit = from(plain, '0') & ~from(plain, '9' + 1);
  const std::uint64_t letter = from(lower, 'a') & ~from(lower, 'f' + 1);
  valid &= (digit | letter) & ~text;
  std::uint64_t out = (plain & 0x0f * lanes) + 9 * ((letter & tops) >> 7);
  out = (out | out >> 4) & 0x00ff00ff00ff00ff;
  out = (out | out >> 8) & 0x0000ffff0000ffff;
  return (out | out >> 16) & 0xffffffff;
}

/// Reads "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx". False when it is not of that form.
constexpr bool parse_uuid(std::string_view text, EventId& out) noexcept {
  if (text.size() != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-') {
    return false;
  }
  const char* const at = text.data();
  const auto halves = [](std::uint64_t first, std::uint64_t second) { return (first & 0xffffffff00000000) | (second & 0xffffffff); };
  std::uint64_t valid = 0x8080808080808080;
  const std::uint64_t a = hex_word(load_text(at), valid);
  const std::uint64_t b = hex_word(halves(load_text(at + 9), load_text(at + 10)), valid);  // "xxxx-xxx", "xxx-xxxx"
  const std::uint64_t c = hex_word(halves(load_text(at + 19), load_text(at + 20)), valid);
  const std::uint64_t d = hex_word(load_text(at + 28), valid);
  if (valid != 0x8080808080808080) {
    return false;
  }
  out = {a << 32 | b, c << 32 | d};
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

}  // namespace pulse::inline v0_1
