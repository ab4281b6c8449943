// SPDX-License-Identifier: MIT
// expect-error: the Clock cannot be copied.*std::shared_ptr. See docs/reference/clock.md
#include <pulse/pulse.hpp>

struct Watch {
  pulse::WallTime wall() const { return {}; }
  pulse::SteadyTime steady() const { return {}; }
  void wait_until(std::condition_variable&, std::unique_lock<std::mutex>&, pulse::SteadyTime) const {}
#ifndef PULSE_TWIN
  mutable std::mutex mutex;
#endif
};
struct OnWatch : pulse::DefaultTraits {
  using clock = Watch;
};
using Bus = pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>>;
struct Rates {
  void apply(const pulse::RateAdjustment&) {}
};

int main() {
  Bus bus;
  Rates rates;
  pulse::Consumer<Bus&, pulse::FifoWindow, pulse::NoMetrics, Rates&, OnWatch> consumer{bus, pulse::FifoWindow{64}, pulse::NoMetrics{}, rates};
  return consumer.run() ? 0 : 1;
}
