// SPDX-License-Identifier: MIT
#pragma once

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ids.hpp"
#include "subject.hpp"

namespace bench::dedup {

using steady = std::chrono::steady_clock;
/// The processor time of this thread: what others do on the machine in between does not count, other than by the caches that it takes.
inline double processor_ns() {
  struct ::timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}
/// How often others were given the processor in the middle.
inline long involuntary_switches() {
  struct ::rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw;
}
inline double ns_since(steady::time_point start) { return std::chrono::duration<double, std::nano>(steady::now() - start).count(); }

inline double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/// Ids are made, and answers looked at, between the times that are taken: a thousand ids at a time, which stay in the first cache.
constexpr std::size_t chunk = 1024;

/// A subject with the stream that it gets. Its answers are held to the reference, each of them, in every round.
struct Lane {
  std::string name;
  std::shared_ptr<Subject> subject;
  std::shared_ptr<Stream> stream;
  Way way = Way::back_to_back;
  bool exact = true;
  bool checked = true;  ///< false: no window at all, a baseline
  std::vector<double> rounds{};
  double ns = 0;
  std::uint64_t fresh = 0, false_duplicates = 0, redelivered = 0, missed = 0;

  /// The time `ids` ids take. Counts wrong answers; ends the program where the subject is exact.
  double run(std::size_t ids) {
    std::array<std::uint64_t, chunk> numbers;
    std::array<std::uint8_t, chunk> again;
    std::array<std::uint8_t, chunk> known;
    std::array<EventId, chunk> buffer;
    double sum = 0;
    for (std::size_t done = 0; done < ids; done += chunk) {
      stream->fill(numbers, again);
      for (std::size_t i = 0; i < chunk; ++i) {
        buffer[i] = id_of(stream->kind(), numbers[i]);
      }
      const double start = processor_ns();
      switch (way) {
        case Way::one_at_a_time: subject->one_at_a_time(buffer, known.data()); break;
        case Way::back_to_back: subject->one_by_one(buffer, known.data()); break;
        case Way::batched: subject->batched(buffer, known.data()); break;
      }
      sum += processor_ns() - start;
      if (checked) {
        check(again, known);
      }
    }
    return sum;
  }

  /// The times of single calls by the clock on the wall, sorted; but not of a thousand among which another thread was given the processor,
  /// unless that happens all the time.
  std::vector<double> each(std::size_t calls) {
    std::array<std::uint64_t, chunk> numbers;
    std::array<std::uint8_t, chunk> again;
    std::array<std::uint8_t, chunk> known;
    std::vector<double> times;
    times.reserve(calls);
    for (std::size_t disturbed = 0; times.size() < calls;) {
      stream->fill(numbers, again);
      const long switches = involuntary_switches();
      const std::size_t before = times.size();
      for (std::size_t i = 0; i < chunk; ++i) {
        const EventId id = id_of(stream->kind(), numbers[i]);
        const auto start = steady::now();
        subject->one_by_one(std::span{&id, 1}, &known[i]);
        times.push_back(ns_since(start));
      }
      if (involuntary_switches() != switches && ++disturbed < calls / chunk) {
        times.resize(before);
      }
      if (checked) {
        check(again, known);
      }
    }
    std::sort(times.begin(), times.end());
    return times;
  }

 private:
  void check(std::span<const std::uint8_t> again, std::span<const std::uint8_t> known) {
    for (std::size_t i = 0; i < chunk; ++i) {
      fresh += again[i] == 0 ? 1 : 0;
      redelivered += again[i];
      false_duplicates += again[i] == 0 && known[i] != 0 ? 1 : 0;
      missed += again[i] != 0 && known[i] == 0 ? 1 : 0;
    }
    if (exact && (false_duplicates != 0 || missed != 0)) {
      std::fprintf(stderr, "dedup: wrong answers of %s: %llu new ids taken for known ones, %llu redeliveries not recognised\n", name.c_str(),
                   static_cast<unsigned long long>(false_duplicates), static_cast<unsigned long long>(missed));
      std::exit(1);
    }
  }
};

/// All lanes take turns, round by round; the first round is not counted. A subject gets as many ids uncounted before its turn, so that the caches
/// hold what they would if it were alone in its process. Leaves each lane's median time of an id.
inline void take_turns(std::vector<Lane>& lanes, std::size_t ids, int rounds) {
  for (int round = -1; round < rounds; ++round) {
    const Subject* before = nullptr;
    for (Lane& lane : lanes) {
      if (lane.subject.get() != before) {
        lane.run(ids);
      }
      before = lane.subject.get();
      const double ns = lane.run(ids) / static_cast<double>(ids);
      if (round >= 0) {
        lane.rounds.push_back(ns);
      }
    }
  }
  for (Lane& lane : lanes) {
    lane.ns = median(lane.rounds);
  }
}

}  // namespace bench::dedup
