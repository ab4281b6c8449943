// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "pulse/metrics/conformance.hpp"
#include "pulse/metrics/no_metrics.hpp"
#include "pulse/metrics/prometheus.hpp"
#include "pulse/metrics/prometheus_text.hpp"
#include "pulse/metrics/tee.hpp"

using namespace std::chrono_literals;
using pulse::NoMetrics;
using pulse::Outcome;
using pulse::PrometheusMetrics;
using pulse::StreamLabel;
using pulse::Tee;
using pulse::Track;
namespace family = pulse::family;

static_assert(std::is_empty_v<NoMetrics> && !NoMetrics::enabled);
static_assert(pulse::Metrics<NoMetrics> && pulse::Metrics<PrometheusMetrics> && pulse::Metrics<Tee<PrometheusMetrics&, NoMetrics>>);
static_assert(!Tee<NoMetrics>::enabled && Tee<NoMetrics, PrometheusMetrics&>::enabled);
static_assert(sizeof(Tee<NoMetrics>) == 1);

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

const auto blind = [](auto...) { return std::nan(""); };

auto reader(const PrometheusMetrics& metrics) {
  return [&](auto family, auto... labels) { return metrics.value(family, labels...); };
}

}  // namespace

TEST_CASE("metrics: the laws hold for every sink") {
  NoMetrics none;
  CHECK(pulse::conformance::metrics_laws(none, "s", blind).empty());
  PrometheusMetrics prometheus{{.streams = {"r", "s"}}};
  CHECK(pulse::conformance::metrics_laws(prometheus, "s", reader(prometheus)).empty());
}

TEST_CASE("tee: each sink gets its own slot, though they number names differently") {
  PrometheusMetrics a{{.streams = {"s"}}};
  PrometheusMetrics b{{.streams = {"x", "y", "s"}}};
  Tee tee{a, NoMetrics{}, b};
  static_assert(std::is_same_v<decltype(tee), Tee<PrometheusMetrics&, NoMetrics, PrometheusMetrics&>>);
  CHECK(pulse::conformance::metrics_laws(tee, "s", blind).empty());
  for (const PrometheusMetrics* sink : {&a, &b}) {
    CHECK(sink->value(family::consume, sink->slot<StreamLabel>("s"), Track::v1, Outcome::success) == 5);
    CHECK(sink->value(family::lag_ms, sink->slot<StreamLabel>("s")) == -2.5);
    CHECK(sink->value(family::handler_time, sink->slot<StreamLabel>("s")) == 3);
  }
  tee.add(family::claimed, 1, tee.slot<StreamLabel>("y"));  // known to b only
  CHECK(a.value(family::claimed, a.slot<StreamLabel>("none")) == 1);
  CHECK(b.value(family::claimed, b.slot<StreamLabel>("y")) == 1);
}

TEST_CASE("prometheus: a slot from elsewhere is recorded under other, not out of bounds") {
  PrometheusMetrics metrics;
  metrics.add(family::claimed, 1, pulse::LabelSlot<StreamLabel>{12345});
  CHECK(metrics.value(family::claimed, pulse::LabelSlot<StreamLabel>{}) == 1);
}

TEST_CASE("field bug 22: names that come off the wire make no series") {
  pulse::PrometheusMetrics metrics{{.streams = {"s"}, .providers = {"p"}, .sources = {"store"}}};
  const std::size_t series = metrics.series();
  const auto lines = [&] {
    const std::string text = pulse::prometheus_text(metrics);
    return std::count(text.begin(), text.end(), '\n');
  };
  metrics.set(pulse::family::queue_depth, 1, metrics.slot<pulse::SourceLabel>("store"));
  metrics.set(pulse::family::queue_depth, 1, metrics.slot<pulse::SourceLabel>("stranger"));
  const auto before = lines();
  for (int i = 0; i < 1000; ++i) {
    metrics.set(pulse::family::queue_depth, i, metrics.slot<pulse::SourceLabel>("stranger " + std::to_string(i)));
  }
  CHECK(metrics.series() == series);
  CHECK(lines() == before);
  CHECK(metrics.value(pulse::family::queue_depth, metrics.slot<pulse::SourceLabel>("any")) == 999);
}

TEST_CASE("prometheus: the buckets' bounds are inclusive") {
  const auto& bounds = pulse::histogram_bounds_ns;
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    CHECK(pulse::detail::histogram_bucket(bounds[i]) == i);
    CHECK(pulse::detail::histogram_bucket(bounds[i] + 1) == i + 1);
  }
  CHECK(pulse::detail::histogram_bucket(-1) == 0);
  CHECK(pulse::detail::histogram_bucket(0) == 0);
  CHECK(pulse::detail::histogram_bucket(std::numeric_limits<std::int64_t>::max()) == bounds.size());
}

