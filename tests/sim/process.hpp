// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "fiber.hpp"
#include "plan.hpp"
#include "pulse/core/entry_id.hpp"
#include "pulse/core/event_id.hpp"

namespace pulse::sim {

class World;
struct Machinery;

/// A process of the schedule: a Consumer with its policies, on a fiber that polls it. What it knows dies with it.
class Process {
 public:
  Process(World& world, std::uint8_t index);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  void reset(const ProcessPlan& plan);
  void start();
  /// Dies here and now: nothing of what it does from here on reaches anybody.
  void crash();
  void ask_to_stop();
  void beat();
  void resume();
  void yield() { fiber_.yield(); }
  void freeze(Time for_so_long);

  [[nodiscard]] bool running() const noexcept { return !fiber_.done(); }
  [[nodiscard]] const ProcessPlan& plan() const noexcept { return plan_; }

  World& world;
  const std::uint8_t index;
  std::uint8_t name = 0;  ///< under which the server knows it
  bool dead = false;
  bool stopping = false;
  bool waits = false;  ///< in a read that new entries end
  bool sleeping_lightly = false;
  bool in_handler = false;
  Time wake_at = 0;
  Time restart_at = 0;
  Time beat_at = 0;
  Time beats_from = 0;  ///< the batch began
  Time stop_by = 0;     ///< the latest end of a stop
  Time handler_until = 0;
  Time frozen_until = 0;
  std::uint32_t incarnation = 0;

  EntryId handles{};          ///< what its handler runs on, or ran on last
  std::vector<EntryId> lost;  ///< of the current batch: reported as another's before that
  /// What this incarnation handled, and how many events it had claimed by then: the window as the oracle knows it.
  struct Done {
    std::uint32_t key;
    std::uint64_t claims;
  };
  std::vector<Done> done;
  std::uint64_t claims = 0;

 private:
  friend class World;
  static void run(void* self);
  void live();

  ProcessPlan plan_;
  Fiber fiber_;
  std::unique_ptr<Machinery> machinery_;
};

}  // namespace pulse::sim
