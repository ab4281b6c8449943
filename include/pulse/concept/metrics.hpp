// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "pulse/core/metric_family.hpp"

namespace pulse::inline v0_1 {

namespace requirement {
template <class M>
concept MetricsEnabled = requires {
  { std::bool_constant<M::enabled>{} };
};
template <class M>
concept MetricsSlot = requires(const M& metrics, std::string_view name) {
  { metrics.template slot<StreamLabel>(name) } -> std::same_as<LabelSlot<StreamLabel>>;
};
template <class M>
concept MetricsAdd = requires(M& metrics, LabelSlot<StreamLabel> stream, std::uint64_t n) {
  metrics.add(family::consume, n, stream, Track::v1, Outcome::success);
  metrics.add(family::reconnects, n);
};
template <class M>
concept MetricsSet = requires(M& metrics, LabelSlot<ProviderLabel> provider, double value) { metrics.set(family::rate_scale, value, provider); };
template <class M>
concept MetricsObserve =
    requires(M& metrics, LabelSlot<StreamLabel> stream, std::chrono::nanoseconds time) { metrics.observe(family::handler_time, time, stream); };
}  // namespace requirement

/// A metrics sink. Contract page: docs/reference/metrics.md
///
/// | expression | returns | meaning |
/// |---|---|---|
/// | `M::enabled` | bool constant | false: nothing is recorded, and callers do not even read a clock |
/// | `metrics.slot<Label>(name)` | LabelSlot<Label> | the slot of a name of a name label; slot 0 ("other") where it is not among those of construction |
/// | `metrics.add(family, n, labels...)` | | a counter goes up by n |
/// | `metrics.set(family, value, labels...)` | | a gauge takes a value (double) |
/// | `metrics.observe(family, time, labels...)` | | a histogram counts a duration |
///
/// `family` is a value of pulse::family; `labels` are one label_argument_t per label of it, in its order.
/// Recording does not throw, does not allocate, and may be called from any thread.
template <class M>
concept Metrics =
    requirement::MetricsEnabled<M> && requirement::MetricsSlot<M> && requirement::MetricsAdd<M> && requirement::MetricsSet<M> && requirement::MetricsObserve<M>;

/// Asserts each requirement of Metrics on its own, with its message.
template <class M>
constexpr bool assert_metrics() {
  static_assert(requirement::MetricsEnabled<M>,
                "pulse: the Metrics policy lacks `static constexpr bool enabled`: state it, or use pulse::NoMetrics. See docs/reference/metrics.md");
  static_assert(requirement::MetricsSlot<M>,
                "pulse: the Metrics policy has no `template <class Label> pulse::LabelSlot<Label> slot(std::string_view) const`: add it. See "
                "docs/reference/metrics.md");
  static_assert(requirement::MetricsAdd<M>, "pulse: the Metrics policy has no `add(family, n, labels...)` for counters: add it. See docs/reference/metrics.md");
  static_assert(requirement::MetricsSet<M>,
                "pulse: the Metrics policy has no `set(family, value, labels...)` for gauges: add it. See docs/reference/metrics.md");
  static_assert(requirement::MetricsObserve<M>,
                "pulse: the Metrics policy has no `observe(family, duration, labels...)` for histograms: add it. See docs/reference/metrics.md");
  constexpr bool named = requirement::MetricsEnabled<M> && requirement::MetricsSlot<M> && requirement::MetricsAdd<M> && requirement::MetricsSet<M> &&
                         requirement::MetricsObserve<M>;
  static_assert(Metrics<M> || !named,
                "pulse: the Metrics policy misses a requirement of pulse::Metrics that has no message of its own: assert that concept to see which. See "
                "docs/reference/metrics.md");
  return Metrics<M>;
}

}  // namespace pulse::inline v0_1
