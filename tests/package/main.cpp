// SPDX-License-Identifier: MIT
// The program of a stranger: whichever way Pulse came to it, one event is published, consumed and acknowledged.
#include <pulse/pulse.hpp>

#include <string>

#if PULSE_VERSION < 100 || !defined(PULSE_HAS_FMT)
#error "pulse.hpp brings the version and feature macros"
#endif

int main() {
  pulse::InMemoryBackend<std::string> bus;
  pulse::RateCoordinator rates;
  if (!rates.register_provider("ibkr", {.capacity = 100, .refill_rate = 1000})) {
    return 2;
  }
  pulse::Consumer consumer{bus, pulse::LruWindow{64}, pulse::NoMetrics{}, rates};
  pulse::Publisher publisher{bus, pulse::stream_key(pulse::feedback_stream)};
  if (!consumer.start() || !publisher.publish(pulse::FeedbackEvent{
                               .coordinator_id = "bars", .queue_size = 900, .capacity = 1000, .level = pulse::BackpressureLevel::soft, .ts = 1764000000})) {
    return 3;
  }
  for (bool received = false; !received;) {
    const auto polled = consumer.poll();
    if (!polled) {
      return 4;
    }
    received = polled->received > 0;
  }
  return rates.provider_state("ibkr")->scale == 0.5 ? 0 : 1;
}
