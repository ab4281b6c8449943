// SPDX-License-Identifier: MIT
#pragma once

#include <unistd.h>

#include <cstdint>
#include <iostream>
#include <thread>
#include <utility>

#include <pulse/metrics/prometheus.hpp>
#include <pulse/pulse.hpp>

#include "simulation.hpp"
#include "world.hpp"

namespace demo {

inline int fail(const pulse::Error& error) {
  std::cerr << "demo: " << error.message << '\n';
  return 2;
}

/// The RateCoordinator, with a note of each adjustment that took effect.
struct ObservedRates {
  pulse::RateCoordinator<>& rates;
  World& world;
  std::uint64_t since_asked = 0;

  void apply(const pulse::RateAdjustment& adjustment) {
    if (world.death == Death::asked) {
      wait_for_death();
    }
    rates.apply(adjustment);
    world.applied(adjustment.ts);
  }

  /// --kill-consumer kills where it hurts: in the middle of a batch, of which a part has had its effect and is not acknowledged. So that there is
  /// such a batch, the first handler lets more events gather; a later one waits to be killed, before its own effect.
  void wait_for_death() {
    constexpr std::uint64_t gather = 6;
    const std::uint64_t before = world.entries;
    while (since_asked == 0 && world.entries < before + gather && !world.over) {
      std::this_thread::sleep_for(1ms);
    }
    if (++since_asked == gather - 1) {
      world.death = Death::ready;
      while (true) {
        ::pause();
      }
    }
  }
};

/// The pipeline: a provider that sends the store its ticks as fast as its rate allows, and a runtime that lets the rate follow what the store
/// says. `meanwhile(runtime)` is done while both run, until the store has ended. Returns an exit code; what is wrong is said.
template <class BackendMap, class Dedup, class Meanwhile>
int run_pipeline(World& world, bool feedback, const pulse::PulseConfig& config, BackendMap backends, Dedup dedup, Meanwhile meanwhile) {
  const std::string& provider = config.feedback.provider;
  pulse::RateCoordinator rates;
  const double full_rate = provider_per_ms * 1000.0;
  if (auto registered = rates.register_provider(provider, {.capacity = 5.0 * provider_per_ms, .refill_rate = full_rate}); !registered) {
    return fail(registered.error());
  }
  if (world.restarts > 0) {  // what the store said last went with the process before: assume the worst until it says more
    (void)rates.set_budget_scale(provider, config.feedback.scale_hard, pulse::BackpressureLevel::hard);
  }
  ObservedRates observed{rates, world};
  pulse::PrometheusMetrics prometheus{
      {.streams = {pulse::stream_key(pulse::feedback_stream, config.name_space)}, .providers = {provider}, .sources = {"store"}}};
  pulse::Tee metrics{prometheus, world.counts};
  pulse::Runtime runtime{config, std::move(backends), std::move(dedup), metrics, observed};
  if (auto started = runtime.start(); feedback && !started) {
    return fail(started.error());
  }
  if (world.restarts == 0) {
    world.begin();
  }
  world.up = true;

  std::thread source([&] {
    paced(world.start, [&](auto, std::int64_t ms) {
      for (std::int64_t i = 0; i < ms * provider_per_ms; ++i) {
        if (!rates.try_acquire(provider, 1)) {
          break;  // what is not asked for is not lost: it stays with the provider
        }
        world.queue.push();
      }
      world.scale = rates.provider_state(provider)->scale;
    });
  });
  meanwhile(runtime);
  source.join();
  if (auto stopped = runtime.stop(); !stopped) {
    return fail(stopped.error());
  }
  world.scale = rates.provider_state(provider)->scale;
  return 0;
}

}  // namespace demo
