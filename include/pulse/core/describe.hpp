// SPDX-License-Identifier: MIT
#pragma once

#include <boost/hana/accessors.hpp>
#include <boost/hana/core/when.hpp>
#include <boost/hana/for_each.hpp>
#include <boost/hana/pair.hpp>
#include <boost/hana/string.hpp>
#include <boost/hana/transform.hpp>
#include <boost/hana/tuple.hpp>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <string_view>
#include <type_traits>
#include <utility>

#include "pulse/detail/fixed_string.hpp"

/// How an event is described, once. Codec, validation and JSON Schema all follow from the description:
///
///     struct Tick { std::string symbol; double price = 0; std::int64_t size = 1; };
///
///     template <>
///     struct pulse::Describe<Tick> {
///       static constexpr auto schema_id = pulse::FixedString{"market.Tick"};
///       static constexpr pulse::Track track = pulse::Track::v1;
///       static constexpr auto fields = boost::hana::make_tuple(
///           pulse::Field<"symbol", &Tick::symbol>{},
///           pulse::Field<"price", &Tick::price, pulse::GreaterThan<0>>{},
///           pulse::Field<"size", &Tick::size, pulse::AtLeast<1>, pulse::Defaulted>{});
///     };
///
/// A described type is a `boost::hana::Struct` as well: hana::for_each, hana::keys, hana::equal and friends work on it.
namespace pulse::inline v0_1 {

/// Rules on a field's value. Bounds hold for integers and numbers, and appear in the JSON Schema under the name given here.
template <auto Bound>
struct AtLeast {  // minimum
  static constexpr auto bound = Bound;
  template <class V>
  static constexpr bool holds(const V& value) noexcept {
    return value >= static_cast<V>(Bound);
  }
};
/// The value is greater than `Bound`.
template <auto Bound>
struct GreaterThan {  // exclusiveMinimum
  static constexpr auto bound = Bound;
  template <class V>
  static constexpr bool holds(const V& value) noexcept {
    return value > static_cast<V>(Bound);
  }
};
/// The value is at most `Bound`.
template <auto Bound>
struct AtMost {  // maximum
  static constexpr auto bound = Bound;
  template <class V>
  static constexpr bool holds(const V& value) noexcept {
    return value <= static_cast<V>(Bound);
  }
};
/// The field may be absent and then has the value of a default-constructed event.
struct Defaulted {};
/// What the field means, for the JSON Schema.
template <FixedString Text>
struct Doc {
  static constexpr std::string_view text = Text.view();
};

/// A rule that bounds a number: AtLeast, GreaterThan, AtMost, or one's own.
template <class Rule>
concept BoundRule = requires(int v) {
  Rule::bound;
  { Rule::holds(v) } -> std::same_as<bool>;
};

namespace detail {
template <FixedString Name, std::size_t... I>
constexpr auto hana_name(std::index_sequence<I...>) noexcept {
  return boost::hana::string_c<Name.text[I]...>;
}
template <class M>
struct member_pointer;
template <class C, class V>
struct member_pointer<V C::*> {
  using owner = C;
  using value = V;
};
template <class V>
struct bounded {
  using type = V;
};
template <class V>
  requires requires(V value) { value.emplace(); }
struct bounded<V> {
  using type = typename V::value_type;
};
/// Whether a bound means something for V, or for what a Nullable holds.
template <class V>
inline constexpr bool has_bounds = std::is_arithmetic_v<typename bounded<V>::type> && !std::is_same_v<typename bounded<V>::type, bool>;

/// Whether a rule's bound is a value of V, so that comparing in V means the same. What is no bound of a number fits.
template <class V, class Rule>
constexpr bool bound_fits() {
  if constexpr (BoundRule<Rule> && has_bounds<V>) {
    using value = typename bounded<V>::type;
    using bound = std::remove_cvref_t<decltype(Rule::bound)>;
    if constexpr (std::is_integral_v<value> && std::is_floating_point_v<bound>) {
      return Rule::bound >= -0x1p63 && Rule::bound < 0x1p63 && static_cast<bound>(static_cast<std::int64_t>(Rule::bound)) == Rule::bound;
    } else if constexpr (std::is_integral_v<value> && std::is_integral_v<bound>) {
      return std::in_range<value>(Rule::bound);
    }
  }
  return true;
}
}  // namespace detail

/// One member of a described event: its wire name, where it lives, and its rules. A field is its own accessor.
template <FixedString Name, auto Member, class... Rules>
struct Field {
  using owner_type = typename detail::member_pointer<decltype(Member)>::owner;
  using value_type = typename detail::member_pointer<decltype(Member)>::value;

  static constexpr std::string_view name = Name.view();
  static constexpr bool defaulted = (std::is_same_v<Rules, Defaulted> || ...);
  static constexpr bool bounded = (BoundRule<Rules> || ...);
  static constexpr bool bounds_fit = (detail::bound_fits<value_type, Rules>() && ...);

