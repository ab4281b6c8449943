// SPDX-License-Identifier: MIT
#pragma once

#include <boost/hana/for_each.hpp>
#include <charconv>
#include <chrono>
#include <string>
#include <string_view>
#include <type_traits>

#include "pulse/core/notice.hpp"

namespace pulse::inline v0_1 {

namespace detail {

/// A word as it is, anything else in quotes, with what would break a line of a log escaped.
inline void append_log_text(std::string& out, std::string_view text) {
  bool plain = !text.empty();
  for (const char c : text) {
    plain = plain && c > ' ' && c != '"' && c != '=' && c != '\\' && c != 0x7f;
  }
  if (plain) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += "\\x";
      out += "0123456789abcdef"[byte >> 4];
      out += "0123456789abcdef"[byte & 15];
    } else {
      if (c == '"' || c == '\\') {
        out += '\\';
      }
      out += c;
    }
  }
  out += '"';
}

template <class Value>
void append_log_value(std::string& out, const Value& value) {
  if constexpr (DescribedEnum<Value>) {
    out += name_of(value);
  } else if constexpr (std::is_same_v<Value, EntryId>) {
    out += to_string(value);
  } else if constexpr (std::is_same_v<Value, std::chrono::milliseconds>) {
    append_log_value(out, value.count());
  } else if constexpr (std::is_arithmetic_v<Value>) {
    char digits[32];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
  } else {
    append_log_text(out, value);
  }
}

}  // namespace detail

namespace notice {

/// Appends a notice as one line without its end: `dead_lettered stream=orders entry=17-0 deliveries=5 reason="no such book"`. A text that is empty is
/// left out; what would break the line is escaped, whoever sent it.
template <class Notice>
void append_text(std::string& out, const Notice& notice) {
  out += Notice::name;
  boost::hana::for_each(Notice::fields(), [&](auto field) {
    const auto& value = field(notice);
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(value)>, std::string_view>) {
      if (value.empty()) {
        return;
      }
    }
    out += ' ';
    out += field.name;
    out += '=';
    pulse::detail::append_log_value(out, value);
  });
}

}  // namespace notice

}  // namespace pulse::inline v0_1
