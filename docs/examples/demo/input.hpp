// SPDX-License-Identifier: MIT
#pragma once

#include <fstream>
#include <iostream>
#include <string>

#include <pulse/metrics/prometheus.hpp>
#include <pulse/metrics/prometheus_text.hpp>
#include <pulse/pulse.hpp>

#include "counts.hpp"

namespace demo {

/// Consumes newline-delimited envelopes as they come off the wire, and says what became of each kind.
inline int consume_lines(const std::string& file, const pulse::PulseConfig& config) {
  std::ifstream opened;
  if (file != "-") {
    opened.open(file);
    if (!opened) {
      std::cerr << "demo: cannot read \"" << file << "\": give a file of newline-delimited envelopes, or - for standard input\n";
      return 2;
    }
  }
  std::istream& lines = file == "-" ? std::cin : opened;

  const std::string stream = pulse::stream_key(pulse::feedback_stream, config.name_space);
  pulse::InMemoryBackend<std::string> bus;
  pulse::PrometheusMetrics prometheus{{.streams = {stream}, .providers = {config.feedback.provider}, .sources = {"store", "pipeline"}}};
  Counts counts;
  pulse::Tee metrics{prometheus, counts};
  pulse::RateCoordinator rates;
  if (auto registered = rates.register_provider(config.feedback.provider, {.capacity = 100, .refill_rate = 1000}); !registered) {
    std::cerr << "demo: " << registered.error().message << '\n';
    return 2;
  }
  pulse::ConsumerOptions options;
  options.subscribe.streams = {stream};
  options.feedback = config.feedback;
  pulse::Consumer consumer{bus, pulse::LruWindow{65536}, metrics, rates, options};
  if (auto started = consumer.start(); !started) {
    std::cerr << "demo: " << started.error().message << '\n';
    return 2;
  }
  const auto drain = [&] {
    while (true) {
      const auto report = consumer.poll();
      if (!report || report->stopped || report->received == 0) {
        return static_cast<bool>(report);
      }
    }
  };
  std::uint64_t published = 0;
  for (std::string line; std::getline(lines, line); ++published) {
    (void)bus.publish(stream, std::move(line));
    if (published % 100 == 99 && !drain()) {
      break;
    }
  }
  (void)drain();
  (void)drain();

  std::cout << published << " lines\n";
  for (std::size_t i = 0; i < pulse::enum_size<pulse::Outcome>; ++i) {
    const auto outcome = static_cast<pulse::Outcome>(i);
    std::cout << "  " << pulse::name_of(outcome) << ": " << counts.of(outcome) << '\n';
  }
  if (const auto dead = bus.dead_letters(stream, {}, published + 1); dead && !dead->empty()) {
    std::cout << "dead letters:\n";
    for (const pulse::DeadLetter& letter : *dead) {
      std::cout << "  " << pulse::to_string(letter.original_id) << "  " << letter.reason << '\n';
    }
  }
  std::cout << '\n' << pulse::prometheus_text(prometheus);
  return 0;
}

}  // namespace demo
