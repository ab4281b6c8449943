// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <boost/hana/for_each.hpp>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "pulse/metrics/prometheus.hpp"

/// The Prometheus text exposition format, version 0.0.4. Served as `text/plain; version=0.0.4; charset=utf-8`.
namespace pulse::inline v0_1 {

inline constexpr std::string_view prometheus_content_type = "text/plain; version=0.0.4; charset=utf-8";

namespace detail {

/// Appends the value of a label, without its quotes.
inline void append_label_value(std::string& out, std::string_view value) {
  for (const char c : value) {
    if (c == '\n') {
      out += "\\n";
    } else {
      if (c == '\\' || c == '"') {
        out += '\\';
      }
      out += c;
    }
  }
}

class ExpositionWriter {
 public:
  ExpositionWriter(const PrometheusMetrics& metrics, std::string& out) : metrics_(metrics), out_(out) {}

  template <FixedString N, FixedString H, MetricKind K, class... Labels>
  void write(MetricFamily<N, H, K, Labels...> family) {
    constexpr std::string_view kinds[] = {"counter", "gauge", "histogram"};
    text("# HELP ", family.name, " ", family.help, "\n# TYPE ", family.name, " ", kinds[static_cast<std::size_t>(K)], "\n");
    cells_ = metrics_.cells(family);
    walk<K, Labels...>(family.name, "", false);
  }

 private:
  template <class... T>
  void text(const T&... parts) {
    (out_.append(std::string_view(parts)), ...);
  }

  void number(std::uint64_t value) {
    char digits[24];
    out_.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
  }
  void number(double value) {
    char digits[32];
    if (std::isnan(value)) {
      text("NaN");
    } else if (std::isinf(value)) {
      text(value > 0 ? "+Inf" : "-Inf");
    } else {
      out_.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
    }
  }

  template <MetricKind K>
  void walk(std::string_view name, const std::string& labels, bool other) {
    if constexpr (K == MetricKind::histogram) {
      histogram(name, labels, other);
    } else {
      const std::uint64_t cell = (cells_++)->load(std::memory_order_relaxed);
      if (K == MetricKind::gauge ? PrometheusMetrics::is_unset(cell) : other && cell == 0) {
        return;  // nothing was recorded here: "other" series appear when they are used
      }
      text(name);
      braces(labels, "");
      text(" ");
      K == MetricKind::gauge ? number(std::bit_cast<double>(cell)) : number(cell);
      text("\n");
    }
  }
  template <MetricKind K, class Label, class... Rest>
  void walk(std::string_view name, const std::string& labels, bool other) {
    for (std::size_t i = 0; i < metrics_.label_values<Label>(); ++i) {
      std::string more = labels.empty() ? "" : labels + ",";
      more.append(Label::name).append("=\"");
      append_label_value(more, metrics_.label_value<Label>(i));
      more += '"';
      walk<K, Rest...>(name, more, other || (!EnumLabel<Label> && i == 0));
    }
  }

  void histogram(std::string_view name, const std::string& labels, bool other) {
    constexpr std::size_t buckets = histogram_bounds_ns.size() + 1;
    std::uint64_t counts[buckets];
    std::uint64_t total = 0;
    for (std::uint64_t& count : counts) {
      total += count = (cells_++)->load(std::memory_order_relaxed);
    }
    const std::uint64_t sum = (cells_++)->load(std::memory_order_relaxed);
    if (other && total == 0) {
      return;
    }
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < buckets; ++i) {
      below += counts[i];
      text(name, "_bucket");
      std::string bound = "+Inf";
      if (i + 1 < buckets) {
        char digits[32];
        bound.assign(digits, std::to_chars(digits, digits + sizeof digits, static_cast<double>(histogram_bounds_ns[i]) / 1e9).ptr);
      }
      braces(labels, bound);
      text(" ");
      number(below);
      text("\n");
    }
    text(name, "_sum");
    braces(labels, "");
    text(" ");
    number(static_cast<double>(sum) / 1e9);
    text("\n", name, "_count");
    braces(labels, "");
    text(" ");
    number(total);
    text("\n");
  }

  void braces(const std::string& labels, std::string_view bound) {
    if (labels.empty() && bound.empty()) {
      return;
    }
    text("{", labels);
    if (!bound.empty()) {
      text(labels.empty() ? "" : ",", "le=\"", bound, "\"");
    }
    text("}");
  }

  const PrometheusMetrics& metrics_;
  std::string& out_;
  const std::atomic<std::uint64_t>* cells_ = nullptr;
};

}  // namespace detail

/// Appends all families. What is recorded meanwhile may be in it or not; a histogram agrees with itself.
inline void append_prometheus_text(const PrometheusMetrics& metrics, std::string& out) {
  detail::ExpositionWriter writer{metrics, out};
  boost::hana::for_each(family::all, [&](auto f) { writer.write(f); });
}

[[nodiscard]] inline std::string prometheus_text(const PrometheusMetrics& metrics) {
  std::string out;
  append_prometheus_text(metrics, out);
  return out;
}

}  // namespace pulse::inline v0_1
