// SPDX-License-Identifier: MIT
// The least that consumes: an event bus in memory, a window of known ids, and a rate that follows what a store reports.
// Prints: ibkr runs at 0 of its rate
#include <pulse/pulse.hpp>

#include <cstdio>

int main() {
  pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>> bus{{.trim_acked = true}};  // keeps no entry that was handled
  pulse::RateCoordinator rates;
  (void)rates.register_provider("ibkr", {.capacity = 100, .refill_rate = 1000});
  pulse::Consumer consumer{bus, pulse::FifoWindow{65536}, pulse::NoMetrics{}, rates};
  pulse::Publisher publisher{bus, pulse::stream_key(pulse::feedback_stream)};

  pulse::FeedbackEvent full{.coordinator_id = "bars", .queue_size = 900, .capacity = 1000};
  full.level = pulse::BackpressureLevel::hard;
  full.ts = pulse::epoch_seconds(pulse::SystemClock::wall());
  (void)publisher.publish(full);

  while (true) {
    const auto polled = consumer.poll();
    if (!polled) {
      std::fprintf(stderr, "%s\n", polled.error().message.c_str());
      return 1;
    }
    if (polled->received > 0) {
      break;
    }
  }
  std::printf("ibkr runs at %g of its rate\n", rates.provider_state("ibkr")->scale);
}
