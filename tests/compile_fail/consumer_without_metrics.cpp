// SPDX-License-Identifier: MIT
// expect-error: is missing, or stands in the place of another: they are Backend, Dedup, Metrics, Controller, in this order.*See docs/reference/consumer.md
#include <pulse/pulse.hpp>

struct Rates {
  void apply(const pulse::RateAdjustment&) {}
};

int main() {
  pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>> bus;
  pulse::FifoWindow window{64};
  Rates rates;
#ifdef PULSE_TWIN
  pulse::Consumer consumer{bus, window, pulse::NoMetrics{}, rates};
#else
  pulse::Consumer consumer{bus, window, rates};
#endif
  return consumer.run() ? 0 : 1;
}
