// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "pulse/core/describe.hpp"

namespace pulse::sim {

/// Virtual time, in microseconds from the start of a schedule.
using Time = std::int64_t;
constexpr Time ms = 1000;

/// What can go wrong. A schedule draws a random subset of them.
enum class Fault : std::uint8_t {
  refused,            ///< a command is not executed, and the client is told
  reply_lost,         ///< it is executed, the client sees a time-out
  reply_late,         ///< it is executed, the reply takes its time
  delayed,            ///< the client sees a time-out, the server executes the command later
  outage,             ///< the server answers nobody for a while
  crash,              ///< a process dies, anywhere, and is started again
  frozen,             ///< a process stands still for a while
  stop,               ///< a process is asked to stop, and started again afterwards
  slow_handler,       ///< a handler takes longer than an entry may idle
  hanging_handler,    ///< it takes several times as long
  throwing_handler,   ///< a handler throws, before or after half its work
  wall_jump,          ///< the wall clock is set forward or back
  server_clock_jump,  ///< the server's clock is set forward or back: idle times change
  failover,           ///< the server becomes an older copy of itself: acks, reads and entries are forgotten
  group_moved_back,   ///< XGROUP SETID to an earlier entry
  group_destroyed,    ///< XGROUP DESTROY
  trimmed,            ///< XTRIM takes the oldest entries, pending or not
  stolen,             ///< XCLAIM of an entry that is being handled, to another consumer of the group
  duplicate,          ///< a producer publishes an event a second time
  disordered,         ///< coordinators report out of order
  poison,             ///< events whose handler always fails, or says: dead letter
  undecodable,        ///< entries that are no envelope, or break their schema
  redrive,            ///< an operator brings dead letters back
  heartbeat_lost,     ///< a heartbeat does not reach the server
  count_,
};
constexpr std::size_t fault_count = static_cast<std::size_t>(Fault::count_);
using Faults = std::bitset<fault_count>;

constexpr std::array<std::string_view, fault_count> fault_names{"refused",
                                                                "reply_lost",
                                                                "reply_late",
                                                                "delayed",
                                                                "outage",
                                                                "crash",
                                                                "frozen",
                                                                "stop",
                                                                "slow_handler",
                                                                "hanging_handler",
                                                                "throwing_handler",
                                                                "wall_jump",
                                                                "server_clock_jump",
                                                                "failover",
                                                                "group_moved_back",
                                                                "group_destroyed",
                                                                "trimmed",
                                                                "stolen",
                                                                "duplicate",
                                                                "disordered",
                                                                "poison",
                                                                "undecodable",
                                                                "redrive",
                                                                "heartbeat_lost"};

/// Wrong ways to do it, each of which somebody shipped. With a twin in place of the real thing a run must end in a violation.
enum class Twin : std::uint8_t {
  none,
  marks_before_handling,  ///< dedup: done as soon as it is claimed
  release_marks_done,     ///< dedup: a failed event counts as done
  release_forgets,        ///< dedup: a failed event stays leased for ever
  commit_forgets,         ///< dedup: a handled event is forgotten
  false_duplicates,       ///< dedup: now and then a new event is taken for a duplicate
  acks_before_handling,   ///< backend: acknowledges what it reads
  acks_failed_letters,    ///< backend: copies to the DLQ and acks as two commands, the ack whatever became of the copy
  letters_lose_data,      ///< backend: a dead letter without the entry's data
  cursor_thrown_away,     ///< backend: every claim scans from the beginning
  never_claims,           ///< backend: what others left pending is nobody's
  group_from_end,         ///< backend: a new group starts at `$`
  heartbeat_steals,       ///< backend: a heartbeat takes back what another consumer has claimed
  heartbeat_blind,        ///< backend: a heartbeat does not say what was lost
  redrive_unmarked,       ///< backend: a redriven entry looks like any other
  restart_counts,         ///< backend: reading one's own history raises the delivery count
  retries_at_once,        ///< backend: a retry does not wait
  stop_dead_letters,      ///< backend: what a stop leaves unfinished goes to the DLQ
  stop_waits_for_server,  ///< backend: the last flush waits until the server answers
  retries_without_bound,  ///< retry policy: no maximum of deliveries
  decodes_anything,       ///< codec: what is no envelope is handed to the handler
  no_stale_rule,          ///< controller: the last event that arrives wins, whatever its time
  last_coordinator_wins,  ///< controller: one level for all coordinators
  silence_never_expires,  ///< controller: a coordinator that is gone keeps its level
  pause_leaks,            ///< controller: at scale 0 what is in the bucket is still granted
  count_,
};
constexpr std::size_t twin_count = static_cast<std::size_t>(Twin::count_);
constexpr std::array<std::string_view, twin_count> twin_names{"none",
                                                              "marks_before_handling",
                                                              "release_marks_done",
                                                              "release_forgets",
                                                              "commit_forgets",
                                                              "false_duplicates",
                                                              "acks_before_handling",
                                                              "acks_failed_letters",
                                                              "letters_lose_data",
                                                              "cursor_thrown_away",
                                                              "never_claims",
                                                              "group_from_end",
                                                              "heartbeat_steals",
                                                              "heartbeat_blind",
                                                              "redrive_unmarked",
                                                              "restart_counts",
                                                              "retries_at_once",
                                                              "stop_dead_letters",
                                                              "stop_waits_for_server",
                                                              "retries_without_bound",
                                                              "decodes_anything",
                                                              "no_stale_rule",
                                                              "last_coordinator_wins",
                                                              "silence_never_expires",
                                                              "pause_leaks"};

enum class Window : std::uint8_t { seen_set, fifo, lru };

struct ProcessPlan {
  std::uint8_t group = 0;
  std::size_t batch = 1;
  bool heartbeat = false;
  bool keeps_name = true;  ///< after a restart
  bool defers = false;     ///< settles with its next read, as the Redis backend does
  bool fenced = false;     ///< acks by a script that looks at the owner
  Window window = Window::seen_set;
  std::size_t capacity = 64;  ///< of fifo and lru
};

/// Everything about a schedule that its seed decides before it begins.
struct Plan {
  std::uint64_t seed = 0;
  Faults faults{};
  std::uint32_t fault_odds = 8;  ///< one in so many chances of a fault is taken
  std::size_t streams = 1;
  std::size_t groups = 1;   ///< the second handles feedback: it adjusts a rate
  std::size_t events = 10;  ///< published
  std::size_t backlog = 0;  ///< of them before any consumer starts
  std::size_t steps = 200;  ///< then the faults end, and everything must settle
  std::uint64_t max_deliveries = 4;
  bool recreate = false;  ///< a group that is gone is made anew by the consumer; else it ends, and its restart makes it
  std::vector<ProcessPlan> processes;
};

/// A batch of at least this size has handlers that take their time, kept by its heartbeats.
constexpr std::size_t long_batch = 16;

/// The times all schedules share. Small, so that everything meets everything.
struct Times {
  static constexpr Time claim_idle = 100 * ms;
  static constexpr Time claim_interval = 20 * ms;
  static constexpr Time heartbeat = 40 * ms;
  static constexpr Time wait = 20 * ms;
  static constexpr Time lease_wait = 5 * ms;
  static constexpr Time retry_base = 4 * ms;
  static constexpr Time retry_cap = 30 * ms;
  static constexpr Time drain_deadline = 40 * ms;
  static constexpr Time command_timeout = 15 * ms;
  static constexpr Time expire_after = 2000 * ms;  ///< a silent coordinator
};

[[nodiscard]] Plan make_plan(std::uint64_t seed);

}  // namespace pulse::sim
