// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <boost/hana/tuple.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "pulse/concept/metrics.hpp"

namespace pulse::inline v0_1 {

/// Upper bounds of a histogram's buckets, inclusive: powers of 4 from 1.024 us to 17 s; above them is +Inf.
inline constexpr std::array<std::int64_t, 13> histogram_bounds_ns = [] {
  std::array<std::int64_t, 13> bounds{};
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    bounds[i] = std::int64_t{1} << (10 + 2 * i);
  }
  return bounds;
}();

namespace detail {

/// The bucket of a duration. Complexity: constant.
constexpr std::size_t histogram_bucket(std::int64_t ns) noexcept {
  const auto width = static_cast<std::size_t>(64 - std::countl_zero(static_cast<std::uint64_t>(ns > 1 ? ns - 1 : 0)));
  const std::size_t bucket = width <= 10 ? 0 : (width - 9) / 2;
  return bucket < histogram_bounds_ns.size() ? bucket : histogram_bounds_ns.size();
}

template <class Family, class... F>
consteval std::size_t index_in(const boost::hana::tuple<F...>&) {
  std::size_t index = 0;
  const bool found = ((std::is_same_v<Family, F> || (++index, false)) || ...);
  return found ? index : sizeof...(F);
}

template <class... F>
consteval std::size_t size_of(const boost::hana::tuple<F...>&) {
  return sizeof...(F);
}

template <class Label>
inline constexpr std::size_t label_size = 0;  // of a name label: known at construction
template <EnumLabel Label>
inline constexpr std::size_t label_size<Label> = enum_size<typename Label::enum_type>;

}  // namespace detail

/// The names that get series of their own. What else comes is recorded under "other".
struct PrometheusNames {
  std::vector<std::string> streams{};  ///< keys of streams
  std::vector<std::string> providers{};
  std::vector<std::string> sources{};
};

/// A registry of all of pulse::family as a dense array of cells: recording is an index and one relaxed atomic operation (three for a
/// histogram), without a lock or an allocation. The number of series is fixed at construction.
///
/// `prometheus_text(metrics)` of metrics/prometheus_text.hpp writes it out. Thread safety: recording and reading, all of it.
template <class = void>  // so that it is compiled where there is one only
class BasicPrometheusMetrics {
  static constexpr std::size_t families = detail::size_of(family::all);
  static constexpr std::size_t histogram_cells = histogram_bounds_ns.size() + 2;  // buckets, +Inf, sum in ns
  static constexpr std::uint64_t unset = 0x7ff8'0000'dead'0001;                   // a NaN that no one sets: the gauge is not exposed

 public:
  static constexpr bool enabled = true;

  explicit BasicPrometheusMetrics(PrometheusNames names = {})
      : streams_(with_other(std::move(names.streams))), providers_(with_other(std::move(names.providers))), sources_(with_other(std::move(names.sources))) {
    lay_out(family::all);
  }

  /// Complexity: linear in the names.
  template <class Label>
  [[nodiscard]] LabelSlot<Label> slot(std::string_view name) const noexcept {
    const auto& known = names_of<Label>();
    for (std::size_t i = 1; i < known.size(); ++i) {
      if (known[i] == name) {
        return {static_cast<std::uint32_t>(i)};
      }
    }
    return {};
  }

  template <class Family, class... Labels>
  void add(Family family, std::uint64_t n, Labels... labels) noexcept {
    static_assert(Family::kind == MetricKind::counter, "pulse: add() is for counters");
    cell(family, labels...).fetch_add(n, std::memory_order_relaxed);
  }
  template <class Family, class... Labels>
  void set(Family family, double value, Labels... labels) noexcept {
    static_assert(Family::kind == MetricKind::gauge, "pulse: set() is for gauges");
    cell(family, labels...).store(std::bit_cast<std::uint64_t>(value), std::memory_order_relaxed);
  }
  /// A negative time counts as 0.
  template <class Family, class... Labels>
  void observe(Family family, std::chrono::nanoseconds time, Labels... labels) noexcept {
    static_assert(Family::kind == MetricKind::histogram, "pulse: observe() is for histograms");
    std::atomic<std::uint64_t>* const cells = &cell(family, labels...);
    cells[detail::histogram_bucket(time.count())].fetch_add(1, std::memory_order_relaxed);
    cells[histogram_cells - 1].fetch_add(static_cast<std::uint64_t>(time.count() > 0 ? time.count() : 0), std::memory_order_relaxed);
  }

  /// What was recorded: a counter's count, a gauge's value (NaN before the first), a histogram's number of observations.
  template <class Family, class... Labels>
  [[nodiscard]] double value(Family family, Labels... labels) const noexcept {
    const std::atomic<std::uint64_t>* const cells = &cell(family, labels...);
    if constexpr (Family::kind == MetricKind::gauge) {
      return std::bit_cast<double>(cells->load(std::memory_order_relaxed));
    } else if constexpr (Family::kind == MetricKind::counter) {
      return static_cast<double>(cells->load(std::memory_order_relaxed));
    } else {
      std::uint64_t count = 0;
      for (std::size_t i = 0; i + 1 < histogram_cells; ++i) {
        count += cells[i].load(std::memory_order_relaxed);
      }
      return static_cast<double>(count);
    }
  }

