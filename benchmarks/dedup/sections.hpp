// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "contestants.hpp"
#include "measure.hpp"
#include "results.hpp"

namespace bench::dedup {

struct Effort {
  std::size_t ids;  ///< a subject gets in a round
  int rounds;
  std::size_t calls;  ///< that are timed one by one
};

/// Reads the ids and does nothing with them.
struct Nothing final : Subject {
  void one_by_one(std::span<const EventId> ids, std::uint8_t* known) override {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      known[i] = static_cast<std::uint8_t>(ids[i].low ^ ids[i].high);
    }
  }
};
struct Limit final : Subject {
  explicit Limit(std::size_t window) : lines(window) {}
  void one_by_one(std::span<const EventId> ids, std::uint8_t*) override { lines.touch(ids); }
  TwoLines lines;
};

inline const char* const limit_name = "limit: two cache lines";

/// All that take part at one window size with one kind of traffic.
class Round {
 public:
  Round(std::string section, std::string setting, std::size_t window, Traffic traffic)
      : section_(std::move(section)), setting_(std::move(setting)), window_(window), traffic_(traffic) {}

  /// Makes one, and fills it until each new id pushes one out.
  void add(const Contestant& one) {
    if (window_ > one.most) {
      return;
    }
    const std::size_t before = heap();
    Lane lane{one.name, one.make(window_), std::make_shared<Stream>(traffic_), one.batches ? Way::batched : Way::back_to_back, one.exact};
    lane.run(window_ + window_ / 8);
    const std::size_t says = lane.subject->bytes();
    const double bytes = static_cast<double>(says != 0 ? says : heap() - before) / static_cast<double>(window_);
    for (const Way way : ways) {
      if (way != Way::batched || one.batches) {
        lane.name = one.name + suffix(way);
        lane.way = way;
        lanes_.push_back(lane);
        ours_.push_back(one.ours);
        bytes_.push_back(way == Way::back_to_back ? bytes : 0);
      }
    }
  }
  void add_baselines() {
    lanes_.push_back(
        {std::string{limit_name} + suffix(Way::batched), std::make_shared<Limit>(window_), std::make_shared<Stream>(traffic_), Way::batched, false, false});
    for (const Way way : {Way::one_at_a_time, Way::back_to_back}) {
      lanes_.push_back({std::string{"do nothing"} + suffix(way), std::make_shared<Nothing>(), std::make_shared<Stream>(traffic_), way, false, false});
    }
    ours_.insert(ours_.end(), 3, false);
    bytes_.insert(bytes_.end(), 3, 0);
  }

