// SPDX-License-Identifier: MIT
#pragma once

#include <stdlib.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <pulse/dedup/cuckoo.hpp>
#include <pulse/dedup/fifo_window.hpp>
#include <pulse/dedup/journaled.hpp>
#include <pulse/dedup/lru_window.hpp>
#include <pulse/dedup/rotating_bloom.hpp>
#include <pulse/dedup/seen_set.hpp>
#include <pulse/dedup/sharded.hpp>
#include <pulse/dedup/ttl_window.hpp>

#include "peers.hpp"
#include "subject.hpp"

namespace bench::dedup {

/// A directory for journals that is gone at the end of the process.
class Scratch {
 public:
  Scratch() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pulse-bench-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      std::perror("dedup: no directory for journals");
      std::exit(1);
    }
    directory_ = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  [[nodiscard]] std::string next() { return directory_ + "/" + std::to_string(++count_); }

 private:
  std::string directory_;
  int count_ = 0;
};

/// Those that a service chooses among. A strategy of your own joins with one line here: it is then measured, checked, drawn and listed like ours.
inline std::vector<Contestant> strategies(Scratch& scratch) {
  std::vector<Contestant> list;
  list.push_back(strategy("FifoWindow", [](std::size_t window) { return pulse::FifoWindow{window}; }));
  list.push_back(strategy("LruWindow", [](std::size_t window) { return pulse::LruWindow{window}; }));
  list.push_back(strategy("TtlWindow", [](std::size_t window) { return pulse::TtlWindow{std::chrono::hours{1}, window}; }));
  list.push_back(strategy("Sharded<FifoWindow>", [](std::size_t window) { return pulse::Sharded<pulse::FifoWindow>{window}; }));
  list.push_back(strategy("Journaled<FifoWindow>", [&scratch](std::size_t window) {
    auto made = pulse::Journaled<pulse::FifoWindow>::open(pulse::FifoWindow{window}, {.path = scratch.next()});
    if (!made) {
      std::fprintf(stderr, "dedup: %s\n", made.error().message.c_str());
      std::exit(1);
    }
    return *std::move(made);
  }));
  list.push_back(strategy("SeenSet", [](std::size_t) { return pulse::SeenSet{}; }, 1'000'000));
  return list;
}

/// Those that are not exact: fewer bytes an id, and now and then a new one is taken for known.
inline std::vector<Contestant> filters() {
  std::vector<Contestant> list;
  list.push_back(strategy("Cuckoo", [](std::size_t window) { return pulse::Cuckoo{window}; }));
  list.push_back(strategy("RotatingBloom, 1 in 100", [](std::size_t window) { return pulse::RotatingBloom{window, {.false_rate = 0.01}}; }));
  list.push_back(strategy("RotatingBloom, 1 in 10,000", [](std::size_t window) { return pulse::RotatingBloom{window, {.false_rate = 0.0001}}; }));
  return list;
}

/// What one builds from the containers at hand; those that are not installed are left out.
inline std::vector<Contestant> peers() {
  std::vector<Contestant> list;
#ifdef PULSE_BENCH_FLAT_SET
  list.push_back(peer<SetAndRing<boost::unordered_flat_set<EventId, Hash>>>("boost::unordered_flat_set + ring"));
#endif
#ifdef PULSE_BENCH_ABSL
  list.push_back(peer<SetAndRing<absl::flat_hash_set<EventId, Hash>>>("absl::flat_hash_set + ring"));
#endif
  list.push_back(peer<SetAndDeque>("std::deque + std::unordered_set"));
  list.push_back(peer<ListLru>("std::list + std::unordered_map"));
  list.push_back(peer<IntrusiveLru>("Boost.Intrusive LRU"));
  return list;
}

}  // namespace bench::dedup
