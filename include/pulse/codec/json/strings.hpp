// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "pulse/detail/utf8.hpp"

namespace pulse::inline v0_1::detail {

/// Puts a text into a string or a view. Feeds say the same again with each event, or something as long: then it is one copy to where the string is.
inline void assign_text(std::string& out, std::string_view text) {
  if (out.size() == text.size()) {
    std::memcpy(out.data(), text.data(), text.size());
  } else {
    out = text;
  }
}
inline void assign_text(std::string_view& out, std::string_view text) noexcept { out = text; }

/// The strings of a JSON text, and where and why reading it stopped. See JsonScanner.
class JsonStrings {
 public:
  explicit JsonStrings(std::string_view text) noexcept : problem(nullptr), where(text.data()), begin_(text.data()), end_(text.data() + text.size()) {}

  const char* problem;
  const char* where;

  [[nodiscard]] const char* end() const noexcept { return end_; }
  [[nodiscard]] std::size_t offset(const char* at) const noexcept { return static_cast<std::size_t>(at - begin_); }

  [[gnu::cold, gnu::noinline]] const char* fail(const char* at, const char* what) noexcept {
    problem = what;
    where = at;
    return nullptr;
  }

  /// Reads a string. `out` is the text between the quotes itself where it has no escapes, else a part of `buffer`, which must have room
  /// for as many more bytes as the document has, so that it never moves.
  const char* string(const char* at, std::string_view& out, std::string& buffer) {
    const char* const from = at + 1;
    at = plain_end(from);
    if (at == end_ || *at != '"') [[unlikely]] {
      return other_string(from, at, out, buffer);
    }
    out = {from, static_cast<std::size_t>(at - from)};
    return at + 1;
  }

 protected:
  const char* begin_;
  const char* end_;

 private:
  /// One that is not plain, from `at` on.
  [[gnu::noinline]] const char* other_string(const char* from, const char* at, std::string_view& out, std::string& buffer) {
    at = checked_run(at);
    if (at != nullptr && *at == '"') {
      out = {from, static_cast<std::size_t>(at - from)};
      return at + 1;
    }
    const std::size_t start = buffer.size();
    while (at != nullptr && *at == '\\') {
      buffer.append(from, at);
      from = at = escape(at, buffer);
      at = at != nullptr ? checked_run(plain_end(at)) : nullptr;
    }
    if (at == nullptr) {
      return nullptr;
    }
    buffer.append(from, at);
    out = std::string_view{buffer}.substr(start);
    return at + 1;
  }

  /// The next byte that is not plain: a quote, a backslash, a control character, one of a multi-byte character, or the end.
  const char* plain_end(const char* at) const noexcept {
#if defined(__SSE2__)
    for (; end_ - at >= 16; at += 16) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
      const __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
      const __m128i slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
      const __m128i other = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));  // signed: control characters and bytes over 0x7f
      const int mask = _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, slash), other));
      if (mask != 0) {
        return at + __builtin_ctz(static_cast<unsigned>(mask));
      }
    }
#endif
    while (at != end_ && static_cast<unsigned char>(*at) >= 0x20 && static_cast<unsigned char>(*at) < 0x80 && *at != '"' && *at != '\\') {
      ++at;
    }
    return at;
  }

  /// The next quote or backslash, from a byte that is not plain on; control characters and UTF-8 before it are checked.
  [[gnu::noinline]] const char* checked_run(const char* at) noexcept {
    while (true) {
      if (at == end_) [[unlikely]] {
        return fail(at, "the text ends inside a string");
      }
      if (*at == '"' || *at == '\\') {
        return at;
      }
      if (static_cast<unsigned char>(*at) < 0x20) {
        return fail(at, "a raw control character in a string");
      }
      const std::size_t length = utf8_length({at, static_cast<std::size_t>(end_ - at)}, 0);
      if (length == 0) {
        return fail(at, "invalid UTF-8");
      }
      at = plain_end(at + length);
    }
  }

  /// Four hexadecimal digits, or a value over 0xffff.
  std::uint32_t hex4(const char* at) const noexcept {
    std::uint32_t out = 0;
    for (int i = 0; i < 4; ++i, ++at) {
      const char c = at < end_ ? *at : '?';
      const char lower = static_cast<char>(c | 0x20);
      const int digit = c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
      if (digit < 0) {
        return 0x10000;
      }
      out = out << 4 | static_cast<std::uint32_t>(digit);
    }
    return out;
  }

  /// One escape, at its backslash.
  const char* escape(const char* at, std::string& buffer) {
    const auto simple = [&](char c) {
      buffer += c;
      return at + 2;
    };
    switch (end_ - at < 2 ? '\0' : at[1]) {
      case '"': return simple('"');
      case '\\': return simple('\\');
      case '/': return simple('/');
      case 'b': return simple('\b');
      case 'f': return simple('\f');
      case 'n': return simple('\n');
      case 'r': return simple('\r');
      case 't': return simple('\t');
      case 'u': break;
      default: return fail(at, "an unknown escape");
    }
    std::uint32_t code = hex4(at + 2);
    if (code > 0xffff) {
      return fail(at, "\\u needs four hexadecimal digits");
    }
    const char* past = at + 6;
    if (code >= 0xd800 && code <= 0xdfff) {
      const bool paired = code <= 0xdbff && end_ - past >= 2 && past[0] == '\\' && past[1] == 'u';
      const std::uint32_t low = paired ? hex4(past + 2) : 0;
      if (low < 0xdc00 || low > 0xdfff) {
        return fail(at, "a lone surrogate");
      }
      past += 6;
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    const auto put = [&](std::uint32_t byte) { buffer += static_cast<char>(byte); };
    if (code < 0x80) {
      put(code);
    } else if (code < 0x800) {
      put(0xc0 | code >> 6);
      put(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
      put(0xe0 | code >> 12);
      put(0x80 | (code >> 6 & 0x3f));
      put(0x80 | (code & 0x3f));
    } else {
      put(0xf0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3f));
      put(0x80 | (code >> 6 & 0x3f));
      put(0x80 | (code & 0x3f));
    }
    return past;
  }
};

}  // namespace pulse::inline v0_1::detail
