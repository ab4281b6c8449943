// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstddef>
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

namespace pulse::inline v0_1::detail {

/// A number as JSON spells it (RFC 8259, 6), taken apart.
struct JsonNumber {
  std::string_view text;
  std::uint64_t digits = 0;  ///< all digits without the point, if `few`
  int exponent = 0;          ///< the value is digits * 10^exponent
  bool few = true;           ///< at most 19 digits, so that `digits` is exact
  bool negative = false;
  bool plain = true;  ///< neither fraction nor exponent
};

inline constexpr std::uint64_t integer_powers[] = {1, 10, 100, 1'000, 10'000, 100'000, 1'000'000, 10'000'000, 100'000'000};

/// Takes the digits at `at` on to `value`, eight at a time where there are as many bytes. The caller minds how many fit 64 bits.
inline const char* scan_digits(const char* at, const char* end, std::uint64_t& value) noexcept {
  if constexpr (std::endian::native == std::endian::little) {
    while (end - at >= 8) {
      std::uint64_t eight;
      std::memcpy(&eight, at, 8);
      // A digit has 3 as its high half, and still has when 6 is added. What the first other byte carries over falls into later ones.
      const std::uint64_t other =
          ((eight & 0xf0f0f0f0f0f0f0f0) ^ 0x3030303030303030) | (((eight + 0x0606060606060606) & 0xf0f0f0f0f0f0f0f0) ^ 0x3030303030303030);
      const int count = other == 0 ? 8 : std::countr_zero(other) / 8;
      if (count == 0) {
        return at;
      }
      eight = (eight - 0x3030303030303030) << (64 - 8 * count);  // as if zeros stood in front
      eight = eight * 10 + (eight >> 8);                         // pairs, then fours and the eight, each step in all lanes at once
      eight = ((eight & 0x000000ff000000ff) * 0x000f424000000064 + (eight >> 16 & 0x000000ff000000ff) * 0x0000271000000001) >> 32;
      value = value * integer_powers[count] + eight;
      at += count;
      if (count != 8) {
        return at;
      }
    }
  }
  for (; at != end && static_cast<unsigned char>(*at - '0') < 10; ++at) {
    value = value * 10 + static_cast<std::uint64_t>(*at - '0');
  }
  return at;
}

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
  const char* const whole = at;
  at = *at == '0' ? at + 1 : scan_digits(at, end, out.digits);
  std::ptrdiff_t count = at - whole;
  if (at != end && *at == '.') {
    ++at;
    out.plain = false;
    if (!digit()) {
      return nullptr;
    }
    const char* const fraction = at;
    at = scan_digits(at, end, out.digits);
    count += at - fraction;
    out.exponent = fraction - at < -100'000 ? -100'000 : static_cast<int>(fraction - at);
  }
  out.few = count <= 19;  // zeros in front count as well: such numbers are rare, and the way they then go is only slower
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

__extension__ using Uint128 = unsigned __int128;

/// 10^k for division by multiplication: shifted until its top bit is set, and its reciprocal in the sense of Moeller and Granlund,
/// "Improved division by invariant integers" (2011), that is floor((2^128 - 1) / divisor) - 2^64.
struct PowerDivisor {
  std::uint64_t divisor = 0;
  std::uint64_t reciprocal = 0;
  int shift = 0;
};
inline constexpr auto power_divisors = [] {
  std::array<PowerDivisor, 20> made{};
  std::uint64_t power = 1;
  for (auto& each : made) {
    each.shift = std::countl_zero(power);
    each.divisor = power << each.shift;
    each.reciprocal = static_cast<std::uint64_t>(~Uint128{0} / each.divisor);  // the 2^64 falls off
    power *= 10;
  }
  return made;
}();

/// digits / 10^k, rounded to nearest, ties to even. Requires: 0 < digits, 0 < k <= 19.
inline double divide_by_power(std::uint64_t digits, int k) noexcept {
  const PowerDivisor& by = power_divisors[static_cast<std::size_t>(k)];
  const int shift = std::countl_zero(digits);
  const Uint128 dividend = static_cast<Uint128>(digits << shift) << 63;  // its upper half is below the divisor
  // Algorithm 4 there: the quotient of two words by one, at most one too small and one too large before it is set right.
  const Uint128 guess = static_cast<Uint128>(by.reciprocal) * static_cast<std::uint64_t>(dividend >> 64) + dividend;
  std::uint64_t quotient = static_cast<std::uint64_t>(guess >> 64) + 1;
  std::uint64_t rest = static_cast<std::uint64_t>(dividend) - quotient * by.divisor;
  if (rest > static_cast<std::uint64_t>(guess)) {
    --quotient;
    rest += by.divisor;
  }
  if (rest >= by.divisor) [[unlikely]] {
    ++quotient;
    rest -= by.divisor;
  }
  // 2^62 < quotient < 2^64: 53 bits stay, what falls off decides the rounding.
  const int drop = 11 - std::countl_zero(quotient);
  std::uint64_t bits = quotient >> drop;
  const std::uint64_t off = quotient & ((std::uint64_t{1} << drop) - 1);
  const std::uint64_t half = std::uint64_t{1} << (drop - 1);
  bits += off > half || (off == half && (rest != 0 || (bits & 1) != 0)) ? 1 : 0;
  const int exponent = drop - shift - 63 + by.shift;  // between -64 and 11: always a normal double
  return static_cast<double>(bits) * std::bit_cast<double>(static_cast<std::uint64_t>(1023 + exponent) << 52);
}

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
    if (number.digits != 0 && number.exponent < 0 && number.exponent >= -19) {  // timestamps live here
      const double value = divide_by_power(number.digits, -number.exponent);
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

/// The numbers that feeds are full of, in few steps: whole ones of up to 18 digits, and those with a fraction and up to 19 digits that do
/// not begin with 0. Returns nullptr where it is none of these, and then says nothing of it.
inline const char* scan_fast(const char* at, const char* end, std::int64_t& out) noexcept {
  std::uint64_t digits = 0;
  const char* const past = scan_digits(at, end, digits);
  if (past == end || past == at || past - at > 18 || (*at == '0' && past - at > 1) || *past == '.' || (*past | 0x20) == 'e') [[unlikely]] {
    return nullptr;
  }
  out = static_cast<std::int64_t>(digits);
  return past;
}
inline const char* scan_fast(const char* at, const char* end, double& out) noexcept {
  std::uint64_t digits = 0;
  const char* const point = scan_digits(at, end, digits);
  if (point == end || point == at || *at == '0' || *point != '.') [[unlikely]] {
    return nullptr;
  }
  const char* const past = scan_digits(point + 1, end, digits);
  const std::ptrdiff_t places = past - point - 1;
  if (past == end || places == 0 || past - at > 20 || (*past | 0x20) == 'e') [[unlikely]] {
    return nullptr;
  }
  out = divide_by_power(digits, static_cast<int>(places));
  return past;
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

}  // namespace pulse::inline v0_1::detail