  void measure(Results& out, const Effort& effort) {
    take_turns(lanes_, effort.ids, effort.rounds);
    for (const Lane& lane : lanes_) {
      put(out, lane.name, "time per id", lane.ns, "ns");
    }
    const Lane* limit = nullptr;
    for (const Lane& lane : lanes_) {
      limit = lane.name.starts_with(limit_name) ? &lane : limit;
    }
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      const Lane& lane = lanes_[i];
      for (std::size_t j = 0; ours_[i] && j < lanes_.size(); ++j) {
        if (!ours_[j] && lanes_[j].checked && (lanes_[j].way == lane.way || lane.way == Way::batched)) {
          put(out, lane.name, "ratio", lane.ns, "ns", lanes_[j].name, lanes_[j].ns / lane.ns);
        }
      }
      if (ours_[i] && lane.name.find('<') != std::string::npos) {  // a wrapper over what stands in its brackets
        const std::string inner = lane.name.substr(lane.name.find('<') + 1, lane.name.find('>') - lane.name.find('<') - 1) + suffix(lane.way);
        for (const Lane& other : lanes_) {
          if (other.name == inner) {
            put(out, lane.name, "over its inner strategy", lane.ns, "ns", inner + " (cost)", lane.ns / other.ns);
          }
        }
      }
      if (ours_[i] && lane.way == Way::batched && limit != nullptr) {
        put(out, lane.name, "over the limit", lane.ns, "ns", limit_name + std::string{" (cost)"}, lane.ns / limit->ns);
      }
      if (bytes_[i] != 0) {
        put(out, lane.name, "memory per id", bytes_[i], "bytes");
      }
    }
    for (Lane& lane : lanes_) {
      if (effort.calls != 0 && lane.way == Way::back_to_back) {
        const std::vector<double> times = lane.each(effort.calls);
        put(out, lane.name, "p99 of a call", times[times.size() * 99 / 100], "ns");
        put(out, lane.name, "worst call", times.back() / 1000, "us");
      }
      if (lane.checked && lane.way == Way::back_to_back) {
        put(out, lane.name, "false duplicates", share(lane.false_duplicates, lane.fresh), "%");
        if (lane.redelivered != 0) {
          put(out, lane.name, "missed duplicates", share(lane.missed, lane.redelivered), "%");
        }
      }
    }
  }

 private:
  static double share(std::uint64_t part, std::uint64_t of) { return of == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(of); }
  void put(Results& out, const std::string& subject, const char* metric, double value, const char* unit, const std::string& vs = "", double ratio = 0) const {
    out.push_back({section_, subject, setting_, window_, metric, value, unit, vs, ratio});
  }

  std::string section_;
  std::string setting_;
  std::size_t window_;
  Traffic traffic_;
  std::vector<Lane> lanes_;
  std::vector<bool> ours_;
  std::vector<double> bytes_;
};

/// New ids only, in the steady state where each pushes one out.
inline void windows(Results& out, std::size_t window, const Effort& effort) {
  Scratch scratch;
  Round round{"windows", "", window, {}};
  for (const auto& list : {strategies(scratch), filters(), peers()}) {
    for (const Contestant& one : list) {
      round.add(one);
    }
  }
  round.add_baselines();
  round.measure(out, effort);
}

/// A share of redeliveries, from just now, from half a window ago, from nearly a whole one; of all that take part, or of those named.
inline void redelivery(Results& out, std::size_t window, unsigned percent, const char* late, std::size_t distance, const Effort& effort,
                       const std::vector<std::string>& only = {}) {
  Scratch scratch;
  Round round{"redelivery", std::to_string(percent) + " % redelivered, up to " + late + " late", window, {percent, distance}};
  for (const auto& list : {strategies(scratch), filters(), peers()}) {
    for (const Contestant& one : list) {
      if (only.empty() ? one.name != "SeenSet" : std::find(only.begin(), only.end(), one.name) != only.end()) {
        round.add(one);
      }
    }
  }
  round.measure(out, effort);
}

/// Entry ids of a stream instead of random ones.
inline void kinds(Results& out, std::size_t window, const Effort& effort) {
  Scratch scratch;
  Round round{"kinds", "stream ids", window, {0, 0, Kind::stream}};
  for (const auto& list : {strategies(scratch), peers()}) {
    for (const Contestant& one : list) {
      if (one.name != "SeenSet") {
        round.add(one);
      }
    }
  }
  round.measure(out, effort);
}

/// How often those that are not exact are wrong, over so many ids that it can be counted; a tenth of them redelivered.
inline void wrong_answers(Results& out, std::size_t window, std::size_t ids) {
  const auto share = [](std::uint64_t part, std::uint64_t of) { return 100 * static_cast<double>(part) / static_cast<double>(of); };
  for (const Contestant& one : filters()) {
    Lane lane{one.name, one.make(window), std::make_shared<Stream>(Traffic{10, window / 2}), Way::batched, one.exact};
    lane.run(ids);
    out.push_back({"filters", one.name, "", window, "memory per id", static_cast<double>(lane.subject->bytes()) / static_cast<double>(window), "bytes"});
    out.push_back({"filters", one.name, "", window, "false duplicates", share(lane.false_duplicates, lane.fresh), "%"});
    out.push_back({"filters", one.name, "", window, "missed duplicates", share(lane.missed, lane.redelivered), "%"});
  }
}

}  // namespace bench::dedup
