// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <version>
#if !defined(__cpp_lib_to_chars) || __cpp_lib_to_chars < 201611L
#include <locale.h>
#include <clocale>
#endif

namespace pulse::detail {

/// A number as JSON spells it (RFC 8259, 6), taken apart.
struct JsonNumber {
  std::string_view text;
  std::uint64_t digits = 0;  ///< all digits without the point, if `few`
  int exponent = 0;          ///< the value is digits * 10^exponent
  bool few = true;           ///< at most 19 significant digits, so that `digits` is exact
  bool negative = false;
  bool plain = true;  ///< neither fraction nor exponent
};

/// Reads the longest number at `at`. Returns nullptr where there is none, else the end of it.
inline const char* scan_number(const char* at, const char* end, JsonNumber& out) noexcept {
  const char* const begin = at;
  const auto digit = [&] { return at != end && static_cast<unsigned char>(*at - '0') < 10; };
  out = {};
  if (at != end && *at == '-') {
    out.negative = true;
    ++at;
  }
  if (!digit()) {
    return nullptr;
  }
  int significant = 0;
  const auto take = [&] {
    if (significant < 19) {
      out.digits = out.digits * 10 + static_cast<std::uint64_t>(*at - '0');
      significant += out.digits != 0 ? 1 : 0;
    } else {
      out.few = false;
    }
    ++at;
  };
  if (*at == '0') {
    ++at;
  } else {
    while (digit()) {
      take();
    }
  }
  if (at != end && *at == '.') {
    ++at;
    out.plain = false;
    if (!digit()) {
      return nullptr;
    }
    while (digit()) {
      --out.exponent;
      take();
    }
  }
  if (at != end && (*at | 0x20) == 'e') {
    ++at;
    out.plain = false;
    bool below = false;
    if (at != end && (*at == '+' || *at == '-')) {
      below = *at++ == '-';
    }
    if (!digit()) {
      return nullptr;
    }
    int power = 0;
    while (digit()) {
      power = power < 100'000 ? power * 10 + (*at - '0') : power;
      ++at;
    }
    out.exponent += below ? -power : power;
  }
  out.text = {begin, static_cast<std::size_t>(at - begin)};
  return at;
}

/// The power of ten of a number's first digit that is not 0: tells a number too large for a double from one too small.
inline long decimal_magnitude(std::string_view text) noexcept {
  long magnitude = 0;
  bool seen = false;
  bool fraction = false;
  std::size_t i = 0;
  for (; i < text.size() && (text[i] | 0x20) != 'e'; ++i) {
    if (text[i] == '.') {
      fraction = true;
    } else if (text[i] != '-') {
      seen = seen || text[i] != '0';
      if (seen && !fraction) {
        ++magnitude;
      } else if (!seen && fraction) {
        --magnitude;
      }
    }
  }
  long power = 0;
  bool below = false;
  for (++i; i < text.size(); ++i) {
    below = below || text[i] == '-';
    power = text[i] >= '0' && text[i] <= '9' && power < 100'000'000 ? power * 10 + (text[i] - '0') : power;
  }
  return magnitude + (below ? -power : power);
}

inline constexpr double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                          1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/// The nearest double, ties to even. False when it is not finite.
inline bool to_double(const JsonNumber& number, double& out) noexcept {
  if (number.few) {
    if (number.digits < (std::uint64_t{1} << 53) && number.exponent >= -22 && number.exponent <= 22) {
      // Both are exact doubles, so one operation rounds once (Clinger, "How to read floating point numbers accurately", 1990).
      const auto whole = static_cast<double>(number.digits);
      const double value = number.exponent < 0 ? whole / exact_powers[-number.exponent] : whole * exact_powers[number.exponent];
      out = number.negative ? -value : value;
      return true;
    }
    if (number.digits != 0 && number.exponent < 0 && number.exponent >= -19) {
      // Timestamps live here: 17 to 19 digits over a small power of ten. The quotient of 128 by 64 bits is exact but for a remainder,
      // which only matters for ties.
      __extension__ using wide = unsigned __int128;
      std::uint64_t power = 1;
      for (int i = number.exponent; i < 0; ++i) {
        power *= 10;
      }
      const int shift = std::countl_zero(number.digits);
      const wide scaled = static_cast<wide>(number.digits << shift) << 64;
      const wide quotient = scaled / power;
      const bool rest = scaled != quotient * power;
      const auto high = static_cast<std::uint64_t>(quotient >> 64);
      const int width = high != 0 ? 128 - std::countl_zero(high) : 64 - std::countl_zero(static_cast<std::uint64_t>(quotient));
      const int drop = width - 54;  // 53 bits and one to round by
      auto bits = static_cast<std::uint64_t>(quotient >> drop);
      const bool sticky = rest || (quotient & ((static_cast<wide>(1) << drop) - 1)) != 0;
      const bool round = (bits & 1) != 0 && (sticky || (bits & 2) != 0);
      bits = (bits >> 1) + (round ? 1 : 0);
      const double value = std::ldexp(static_cast<double>(bits), drop + 1 - 64 - shift);
      out = number.negative ? -value : value;
      return true;
    }
  }
#if defined(__cpp_lib_to_chars) && __cpp_lib_to_chars >= 201611L
  const auto [end, error] = std::from_chars(number.text.data(), number.text.data() + number.text.size(), out);
  if (error == std::errc::result_out_of_range) {
    if (decimal_magnitude(number.text) > 0) {
      return false;
    }
    out = number.negative ? -0.0 : 0.0;
    return true;
  }
  return error == std::errc{} && std::isfinite(out);
#else
  static const locale_t c_locale = newlocale(LC_ALL_MASK, "C", nullptr);
  const std::string copy{number.text};  // strtod needs an end; this path is rare
  out = strtod_l(copy.c_str(), nullptr, c_locale);
  return std::isfinite(out);
#endif
}

/// A signed 64-bit integer; one spelled as a float counts when it is integral. False when it is neither or does not fit.
inline bool to_integer(const JsonNumber& number, std::int64_t& out) noexcept {
  if (number.plain && number.few && number.digits <= static_cast<std::uint64_t>(INT64_MAX)) {
    const auto value = static_cast<std::int64_t>(number.digits);
    out = number.negative ? -value : value;
    return true;
  }
  if (number.plain) {  // 19 digits or more: the range decides
    return std::from_chars(number.text.data(), number.text.data() + number.text.size(), out).ec == std::errc{};
  }
  double value;
  if (!to_double(number, value) || std::trunc(value) != value || value < -9223372036854775808.0 || value >= 9223372036854775808.0) {
    return false;
  }
  out = static_cast<std::int64_t>(value);
  return true;
}

/// Appends the shortest text that reads back as the same number; integral values keep ".0", so that readers see a number, not an integer.
/// NaN and the infinities are not JSON: they are written as null.
inline void append_double(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  char buffer[40];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  const std::string_view text{buffer, static_cast<std::size_t>(end - buffer)};
  out += text;
  if (text.find_first_of(".e") == std::string_view::npos) {
    out += ".0";
  }
}

}  // namespace pulse::detail
