// SPDX-License-Identifier: MIT
// expect-error: the Dedup policy has no `void commit\(pulse::EventId\)`.*See docs/reference/dedup.md
#include <pulse/pulse.hpp>

#include "window_without_commit.hpp"

using Bus = pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>>;
struct Rates {
  void apply(const pulse::RateAdjustment&) {}
};
#ifdef PULSE_TWIN
static_assert(pulse::composable<Bus, Window, pulse::NoMetrics, Rates>);
#else
static_assert(!pulse::composable<Bus, Window, pulse::NoMetrics, Rates>);
#endif

int main() {
  Bus bus;
  Rates rates;
  pulse::Consumer consumer{bus, Window{}, pulse::NoMetrics{}, rates};
  const auto report = consumer.poll();
  consumer.stop();
  return report && consumer.run() && consumer.health().live ? 0 : 1;
}
