// SPDX-License-Identifier: MIT
#pragma once

#include <boost/hana/for_each.hpp>
#include <boost/hana/size.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "pulse/codec/json/scan.hpp"
#include "pulse/concept/codec.hpp"
#include "pulse/core/describe.hpp"
#include "pulse/core/nullable.hpp"

namespace pulse::detail {

/// What a field may hold, in words: "an integer >= 0".
template <class FieldType>
[[nodiscard]] std::string allowed_text() {
  using value = typename FieldType::value_type;
  std::string text;
  const auto kind = [&]<class V>(std::type_identity<V>) {
    if constexpr (DescribedEnum<V>) {
      text = "one of ";
      for (const std::string_view name : DescribeEnum<V>::names) {
        (text += text.size() > 7 ? ", " : "") += name;
      }
    } else if constexpr (std::is_same_v<V, bool>) {
      text = "true or false";
    } else if constexpr (std::is_integral_v<V>) {
      text = "an integer that fits 64 bits";
    } else if constexpr (std::is_floating_point_v<V>) {
      text = "a number";
    } else {
      text = "a string";
    }
  };
  if constexpr (is_nullable<value>) {
    kind(std::type_identity<typename value::value_type>{});
    text += " or null";
  } else {
    kind(std::type_identity<value>{});
  }
  boost::hana::for_each(FieldType::rules, [&](auto rule) {
    if constexpr (BoundRule<decltype(rule)>) {
      text += rule.holds(rule.bound) ? (rule.holds(rule.bound + 1) ? " >= " : " <= ") : " > ";
      text += std::to_string(rule.bound);
    }
  });
  return text;
}

/// Reads the payload of an event, field by field as its description says. Wrong types and missing fields make the event invalid and
/// reading goes on, because a later breach of the grammar outranks them.
template <Described Event>
class EventReader {
  static constexpr std::size_t count = decltype(boost::hana::size(Describe<Event>::fields))::value;
  static_assert(count <= 64, "pulse: an event may have at most 64 fields");

 public:
  EventReader(JsonScanner& in, std::string& buffer, DecodeError& error, bool& warned, bool strict) noexcept
      : in_(in), buffer_(buffer), error_(error), warned_(warned), strict_(strict) {}

  /// Requires: the scanner stands at a value. False on a breach of the grammar.
  bool read(Event& event) {
    if (in_.peek() != '{') {
      invalid("payload", "an object");
      return in_.skip(buffer_, 1);
    }
    std::uint64_t seen = 0;
    std::size_t expected = 0;
    ++in_.at;
    in_.space();
    if (in_.peek() == '}') {
      ++in_.at;
    } else {
      while (true) {
        std::string_view name;
        if (in_.peek() != '"') {
          return in_.fail("a member's name was expected");
        }
        if (!in_.string(name, buffer_) || !in_.take(':', "':' was expected")) {
          return false;
        }
        // Writers keep an order: the field that follows the last one is tried first.
        std::size_t field = expected < count && name == names[expected] ? expected : index_of(name);
        if (field == count) {
          if (!in_.skip(buffer_, 2)) {
            return false;
          }
        } else {
          if ((seen >> field & 1) != 0) {
            return in_.fail("a member that decides meaning appears twice");
          }
          seen |= std::uint64_t{1} << field;
          expected = field + 1;
          if (!read_field(field, event)) {
            return false;
          }
        }
        in_.space();
        if (in_.peek() == '}') {
          ++in_.at;
          break;
        }
        if (!in_.take(',', "',' or '}' was expected")) {
          return false;
        }
      }
    }
    if (seen != (count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1)) {
      settle_missing(seen, event);
    }
    return true;
  }

  void invalid(std::string_view field, const std::string& allowed) {
    if (error_.result == DecodeResult::ok) {
      error_.result = DecodeResult::invalid;
      error_.text = std::string(field) + ": found " + found() + ", allowed: " + allowed + " (at byte " + std::to_string(in_.offset()) + ")";
    }
  }

  /// The beginning of the value at hand, printable.
  [[nodiscard]] std::string found() const {
    std::string text;
    for (const char* c = in_.at; c != in_.end() && text.size() < 40; ++c) {
      if (*c == ',' || *c == '}' || *c == '\n') {
        break;
      }
      text += static_cast<unsigned char>(*c) < 0x20 || static_cast<unsigned char>(*c) > 0x7e ? '?' : *c;
    }
    return text.empty() ? "nothing" : text;
  }

