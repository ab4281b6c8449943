// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "plan.hpp"
#include "pulse/core/entry_id.hpp"
#include "pulse/core/feedback.hpp"
#include "server.hpp"

namespace pulse::sim {

/// What is promised. A violation names one of them.
enum class Law : std::uint8_t {
  none,
  acked_after_success,  ///< an entry is acked after its handler succeeded or its dead letter was written, never before
  once_within_window,   ///< an event has no second effect within the dedup window
  decodable_only,       ///< what cannot be decoded reaches no handler
  deliveries_bounded,   ///< no handler sees an entry more often than allowed
  deliveries_earned,    ///< the delivery count rises by retries and claims only: no restart burns one
  retries_wait,         ///< a retry does not come before its delay
  letters_deserved,     ///< only what failed for good is dead-lettered, and no stop does it
  letters_whole,        ///< a dead letter has its entry's data and a reason
  letters_single,       ///< one failure makes one dead letter
  stop_bounded,         ///< a stop ends within its deadline and what is left of the running handler
  lost_not_begun,       ///< no handler begins on what a heartbeat reported as another's
  lost_not_settled,     ///< and it is not settled
  beats_take_nothing,   ///< a heartbeat takes nothing from another consumer
  batch_decided,        ///< at most a batch is in flight: each delivery is decided before the next read
  newest_and_worst,     ///< per coordinator the newest report counts, of several coordinators the worst
  rate_kept,            ///< never more than rate * time + burst, nothing at scale 0
  backlog_seen,         ///< a new group begins at the beginning
  everything_settles,   ///< without faults, every entry is handled or dead-lettered, and nothing stays pending
  abandoned_found,      ///< what a consumer left behind is found in time, wherever in the list it is
  count_,
};
constexpr std::array<std::string_view, static_cast<std::size_t>(Law::count_)> law_names{"none",
                                                                                        "acked_after_success",
                                                                                        "once_within_window",
                                                                                        "decodable_only",
                                                                                        "deliveries_bounded",
                                                                                        "deliveries_earned",
                                                                                        "retries_wait",
                                                                                        "letters_deserved",
                                                                                        "letters_whole",
                                                                                        "letters_single",
                                                                                        "stop_bounded",
                                                                                        "lost_not_begun",
                                                                                        "lost_not_settled",
                                                                                        "beats_take_nothing",
                                                                                        "batch_decided",
                                                                                        "newest_and_worst",
                                                                                        "rate_kept",
                                                                                        "backlog_seen",
                                                                                        "everything_settles",
                                                                                        "abandoned_found"};

/// How an event fares with a handler that has no other troubles.
enum class Fate : std::uint8_t { good, flaky, poison, refused, malformed, invalid };

struct Event {
  Fate fate = Fate::good;
  std::uint8_t stream = 0;
  std::uint8_t flaky = 0;  ///< so many calls of each group's handler fail first
  bool has_id = true;
  std::uint8_t coordinator = 0;
  BackpressureLevel level = BackpressureLevel::ok;
  double ts = 0;
  std::string bytes;
};

/// Knows everything that was published and done, and holds it against the laws.
class Oracle final : public Server::Watcher {
 public:
  struct PerGroup {
    bool copied = false;    ///< a dead letter of it was written
    bool redriven = false;  ///< and brought back
    std::uint16_t failures = 0;
    std::uint64_t earned = 1;    ///< the delivery count it can have at most
    Time not_before = 0;         ///< of a retry
    std::uint32_t retry_by = 0;  ///< the incarnation that promised it
  };
  struct EntryFacts {
    EntryId id;
    std::uint32_t event = 0;
    std::uint32_t key = 0;  ///< entries of one key are one event to dedup
    std::uint8_t stream = 0;
    bool redriven = false;
    std::array<PerGroup, 2> group{};
  };

  void reset(const Server& server, std::size_t groups) {
    server_ = &server;
    groups_ = groups;
    events.clear();
    entries.clear();
    handled_.clear();
    law = Law::none;
    story.clear();
    disturbed = false;
  }

  void broken(Law which, std::string what) {
    if (law == Law::none) {
      law = which;
      story = std::move(what);
    }
  }

  void appended(EntryId id, std::uint32_t event, bool redriven) {
    EntryFacts facts;
    facts.id = id;
    facts.event = event;
    facts.stream = events[event].stream;
    facts.redriven = redriven;
    facts.key = redriven || !events[event].has_id ? ~static_cast<std::uint32_t>(entries.size()) : event;
    entries.push_back(facts);
  }
  [[nodiscard]] std::size_t index(EntryId id) const noexcept;
  [[nodiscard]] EntryFacts& entry(EntryId id) noexcept { return entries[index(id)]; }
  [[nodiscard]] bool handled(std::size_t group, std::uint32_t key) const noexcept;
  void effect(std::size_t group, std::uint32_t key);

  void acked(std::size_t stream, std::size_t group, EntryId id, std::uint8_t consumer) override;
  void taken(EntryId id, std::uint8_t by, std::uint8_t from) override {
    broken(Law::beats_take_nothing, "a heartbeat of c" + std::to_string(by) + " takes " + name(id) + " from c" + std::to_string(from));
  }
  void earned(std::size_t group, EntryId id) override { ++entry(id).group[group].earned; }
  void copied(std::size_t stream, std::size_t group, EntryId id, std::uint32_t event) override;

  /// At the end: all that is still in a stream was handled or dead-lettered by each group.
  void at_rest();

  [[nodiscard]] std::string name(EntryId id) const { return "e" + std::to_string(index(id)) + "(ev" + std::to_string(entries[index(id)].event) + ")"; }

  // Stable: handlers refer to them while others are added.
  std::deque<Event> events;
  std::deque<EntryFacts> entries;  // by id
  Law law = Law::none;
  std::string story;
  bool disturbed = false;  ///< the server forgot or repeated something: a failover, a group moved back

 private:
  struct Handled {
    std::uint32_t key;
    std::uint8_t group;
  };
  const Server* server_ = nullptr;
  std::size_t groups_ = 1;
  std::vector<Handled> handled_;
};

}  // namespace pulse::sim
