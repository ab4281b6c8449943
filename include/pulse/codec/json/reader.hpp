// SPDX-License-Identifier: MIT
#pragma once

#include <boost/hana/for_each.hpp>
#include <boost/hana/size.hpp>
#include <boost/hana/unpack.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "pulse/codec/json/scan.hpp"
#include "pulse/concept/codec.hpp"
#include "pulse/core/describe.hpp"
#include "pulse/core/nullable.hpp"
#include "pulse/core/printable.hpp"

namespace pulse::inline v0_1::detail {

/// A bound in words. One's own rule is known by its value alone.
template <auto Bound>
std::string bound_text(AtLeast<Bound>) {
  return " >= " + shown_number(Bound);
}
template <auto Bound>
std::string bound_text(GreaterThan<Bound>) {
  return " > " + shown_number(Bound);
}
template <auto Bound>
std::string bound_text(AtMost<Bound>) {
  return " <= " + shown_number(Bound);
}
template <class Rule>
std::string bound_text(Rule) {
  return " within the rule of bound " + shown_number(Rule::bound);
}

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
      text += bound_text(rule);
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

  /// Reads the value at `at` and returns what follows it, nullptr on a breach of the grammar.
  const char* read(const char* at, Event& event) {
    if (*at != '{') {
      invalid(at, "payload", "an object");
      return in_.skip(at, buffer_, 1);
    }
    std::uint64_t seen = 0;
    const auto unknown = [this](const char* value, std::string_view) { return in_.skip(value, buffer_, 2); };
    at = boost::hana::unpack(Describe<Event>::fields, [&](auto... field) {
      return in_.members(at, buffer_, seen, unknown,
                         JsonMember{field, [this, &event, field](const char* value) { return read_value(value, field, field(event)); }}...);
    });
    if (at != nullptr && seen != (count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1)) [[unlikely]] {
      settle_missing(seen, event);
    }
    return at;
  }

 private:
  [[gnu::cold]] void invalid(const char* at, std::string_view field, const std::string& allowed) {
    if (error_.result == DecodeResult::ok) {
      error_.result = DecodeResult::invalid;
      error_.text = std::string(field) + ": found " + found(at) + ", allowed: " + allowed + " (at byte " + std::to_string(in_.offset(at)) + ")";
    }
  }

  /// The beginning of the value at hand, printable.
  [[nodiscard]] std::string found(const char* at) const {
    std::string text;
    for (const char* c = at; c != in_.end() && text.size() < 40; ++c) {
      if (*c == ',' || *c == '}' || *c == '\n') {
        break;
      }
      text += static_cast<unsigned char>(*c) < 0x20 || static_cast<unsigned char>(*c) > 0x7e ? '?' : *c;
    }
    return text.empty() ? "nothing" : text;
  }

  template <class FieldType>
  [[gnu::cold, gnu::noinline]] void refuse(const char* at) {
    invalid(at, "payload." + std::string(FieldType::name), allowed_text<FieldType>());
  }
  template <class FieldType>
  [[gnu::cold, gnu::noinline]] const char* refuse_and_skip(const char* at) {
    refuse<FieldType>(at);
    return in_.skip(at, buffer_, 2);
  }

  template <class FieldType, class Value>
  const char* read_value(const char* at, FieldType field, Value& out) {
    if constexpr (is_nullable<Value>) {
      if (*at == 'n') {
        out.reset();
        return in_.literal(at, "null");
      }
      return read_value(at, field, out.emplace());
    } else if constexpr (std::is_same_v<Value, bool>) {
      if (*at != 't' && *at != 'f') {
        return refuse_and_skip<FieldType>(at);
      }
      out = *at == 't';
      return in_.literal(at, out ? "true" : "false");
    } else if constexpr (std::is_arithmetic_v<Value>) {
      return read_number(at, field, out);
    } else {
      if (*at != '"') {
        return refuse_and_skip<FieldType>(at);
      }
      std::string_view text;
      const char* const past = in_.string(at, text, buffer_);
      if constexpr (DescribedEnum<Value>) {
        if (past != nullptr && !value_of(text, out)) {
          refuse<FieldType>(at);
        }
      } else if (past != nullptr) {
        assign_text(out, text);
      }
      return past;
    }
  }

  template <class FieldType, class Value>
  const char* read_number(const char* at, FieldType field, Value& out) {
    const char* past = scan_fast(at, in_.end(), out);
    if (past == nullptr) [[unlikely]] {
      JsonNumber number;
      past = scan_number(at, in_.end(), number);
      if (past == nullptr) {
        return refuse_and_skip<FieldType>(at);
      }
      bool fits;
      if constexpr (std::is_integral_v<Value>) {
        fits = to_integer(number, out);
      } else {
        fits = to_double(number, out);
      }
      if (!fits) {
        refuse<FieldType>(at);
        return past;
      }
    }
    if (!within(field, out)) [[unlikely]] {
      if (strict_) {
        refuse<FieldType>(at);
      } else {
        warned_ = true;
      }
    }
    return past;
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

}  // namespace pulse::inline v0_1::detail
