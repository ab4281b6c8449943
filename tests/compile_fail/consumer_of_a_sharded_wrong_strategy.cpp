// SPDX-License-Identifier: MIT
// expect-error: the Dedup policy has no `void commit\(pulse::EventId\)`.*See docs/reference/dedup.md
#include <pulse/dedup/sharded.hpp>
#include <pulse/pulse.hpp>

#include "window_without_commit.hpp"

using Bus = pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>>;
struct Rates {
  void apply(const pulse::RateAdjustment&) {}
};

int main() {
  Bus bus;
  Rates rates;
  pulse::Consumer consumer{bus, pulse::Sharded<Window>{4, [](std::size_t) { return Window{}; }, 1}, pulse::NoMetrics{}, rates};
  const auto report = consumer.poll();
  consumer.stop();
  return report && consumer.run() && consumer.health().live ? 0 : 1;
}
