// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <string>
#include <vector>

#include "pulse/ext/prometheus_cpp.hpp"
#include "pulse/metrics/prometheus_text.hpp"

namespace family = pulse::family;

namespace {
/// The samples of an exposition, sorted: without comments, whose families come in another order.
std::vector<std::string> samples(const std::string& text) {
  std::vector<std::string> all;
  for (std::size_t from = 0; from < text.size();) {
    const auto end = std::min(text.find('\n', from), text.size());
    if (text[from] != '#') {
      all.push_back(text.substr(from, end - from));
    }
    from = end + 1;
  }
  std::sort(all.begin(), all.end());
  return all;
}
}  // namespace

TEST_CASE("prometheus-cpp: collects the series and values that our own text has") {
  pulse::PrometheusMetrics metrics{{.streams = {"s"}, .providers = {"ibkr"}, .sources = {"store"}}};
  const auto stream = metrics.slot<pulse::StreamLabel>("s");
  metrics.add(family::consume, 3, stream, pulse::Track::v1, pulse::Outcome::duplicate);
  metrics.add(family::claimed, 2, metrics.slot<pulse::StreamLabel>("unknown"));
  metrics.set(family::rate_scale, 0.5, metrics.slot<pulse::ProviderLabel>("ibkr"));
  const pulse::PrometheusCpp ours{metrics};
  for (const prometheus::MetricFamily& one : ours.Collect()) {
    CHECK(!one.metric.empty());
  }
  // Both write numbers in their own way: whole ones and halves are the same in either.
  const std::string text = prometheus::TextSerializer{}.Serialize(ours.Collect());
  const auto of = [](std::vector<std::string> all) {
    all.erase(std::remove_if(all.begin(), all.end(), [](const std::string& line) { return line.find("pulse_handler_seconds") == 0; }), all.end());
    return all;
  };
  CHECK(of(samples(text)) == of(samples(pulse::prometheus_text(metrics))));
  CHECK(samples(text).size() == samples(pulse::prometheus_text(metrics)).size());
}

TEST_CASE("prometheus-cpp: histograms in seconds, with the last bucket for all") {
  pulse::PrometheusMetrics metrics{{.streams = {"s"}, .providers = {}, .sources = {}}};
  metrics.observe(family::handler_time, std::chrono::milliseconds{1}, metrics.slot<pulse::StreamLabel>("s"));
  metrics.observe(family::handler_time, std::chrono::hours{1}, metrics.slot<pulse::StreamLabel>("s"));
  const pulse::PrometheusCpp ours{metrics};
  const auto all = ours.Collect();
  const auto found = std::find_if(all.begin(), all.end(), [](const auto& one) { return one.name == "pulse_handler_seconds"; });
  REQUIRE(found != all.end());
  REQUIRE(found->metric.size() == 1);
  const auto& histogram = found->metric[0].histogram;
  CHECK(found->type == prometheus::MetricType::Histogram);
  CHECK(histogram.sample_count == 2);
  CHECK(histogram.sample_sum == doctest::Approx(3600.001));
  REQUIRE(histogram.bucket.size() == pulse::histogram_bounds_ns.size() + 1);
  CHECK(histogram.bucket[4].cumulative_count == 0);
  CHECK(histogram.bucket[5].upper_bound == doctest::Approx(0.001048576));
  CHECK(histogram.bucket[5].cumulative_count == 1);
  CHECK(histogram.bucket.back().cumulative_count == 2);
}

TEST_CASE("prometheus-cpp: health, and a registry's own metrics beside it") {
  pulse::PrometheusMetrics metrics;
  pulse::Health health{"service"};
  health.watch("part", [] { return pulse::ComponentHealth{true, false, false, {}}; });
  const pulse::PrometheusCpp ours{metrics, &health};
  const std::string text = prometheus::TextSerializer{}.Serialize(ours.Collect());
  CHECK(text.find("pulse_component_live{component=\"part\"} 1\n") != std::string::npos);
  CHECK(text.find("pulse_component_ready{component=\"part\"} 0\n") != std::string::npos);
  prometheus::Registry registry;
  const std::vector<const prometheus::Collectable*> both{&registry, &ours};
  CHECK(both[1]->Collect().size() > both[0]->Collect().size());
}