  /// Series over all families: a constant.
  [[nodiscard]] std::size_t series() const noexcept { return series_; }

  // For exposition: the raw cells of a family, series by series, and the values of a label.
  template <class Family>
  [[nodiscard]] const std::atomic<std::uint64_t>* cells(Family) const noexcept {
    return &cells_[offsets_[position<Family>]];
  }
  template <class Label>
  [[nodiscard]] std::size_t label_values() const noexcept {
    if constexpr (EnumLabel<Label>) {
      return detail::label_size<Label>;
    } else {
      return names_of<Label>().size();
    }
  }
  template <class Label>
  [[nodiscard]] std::string_view label_value(std::size_t at) const noexcept {
    if constexpr (EnumLabel<Label>) {
      return name_of(static_cast<typename Label::enum_type>(at));
    } else {
      return names_of<Label>()[at];
    }
  }
  [[nodiscard]] static bool is_unset(std::uint64_t gauge) noexcept { return gauge == unset; }

 private:
  template <class Family>
  static constexpr std::size_t position = [] {
    constexpr std::size_t at = detail::index_in<Family>(family::all);
    static_assert(at < families, "pulse: PrometheusMetrics knows the families of pulse::family only");
    return at;
  }();

  static constexpr std::size_t cells_per_series(MetricKind kind) noexcept { return kind == MetricKind::histogram ? histogram_cells : 1; }

  /// "other" first, and each name once: the exposition may not have a series twice.
  static std::vector<std::string> with_other(std::vector<std::string> names) {
    std::vector<std::string> all{"other"};
    for (std::string& name : names) {
      bool known = false;
      for (const std::string& present : all) {
        known = known || present == name;
      }
      if (!known) {
        all.push_back(std::move(name));
      }
    }
    return all;
  }

  template <class Label>
  [[nodiscard]] const std::vector<std::string>& names_of() const noexcept {
    if constexpr (std::is_same_v<Label, StreamLabel>) {
      return streams_;
    } else if constexpr (std::is_same_v<Label, ProviderLabel>) {
      return providers_;
    } else {
      static_assert(std::is_same_v<Label, SourceLabel>, "pulse: PrometheusMetrics knows the labels stream, provider and source");
      return sources_;
    }
  }

  template <FixedString N, FixedString H, MetricKind K, class... Labels>
  [[nodiscard]] std::size_t series_of(MetricFamily<N, H, K, Labels...>) const noexcept {
    return (std::size_t{1} * ... * label_values<Labels>());
  }

  template <class... F>
  void lay_out(const boost::hana::tuple<F...>&) {
    constexpr MetricKind kinds[] = {F::kind...};
    const std::size_t series[] = {series_of(F{})...};
    for (std::size_t at = 0; at < families; ++at) {
      offsets_[at + 1] = offsets_[at] + series[at] * cells_per_series(kinds[at]);
      series_ += series[at];
    }
    cells_ = std::make_unique<std::atomic<std::uint64_t>[]>(offsets_[families]);
    for (std::size_t at = 0; at < families; ++at) {
      for (std::size_t i = offsets_[at]; i < offsets_[at + 1]; ++i) {
        cells_[i].store(kinds[at] == MetricKind::gauge ? unset : 0, std::memory_order_relaxed);
      }
    }
  }

  template <class Label>
  [[nodiscard]] std::size_t step(std::size_t at, label_argument_t<Label> value) const noexcept {
    if constexpr (EnumLabel<Label>) {
      return at * detail::label_size<Label> + static_cast<std::size_t>(value);
    } else {
      // A slot of another sink may be out of range here: "other", not memory of someone else.
      const std::size_t size = names_of<Label>().size();
      return at * size + (value.index < size ? value.index : 0);
    }
  }

  template <FixedString N, FixedString H, MetricKind K, class... Labels>
  [[nodiscard]] std::atomic<std::uint64_t>& cell(MetricFamily<N, H, K, Labels...>, label_argument_t<Labels>... labels) const noexcept {
    std::size_t at = 0;
    ((at = step<Labels>(at, labels)), ...);
    return cells_[offsets_[position<MetricFamily<N, H, K, Labels...>>] + at * cells_per_series(K)];
  }

  std::vector<std::string> streams_;
  std::vector<std::string> providers_;
  std::vector<std::string> sources_;
  std::array<std::size_t, families + 1> offsets_{};
  std::size_t series_ = 0;
  std::unique_ptr<std::atomic<std::uint64_t>[]> cells_;
};

using PrometheusMetrics = BasicPrometheusMetrics<>;

}  // namespace pulse::inline v0_1
