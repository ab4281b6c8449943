// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "pulse/codec/json/number.hpp"
#include "pulse/codec/json/strings.hpp"

namespace pulse::inline v0_1::detail {

/// A member that a reader knows: its name, and what reads its value.
template <class Name, class Read>
struct JsonMember : Name {
  constexpr JsonMember(Name, Read read_value) noexcept : read(read_value) {}
  Read read;
};

/// A name as writers spell it with its colon, for one comparison.
template <class Name>
inline constexpr auto spelled_member = [] {
  std::array<char, Name::name.size() + 3> text{};
  std::size_t at = 0;
  text[at++] = '"';
  for (const char c : Name::name) {
    text[at++] = c;
  }
  text[at++] = '"';
  text[at] = ':';
  return text;
}();

/// Walks over JSON text (RFC 8259) once, strictly: grammar, escapes, surrogate pairs and UTF-8 are checked wherever it goes, in what is
/// read and in what is skipped. Functions take the position and return the one after what they read, or nullptr at the first breach,
/// with `problem` saying what and `where` saying at which byte: a position that is passed on stays in a register.
///
/// The text must end with a '}', see `open()`: outside strings something stops every run before the end, so that only what takes several
/// bytes at once, and what follows a '}' or ']', must look how many are left.
class JsonScanner : public JsonStrings {
 public:
  JsonScanner(std::string_view text, int max_depth) noexcept : JsonStrings(text), max_depth_(max_depth) {}

  /// The beginning of a text that is an object as far as its first and last bytes tell.
  const char* open() noexcept {
    while (end_ != begin_ && blank(end_[-1])) {
      --end_;
    }
    if (end_ == begin_ || end_[-1] != '}') {
      return fail(end_, "the text does not end with '}'");
    }
    const char* const at = space(begin_);
    return *at == '{' ? at : fail(at, "an envelope is an object");
  }
  /// After the object: nothing but what `open()` took off.
  const char* close(const char* at) noexcept {
    while (at != end_ && blank(*at)) {
      ++at;
    }
    return at == end_ ? at : fail(at, "bytes after the envelope");
  }

  /// What follows is not at the end of the text. Branches on purpose: they are foreseen, and then no step waits for the one before.
  static const char* space(const char* at) noexcept {
    while (static_cast<unsigned char>(*at) <= ' ' && blank(*at)) {
      ++at;
    }
    return at;
  }

  /// Walks over an object. A member that is one of `members` is read by its `read(at)`, and may come once: `seen` tells which did, bit by
  /// bit. Any other goes to `unknown(at, name)`. Both read the value.
  ///
  /// Writers keep an order, so a round over the known members compares each with what comes next and costs one comparison a member when
  /// the order is ours; any other order costs more rounds. Names spelled with escapes are found by their decoded text.
  ///
  /// Requires: `at` is at '{'; at most 64 members.
  template <class Unknown, class... Members>
  const char* members(const char* at, std::string& buffer, std::uint64_t& seen, Unknown&& unknown, Members&&... known) {
    at = after_mark(at);
    if (at != nullptr && *at == '}') {
      return at + 1;
    }
    bool closed = false;
    while (at != nullptr && !closed) {
      [[maybe_unused]] std::uint64_t bit = 1;
      [[maybe_unused]] const char* const before = at;
      [[maybe_unused]] const auto round = [&]<class Member>(Member& member) {
        if (at != nullptr && !closed && spelled<Member>(at)) {
          at = known_member(at + spelled_member<Member>.size(), seen, bit, member, closed);
        }
        bit <<= 1;
      };
      (round(known), ...);
      if (at == before) {
        at = any_member(at, buffer, seen, closed, unknown, known...);
      }
    }
    return at;
  }

  const char* literal(const char* at, std::string_view word) noexcept {
    if (static_cast<std::size_t>(end_ - at) < word.size() || std::memcmp(at, word.data(), word.size()) != 0) {
      return fail(at, "no JSON value");
    }
    return at + word.size();
  }

