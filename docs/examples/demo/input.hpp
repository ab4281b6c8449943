// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <pulse/metrics/prometheus.hpp>
#include <pulse/metrics/prometheus_text.hpp>
#include <pulse/pulse.hpp>

#include "counts.hpp"
#include "options.hpp"
#include "summary.hpp"

namespace demo {

/// Text as a line of a report may hold it: short, printable.
inline std::string excerpt(std::string_view text) {
  std::string out{text.substr(0, 100)};
  for (char& c : out) {
    c = static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f ? '?' : c;
  }
  return out + (text.size() > 100 ? "..." : "");
}

template <class Traits, class Bus>
int consume_lines(Bus& bus, std::istream& lines, const Options& wanted, const pulse::PulseConfig& config) {
  const std::string stream = pulse::stream_key(pulse::feedback_stream, config.name_space);
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
  pulse::Consumer<Bus&, pulse::LruWindow, decltype(metrics)&, pulse::RateCoordinator<>&, Traits> consumer{bus, pulse::LruWindow{65536}, metrics, rates,
                                                                                                          options};
  if (auto started = consumer.start(); !started) {
    std::cerr << "demo: " << started.error().message << '\n';
    return 2;
  }
  const auto drain = [&] {
    while (true) {
      const auto report = consumer.poll();
      if (!report || report->stopped || report->received == 0) {
        return;
      }
    }
  };
  std::vector<pulse::EntryId> entries;  // of the lines, in their order
  for (std::string line; std::getline(lines, line);) {
    auto entry = bus.publish(stream, std::move(line));
    if (!entry) {
      std::cerr << "demo: " << entry.error().message << '\n';
      return 2;
    }
    entries.push_back(*entry);
    if (entries.size() % 100 == 0) {
      drain();
    }
  }
  drain();  // ends at a step that received nothing: it may have been one that looks for abandoned entries,
  drain();  // which are never two in a row

  Summary summary;
  summary.backend = config.backend;
  summary.published = entries.size();
  summary.applied = counts.of(pulse::Outcome::success);
  summary.count(counts);
  const std::uint64_t accounted = summary.applied + summary.duplicates + summary.dead_lettered + summary.stale;
  summary.unaccounted = summary.published > accounted ? summary.published - accounted : 0;
  summary.scale_final = rates.provider_state(config.feedback.provider)->scale;
  if (wanted.json) {
    print_json(summary);
    return 0;
  }
  std::cout << entries.size() << " lines\n";
  for (std::size_t i = 0; i < pulse::enum_size<pulse::Outcome>; ++i) {
    const auto outcome = static_cast<pulse::Outcome>(i);
    std::cout << "  " << pulse::name_of(outcome) << ": " << counts.of(outcome) << '\n';
  }
  if (const auto dead = bus.dead_letters(stream, {}, entries.size()); dead && !dead->empty()) {
    std::cout << "dead letters:\n";
    for (const pulse::DeadLetter& letter : *dead) {
      const auto line = std::lower_bound(entries.begin(), entries.end(), letter.original_id) - entries.begin() + 1;
      std::cout << "  line " << line << ": " << excerpt(letter.reason) << "\n    " << excerpt(letter.data) << '\n';
    }
  }
  std::cout << '\n' << pulse::prometheus_text(prometheus);
  return 0;
}

/// Consumes newline-delimited envelopes as they come off the wire, and says what became of each kind. `with(consume)` calls
/// `consume(bus, config)`.
template <class With>
int consume_lines(const Options& options, With with) {
  std::ifstream opened;
  if (options.input != "-") {
    opened.open(options.input);
    if (!opened || (opened.peek() == std::char_traits<char>::eof() && opened.bad())) {  // bad: a folder opens, but cannot be read
      std::cerr << "demo: cannot read \"" << options.input << "\": give a file of newline-delimited envelopes, or - for standard input\n";
      return 2;
    }
    opened.clear();
  }
  std::istream& lines = options.input == "-" ? std::cin : opened;
  return with([&](auto& bus, const pulse::PulseConfig& config) {
    return config.track == pulse::Track::v2 ? consume_lines<pulse::OnTrackV2<>>(bus, lines, options, config)
                                            : consume_lines<pulse::DefaultTraits>(bus, lines, options, config);
  });
}

}  // namespace demo
