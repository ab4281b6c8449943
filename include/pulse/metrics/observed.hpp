// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include "pulse/concept/metrics.hpp"
#include "pulse/concept/observer.hpp"

namespace pulse::inline v0_1 {

/// A metrics sink and an observer that rides with it: whoever records (Consumer, Runtime, Publisher, FeedbackHandler) tells the observer too.
///
///     pulse::Consumer consumer{bus, window, pulse::Observed{metrics, log}, rates};
///
/// Both are referred to where they are lvalues, and owned otherwise. A notice that the observer does not take costs nothing: it is not made. What the
/// observer throws is swallowed and counted as pulse_observer_errors_total, so that no event is lost for it.
/// Thread safety: that of the sink; the observer is called on the thread where it happens.
template <class M, class O>
class Observed {
  using metrics_type = std::remove_reference_t<M>;
  using observer_type = std::remove_reference_t<O>;
  static_assert((assert_metrics<metrics_type>() && assert_observer<observer_type>()) || true);  // each says its own one error

 public:
  static constexpr bool enabled = metrics_type::enabled;
  template <class Notice>
  static constexpr bool observes = requirement::Takes<observer_type, Notice>;

  Observed(M&& metrics, O&& observer) : metrics_(std::forward<M>(metrics)), observer_(std::forward<O>(observer)) {}

  template <class Label>
  [[nodiscard]] LabelSlot<Label> slot(std::string_view name) const {
    return metrics_.template slot<Label>(name);
  }
  template <class Family, class... Labels>
  void add(Family family, std::uint64_t n, Labels... labels) {
    metrics_.add(family, n, labels...);
  }
  template <class Family, class... Labels>
  void set(Family family, double value, Labels... labels) {
    metrics_.set(family, value, labels...);
  }
  template <class Family, class... Labels>
  void observe(Family family, std::chrono::nanoseconds time, Labels... labels) {
    metrics_.observe(family, time, labels...);
  }

  template <class Notice>
    requires observes<Notice>
  void tell(const Notice& notice) noexcept {
    if constexpr (noexcept(observer_.on(notice))) {
      observer_.on(notice);
    } else {
      try {
        observer_.on(notice);
      } catch (...) {
        metrics_.add(family::observer_errors, 1);
      }
    }
  }

  [[nodiscard]] observer_type& observer() noexcept { return observer_; }

 private:
  [[no_unique_address]] M metrics_;
  [[no_unique_address]] O observer_;
};

template <class M, class O>
Observed(M&&, O&&) -> Observed<M, O>;

}  // namespace pulse::inline v0_1
