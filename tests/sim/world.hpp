// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "oracle.hpp"
#include "plan.hpp"
#include "pulse/core/clock.hpp"
#include "pulse/core/envelope.hpp"
#include "pulse/core/error.hpp"
#include "pulse/detail/random.hpp"
#include "server.hpp"

namespace pulse::sim {

class Process;

/// What a run may be asked besides its seed: all of it narrows the run, for shrinking, or widens what is seen of it.
struct RunOptions {
  Twin twin = Twin::none;
  Faults without{};                      ///< kinds of fault left out
  std::vector<std::uint32_t> skipped{};  ///< single faults left out, by their number, ascending
  std::size_t max_steps = ~std::size_t{0};
  std::size_t max_events = ~std::size_t{0};
  bool transcript = false;
};

struct Outcome {
  Law law = Law::none;
  std::string story;
  std::uint64_t digest = 0;  ///< of every step: equal runs have equal ones
  std::size_t steps = 0;
  std::array<std::uint32_t, fault_count> injected{};
  std::vector<std::uint32_t> taken{};  ///< the numbers of the faults that were injected; with a transcript only
  std::string transcript;
};

/// One schedule: virtual time, a server, processes with a Consumer each, and what goes wrong. One thread; everything follows from the seed.
class World {
 public:
  World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World();

  /// Runs the schedule of a seed until everything has settled or a law is broken. The same arguments give the same outcome.
  Outcome run(std::uint64_t seed, const RunOptions& options = {});

  // For what runs in the schedule:
  [[nodiscard]] const Plan& plan() const noexcept { return plan_; }
  [[nodiscard]] Twin twin() const noexcept { return options_.twin; }
  [[nodiscard]] bool twin(Twin which) const noexcept { return options_.twin == which; }
  [[nodiscard]] Time now() const noexcept { return now_; }
  [[nodiscard]] const ManualClock& clock() const noexcept { return clock_; }
  [[nodiscard]] Server& server() noexcept { return server_; }
  [[nodiscard]] Oracle& oracle() noexcept { return oracle_; }
  [[nodiscard]] bool calm() const noexcept { return calm_; }  ///< the faults are over
  [[nodiscard]] bool server_down() const noexcept { return now_ < down_until_; }

  /// A value in [0, bound].
  std::uint64_t up_to(std::uint64_t bound) { return random_.up_to(bound); }
  bool one_in(std::uint64_t n) { return random_.up_to(n - 1) == 0; }
  /// Whether this chance of a fault is taken. `rarer`: one in so many of the others' chances.
  bool fault(Fault which, std::uint32_t rarer = 1);

  /// Stops the process's fiber until `until`, or until it is woken where `wakeable`. Requires: called on it.
  void sleep(Process& process, Time until, bool wakeable = false);
  /// The command goes to the server: executed, refused, executed with its reply lost or late, or executed later.
  Status call(Process& process, const Command& command, Reply& reply);
  /// Executes a command at once, as it arrives at the server.
  void arrive(const Command& command, Reply& reply);
  void wake_readers();
  std::uint8_t new_name() noexcept { return names_++; }
  std::uint32_t new_incarnation() noexcept { return ++incarnations_; }

  template <class... A>
  void say(const A&... words) {
    if (options_.transcript) {
      begin_line();
      (append(words), ...);
      outcome_.transcript += '\n';
    }
  }
  [[nodiscard]] std::string entry_name(EntryId id) const { return options_.transcript ? oracle_.name(id) : std::string{}; }

  /// How long, beyond claim_idle, an abandoned entry may wait once the faults are over.
  static constexpr Time abandoned_after = 2'000 * ms;

 private:
  struct Late {
    Time at;
    Command command;
  };

  void begin_line();
  void append(std::string_view text) { outcome_.transcript += text; }
  template <class N>
    requires std::is_arithmetic_v<N>
  void append(N number) {
    outcome_.transcript += std::to_string(number);
  }

  void append(const Command& command);
  void set_up(std::uint64_t seed);
  void step();
  void advance(Time to);
  void direct();
  void publish();
  void append_entry(std::size_t stream, std::uint32_t event, bool redriven);
  void operate();
  void become_calm();
  [[nodiscard]] bool settled() const;
  [[nodiscard]] std::string stuck() const;
  void look_for_abandoned();
  void finish();

  RunOptions options_;
  Outcome outcome_;
  Plan plan_;
  detail::SplitMix64 random_{0};
  detail::SplitMix64 luck_{0};  // of faults: leaving one out changes as little as may be of the rest
  std::uint32_t chances_ = 0;
  ManualClock clock_;
  Time now_ = 0;
  Server server_;
  Oracle oracle_;
  std::vector<std::unique_ptr<Process>> processes_;  // kept from run to run: their stacks are
  std::vector<Late> late_;
  std::vector<std::uint32_t> ready_;
  Time director_at_ = 0;
  Time down_until_ = 0;
  Time calm_at_ = 0;
  std::size_t published_ = 0;
  std::size_t active_ = 0;
  std::size_t steps_ = 0;
  std::uint32_t incarnations_ = 0;
  std::uint8_t names_ = 0;
  bool calm_ = false;
  Envelope<FeedbackEvent> envelope_{};
};

}  // namespace pulse::sim
