// SPDX-License-Identifier: MIT
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "pulse/core/redis_reply.hpp"

namespace pulse::inline v0_1::detail {

enum class Parsed : std::uint8_t { reply, incomplete, refused };

/// Reads RESP2 replies (redis.io, "Redis serialization protocol specification") where they lie: texts become views. It keeps no
/// stack, so nesting costs nothing and can not overflow; what a reply may hold is bounded by `max_nodes` and `max_text`.
class RespParser {
 public:
  static constexpr std::size_t max_nodes = std::size_t{1} << 24;
  static constexpr std::size_t max_line = std::size_t{64} * 1024;  ///< of a simple string or an error
  std::size_t max_text = std::size_t{1} << 26;

  /// Goes on at `at` with the reply it is in, or a new one, and moves `at` past what was read. `incomplete`: `missing()` more bytes
  /// from `at` on are needed at least. Complexity: linear, and nothing is looked at twice but a line that is not there yet.
  Parsed parse(const char*& at, const char* const end, RedisReplies& into) {
    if (left_ == 0) {
      left_ = 1;
      nodes_ = 0;
    }
    const char* here = at;  // not through the reference, which a node that is written might be
    Parsed found = Parsed::reply;
    while (left_ > 0 && (found = value(here, end, into)) == Parsed::reply) {
      --left_;
    }
    at = here;
    return found;
  }

  /// Begins anew, at a reply's first byte.
  void reset() noexcept {
    left_ = 0;
    too_large_ = false;
  }
  [[nodiscard]] std::size_t missing() const noexcept { return missing_; }
  /// Whether the last refusal was of size, not of form.
  [[nodiscard]] bool too_large() const noexcept { return too_large_; }

 private:
  Parsed more(std::size_t bytes) noexcept {
    missing_ = bytes;
    return Parsed::incomplete;
  }
  Parsed too_much() noexcept {
    too_large_ = true;
    return Parsed::refused;
  }

  /// Reads one value; of an array, its head.
  Parsed value(const char*& at, const char* const end, RedisReplies& into) {
    if (at == end) {
      return more(1);
    }
    const char kind = *at;
    if (kind != '$' && kind != '*' && kind != ':') [[unlikely]] {
      return kind == '+' || kind == '-' ? line(at, end, into) : Parsed::refused;
    }
    const char* next = at + 1;
    std::int64_t number = 0;
    if (const Parsed head = read_number(next, end, number); head != Parsed::reply) [[unlikely]] {
      return head == Parsed::incomplete ? more(static_cast<std::size_t>(end - at) + 1) : Parsed::refused;
    }
    if (kind == ':') {
      into.integer(number);
    } else if (number < 0) {
      if (number != -1) {
        return Parsed::refused;
      }
      into.nil();
    } else if (kind == '*') {
      nodes_ += static_cast<std::size_t>(number);
      if (static_cast<std::size_t>(number) > max_nodes || nodes_ > max_nodes) {
        return too_much();
      }
      into.array(static_cast<std::uint32_t>(number));
      left_ += static_cast<std::size_t>(number);
    } else {
      const auto size = static_cast<std::size_t>(number);
      if (size > max_text) {
        return too_much();
      }
      if (static_cast<std::size_t>(end - next) < size + 2) {
        return more(static_cast<std::size_t>(next - at) + size + 2);
      }
      if (next[size] != '\r' || next[size + 1] != '\n') {
        return Parsed::refused;
      }
      into.text({next, size});
      next += size + 2;
    }
    at = next;
    return Parsed::reply;
  }

  /// A simple string or an error.
  [[gnu::noinline]] Parsed line(const char*& at, const char* const end, RedisReplies& into) {
    const char* const next = at + 1;
    const auto* stop = static_cast<const char*>(std::memchr(next, '\r', static_cast<std::size_t>(end - next)));
    if (stop == nullptr || stop + 1 == end) {
      return static_cast<std::size_t>(end - next) > max_line ? Parsed::refused : more(static_cast<std::size_t>(end - at) + 1);
    }
    if (stop[1] != '\n') {
      return Parsed::refused;
    }
    const std::string_view text{next, static_cast<std::size_t>(stop - next)};
    *at == '+' ? into.text(text) : into.error(text);
    at = stop + 2;
    return Parsed::reply;
  }

  /// An integer up to "\r\n".
  static Parsed read_number(const char*& at, const char* const end, std::int64_t& out) noexcept {
    constexpr std::ptrdiff_t few = 6;  // digits: all but the rarest, and where so many bytes follow, nothing on the way looks at the end
    if (end - at >= few + 2) [[likely]] {
      const char* digit = at;
      const char* const last = at + few;
      std::uint32_t value = 0;
      for (; digit != last && static_cast<unsigned char>(*digit - '0') < 10; ++digit) {
        value = value * 10 + static_cast<std::uint32_t>(*digit - '0');
      }
      if (digit > at && digit[0] == '\r' && digit[1] == '\n') [[likely]] {
        out = value;
        at = digit + 2;
        return Parsed::reply;
      }
    }
    return read_any_number(at, end, out);
  }
  [[gnu::noinline]] static Parsed read_any_number(const char*& at, const char* const end, std::int64_t& out) noexcept {
    const std::size_t looked = static_cast<std::size_t>(end - at) < 24 ? static_cast<std::size_t>(end - at) : 24;
    const auto* stop = looked == 0 ? nullptr : static_cast<const char*>(std::memchr(at, '\r', looked));
    if (stop == nullptr || stop + 1 == end) {
      return looked == 24 && stop == nullptr ? Parsed::refused : Parsed::incomplete;
    }
    const auto [rest, failure] = std::from_chars(at, stop, out);
    if (failure != std::errc{} || rest != stop || stop[1] != '\n' || at == stop) {
      return Parsed::refused;
    }
    at = stop + 2;
    return Parsed::reply;
  }

  std::size_t left_ = 0;   ///< values still to come of the reply
  std::size_t nodes_ = 0;  ///< elements announced in it
  std::size_t missing_ = 0;
  bool too_large_ = false;
};

}  // namespace pulse::inline v0_1::detail
