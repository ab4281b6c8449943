// SPDX-License-Identifier: MIT
// Consumes ticks from a Redis server until it has handled as many as it is told, and remembers over restarts what it has handled.
#include <pulse/dedup/journaled.hpp>
#include <pulse/pulse.hpp>
#include <pulse/redis.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

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

int main(int count, char** words) {
  const auto config = pulse::PulseConfig::from_env();
  const auto url = config ? pulse::RedisUrl::parse(config->redis_url) : pulse::Result<pulse::RedisUrl>{pulse::Error{config.error()}};
  auto journal = pulse::Journal::open({.path = "ticks.journal", .window = 65536});
  if (!url || !journal) {
    std::fprintf(stderr, "%s\n", (!url ? url.error() : journal.error()).message.c_str());
    return 2;
  }

  int left = count > 1 ? std::atoi(words[1]) : 3;
  pulse::StopSource stop;
  auto handle = pulse::handlers(pulse::on<Tick>([&](const Tick& tick, const pulse::DeliveryContext& delivery) {
    std::printf("%s %.2f, delivery %d\n", tick.symbol.c_str(), tick.price, static_cast<int>(delivery.delivery_count()));
    std::fflush(stdout);
    if (--left == 0) {
      stop.request_stop();
    }
  }));

  pulse::RedisBackend<> bus{*url};
  pulse::ConsumerOptions options;
  options.subscribe.streams = {pulse::stream_key("market.ticks", config->name_space)};
  options.subscribe.consumer = config->consumer;  // PULSE_CONSUMER: each process of a group has its own
  pulse::Consumer consumer{bus, pulse::Journaled<pulse::FifoWindow>{pulse::FifoWindow{65536}, std::move(*journal)}, pulse::NoMetrics{}, handle, options};
  if (const pulse::Status ended = consumer.run(stop.token()); !ended) {
    std::fprintf(stderr, "%s\n", ended.error().message.c_str());
    return 1;
  }
}
