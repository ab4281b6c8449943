// SPDX-License-Identifier: MIT
// An event of one's own, published and consumed; one message that is none goes to the dead letters.
// Prints: dead letter: malformed: the text does not end with '}' (at byte 15 of 15)
#include <pulse/pulse.hpp>

#include <cstdint>
#include <cstdio>
#include <string>

struct Tick {
  std::string symbol;
  double price = 0;
  std::int64_t size = 1;
};

template <>
struct pulse::Describe<Tick> {
  static constexpr auto schema_id = pulse::FixedString{"market.Tick"};
  static constexpr pulse::Track track = pulse::Track::v1;
  static constexpr auto fields = boost::hana::make_tuple(pulse::Field<"symbol", &Tick::symbol>{}, pulse::Field<"price", &Tick::price, pulse::GreaterThan<0>>{},
                                                         pulse::Field<"size", &Tick::size, pulse::AtLeast<1>, pulse::Defaulted>{});
};

int main() {
  pulse::InMemoryBackend<std::string> bus{{.trim_acked = true}};  // bytes, as of a broker; what was handled is freed
  const std::string stream = pulse::stream_key("market.ticks");

  int handled = 0;
  auto handle = pulse::handlers(pulse::on<Tick>([&](const Tick& tick) {
    std::printf("%s: %d at %.2f\n", tick.symbol.c_str(), static_cast<int>(tick.size), tick.price);
    ++handled;
  }));

  pulse::ConsumerOptions options;
  options.subscribe.streams = {stream};
  pulse::Consumer consumer{bus, pulse::FifoWindow{65536}, pulse::NoMetrics{}, handle, options};
  pulse::Publisher publisher{bus, stream};

  (void)publisher.publish(Tick{"ESZ6", 6021.25, 2});
  (void)bus.publish(stream, "not an envelope");
  (void)publisher.publish(Tick{"ESZ6", 6021.50, 1});

  while (handled < 2) {
    if (const auto polled = consumer.poll(); !polled) {
      std::fprintf(stderr, "%s\n", polled.error().message.c_str());
      return 1;
    }
  }
  const auto dead = bus.dead_letters(stream, {}, 10);
  for (const pulse::DeadLetter& letter : *dead) {
    std::printf("dead letter: %s\n", letter.reason.c_str());
  }
}
