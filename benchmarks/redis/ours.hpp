// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <pulse/pulse.hpp>
#include <pulse/redis.hpp>

#include "workload.hpp"

namespace bench {

/// The handler of the benchmark: typed, small, and checked afterwards.
struct Sum {
  using events = pulse::Events<pulse::FeedbackEvent>;
  std::uint64_t total = 0;
  void handle(const pulse::FeedbackEvent& event, const pulse::DeliveryContext&) { total += static_cast<std::uint64_t>(event.queue_size); }
};

inline pulse::ConsumerOptions consumer_options(std::size_t count, bool prefetch) {
  pulse::ConsumerOptions options;
  options.subscribe.streams = {stream};
  options.subscribe.group = group;
  options.subscribe.consumer = member;
  options.subscribe.prefetch = prefetch;
  options.loop.batch = count;
  options.handler_deadline = std::chrono::milliseconds{5};  // twice 1000 of them end before other members may claim
  return options;
}

/// A window as full as it is in the long run.
inline pulse::LruWindow full_window() {
  pulse::LruWindow window{65536};
  for (std::uint64_t i = 0; i < 65536; ++i) {
    (void)window.claim({i, 0});
    window.commit({i, 0});
  }
  return window;
}

/// A Consumer with all that a service has: LruWindow, PrometheusMetrics, a typed handler, a heartbeat.
template <class Client, bool prefetch>
std::uint64_t ours(Workload& load, std::size_t messages, std::size_t count, Meter& meter) {
  pulse::RedisBackend<Client> backend{*pulse::RedisUrl::parse(load.server.url())};
  pulse::LruWindow window = full_window();
  pulse::PrometheusMetrics metrics{{.streams = {stream}, .providers = {}, .sources = {}}};
  Sum sum;
  pulse::Consumer consumer{backend, window, metrics, sum, consumer_options(count, prefetch)};
  const pulse::Status started = consumer.start();
  require(started.has_value(), started.has_value() ? "" : started.error().message.c_str());
  require(consumer.poll()->received == 0, "the first step of a consumer looks for abandoned entries");
  meter.start();
  for (std::size_t handled = 0; handled < messages;) {
    const auto report = consumer.poll(std::chrono::seconds{1});
    require(report && report->pause.count() == 0, "the consumer fails");
    handled += report->received;
  }
  consumer.stop();
  require(consumer.poll()->stopped, "the consumer does not stop");
  meter.stop();
  return sum.total;
}

}  // namespace bench
