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

#include "pulse/codec/json/number.hpp"

namespace pulse::detail {

/// Walks over JSON text (RFC 8259) once, strictly: grammar, escapes, surrogate pairs and UTF-8 are checked wherever it goes, in what is
/// read and in what is skipped. Functions return false on the first breach, with `problem` saying what and `at` standing there.
class JsonScanner {
 public:
  JsonScanner(std::string_view text, int max_depth) noexcept : at(text.data()), begin_(text.data()), end_(text.data() + text.size()), max_depth_(max_depth) {}

  const char* at;
  const char* problem = nullptr;

  [[nodiscard]] bool done() const noexcept { return at == end_; }
  [[nodiscard]] char peek() const noexcept { return at == end_ ? '\0' : *at; }
  [[nodiscard]] std::size_t offset() const noexcept { return static_cast<std::size_t>(at - begin_); }
  [[nodiscard]] const char* end() const noexcept { return end_; }

  bool fail(const char* what) noexcept {
    problem = what;
    return false;
  }

  void space() noexcept {
    while (at != end_ && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
      ++at;
    }
  }

  /// Skips spaces and takes `wanted`.
  bool take(char wanted, const char* otherwise) noexcept {
    space();
    if (at == end_ || *at != wanted) {
      return fail(at == end_ ? "the text ends too early" : otherwise);
    }
    ++at;
    space();
    return true;
  }

  bool literal(std::string_view word) noexcept {
    if (static_cast<std::size_t>(end_ - at) < word.size() || std::memcmp(at, word.data(), word.size()) != 0) {
      return fail("no JSON value");
    }
    at += word.size();
    return true;
  }

  /// Reads a string. `out` is the text between the quotes itself where it has no escapes, else a part of `buffer`, which must have room
  /// for as many more bytes as the document has, so that it never moves.
  bool string(std::string_view& out, std::string& buffer) {
    const char* from = ++at;
    if (!plain_run()) {
      return false;
    }
    if (*at == '"') {
      out = {from, static_cast<std::size_t>(at - from)};
      ++at;
      return true;
    }
    if (buffer.capacity() < buffer.size() + static_cast<std::size_t>(end_ - from)) {
      buffer.reserve(buffer.size() + static_cast<std::size_t>(end_ - begin_));
    }
    const std::size_t start = buffer.size();
    while (*at != '"') {
      buffer.append(from, at);
      if (!escape(buffer)) {
        return false;
      }
      from = at;
      if (!plain_run()) {
        return false;
      }
    }
    buffer.append(from, at);
    ++at;
    out = std::string_view{buffer}.substr(start);
    return true;
  }

  /// Passes over any value, checking it.
  bool skip(std::string& buffer, int depth) {
    if (depth > max_depth_) {
      return fail("nested deeper than allowed");
    }
    switch (peek()) {
      case '"': {
        std::string_view ignored;
        const std::size_t mark = buffer.size();
        const bool ok = string(ignored, buffer);
        buffer.resize(mark);
        return ok;
      }
      case '{':
        ++at;
        space();
        if (peek() == '}') {
          ++at;
          return true;
        }
        while (true) {
          std::string_view key;
          const std::size_t mark = buffer.size();
          if (peek() != '"') {
            return fail("a member's name was expected");
          }
          if (!string(key, buffer)) {
            return false;
          }
          buffer.resize(mark);
          if (!take(':', "':' was expected") || !skip(buffer, depth + 1)) {
            return false;
          }
          space();
          if (peek() == '}') {
            ++at;
            return true;
          }
          if (!take(',', "',' or '}' was expected")) {
            return false;
          }
        }
      case '[':
        ++at;
        space();
        if (peek() == ']') {
          ++at;
          return true;
        }
        while (true) {
          if (!skip(buffer, depth + 1)) {
            return false;
          }
          space();
          if (peek() == ']') {
            ++at;
            return true;
          }
          if (!take(',', "',' or ']' was expected")) {
            return false;
          }
        }
      case 't': return literal("true");
      case 'f': return literal("false");
      case 'n': return literal("null");
      default: {
        JsonNumber number;
        const char* past = scan_number(at, end_, number);
        if (past == nullptr) {
          return fail(done() ? "the text ends too early" : "no JSON value");
        }
        at = past;
        return true;
      }
    }
  }