 private:
  static constexpr auto make_names() {
    struct Names {
      std::string_view name[count == 0 ? 1 : count];
      constexpr std::string_view operator[](std::size_t i) const { return name[i]; }
    } made{};
    std::size_t i = 0;
    boost::hana::for_each(Describe<Event>::fields, [&](auto field) { made.name[i++] = field.name; });
    return made;
  }
  static constexpr auto names = make_names();

  static std::size_t index_of(std::string_view name) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
      if (names[i] == name) {
        return i;
      }
    }
    return count;
  }

  bool read_field(std::size_t wanted, Event& event) {
    std::size_t i = 0;
    bool ok = true;
    boost::hana::for_each(Describe<Event>::fields, [&](auto field) {
      if (i++ == wanted) {
        ok = read_value(field, field(event));
      }
    });
    return ok;
  }

  template <class FieldType>
  bool refuse(FieldType) {
    invalid("payload." + std::string(FieldType::name), allowed_text<FieldType>());
    return in_.skip(buffer_, 2);
  }

  template <class FieldType, class Value>
  bool read_value(FieldType field, Value& out) {
    if constexpr (is_nullable<Value>) {
      if (in_.peek() == 'n') {
        out.reset();
        return in_.literal("null");
      }
      return read_value(field, out.emplace());
    } else if constexpr (std::is_same_v<Value, bool>) {
      const char first = in_.peek();
      if (first != 't' && first != 'f') {
        return refuse(field);
      }
      out = first == 't';
      return in_.literal(out ? "true" : "false");
    } else if constexpr (DescribedEnum<Value>) {
      if (in_.peek() != '"') {
        return refuse(field);
      }
      const char* const from = in_.at;
      std::string_view text;
      if (!in_.string(text, buffer_)) {
        return false;
      }
      if (!value_of(text, out)) {
        const char* const past = in_.at;
        in_.at = from;
        invalid("payload." + std::string(FieldType::name), allowed_text<FieldType>());
        in_.at = past;
      }
      return true;
    } else if constexpr (std::is_arithmetic_v<Value>) {
      return read_number(field, out);
    } else {
      if (in_.peek() != '"') {
        return refuse(field);
      }
      std::string_view text;
      if (!in_.string(text, buffer_)) {
        return false;
      }
      out = text;
      return true;
    }
  }

  template <class FieldType, class Value>
  bool read_number(FieldType field, Value& out) {
    JsonNumber number;
    const char* const past = scan_number(in_.at, in_.end(), number);
    if (past == nullptr) {
      return refuse(field);
    }
    bool fits;
    if constexpr (std::is_integral_v<Value>) {
      static_assert(sizeof(Value) == 8 && std::is_signed_v<Value>, "pulse: integers of events are std::int64_t");
      fits = to_integer(number, out);
    } else {
      fits = to_double(number, out);
    }
    if (!fits) {
      invalid("payload." + std::string(FieldType::name), allowed_text<FieldType>());
    } else if (!within(field, out)) {
      if (strict_) {
        invalid("payload." + std::string(FieldType::name), allowed_text<FieldType>());
      } else {
        warned_ = true;
      }
    }
    in_.at = past;
    return true;
  }

  template <class FieldType, class Value>
  static constexpr bool within(FieldType, const Value& value) noexcept {
    bool ok = true;
    boost::hana::for_each(FieldType::rules, [&](auto rule) {
      if constexpr (BoundRule<decltype(rule)>) {
        ok = ok && rule.holds(value);
      }
    });
    return ok;
  }

  void settle_missing(std::uint64_t seen, Event& event) {
    std::size_t i = 0;
    boost::hana::for_each(Describe<Event>::fields, [&](auto field) {
      if ((seen >> i++ & 1) == 0) {
        using value = typename decltype(field)::value_type;
        if constexpr (decltype(field)::defaulted) {
          field(event) = field(Event{});
        } else if constexpr (is_nullable<value>) {
          field(event).reset();
        } else if (error_.result == DecodeResult::ok) {
          error_.result = DecodeResult::invalid;
          error_.text = "payload." + std::string(field.name) + ": missing, required: " + allowed_text<decltype(field)>();
        }
      }
    });
  }

  JsonScanner& in_;
  std::string& buffer_;
  DecodeError& error_;
  bool& warned_;
  bool strict_;
};

}  // namespace pulse::detail
