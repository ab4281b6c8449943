// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "results.hpp"
#include "subject.hpp"

namespace bench::dedup {

/// What was asked of a strategy before it was written, and what came out. Where a peer is asked one call after the other, there are two
/// measures of it: one at a time, as in a consumer, and back to back.
struct Goal {
  enum class Kind { ratio, at_most } kind;
  std::string what;
  std::string subject;
  Way way;
  std::string metric;
  std::string vs;       ///< the peer, for a ratio
  std::string setting;  ///< of the results
  std::size_t window;
  double asked;
  std::string unit;
};

inline std::vector<Goal> goals() {
  constexpr std::size_t k10 = 10'000;
  constexpr std::size_t k100 = 100'000;
  constexpr std::size_t m1 = 1'000'000;
  constexpr std::size_t m10 = 10'000'000;
  const std::string flat = "boost::unordered_flat_set + ring";
  const std::string views = "boost::unordered_flat_set of string_view + ring of strings";
  const std::string late = "10 % redelivered, up to half a window late";
  std::vector<Goal> list;
  using Asked = std::vector<std::pair<std::size_t, double>>;
  const auto faster = [&](const std::string& subject, Way way, const std::string& vs, const Asked& asked, const std::string& setting = "") {
    for (const auto& [window, ratio] : asked) {
      list.push_back(
          {Goal::Kind::ratio,
           subject + (way == Way::batched ? " in batches of 16" : ", one call") + (setting.empty() ? "" : ", 10 % redelivered") + ", faster than " + vs,
           subject, way, "ratio", vs, setting, window, ratio, "x"});
    }
  };
  const auto at_most = [&](const std::string& what, const std::string& subject, Way way, const std::string& metric, const std::string& unit,
                           const Asked& asked) {
    for (const auto& [window, most] : asked) {
      list.push_back({Goal::Kind::at_most, what, subject, way, metric, "", "", window, most, unit});
    }
  };
  faster("FifoWindow", Way::back_to_back, flat, {{k10, 2.3}, {m1, 2}, {m10, 1.5}});
  faster("FifoWindow", Way::batched, flat, {{k10, 3}, {m1, 7}, {m10, 5}});
  faster("FifoWindow", Way::batched, flat, {{m1, 5}, {m10, 5}}, late);
  faster("FifoWindow", Way::back_to_back, "std::deque + std::unordered_set", {{k10, 9}, {m1, 10}, {m10, 9}});
  faster("LruWindow", Way::back_to_back, "std::list + std::unordered_map", {{k10, 8}, {m1, 7}, {m10, 10}});
  faster("LruWindow", Way::batched, "std::list + std::unordered_map", {{k10, 8}, {m1, 18}, {m10, 20}});
  faster("LruWindow", Way::batched, "Boost.Intrusive LRU", {{k10, 1.4}, {m1, 5}, {m10, 4}});
  list.push_back({Goal::Kind::ratio, "FifoWindow in batches of 16, UUIDs as text, faster than " + views, "FifoWindow", Way::batched, "ratio", views,
                  "UUIDs as text", m1, 8, "x"});
  list.push_back({Goal::Kind::ratio, "FifoWindow, UUIDs as text, smaller than " + views, "FifoWindow", Way::back_to_back, "memory ratio", views,
                  "UUIDs as text", m1, 4, "x"});
  at_most("FifoWindow, memory per id", "FifoWindow", Way::back_to_back, "memory per id", " bytes", {{k10, 26}, {m1, 24}, {m10, 24}});
  at_most("LruWindow, memory per id", "LruWindow", Way::back_to_back, "memory per id", " bytes", {{k10, 32}, {m1, 32}, {m10, 32}});
  at_most("FifoWindow in batches of 16, over the limit", "FifoWindow", Way::batched, "over the limit", "x", {{m1, 1.3}, {m10, 1.3}});
  at_most("LruWindow in batches of 16, over the limit", "LruWindow", Way::batched, "over the limit", "x", {{m1, 1.3}, {m10, 1.3}});
  at_most("Journaled, over its inner strategy", "Journaled<FifoWindow>", Way::back_to_back, "over its inner strategy", "x", {{k10, 2}, {m1, 2}, {m10, 2}});
  at_most("FifoWindow, worst call", "FifoWindow", Way::back_to_back, "worst call", " us", {{k100, 1000}});
  at_most("LruWindow, worst call", "LruWindow", Way::back_to_back, "worst call", " us", {{k100, 1000}});
  for (const std::size_t window : {k100, m1}) {
    for (const Way way : {Way::back_to_back, Way::batched}) {
      list.push_back({Goal::Kind::ratio, std::string{"Sharded, 2 threads, more than 1"} + (way == Way::batched ? ", in batches of 16" : ""),
                      "Sharded<FifoWindow>", way, "ratio", "1 thread", "2 threads", window, 1.6, "x"});
    }
  }
  at_most("Cuckoo, memory per id", "Cuckoo", Way::back_to_back, "memory per id", " bytes", {{m1, 8}});
  at_most("Cuckoo, false duplicates", "Cuckoo", Way::back_to_back, "false duplicates", " %", {{m1, 0.0001}});
  at_most("Cuckoo, missed duplicates", "Cuckoo", Way::back_to_back, "missed duplicates", " %", {{m1, 0}});
  return list;
}

/// The figure that answers it, of a peer asked in that way; nothing where it was not measured.
inline const Result* answer(const Results& results, const Goal& goal, Way peer) {
  const bool by_call = (goal.metric == "ratio" && goal.setting != "2 threads") || goal.metric == "over its inner strategy";
  const Way own = by_call && goal.way != Way::batched ? peer : goal.way;
  for (const Result& r : results) {
    const bool setting = goal.kind == Goal::Kind::ratio || goal.metric != "missed duplicates" ? r.setting == goal.setting : r.section == "redelivery";
    if (r.subject == goal.subject + suffix(own) && r.window == goal.window && setting && r.metric == goal.metric &&
        (goal.vs.empty() || r.vs == goal.vs + (by_call ? suffix(peer) : ""))) {
      return by_call || peer == Way::back_to_back ? &r : nullptr;
    }
  }
  return nullptr;
}

}  // namespace bench::dedup
