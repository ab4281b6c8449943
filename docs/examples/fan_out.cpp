// SPDX-License-Identifier: MIT
// Fan-out in both directions: one consumer reads two streams and has a handler for each kind of event; a second group sees every event as well.
// Prints: handled 2 ticks and 1 report; audited 3 events
#include <pulse/pulse.hpp>

#include <cstddef>
#include <cstdio>
#include <string>

struct Tick {
  std::string symbol;
  double price = 0;
};

template <>
struct pulse::Describe<Tick> {
  static constexpr auto schema_id = pulse::FixedString{"market.Tick"};
  static constexpr pulse::Track track = pulse::Track::v1;
  static constexpr auto fields = boost::hana::make_tuple(pulse::Field<"symbol", &Tick::symbol>{}, pulse::Field<"price", &Tick::price, pulse::GreaterThan<0>>{});
};

namespace {

pulse::ConsumerOptions member_of(const std::string& group) {
  pulse::ConsumerOptions options;
  options.subscribe.streams = {pulse::stream_key("market.ticks"), pulse::stream_key(pulse::feedback_stream)};
  options.subscribe.group = group;  // members of one group share the entries; each group has them all
  return options;
}

/// Polls until `events` deliveries are settled.
template <class Consumer>
bool consume(Consumer& consumer, std::size_t events) {
  for (std::size_t settled = 0; settled < events;) {
    const auto polled = consumer.poll();
    if (!polled) {
      std::fprintf(stderr, "%s\n", polled.error().message.c_str());
      return false;
    }
    settled += polled->settled;
  }
  return true;
}

}  // namespace

int main() {
  pulse::InMemoryBackend<std::string> bus;  // bytes: what is on one stream need not be one type
  int ticks = 0;
  int reports = 0;
  int audited = 0;

  auto pipeline =
      pulse::handlers(pulse::on<Tick>([&](const Tick&) { ++ticks; }), pulse::on<pulse::FeedbackEvent>([&](const pulse::FeedbackEvent&) { ++reports; }));
  auto audit =
      pulse::handlers(pulse::on<Tick>([&](const Tick&) { ++audited; }), pulse::on<pulse::FeedbackEvent>([&](const pulse::FeedbackEvent&) { ++audited; }));
  pulse::Consumer first{bus, pulse::FifoWindow{65536}, pulse::NoMetrics{}, pipeline, member_of("pipeline")};
  pulse::Consumer second{bus, pulse::FifoWindow{65536}, pulse::NoMetrics{}, audit, member_of("audit")};

  pulse::Publisher market{bus, pulse::stream_key("market.ticks")};
  pulse::Publisher store{bus, pulse::stream_key(pulse::feedback_stream)};
  (void)market.publish(Tick{"ESZ6", 6021.25});
  (void)store.publish(pulse::FeedbackEvent{.coordinator_id = "bars", .queue_size = 10, .capacity = 1000});
  (void)market.publish(Tick{"ESZ6", 6021.50});

  if (!consume(first, 3) || !consume(second, 3)) {
    return 1;
  }
  std::printf("handled %d ticks and %d report; audited %d events\n", ticks, reports, audited);
}
