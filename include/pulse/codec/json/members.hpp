// SPDX-License-Identifier: MIT
#pragma once

#include <boost/hana/tuple.hpp>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "pulse/core/describe.hpp"
#include "pulse/core/nullable.hpp"

namespace pulse::inline v0_1::detail {

/// What a member of an event in JSON may be; Nullable of it, too. A text is what is made of a std::string_view and gives one.
template <class V>
inline constexpr bool json_value = std::is_same_v<V, bool> || std::is_same_v<V, double> || std::is_same_v<V, std::int64_t> || DescribedEnum<V> ||
                                   (std::is_convertible_v<const V&, std::string_view> && std::is_assignable_v<V&, std::string_view>);
template <class V>
inline constexpr bool json_value<Nullable<V>> = json_value<V> && !is_nullable<V>;

/// Asserts that a field is of a type that JSON events have: one error for each that is not.
template <class FieldType>
constexpr bool assert_json_field() {
  static_assert(json_value<typename FieldType::value_type>,
                "pulse: a member of the event is of a type that JSON events do not have: allowed are bool, std::int64_t, double, std::string, "
                "std::string_view, an enum that is described by pulse::DescribeEnum, and pulse::Nullable of these. What is nested or an array needs a codec "
                "of its own. See docs/reference/events.md");
  return json_value<typename FieldType::value_type>;
}

template <class... F>
constexpr bool assert_json_fields(const boost::hana::tuple<F...>&) {
  return (assert_json_field<F>() & ... & true);
}

/// Asserts that an event can be read and written as JSON; who asks first does nothing where it is false, so that the one error stands alone.
template <Described Event>
constexpr bool assert_json_event() {
  if constexpr (assert_described<Event>()) {
    return assert_json_fields(Describe<Event>::fields);
  } else {
    return false;
  }
}

}  // namespace pulse::inline v0_1::detail