  /// Rules as a Hana tuple of empty values, for generators that walk them.
  static constexpr boost::hana::tuple<Rules...> rules{};

  static constexpr auto key() noexcept { return detail::hana_name<Name>(std::make_index_sequence<Name.size()>{}); }

  template <class Owner>
  constexpr decltype(auto) operator()(Owner&& owner) const noexcept {
    return (std::forward<Owner>(owner).*Member);
  }
};

/// Specialise for an event: `schema_id` (FixedString) and `fields` (a hana::tuple of Field values).
template <class Event>
struct Describe;

/// There is a Describe<Event>.
template <class Event>
concept Described = requires {
  Describe<Event>::schema_id;
  Describe<Event>::fields;
};

namespace detail {
constexpr bool all_differ(std::initializer_list<std::string_view> names) noexcept {
  for (const std::string_view* one = names.begin(); one != names.end(); ++one) {
    for (const std::string_view* other = names.begin(); other != one; ++other) {
      if (*one == *other) {
        return false;
      }
    }
  }
  return true;
}
template <class... F>
constexpr bool names_differ(const boost::hana::tuple<F...>&) {
  return all_differ({F::name...});
}
template <class F>
constexpr bool assert_bounds() {
  static_assert(
      F::bounds_fit,
      "pulse: a bound (AtLeast, GreaterThan, AtMost) is no value of its field's type, such as 0.5 for an integer, and would be another one: write one "
      "that is. See docs/reference/events.md");
  constexpr bool meant = !F::bounded || has_bounds<typename F::value_type>;
  static_assert(meant,
                "pulse: a bound (AtLeast, GreaterThan, AtMost) stands at a field that is no integer and no number, and would mean nothing: leave it out. See "
                "docs/reference/events.md");
  return meant;
}
template <class... F>
constexpr bool assert_all_bounds(const boost::hana::tuple<F...>&) {
  return (assert_bounds<F>() & ... & true);
}
template <class T>
inline constexpr bool is_hana_tuple = false;
template <class... F>
inline constexpr bool is_hana_tuple<boost::hana::tuple<F...>> = true;
}  // namespace detail

/// Asserts what a description has to be, each with its message.
template <Described Event>
constexpr bool assert_described() {
  constexpr bool is_tuple = detail::is_hana_tuple<std::remove_cvref_t<decltype(Describe<Event>::fields)>>;
  static_assert(is_tuple,
                "pulse: the `fields` of the event's description are no boost::hana::tuple: make them with boost::hana::make_tuple(pulse::Field<...>{}, ...). "
                "See docs/reference/events.md");
  if constexpr (is_tuple) {
    constexpr bool differ = detail::names_differ(Describe<Event>::fields);
    static_assert(differ, "pulse: two fields of the event's description have the same name: one of them would never be read. See docs/reference/events.md");
    return detail::assert_all_bounds(Describe<Event>::fields) && differ;
  } else {
    return false;
  }
}

/// Specialise for an enum whose values are 0, 1, 2, ...: `names`, a std::array or C array of std::string_view in that order.
template <class Enum>
struct DescribeEnum;

/// There is a DescribeEnum<Enum>.
template <class Enum>
concept DescribedEnum = std::is_enum_v<Enum> && requires { DescribeEnum<Enum>::names; };

/// The wire name of a described enum's value; "?" outside its range.
template <DescribedEnum Enum>
[[nodiscard]] constexpr std::string_view name_of(Enum value) noexcept {
  const auto index = static_cast<std::size_t>(value);
  return index < std::size(DescribeEnum<Enum>::names) ? DescribeEnum<Enum>::names[index] : std::string_view{"?"};
}

/// Finds the value by its wire name, exactly (case counts). Returns false and leaves `out` alone when there is none.
template <DescribedEnum Enum>
[[nodiscard]] constexpr bool value_of(std::string_view name, Enum& out) noexcept {
  for (std::size_t i = 0; i < std::size(DescribeEnum<Enum>::names); ++i) {
    if (DescribeEnum<Enum>::names[i] == name) {
      out = static_cast<Enum>(i);
      return true;
    }
  }
  return false;
}

template <DescribedEnum Enum>
inline constexpr std::size_t enum_size = std::size(DescribeEnum<Enum>::names);

template <Described Event>
inline constexpr std::string_view schema_id_of = Describe<Event>::schema_id.view();

}  // namespace pulse::inline v0_1

namespace boost::hana {
/// Makes every described event a hana::Struct: its accessors are the pairs (name, field) of its description.
template <class Event>
struct accessors_impl<Event, when<pulse::Described<Event>>> {
  static constexpr auto apply() {
    return transform(pulse::Describe<Event>::fields, [](auto field) { return make_pair(field.key(), field); });
  }
};
}  // namespace boost::hana
