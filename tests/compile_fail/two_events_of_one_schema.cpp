// SPDX-License-Identifier: MIT
// expect-error: two of the events that a consumer handles have the same schema_id.*See docs/reference/events.md
#include <pulse/pulse.hpp>

int main() {
  pulse::InMemoryBackend<std::string> bus;
#ifdef PULSE_TWIN
  auto handle = pulse::handlers(pulse::on<pulse::v2::FeedbackEvent>([](const auto&) {}), pulse::on<pulse::RateAdjustment>([](const auto&) {}));
#else
  auto handle = pulse::handlers(pulse::on<pulse::v2::FeedbackEvent>([](const auto&) {}), pulse::on<pulse::FeedbackEvent>([](const auto&) {}));
#endif
  pulse::ConsumerOptions options;
  options.subscribe.streams = {"s"};
  pulse::Consumer consumer{bus, pulse::FifoWindow{16}, pulse::NoMetrics{}, handle, options};
  return consumer.poll() ? 0 : 1;
}
