// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "counts.hpp"
#include "options.hpp"
#include "world.hpp"

namespace demo {

/// What a run came to: what `--json` prints.
struct Summary {
  std::string backend;
  std::uint64_t published = 0;  ///< entries on the bus
  std::uint64_t applied = 0;    ///< effects
  std::uint64_t duplicates = 0;
  std::uint64_t dead_lettered = 0;
  std::uint64_t stale = 0;
  std::uint64_t unaccounted = 0;     ///< back-pressure events nobody answers for
  std::uint64_t queue_overflow = 0;  ///< ticks that found the store's queue full
  std::uint64_t written = 0;         ///< ticks that the store wrote
  double lag_ms_p99 = 0;
  double scale_final = 1;
  // Of the simulation, whose every event is known:
  std::uint64_t events = 0;         ///< published, each counted once
  std::uint64_t applied_twice = 0;  ///< effects beyond an event's first
  std::uint64_t restarts = 0;       ///< of the pipeline

  /// Whatever is gone, events and ticks.
  [[nodiscard]] std::uint64_t lost() const { return unaccounted + queue_overflow; }

  void count(const Counts& counts) {
    duplicates = counts.of(pulse::Outcome::duplicate);
    dead_lettered = counts.of(pulse::Outcome::dead_letter) + counts.of(pulse::Outcome::invalid);
    stale = counts.of(pulse::Outcome::stale);
  }
};

inline Summary summarize(const World& world, std::string backend) {
  const World::Effects effects = world.effects();
  Summary s;
  s.backend = std::move(backend);
  s.count(world.counts);
  s.published = world.entries;
  s.applied = effects.all;
  const std::uint64_t answered = s.stale + s.dead_lettered;
  s.unaccounted = effects.without > answered ? effects.without - answered : 0;
  s.queue_overflow = world.queue.overflow();
  s.written = world.written;
  s.lag_ms_p99 = effects.lag_ms_p99;
  s.scale_final = world.scale;
  s.events = effects.events;
  s.applied_twice = effects.again;
  s.restarts = world.restarts;
  return s;
}

inline void print_json(const Summary& s) {
  const auto number = [](const char* name, std::uint64_t value) { std::printf("\"%s\": %llu, ", name, static_cast<unsigned long long>(value)); };
  std::printf("{\"backend\": \"%s\", ", s.backend.c_str());
  number("published", s.published);
  number("applied", s.applied);
  number("duplicates", s.duplicates);
  number("dead_lettered", s.dead_lettered);
  number("stale", s.stale);
  number("lost", s.lost());
  number("queue_overflow", s.queue_overflow);
  number("written", s.written);
  if (s.events > 0) {
    number("events", s.events);
    number("applied_twice", s.applied_twice);
    number("restarts", s.restarts);
  }
  std::printf("\"lag_ms_p99\": %.3f, \"scale_final\": %.3f}\n", s.lag_ms_p99, s.scale_final);
}

inline void print_text(const Summary& s, bool feedback) {
  const auto n = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  if (s.restarts > 0) {
    std::printf("\nthe pipeline was killed in the middle of a batch and started again: of %llu events lost %llu, applied twice %llu", n(s.events),
                n(s.unaccounted), n(s.applied_twice));
  }
  std::printf("\nback-pressure events   published %llu   applied %llu   duplicates skipped %llu   stale %llu   dead-lettered %llu   lost %llu\n",
              n(s.published), n(s.applied), n(s.duplicates), n(s.stale), n(s.dead_lettered), n(s.unaccounted));
  std::printf("lag p99 %.2f ms   final scale %.2f   backend %s\n", s.lag_ms_p99, s.scale_final, s.backend.c_str());
  if (s.queue_overflow == 0) {
    std::printf("ticks written %llu, dropped 0: the provider followed the store.\n", n(s.written));
  } else {
    std::printf("ticks written %llu, DROPPED %llu: the store's queue overflowed.\n", n(s.written), n(s.queue_overflow));
  }
  if (feedback) {
    std::printf("Run it with --no-feedback to see the same load without Pulse.\n");
  }
}

inline void print(const Options& options, const Summary& summary) { options.json ? print_json(summary) : print_text(summary, options.feedback); }

}  // namespace demo
