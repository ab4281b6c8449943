// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <sstream>

#include "pulse/ext/spdlog_observer.hpp"
#include "pulse/metrics/no_metrics.hpp"
#include "pulse/metrics/observed.hpp"

namespace notice = pulse::notice;

TEST_CASE("spdlog: a notice at the level of its severity; braces in a text are text") {
  std::ostringstream out;
  const auto logger = std::make_shared<spdlog::logger>("pulse", std::make_shared<spdlog::sinks::ostream_sink_mt>(out));
  logger->set_pattern("%l %v");
  pulse::Observed metrics{pulse::NoMetrics{}, pulse::SpdlogObserver{logger}};
  metrics.tell(notice::Handling{{"orders", {17, 0}, 1, {}}});  // debug: below the logger's level
  metrics.tell(notice::Started{"g", "c"});
  metrics.tell(notice::DeadLettered{{"orders", {17, 0}, 2, {}}, "{} {:d}"});
  logger->flush();
  CHECK(out.str() == "info started group=g consumer=c\nerror dead_lettered stream=orders entry=17-0 deliveries=2 reason=\"{} {:d}\"\n");
}
