// SPDX-License-Identifier: MIT
//
// A pipeline that has something of everything to tell, behind an endpoint, until its standard input ends. It prints its port, and what a scrape
// costs when it is asked by "cost N".
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "pulse/ext/http_endpoint.hpp"
#include "pulse/pulse.hpp"

using Event = pulse::FeedbackEvent;

int main() {
  const std::string stream = pulse::stream_key(pulse::feedback_stream);
  pulse::InMemoryBackend<pulse::Envelope<Event>> bus;
  pulse::PrometheusMetrics metrics{{.streams = {stream}, .providers = {"ibkr"}, .sources = {"store"}}};
  pulse::RateCoordinator rates;
  (void)rates.register_provider("ibkr", {.capacity = 100, .refill_rate = 1000});
  pulse::FeedbackHandler feedback{rates, metrics};
  struct Handler {
    using events = pulse::Events<Event>;
    decltype(feedback)& next;
    pulse::Verdict handle(const Event& event, const pulse::DeliveryContext&) {
      if (event.coordinator_id == "bad") {
        return pulse::Verdict::dead_letter("as the test wants it");
      }
      if (event.coordinator_id == "late") {
        throw std::runtime_error("as the test wants it");
      }
      return next.handle(event);
    }
  } handler{feedback};
  pulse::Consumer consumer{bus, pulse::LruWindow{1024}, metrics, handler};
  pulse::Publisher publisher{bus, stream, metrics};

  for (const std::string id : {"good", "good", "bad", "late"}) {
    if (!publisher.publish(Event{.coordinator_id = id, .queue_size = 990, .capacity = 1000, .level = pulse::BackpressureLevel::hard, .ts = 1.7e9})) {
      return 1;
    }
  }
  for (std::size_t received = 0; received < 4;) {
    const auto report = consumer.poll();
    if (!report) {
      return 1;
    }
    received += report->received;
  }

  pulse::Health health{"pulse-test", "1.2.3"};
  health.watch("consumer", consumer).watch("bus", bus);
  pulse::HttpEndpoint endpoint{{.port = 0}};
  endpoint.metrics(metrics).health(health);
  if (const pulse::Status started = endpoint.start(); !started) {
    std::cerr << started.error().message << '\n';
    return 1;
  }
  std::cout << endpoint.port() << std::endl;
  for (std::string word; std::cin >> word;) {
    std::size_t rounds = 0;
    if (word == "cost" && std::cin >> rounds) {
      std::vector<double> times;
      std::string out;
      for (std::size_t i = 0; i < std::max<std::size_t>(rounds, 1); ++i) {
        out.clear();
        const auto begin = std::chrono::steady_clock::now();
        pulse::append_prometheus_text(metrics, out);
        pulse::append_health_text(health.status(), out);
        times.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
      }
      std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
      std::cout << times[times.size() / 2] << ' ' << out.size() << ' ' << metrics.series() << std::endl;
    }
  }
  return 0;
}
