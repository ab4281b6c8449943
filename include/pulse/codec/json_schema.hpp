// SPDX-License-Identifier: MIT
#pragma once

#include <boost/hana/for_each.hpp>
#include <string>
#include <string_view>
#include <type_traits>

#include "pulse/codec/json/members.hpp"
#include "pulse/codec/json/writer.hpp"
#include "pulse/core/describe.hpp"
#include "pulse/core/feedback.hpp"
#include "pulse/core/nullable.hpp"

namespace pulse::inline v0_1 {

/// Names an enum in a schema's $defs. Specialise for enums of one's own; an enum without a name stands at each property that has it.
template <DescribedEnum Enum>
inline constexpr std::string_view schema_name_of{};
template <>
inline constexpr std::string_view schema_name_of<BackpressureLevel> = "BackpressureLevel";
template <>
inline constexpr std::string_view schema_name_of<Track> = "Track";

namespace detail {

template <DescribedEnum Enum>
void append_schema_enum(std::string& out) {
  out += "\"enum\":[";
  bool first = true;
  for (const std::string_view name : DescribeEnum<Enum>::names) {
    out += first ? "" : ",";
    first = false;
    append_string(out, name);
  }
  out += "],\"type\":\"string\"";
}

template <class Value>
void append_schema_type(std::string& out) {
  if constexpr (is_nullable<Value>) {
    out += "\"anyOf\":[{";
    append_schema_type<typename Value::value_type>(out);
    out += "},{\"type\":\"null\"}]";
  } else if constexpr (DescribedEnum<Value>) {
    if constexpr (schema_name_of<Value>.empty()) {
      return append_schema_enum<Value>(out);
    }
    out.append("\"$ref\":\"#/$defs/").append(schema_name_of<Value>) += '"';
  } else if constexpr (std::is_same_v<Value, bool>) {
    out += "\"type\":\"boolean\"";
  } else if constexpr (std::is_integral_v<Value>) {
    out += "\"type\":\"integer\"";
  } else if constexpr (std::is_floating_point_v<Value>) {
    out += "\"type\":\"number\"";
  } else {
    out += "\"type\":\"string\"";
  }
}

template <auto Bound>
void append_schema_rule(std::string& out, AtLeast<Bound>) {
  append_value(out += ",\"minimum\":", Bound);
}
template <auto Bound>
void append_schema_rule(std::string& out, GreaterThan<Bound>) {
  append_value(out += ",\"exclusiveMinimum\":", Bound);
}
template <auto Bound>
void append_schema_rule(std::string& out, AtMost<Bound>) {
  append_value(out += ",\"maximum\":", Bound);
}
template <FixedString Text>
void append_schema_rule(std::string& out, Doc<Text>) {
  append_string(out += ",\"description\":", Text.view());
}
template <class Rule>
void append_schema_rule(std::string&, Rule) {}  // Defaulted is written with the others; of one's own rules JSON Schema knows no word

template <class Value>
struct unwrapped {
  using type = Value;
};
template <class Value>
struct unwrapped<Nullable<Value>> {
  using type = Value;
};

}  // namespace detail

/// The JSON Schema (2020-12) of a described event's payload, as one line: properties with their types, bounds, enums and defaults, and
/// which are required. It follows from the same description as the codec, so the two cannot disagree.
template <Described Event>
[[nodiscard]] std::string json_schema() {
  if constexpr (!detail::assert_json_event<Event>()) {
    return {};
  } else {
    std::string definitions;
    std::string properties;
    std::string required;
    const auto separate = [](std::string& list) { list += list.empty() ? "" : ","; };
    boost::hana::for_each(Describe<Event>::fields, [&](auto field) {
      using value = typename decltype(field)::value_type;
      using plain = typename detail::unwrapped<value>::type;
      if constexpr (DescribedEnum<plain>) {
        const std::string start = '"' + std::string(schema_name_of<plain>) + "\":{";
        if (!schema_name_of<plain>.empty() && definitions.find(start) == std::string::npos) {
          separate(definitions);
          detail::append_schema_enum<plain>(definitions += start);
          definitions += '}';
        }
      }
      separate(properties);
      detail::append_string(properties, field.name);
      properties += ":{";
      detail::append_schema_type<value>(properties);
      boost::hana::for_each(field.rules, [&](auto rule) { detail::append_schema_rule(properties, rule); });
      if constexpr (decltype(field)::defaulted) {
        detail::append_value(properties += ",\"default\":", field(Event{}));
      } else if constexpr (is_nullable<value>) {
        properties += ",\"default\":null";
      } else {
        separate(required);
        detail::append_string(required, field.name);
      }
      properties += '}';
    });
    std::string out = "{\"$schema_id\":";
    detail::append_string(out, schema_id_of<Event>);
    detail::append_value(out += ",\"$track\":", Describe<Event>::track);
    out += ",\"type\":\"object\",";
    if (!definitions.empty()) {
      out += "\"$defs\":{" + definitions + "},";
    }
    return out += "\"properties\":{" + properties + "},\"required\":[" + required + "]}";
  }
}

}  // namespace pulse::inline v0_1
