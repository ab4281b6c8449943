// SPDX-License-Identifier: MIT
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <atomic>
#include <bit>
#include <boost/hana/for_each.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/health.hpp"
#include "pulse/metrics/prometheus.hpp"

namespace pulse::inline v0_1 {

/// The metrics of Pulse for a service that exposes its own by prometheus-cpp: a Collectable over a PrometheusMetrics, and over a Health where one is
/// given. Recording stays what it is, without a lock and an allocation; a snapshot is made when somebody collects.
///
///     pulse::PrometheusMetrics metrics{names};
///     auto ours = std::make_shared<pulse::PrometheusCpp>(metrics);
///     exposer.RegisterCollectable(ours);
///
/// The Exposer keeps a weak pointer: keep the shared one. It refers to the metrics and the health, which must outlive it.
/// Thread safety: Collect from any thread, beside recording.
class PrometheusCpp : public prometheus::Collectable {
 public:
  explicit PrometheusCpp(const PrometheusMetrics& metrics, const Health* health = nullptr) : metrics_(metrics), health_(health) {}

  /// Families in which nothing is to be told are left out.
  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override {
    std::vector<prometheus::MetricFamily> all;
    boost::hana::for_each(family::all, [&](auto one) { collect(one, all); });
    if (health_ != nullptr) {
      collect_health(all);
    }
    return all;
  }

 private:
  using Cell = const std::atomic<std::uint64_t>*;
  using Labels = std::vector<prometheus::ClientMetric::Label>;

  template <FixedString N, FixedString H, MetricKind K, class... L>
  void collect(MetricFamily<N, H, K, L...> which, std::vector<prometheus::MetricFamily>& all) const {
    constexpr prometheus::MetricType types[] = {prometheus::MetricType::Counter, prometheus::MetricType::Gauge, prometheus::MetricType::Histogram};
    prometheus::MetricFamily made;
    made.name = std::string(which.name);
    made.help = std::string(which.help);
    made.type = types[static_cast<std::size_t>(K)];
    Cell cells = metrics_.cells(which);
    walk<K, L...>(cells, {}, false, made);
    if (!made.metric.empty()) {
      all.push_back(std::move(made));
    }
  }

  template <MetricKind K>
  static void walk(Cell& cells, const Labels& labels, bool other, prometheus::MetricFamily& made) {
    prometheus::ClientMetric metric;
    metric.label = labels;
    if constexpr (K == MetricKind::histogram) {
      std::uint64_t below = 0;
      for (std::size_t i = 0; i <= histogram_bounds_ns.size(); ++i) {
        below += (cells++)->load(std::memory_order_relaxed);
        const bool last = i == histogram_bounds_ns.size();
        metric.histogram.bucket.push_back({below, last ? std::numeric_limits<double>::infinity() : static_cast<double>(histogram_bounds_ns[i]) / 1e9});
      }
      metric.histogram.sample_count = below;
      metric.histogram.sample_sum = static_cast<double>((cells++)->load(std::memory_order_relaxed)) / 1e9;
      if (other && below == 0) {
        return;
      }
    } else {
      const std::uint64_t cell = (cells++)->load(std::memory_order_relaxed);
      if (K == MetricKind::gauge ? PrometheusMetrics::is_unset(cell) : other && cell == 0) {
        return;  // as in prometheus_text: nothing was recorded here
      }
      if constexpr (K == MetricKind::gauge) {
        metric.gauge.value = std::bit_cast<double>(cell);
      } else {
        metric.counter.value = static_cast<double>(cell);
      }
    }
    made.metric.push_back(std::move(metric));
  }
  template <MetricKind K, class Label, class... Rest>
  void walk(Cell& cells, const Labels& labels, bool other, prometheus::MetricFamily& made) const {
    for (std::size_t i = 0; i < metrics_.label_values<Label>(); ++i) {
      Labels more = labels;
      more.push_back({std::string(Label::name), std::string(metrics_.label_value<Label>(i))});
      walk<K, Rest...>(cells, more, other || (!EnumLabel<Label> && i == 0), made);
    }
  }

  void collect_health(std::vector<prometheus::MetricFamily>& all) const {
    const HealthStatus status = health_->status();
    for_each_health_gauge([&](std::string_view name, std::string_view help, auto holds) {
      prometheus::MetricFamily made{std::string(name), std::string(help), prometheus::MetricType::Gauge, {}};
      for (const HealthStatus::Component& component : status.components) {
        prometheus::ClientMetric metric;
        metric.label.push_back({"component", component.name});
        metric.gauge.value = holds(component.health) ? 1 : 0;
        made.metric.push_back(std::move(metric));
      }
      all.push_back(std::move(made));
    });
  }

  const PrometheusMetrics& metrics_;
  const Health* health_;
};

}  // namespace pulse::inline v0_1
