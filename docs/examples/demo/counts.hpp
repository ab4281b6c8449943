// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string_view>

#include <pulse/concept/metrics.hpp>

namespace demo {

/// A metrics sink of one's own: the outcomes, for the summary. It runs beside PrometheusMetrics in a Tee.
class Counts {
 public:
  static constexpr bool enabled = true;

  template <class Label>
  pulse::LabelSlot<Label> slot(std::string_view) const {
    return {};
  }
  template <class Family, class... Labels>
  void add(Family, std::uint64_t n, Labels... labels) {
    if constexpr (Family::name == std::string_view{"pulse_consume_total"}) {
      consumed_[static_cast<std::size_t>(last(labels...))].fetch_add(n, std::memory_order_relaxed);
    }
  }
  template <class Family, class... Labels>
  void set(Family, double, Labels...) {}
  template <class Family, class... Labels>
  void observe(Family, std::chrono::nanoseconds, Labels...) {}

  [[nodiscard]] std::uint64_t of(pulse::Outcome outcome) const { return consumed_[static_cast<std::size_t>(outcome)].load(std::memory_order_relaxed); }

 private:
  static pulse::Outcome last(pulse::LabelSlot<pulse::StreamLabel>, pulse::Track, pulse::Outcome outcome) { return outcome; }

  std::array<std::atomic<std::uint64_t>, pulse::enum_size<pulse::Outcome>> consumed_{};
};

}  // namespace demo
