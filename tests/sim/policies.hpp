// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "process.hpp"
#include "pulse/codec/json.hpp"
#include "pulse/concept/dedup.hpp"
#include "pulse/control/feedback_handler.hpp"
#include "pulse/control/rate_coordinator.hpp"
#include "pulse/dedup/fifo_window.hpp"
#include "pulse/dedup/lru_window.hpp"
#include "pulse/dedup/no_dedup.hpp"
#include "pulse/dedup/seeded_hash.hpp"
#include "pulse/dedup/seen_set.hpp"
#include "pulse/metrics/no_metrics.hpp"
#include "world.hpp"

/// The policies of a simulated consumer: the production ones, chosen when a process starts, and what a broken twin does instead.
namespace pulse::sim {

/// Seeds of the strategies are fixed here: asking the machine for one costs more than the rest of a process's life.
struct SimHash {
  detail::SeededHash hash{1};
  std::size_t operator()(EventId id) const noexcept { return static_cast<std::size_t>(hash(id)); }
};
using SimSeenSet = BasicSeenSet<SimHash>;

class SimDedup {
 public:
  static constexpr bool exact = true;
  static constexpr bool shared = false;

  explicit SimDedup(Process& process) : process_(&process), world_(&process.world) {
    const ProcessPlan& plan = process.plan();
    switch (plan.window) {
      case Window::seen_set: strategy_.emplace<SimSeenSet>(); break;
      case Window::fifo: strategy_.emplace<FifoWindow>(plan.capacity, 1); break;
      case Window::lru: strategy_.emplace<LruWindow>(plan.capacity, 1); break;
    }
  }

  Claim claim(EventId id) {
    if (world_->twin(Twin::false_duplicates) && id.low % 16 == 0) {
      return Claim::done;
    }
    const Claim claimed = std::visit([&](auto& strategy) { return strategy.claim(id); }, strategy_);
    if (claimed == Claim::fresh || process_->plan().window == Window::lru) {  // which a duplicate reorders, too
      ++process_->claims;
    }
    if (world_->twin(Twin::marks_before_handling)) {
      std::visit([&](auto& strategy) { strategy.commit(id); }, strategy_);
    }
    return claimed;
  }
  void commit(EventId id) {
    if (world_->twin(Twin::commit_forgets)) {
      return std::visit([&](auto& strategy) { strategy.release(id); }, strategy_);
    }
    std::visit([&](auto& strategy) { strategy.commit(id); }, strategy_);
  }
  void release(EventId id) {
    if (world_->twin(Twin::release_forgets)) {
      return;
    }
    if (world_->twin(Twin::release_marks_done)) {
      return commit(id);
    }
    std::visit([&](auto& strategy) { strategy.release(id); }, strategy_);
  }
  [[nodiscard]] std::size_t size() const {
    return std::visit([](const auto& strategy) { return strategy.size(); }, strategy_);
  }

 private:
  Process* process_;
  World* world_;
  std::variant<NoDedup, SimSeenSet, FifoWindow, LruWindow> strategy_;
};

class SimCodec {
 public:
  explicit SimCodec(World& world) : world_(&world) {}
  template <class Env>
  DecodeResult decode(std::string_view data, Env& envelope, DecodeError& error) {
    const DecodeResult result = codec_.decode(data, envelope, error);
    return world_->twin(Twin::decodes_anything) ? DecodeResult::ok : result;
  }
  template <class Env>
  void encode(const Env& envelope, std::string& out) {
    codec_.encode(envelope, out);
  }

 private:
  World* world_;
  JsonCodec codec_;
};

constexpr std::string_view provider = "ibkr";

class SimRates;
struct SimSink {
  SimRates* rates;
  void apply(const RateAdjustment& adjustment);
};

/// The rate of one process: the production handler of feedback and coordinator of rates, and beside them what the laws say they must do.
class SimRates {
 public:
  explicit SimRates(Process& process);

  /// Handles the feedback and compares. Throws where the fault says so.
  Verdict handle(const FeedbackEvent& event, std::uint8_t coordinator);
  void tick();
  /// The controller's side: may throw.
  void apply(const RateAdjustment& adjustment);
  /// Callers that want more than there is.
  void draw();
  /// What must be in force now.
  void check();

 private:
  struct Known {
    double ts = 0;
    BackpressureLevel level = BackpressureLevel::ok;
    Time heard = 0;
    bool known = false;
    bool expired = false;
  };
  BackpressureLevel worst();
  void refill();

  Process* process_;
  World* world_;
  NoMetrics metrics_;
  RateCoordinator<ManualClock> rates_;
  SimSink sink_{this};
  FeedbackHandler<SimSink, NoMetrics, ManualClock> handler_;
  std::array<Known, 4> known_{};
  bool failed_ = false;  // the last apply threw: it is tried again
  double scale_ = 1;     // as of the last apply
  double allowance_ = burst;
  Time refilled_ = 0;

 public:
  static constexpr double burst = 5;
  static constexpr double per_second = 200;
};

/// Handles events as their fate and the faults have it.
class SimHandler {
 public:
  using events = Events<FeedbackEvent>;

  explicit SimHandler(Process& process, bool rates) : process_(&process) {
    if (rates) {
      rates_.emplace(process);
    }
  }
  Verdict handle(const FeedbackEvent& event, const DeliveryContext& context);
  void tick() {
    if (rates_ && !process_->dead) {
      rates_->tick();
    }
  }
  SimRates* rates() { return rates_ ? &*rates_ : nullptr; }

 private:
  Process* process_;
  std::optional<SimRates> rates_;
};

}  // namespace pulse::sim