 private:
  /// Goes on to the next quote or backslash, checking control characters and UTF-8.
  bool plain_run() noexcept {
    while (true) {
#if defined(__SSE2__)
      while (end_ - at >= 16) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
        const __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
        const __m128i slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
        const __m128i other = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));  // signed: control characters and bytes over 0x7f
        const int mask = _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, slash), other));
        if (mask != 0) {
          at += __builtin_ctz(static_cast<unsigned>(mask));
          break;
        }
        at += 16;
      }
#endif
      while (at != end_ && static_cast<unsigned char>(*at) >= 0x20 && static_cast<unsigned char>(*at) < 0x80 && *at != '"' && *at != '\\') {
        ++at;
      }
      if (at == end_) {
        return fail("the text ends inside a string");
      }
      if (*at == '"' || *at == '\\') {
        return true;
      }
      if (static_cast<unsigned char>(*at) < 0x20) {
        return fail("a raw control character in a string");
      }
      if (!utf8()) {
        return fail("invalid UTF-8");
      }
    }
  }

  /// One multi-byte character: no overlong form, no surrogate, nothing over U+10FFFF (Unicode 15, table 3-7).
  bool utf8() noexcept {
    const auto byte = [&](std::ptrdiff_t i) { return end_ - at > i ? static_cast<unsigned char>(at[i]) : 0U; };
    const auto tail = [&](std::ptrdiff_t i) { return (byte(i) & 0xc0U) == 0x80U; };
    const unsigned lead = byte(0);
    const unsigned second = byte(1);
    if (lead >= 0xc2 && lead <= 0xdf && tail(1)) {
      at += 2;
      return true;
    }
    if ((lead & 0xf0U) == 0xe0 && tail(1) && tail(2) && !(lead == 0xe0 && second < 0xa0) && !(lead == 0xed && second > 0x9f)) {
      at += 3;
      return true;
    }
    if (lead >= 0xf0 && lead <= 0xf4 && tail(1) && tail(2) && tail(3) && !(lead == 0xf0 && second < 0x90) && !(lead == 0xf4 && second > 0x8f)) {
      at += 4;
      return true;
    }
    return false;
  }

  bool hex4(std::uint32_t& out) noexcept {
    if (end_ - at < 4) {
      return false;
    }
    out = 0;
    for (int i = 0; i < 4; ++i, ++at) {
      const char c = *at;
      const char lower = static_cast<char>(c | 0x20);
      const int digit = c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
      if (digit < 0) {
        return false;
      }
      out = out << 4 | static_cast<std::uint32_t>(digit);
    }
    return true;
  }

  /// One escape at a backslash.
  bool escape(std::string& buffer) {
    if (end_ - at < 2) {
      return fail("the text ends inside a string");
    }
    const char kind = at[1];
    at += 2;
    switch (kind) {
      case '"': buffer += '"'; return true;
      case '\\': buffer += '\\'; return true;
      case '/': buffer += '/'; return true;
      case 'b': buffer += '\b'; return true;
      case 'f': buffer += '\f'; return true;
      case 'n': buffer += '\n'; return true;
      case 'r': buffer += '\r'; return true;
      case 't': buffer += '\t'; return true;
      case 'u': break;
      default: return fail("an unknown escape");
    }
    std::uint32_t code;
    if (!hex4(code)) {
      return fail("\\u needs four hexadecimal digits");
    }
    if (code >= 0xd800 && code <= 0xdfff) {
      std::uint32_t low;
      if (code > 0xdbff || end_ - at < 2 || at[0] != '\\' || at[1] != 'u') {
        return fail("a lone surrogate");
      }
      at += 2;
      if (!hex4(low) || low < 0xdc00 || low > 0xdfff) {
        return fail("a lone surrogate");
      }
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
    return true;
  }

  const char* begin_;
  const char* end_;
  int max_depth_;
};

}  // namespace pulse::detail
