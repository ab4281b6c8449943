// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <pulse/core/feedback.hpp>
#include <pulse/publisher.hpp>

#include "simulation.hpp"
#include "view.hpp"
#include "world.hpp"

namespace demo {

/// The store: writes what is in its queue and says how full it is. `report(event, id)` puts an event on the bus and returns whether it is there.
/// Returns what was to be seen, a sample about every millisecond.
template <class Report>
std::vector<Sample> run_store(World& world, bool silent, Report report) {
  std::vector<Sample> samples;
  View view{silent};
  auto level = pulse::BackpressureLevel::ok;
  auto next_report = 0ms;
  std::uint64_t events = 0;
  paced(world.start, [&](std::chrono::milliseconds elapsed, std::int64_t ms) {
    const bool slow = elapsed >= surge_from && elapsed < surge_to;
    world.written += static_cast<std::uint64_t>(world.queue.pop(ms * (slow ? store_slow_per_ms : store_per_ms)));
    level = level_for(world.queue.depth(), level);
    if (elapsed >= next_report) {
      next_report = elapsed + report_every;
      pulse::FeedbackEvent event;
      event.coordinator_id = "ticks";
      event.queue_size = world.queue.depth();
      event.capacity = queue_capacity;
      event.level = level;
      event.ts = world.now();
      const std::string id = "ticks-" + std::to_string(events);
      // A store that is not sure publishes again under the same id; every 25th time this one is not sure.
      bool there = report(event, id);
      if (!there || events % 25 == 24) {
        there = report(event, id) || there;
      }
      if (there) {
        world.published(event.ts);
        ++events;
      }
    }
    samples.push_back({std::chrono::duration<double>(elapsed).count(), world.queue.depth(), world.scale, level});
    view.show(samples.back(), world.queue.overflow(), world.up ? "" : "  no pipeline");
  });
  return samples;
}

/// Puts the events on a bus of any kind.
template <class Bus>
auto reporter(World& world, pulse::Publisher<Bus&>& publisher) {
  return [&world, &publisher](const pulse::FeedbackEvent& event, const std::string& id) {
    const bool there = static_cast<bool>(publisher.publish(event, {.key = "ticks", .id = id}));
    world.entries += there ? 1U : 0U;
    return there;
  };
}

/// The last events are on their way: waits until each had its effect and, where a consumer counts, each entry its outcome; or gives up.
inline void wait_for_the_last(const World& world, bool counted) {
  const auto settled = [&] {
    std::uint64_t outcomes = 0;
    for (const auto outcome :
         {pulse::Outcome::success, pulse::Outcome::duplicate, pulse::Outcome::stale, pulse::Outcome::dead_letter, pulse::Outcome::invalid}) {
      outcomes += world.counts.of(outcome);
    }
    return world.effects().without == 0 && (!counted || outcomes >= world.entries);
  };
  const pulse::SteadyTime deadline = pulse::SystemClock::steady() + 10s;
  while (!settled() && pulse::SystemClock::steady() < deadline) {
    std::this_thread::sleep_for(5ms);
  }
}

}  // namespace demo
