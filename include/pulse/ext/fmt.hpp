// SPDX-License-Identifier: MIT
#pragma once

#include <fmt/format.h>
#include <string_view>

#include "pulse/core/describe.hpp"
#include "pulse/core/entry_id.hpp"
#include "pulse/core/error.hpp"
#include "pulse/core/event_id.hpp"
#include "pulse/core/outcome.hpp"

/// fmt formatters of Pulse's plain values: "{}" only, but for enums, which take the format of a string.
/// Include it once, where text is made; nothing else of Pulse needs fmt.

/// An enum described by pulse::DescribeEnum: its wire name.
template <class Enum>
  requires pulse::DescribedEnum<Enum>
struct fmt::formatter<Enum, char> : fmt::formatter<std::string_view> {
  template <class Context>
  auto format(Enum value, Context& context) const {
    return fmt::formatter<std::string_view>::format(pulse::name_of(value), context);
  }
};

template <>
struct fmt::formatter<pulse::EntryId> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  template <class Context>
  auto format(pulse::EntryId id, Context& context) const {
    return fmt::format_to(context.out(), "{}-{}", id.ms, id.seq);
  }
};

/// 32 hexadecimal digits.
template <>
struct fmt::formatter<pulse::EventId> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  template <class Context>
  auto format(pulse::EventId id, Context& context) const {
    return fmt::format_to(context.out(), "{:016x}{:016x}", id.high, id.low);
  }
};

template <>
struct fmt::formatter<pulse::Error> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  template <class Context>
  auto format(const pulse::Error& error, Context& context) const {
    return fmt::format_to(context.out(), "{}: {}", pulse::name_of(error.code), error.message);
  }
};

/// "ack", "stale", "retry", "retry after 5 ms", "dead_letter: reason".
template <>
struct fmt::formatter<pulse::Verdict> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  template <class Context>
  auto format(const pulse::Verdict& verdict, Context& context) const {
    using Kind = pulse::Verdict::Kind;
    switch (verdict.kind()) {
      case Kind::ack: return fmt::format_to(context.out(), "ack");
      case Kind::stale: return fmt::format_to(context.out(), "stale");
      case Kind::retry:
        return verdict.delay().count() < 0 ? fmt::format_to(context.out(), "retry")
                                           : fmt::format_to(context.out(), "retry after {} ms", verdict.delay().count());
      case Kind::dead_letter: break;
    }
    return fmt::format_to(context.out(), "dead_letter: {}", verdict.reason());
  }
};