TEST_CASE("prometheus: concurrent increments all count") {
  PrometheusMetrics metrics{{.streams = {"s"}}};
  const auto slot = metrics.slot<StreamLabel>("s");
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10000; ++i) {
        metrics.add(family::consume, 1, slot, Track::v1, Outcome::success);
        metrics.observe(family::handler_time, 1us, slot);
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  CHECK(metrics.value(family::consume, slot, Track::v1, Outcome::success) == 30000);
  CHECK(metrics.value(family::handler_time, slot) == 30000);
}

TEST_CASE("prometheus text: names and labels as operators know them") {
  PrometheusMetrics metrics{{.streams = {"mdp:mdp.telemetry.feedback"}, .providers = {"ibkr"}, .sources = {"store"}}};
  const auto stream = metrics.slot<StreamLabel>("mdp:mdp.telemetry.feedback");
  CHECK(!has(pulse::prometheus_text(metrics), "rate_scale_current{"));  // a gauge nobody has set has no value, least of all 0
  metrics.add(family::consume, 3, stream, Track::v1, Outcome::duplicate);
  metrics.set(family::rate_scale, 0.5, metrics.slot<pulse::ProviderLabel>("ibkr"));
  metrics.set(family::backpressure_state, 1, metrics.slot<pulse::ProviderLabel>("ibkr"));
  metrics.set(family::queue_depth, 800, metrics.slot<pulse::SourceLabel>("store"));
  metrics.observe(family::handler_time, 1ms, stream);
  metrics.observe(family::handler_time, 1h, stream);
  const std::string text = pulse::prometheus_text(metrics);
  CHECK(has(text, "# TYPE pulse_consume_total counter\n"));
  CHECK(has(text, "pulse_consume_total{stream=\"mdp:mdp.telemetry.feedback\",track=\"v1\",outcome=\"duplicate\"} 3\n"));
  CHECK(has(text, "pulse_consume_total{stream=\"mdp:mdp.telemetry.feedback\",track=\"v2\",outcome=\"success\"} 0\n"));
  CHECK(has(text, "rate_scale_current{provider=\"ibkr\"} 0.5\n"));
  CHECK(has(text, "pipeline_backpressure_state{provider=\"ibkr\"} 1\n"));
  CHECK(has(text, "pipeline_feedback_queue_depth{source=\"store\"} 800\n"));
  CHECK(has(text, "pulse_reconnects_total 0\n"));
  CHECK(has(text, "# TYPE pulse_handler_seconds histogram\n"));
  CHECK(has(text, "pulse_handler_seconds_bucket{stream=\"mdp:mdp.telemetry.feedback\",le=\"0.000262144\"} 0\n"));
  CHECK(has(text, "pulse_handler_seconds_bucket{stream=\"mdp:mdp.telemetry.feedback\",le=\"0.001048576\"} 1\n"));
  CHECK(has(text, "pulse_handler_seconds_bucket{stream=\"mdp:mdp.telemetry.feedback\",le=\"+Inf\"} 2\n"));
  CHECK(has(text, "pulse_handler_seconds_sum{stream=\"mdp:mdp.telemetry.feedback\"} 3600.001\n"));
  CHECK(has(text, "pulse_handler_seconds_count{stream=\"mdp:mdp.telemetry.feedback\"} 2\n"));
  CHECK(!has(text, "\"other\""));
}

TEST_CASE("prometheus text: label values are escaped, and no series comes twice") {
  PrometheusMetrics metrics{{.streams = {"a\"b\\c\nd", "a\"b\\c\nd", "other"}}};
  metrics.add(family::claimed, 1, metrics.slot<StreamLabel>("other"));
  const std::string text = pulse::prometheus_text(metrics);
  CHECK(has(text, "pulse_claimed_total{stream=\"a\\\"b\\\\c\\nd\"} 0\n"));
  CHECK(has(text, "pulse_claimed_total{stream=\"other\"} 1\n"));
  const auto first = text.find("pulse_claimed_total{stream=\"a");
  CHECK(text.find("pulse_claimed_total{stream=\"a", first + 1) == std::string::npos);
}

TEST_CASE("prometheus text: promtool finds it well-formed") {
  if (std::system("command -v promtool >/dev/null 2>&1") != 0) {
    MESSAGE("skipped: promtool is not installed");
    return;
  }
  PrometheusMetrics metrics{{.streams = {"a\"b\\c\nd", "s"}, .providers = {"p"}, .sources = {"q"}}};
  const auto slot = metrics.slot<StreamLabel>("s");
  metrics.observe(family::handler_time, 1ms, slot);
  metrics.set(family::lag_ms, std::numeric_limits<double>::infinity(), slot);
  metrics.set(family::dedup_size, std::nan(""));
  // 1: not well-formed; 3: style only (the families' names with "_ms" are given).
  FILE* const pipe = popen("promtool check metrics >/dev/null 2>&1; s=$?; test $s -eq 0 || test $s -eq 3", "w");
  REQUIRE(pipe != nullptr);
  const std::string text = pulse::prometheus_text(metrics);
  CHECK(std::fwrite(text.data(), 1, text.size(), pipe) == text.size());
  CHECK(pclose(pipe) == 0);
}
