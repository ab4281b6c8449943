// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <sstream>
#include <string>

#include "pulse/ext/log_observer.hpp"
#include "pulse/metrics/no_metrics.hpp"
#include "pulse/metrics/observed.hpp"

namespace notice = pulse::notice;

TEST_CASE("log observer: a line a notice, from a severity on") {
  std::ostringstream out;
  pulse::LogObserver log{[&](std::string_view line) { out << line; }, pulse::Severity::warning};
  static_assert(pulse::Observer<decltype(log)>);
  pulse::Observed metrics{pulse::NoMetrics{}, log};
  metrics.tell(notice::Started{"g", "c"});
  metrics.tell(notice::LeaseLost{{"orders", {17, 0}, 2, {}}});
  metrics.tell(notice::DeadLettered{{"orders", {17, 0}, 2, {}}, "two words"});
  CHECK(out.str() ==
        "warning lease_lost stream=orders entry=17-0 deliveries=2\nerror dead_lettered stream=orders entry=17-0 deliveries=2 reason=\"two words\"\n");
}
