// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "pulse/core/notice_text.hpp"
#include "pulse/metrics/conformance.hpp"
#include "pulse/metrics/no_metrics.hpp"
#include "pulse/metrics/observed.hpp"
#include "pulse/metrics/prometheus.hpp"
#include "pulse/metrics/tee.hpp"

using pulse::NoMetrics;
using pulse::Observed;
using pulse::PrometheusMetrics;
namespace family = pulse::family;
namespace notice = pulse::notice;

namespace {

struct All {
  std::string log;
  void on(const auto& each) {
    append_text(log, each);
    log += ';';
  }
};
struct OnlyStops {
  int stops = 0;
  void on(const notice::Stopped&) noexcept { ++stops; }
};
struct Throws {
  void on(const notice::Stopped&) { throw std::runtime_error("disk full"); }
};
struct Stateless {
  void on(const notice::Ended&) const noexcept {}
};
struct Nothing {
  void on(int) {}
};

static_assert(pulse::Observer<All> && pulse::Observer<OnlyStops> && !pulse::Observer<Nothing> && !pulse::Observer<int>);
static_assert(pulse::Metrics<Observed<NoMetrics, All>> && !Observed<NoMetrics, All>::enabled && Observed<PrometheusMetrics&, All&>::enabled);
static_assert(pulse::detail::observing<Observed<NoMetrics, OnlyStops>, notice::Stopped> &&
              !pulse::detail::observing<Observed<NoMetrics, OnlyStops>, notice::Ended>);
static_assert(!pulse::detail::observing<NoMetrics, notice::Stopped>);
static_assert(std::is_empty_v<Observed<NoMetrics, Stateless>>);  // nothing is paid for two that hold nothing

template <class Notice>
std::string text(const Notice& each) {
  std::string out;
  append_text(out, each);
  return out;
}

}  // namespace

TEST_CASE("observed: a sink as before, and an observer beside it") {
  PrometheusMetrics metrics{{.streams = {"s"}, .providers = {}, .sources = {}}};
  OnlyStops stops;
  Observed both{metrics, stops};
  static_assert(std::is_same_v<decltype(both), Observed<PrometheusMetrics&, OnlyStops&>>);
  CHECK(pulse::conformance::metrics_laws(both, "s", [&](auto one, auto... labels) { return metrics.value(one, labels...); }).empty());
  pulse::detail::tell<notice::Stopped>(both, [] { return notice::Stopped{"g", "c"}; });
  pulse::detail::tell<notice::Started>(both, [] { return notice::Started{"g", "c"}; });
  CHECK(stops.stops == 1);
  CHECK(&both.observer() == &stops);
}

// guarantee 10
TEST_CASE("observed: what nobody wants is not even made") {
  Observed both{NoMetrics{}, OnlyStops{}};
  bool made = false;
  pulse::detail::tell<notice::Started>(both, [&] {
    made = true;
    return notice::Started{};
  });
  NoMetrics none;
  pulse::detail::tell<notice::Stopped>(none, [&] {
    made = true;
    return notice::Stopped{};
  });
  CHECK(!made);
}

TEST_CASE("observed: an exception is swallowed and counted") {
  PrometheusMetrics metrics;
  Observed both{metrics, Throws{}};
  both.tell(notice::Stopped{});
  both.tell(notice::Stopped{});
  CHECK(metrics.value(family::observer_errors) == 2);
}

TEST_CASE("tee: each observer that came with a sink is told what it wants") {
  OnlyStops stops;
  All all;
  pulse::Tee tee{Observed{NoMetrics{}, stops}, Observed{NoMetrics{}, all}, NoMetrics{}};
  pulse::detail::tell<notice::Stopped>(tee, [] { return notice::Stopped{"g", "c"}; });
  pulse::detail::tell<notice::Started>(tee, [] { return notice::Started{"g", "c"}; });
  CHECK(stops.stops == 1);
  CHECK(all.log == "stopped group=g consumer=c;started group=g consumer=c;");
  static_assert(!pulse::detail::observing<pulse::Tee<Observed<NoMetrics, OnlyStops>, NoMetrics>, notice::Ended>);
}

TEST_CASE("a notice as text: one line, whatever stands in it") {
  CHECK(text(notice::DeadLettered{{"orders", {17, 1}, 5, {}}, "no such book"}) ==
        "dead_lettered stream=orders entry=17-1 deliveries=5 reason=\"no such book\"");
  CHECK(text(notice::Undecodable{{"s", {1, 0}, 1, {}}, "line\nentry=2 \"\\\x7f"}) ==
        "undecodable stream=s entry=1-0 deliveries=1 reason=\"line\\x0aentry=2 \\\"\\\\\\x7f\"");
  CHECK(text(notice::Handled{{"s", {1, 0}, 1, "00-a"}, pulse::Outcome::stale}) == "handled stream=s entry=1-0 deliveries=1 outcome=stale traceparent=00-a");
  CHECK(text(notice::Retried{{"s", {1, 0}, 2, {}}, std::chrono::milliseconds{250}}) == "retried stream=s entry=1-0 deliveries=2 delay_ms=250");
  CHECK(text(notice::BackendFailed{pulse::ErrorCode::unavailable, "gone", 3}) == "backend_failed code=unavailable error=gone failures=3");
  CHECK(text(notice::ProviderResumed{"ibkr", 0.5}) == "provider_resumed provider=ibkr scale=0.5");
}
