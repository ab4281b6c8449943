// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace demo {

/// What a run came to: what `--json` prints.
struct Summary {
  std::string backend;
  std::uint64_t published = 0;
  std::uint64_t applied = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t dead_lettered = 0;
  std::uint64_t stale = 0;
  std::uint64_t queue_overflow = 0;  ///< ticks that found the store's queue full
  std::uint64_t written = 0;         ///< ticks that the store wrote
  double lag_ms_p99 = 0;
  double scale_final = 1;

  /// Back-pressure events nobody answers for.
  [[nodiscard]] std::uint64_t unaccounted() const {
    const std::uint64_t accounted = applied + duplicates + dead_lettered + stale;
    return published > accounted ? published - accounted : 0;
  }
  /// Whatever is gone, events and ticks.
  [[nodiscard]] std::uint64_t lost() const { return unaccounted() + queue_overflow; }
};

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
  std::printf("\"lag_ms_p99\": %.3f, \"scale_final\": %.3f}\n", s.lag_ms_p99, s.scale_final);
}

}  // namespace demo
