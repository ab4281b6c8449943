// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "contestants.hpp"
#include "measure.hpp"
#include "results.hpp"
#include "sections.hpp"

namespace bench::dedup {

/// A window of one thread behind one lock: what one does first.
class OneLock final : public Subject {
 public:
  explicit OneLock(std::unique_ptr<Subject> inner) : inner_(std::move(inner)) {}
  void one_by_one(std::span<const EventId> ids, std::uint8_t* known) override {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const std::lock_guard lock{mutex_};
      inner_->one_by_one(ids.subspan(i, 1), known + i);
    }
  }
  void batched(std::span<const EventId> ids, std::uint8_t* known) override {
    for (std::size_t from = 0; from < ids.size(); from += batch_size) {
      const std::lock_guard lock{mutex_};
      inner_->batched(ids.subspan(from, batch_size), known + from);
    }
  }

 private:
  std::mutex mutex_;
  std::unique_ptr<Subject> inner_;
};

/// New ids from several threads at once. The time of an id is the time of all of them, divided by all ids.
inline void threads(Results& out, std::size_t window, const Effort& effort) {
  struct Entrant {
    std::string name;
    std::shared_ptr<Subject> subject;
  };
  const auto fifo = [](std::size_t size) { return pulse::FifoWindow{size}; };
  std::vector<Entrant> entrants;
  entrants.push_back({"Sharded<FifoWindow>", strategy("", [](std::size_t size) { return pulse::Sharded<pulse::FifoWindow>{size}; }).make(window)});
  entrants.push_back({"Sharded<LruWindow>", strategy("", [](std::size_t size) { return pulse::Sharded<pulse::LruWindow>{size}; }).make(window)});
  entrants.push_back({"FifoWindow behind a std::mutex", std::make_shared<OneLock>(strategy("", fifo).make(window))});
#ifdef PULSE_BENCH_FLAT_SET
  entrants.push_back({"boost::unordered_flat_set + ring behind a std::mutex",
                      std::make_shared<OneLock>(std::make_unique<PeerSubject<SetAndRing<boost::unordered_flat_set<EventId, Hash>>>>(window))});
#endif
  std::uint64_t first = 0;
  const auto run = [&](Subject& subject, bool batched, unsigned count) {
    std::atomic<unsigned> ready{0};
    std::atomic<std::uint64_t> known_ids{0};
    std::vector<std::thread> workers;
    const std::size_t share = effort.ids / count / chunk * chunk;
    steady::time_point start;
    for (unsigned worker = 0; worker < count; ++worker) {
      workers.emplace_back([&, from = (first += std::uint64_t{1} << 32)] {
        std::vector<EventId> ids(share);
        std::vector<std::uint8_t> known(share);
        for (std::size_t i = 0; i < share; ++i) {
          ids[i] = id_of(Kind::uuid, from + i);
        }
        if (ready.fetch_add(1) + 1 == count) {
          start = steady::now();
          ready.fetch_add(1);
        }
        while (ready.load() <= count) {
        }
        for (std::size_t at = 0; at < share; at += chunk) {
          const std::span<const EventId> part{&ids[at], chunk};
          batched ? subject.batched(part, &known[at]) : subject.one_by_one(part, &known[at]);
        }
        known_ids += static_cast<std::uint64_t>(std::count(known.begin(), known.end(), 1));
      });
    }
    for (std::thread& worker : workers) {
      worker.join();
    }
    const double ns = ns_since(start);
    if (known_ids != 0) {
      std::fprintf(stderr, "dedup: wrong answers under threads: a new id taken for a known one\n");
      std::exit(1);
    }
    return ns / static_cast<double>(share * count);
  };

  const unsigned processors = std::thread::hardware_concurrency();
  std::vector<unsigned> counts{1, 2};
  for (unsigned more = 4; more <= processors; more *= 2) {
    counts.push_back(more);
  }
  struct Cell {
    const Entrant* entrant;
    bool batched;
    unsigned count;
    std::vector<double> rounds{};
  };
  std::vector<Cell> cells;
  for (const Entrant& entrant : entrants) {
    for (std::size_t filled = 0; filled < window + window / 8; filled += effort.ids) {
      run(*entrant.subject, true, 1);
    }
    for (const bool batched : {false, true}) {
      for (const unsigned count : counts) {
        cells.push_back({&entrant, batched, count});
      }
    }
  }
  for (int round = -1; round < effort.rounds; ++round) {
    for (Cell& cell : cells) {
      const double ns = run(*cell.entrant->subject, cell.batched, cell.count);
      if (round >= 0) {
        cell.rounds.push_back(ns);
      }
    }
  }
  double alone = 0;
  for (const Cell& cell : cells) {
    const double ns = median(cell.rounds);
    const std::string subject = cell.entrant->name + suffix(cell.batched ? Way::batched : Way::back_to_back);
    const std::string setting = std::to_string(cell.count) + (cell.count == 1 ? " thread" : " threads");
    out.push_back({"threads", subject, setting, window, "time per id", ns, "ns"});
    if (cell.count == 1) {
      alone = ns;
    } else {
      out.push_back({"threads", subject, setting, window, "ratio", ns, "ns", "1 thread", alone / ns});
    }
  }
}

}  // namespace bench::dedup