  /// Passes over any value, checking it; it stands within `depth` objects and arrays.
  const char* skip(const char* at, std::string& buffer, int depth) {
    if ((*at == '{' || *at == '[') && depth >= max_depth_) {
      return fail(at, "nested deeper than allowed");
    }
    switch (*at) {
      case '"': {
        std::string_view ignored;
        const std::size_t mark = buffer.size();
        at = string(at, ignored, buffer);
        buffer.resize(mark);
        return at;
      }
      case '{': {
        std::uint64_t none = 0;
        return members(at, buffer, none, [&](const char* value, std::string_view) { return skip(value, buffer, depth + 1); });
      }
      case '[': {
        at = after_mark(at);
        if (at != nullptr && *at == ']') {
          return at + 1;
        }
        for (bool closed = false; at != nullptr && !closed;) {
          at = skip(at, buffer, depth + 1);
          at = at != nullptr ? next(at, ']', "',' or ']' was expected", closed) : nullptr;
        }
        return at;
      }
      case 't': return literal(at, "true");
      case 'f': return literal(at, "false");
      case 'n': return literal(at, "null");
      default: {
        JsonNumber number;
        const char* const past = scan_number(at, end_, number);
        return past != nullptr ? past : fail(at, "no JSON value");
      }
    }
  }

 private:
  static bool blank(char c) noexcept { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

  /// Past a mark and the spaces after it, where something must follow.
  static const char* after_mark(const char* at) noexcept { return space(at + 1); }

  /// Goes past what stands between a value and the next one, or past the end of the object or array.
  const char* next(const char* at, char closing, const char* otherwise, bool& closed) noexcept {
    if (at == end_) [[unlikely]] {
      return fail(at, "the text ends too early");
    }
    if (*at != ',') {
      at = space(at);
    }
    if (*at == ',') [[likely]] {
      return after_mark(at);
    }
    if (*at == closing) {
      closed = true;
      return at + 1;
    }
    return fail(at, otherwise);
  }

  /// Whether this member comes next, spelled as writers do.
  template <class Name>
  bool spelled(const char* at) const noexcept {
    constexpr const auto& text = spelled_member<Name>;
    return static_cast<std::size_t>(end_ - at) > text.size() && std::memcmp(at, text.data(), text.size()) == 0;
  }

  template <class Member>
#if defined(__GNUC__) && !defined(__clang__)
  [[gnu::always_inline]]  // g++ 12 would call it, and each decode would pass all members by address; clang 19 does better by itself
#endif
  const char*
  known_member(const char* at, std::uint64_t& seen, std::uint64_t bit, Member& member, bool& closed) {
    if ((seen & bit) != 0) [[unlikely]] {
      return fail(at, "a member that decides meaning appears twice");
    }
    seen |= bit;
    at = member.read(space(at));
    return at != nullptr ? next(at, '}', "',' or '}' was expected", closed) : nullptr;
  }

  /// A member whose name is none of ours, or spelled with escapes, or with its colon apart.
  template <class Unknown, class... Members>
  [[gnu::noinline]] const char* any_member(const char* at, std::string& buffer, std::uint64_t& seen, bool& closed, Unknown& unknown, Members&... known) {
    std::string_view name;
    if (*at != '"') {
      return fail(at, "a member's name was expected");
    }
    at = string(at, name, buffer);
    if (at == nullptr) {
      return nullptr;
    }
    at = space(at);
    if (*at != ':') {
      return fail(at, "':' was expected");
    }
    at = after_mark(at);
    [[maybe_unused]] std::uint64_t bit = 1;
    [[maybe_unused]] const char* past = nullptr;
    [[maybe_unused]] const auto read_if_named = [&]<class Member>(Member& member) {
      if (name != Member::name) {
        bit <<= 1;
        return false;
      }
      past = known_member(at, seen, bit, member, closed);
      return true;
    };
    if ((read_if_named(known) || ...)) {
      return past;
    }
    at = unknown(at, name);
    return at != nullptr ? next(at, '}', "',' or '}' was expected", closed) : nullptr;
  }

  int max_depth_;
};

}  // namespace pulse::inline v0_1::detail
