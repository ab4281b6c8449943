// SPDX-License-Identifier: MIT
#pragma once

#include <boost/hana/for_each.hpp>
#include <charconv>
#include <string>
#include <string_view>
#include <type_traits>

#include "pulse/codec/json/members.hpp"
#include "pulse/codec/json/number.hpp"
#include "pulse/core/describe.hpp"
#include "pulse/core/envelope.hpp"
#include "pulse/core/nullable.hpp"

namespace pulse::inline v0_1::detail {

/// Appends a JSON string. Text is UTF-8 and passes as it is; quotes, backslashes and control characters are escaped.
inline void append_string(std::string& out, std::string_view text) {
  out += '"';
  std::size_t from = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') [[likely]] {
      continue;
    }
    out.append(text, from, i - from);
    from = i + 1;
    if (c >= 0x20) {
      out += '\\';
      out += text[i];
    } else {
      out += "\\u00";
      out += "0123456789abcdef"[c >> 4];
      out += "0123456789abcdef"[c & 15];
    }
  }
  out.append(text, from, text.size() - from);
  out += '"';
}

template <class Value>
void append_value(std::string& out, const Value& value) {
  if constexpr (is_nullable<Value>) {
    if (value) {
      append_value(out, *value);
    } else {
      out += "null";
    }
  } else if constexpr (DescribedEnum<Value>) {
    append_string(out, name_of(value));
  } else if constexpr (std::is_same_v<Value, bool>) {
    out += value ? "true" : "false";
  } else if constexpr (std::is_floating_point_v<Value>) {
    append_double(out, value);
  } else if constexpr (std::is_integral_v<Value>) {
    char buffer[24];
    out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
  } else {
    append_string(out, value);
  }
}

template <Described Event>
void append_event(std::string& out, const Event& event) {
  if constexpr (assert_json_event<Event>()) {
    char separator = '{';
    boost::hana::for_each(Describe<Event>::fields, [&](auto field) {
      out += separator;
      separator = ',';
      append_string(out, field.name);
      out += ':';
      append_value(out, field(event));
    });
    out += separator == '{' ? "{}" : "}";
  }
}

/// Appends an envelope: the members in the order in which the reader expects them.
template <class Env>
void append_envelope(std::string& out, const Env& envelope) {
  out += "{\"ts\":";
  append_double(out, envelope.ts);
  out += ",\"key\":";
  append_value(out, envelope.key);
  out += ",\"meta\":{\"schema_id\":";
  append_string(out, envelope.meta.schema_id);
  out += ",\"track\":";
  append_value(out, envelope.meta.track);
  out += ",\"headers\":{";
  bool first = true;
  for (const auto& [name, value] : envelope.meta.headers) {
    if (!first) {
      out += ',';
    }
    first = false;
    append_string(out, name);
    out += ':';
    append_string(out, value);
  }
  out += "},\"hash\":";
  append_value(out, envelope.meta.hash);
  out += "},\"payload\":";
  if constexpr (requires { envelope.payload.visit([](const auto&) {}); }) {
    envelope.payload.visit([&](const auto& event) { append_event(out, event); });
  } else {
    append_event(out, envelope.payload);
  }
  if (envelope.id) {
    out += ",\"id\":";
    append_string(out, *envelope.id);
  }
  out += '}';
}

}  // namespace pulse::inline v0_1::detail
