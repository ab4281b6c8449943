// SPDX-License-Identifier: MIT
// guarantee 3: a consumer of a RotatingBloom, without consent
// expect-error: may take a new event for a duplicate and so lose it.*pulse::AllowLoss
#include <pulse/dedup/rotating_bloom.hpp>
#include <pulse/pulse.hpp>

using Bus = pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>>;
struct Rates {
  void apply(const pulse::RateAdjustment&) {}
};
#ifdef PULSE_TWIN
using Window = pulse::AllowLoss<pulse::RotatingBloom>;
static_assert(pulse::composable<Bus, Window, pulse::NoMetrics, Rates>);
#else
using Window = pulse::RotatingBloom;
static_assert(!pulse::composable<Bus, Window, pulse::NoMetrics, Rates>);
#endif

int main() {
  Bus bus;
  Rates rates;
  pulse::Consumer consumer{bus, Window{1000}, pulse::NoMetrics{}, rates};
  const auto report = consumer.poll();
  consumer.stop();
  return report && consumer.run() && consumer.health().live ? 0 : 1;
}
