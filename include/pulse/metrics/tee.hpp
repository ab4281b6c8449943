// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "pulse/concept/metrics.hpp"
#include "pulse/concept/observer.hpp"

namespace pulse::inline v0_1 {

/// Records into several sinks. `Tee{a, b}` refers to the sinks it is given as lvalues and owns the others.
///
/// A slot of the Tee packs the slots of its sinks into 32 bits: with 2 sinks each may have 65535 names a label, with 3 sinks 1023,
/// with 4 sinks 255. A name beyond that is recorded under "other" in that sink.
/// Thread safety: that of its sinks.
template <class... M>
class Tee {
  static_assert(sizeof...(M) >= 1 && sizeof...(M) <= 4, "pulse: a Tee takes 1 to 4 metrics sinks");
  static_assert((assert_metrics<std::remove_reference_t<M>>() && ...));

  static constexpr unsigned bits = 32 / sizeof...(M);
  static constexpr std::uint32_t mask = sizeof...(M) == 1 ? ~std::uint32_t{0} : (std::uint32_t{1} << (bits % 32)) - 1;

 public:
  static constexpr bool enabled = (std::remove_reference_t<M>::enabled || ...);

  explicit Tee(M&&... sinks) : sinks_(std::forward<M>(sinks)...) {}

  template <class Label>
  [[nodiscard]] LabelSlot<Label> slot(std::string_view name) const {
    std::uint32_t packed = 0;
    each([&](auto index, const auto& sink) {
      const std::uint32_t own = sink.template slot<Label>(name).index;
      packed |= (own <= mask ? own : 0) << (index * bits % 32);
    });
    return {packed};
  }

  template <class Family, class... Labels>
  void add(Family family, std::uint64_t n, Labels... labels) {
    each([&]([[maybe_unused]] auto index, auto& sink) { sink.add(family, n, unpack<index>(labels)...); });
  }
  template <class Family, class... Labels>
  void set(Family family, double value, Labels... labels) {
    each([&]([[maybe_unused]] auto index, auto& sink) { sink.set(family, value, unpack<index>(labels)...); });
  }
  template <class Family, class... Labels>
  void observe(Family family, std::chrono::nanoseconds time, Labels... labels) {
    each([&]([[maybe_unused]] auto index, auto& sink) { sink.observe(family, time, unpack<index>(labels)...); });
  }

  /// Of the sinks that came with an observer, see Observed.
  template <class Notice>
  static constexpr bool observes = (detail::observing<std::remove_reference_t<M>, Notice> || ...);
  template <class Notice>
    requires observes<Notice>
  void tell(const Notice& notice) noexcept {
    each([at = &notice]([[maybe_unused]] auto index, auto& sink) { detail::tell<Notice>(sink, [at]() -> const Notice& { return *at; }); });
  }

 private:
  template <std::size_t I, class Label>
  static constexpr LabelSlot<Label> unpack(LabelSlot<Label> packed) noexcept {
    return {packed.index >> (I * bits % 32) & mask};
  }
  template <std::size_t I, class Enum>
    requires std::is_enum_v<Enum>
  static constexpr Enum unpack(Enum value) noexcept {
    return value;
  }

  template <class F>
  void each(F&& f) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (f(std::integral_constant<std::size_t, I>{}, std::get<I>(sinks_)), ...);
    }(std::index_sequence_for<M...>{});
  }
  template <class F>
  void each(F&& f) const {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (f(std::integral_constant<std::size_t, I>{}, std::get<I>(sinks_)), ...);
    }(std::index_sequence_for<M...>{});
  }

  std::tuple<M...> sinks_;
};

template <class... M>
Tee(M&&...) -> Tee<M...>;

}  // namespace pulse::inline v0_1
