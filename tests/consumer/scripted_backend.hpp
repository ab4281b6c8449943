// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/concept/backend.hpp"

namespace pulse::testing {

/// A backend that does what a test tells it and writes down what the consumer does: for failures no real transport has on demand.
class ScriptedBackend {
 public:
  using payload_type = std::string;
  static constexpr Capabilities capabilities{};

  struct Delivery {
    EntryId id_;
    std::string bytes;
    std::uint64_t count = 1;
    bool back = false;

    [[nodiscard]] std::size_t stream() const { return 0; }
    [[nodiscard]] EntryId id() const { return id_; }
    [[nodiscard]] std::uint64_t delivery_count() const { return count; }
    [[nodiscard]] bool redriven() const { return back; }
    [[nodiscard]] std::string_view data() const { return bytes; }
  };

  struct Script {
    std::deque<std::vector<Delivery>> batches;    // what receive gives, then nothing
    std::deque<std::vector<Delivery>> claimable;  // what claim_stale gives, then nothing
    std::deque<ErrorCode> receive_errors;         // receive fails with these first
    std::deque<ErrorCode> arm_errors;
    std::deque<ErrorCode> claim_errors;
    std::deque<ErrorCode> settle_errors;
    std::deque<ErrorCode> subscribe_errors;
    std::deque<ErrorCode> flush_errors;
    std::string trace;
    std::vector<RetryItem> retries;           // as they were settled
    std::function<void()> while_receiving{};  // runs inside receive, as what happens meanwhile
    std::function<void()> while_flushing{};
    int socket = -1;  // what arm watches
    std::atomic<int> wakes{0};
    std::size_t lose_on_extend = ~std::size_t{0};
    std::size_t extends = 0;
    std::size_t vanished = 0;
    std::size_t too_large = 0;
    std::uint64_t reconnects = 0;
    std::uint64_t unmatched_acks = 0;
    GroupState state{};
  };

  class Subscription {
   public:
    using delivery_type = Delivery;
    explicit Subscription(std::shared_ptr<Script> script) : script_(std::move(script)) {}

    Result<Batch<Delivery>> receive(std::size_t max, std::chrono::milliseconds) {
      if (script_->while_receiving) {
        script_->while_receiving();
      }
      if (auto error = take(script_->receive_errors, "receive")) {
        return *error;
      }
      return give(script_->batches, max);
    }
    template <class Ready>
    Result<std::chrono::milliseconds> arm(std::size_t, std::chrono::milliseconds wait, Ready& ready) {
      if (auto error = take(script_->arm_errors, "arm")) {
        return *error;
      }
      ready.watch(script_->socket);
      return wait;
    }
    Result<Batch<Delivery>> claim_stale(std::chrono::milliseconds, std::size_t max) {
      if (auto error = take(script_->claim_errors, "claim")) {
        return *error;
      }
      return give(script_->claimable, max);
    }
    Status settle(const Settlement& settlement) {
      if (auto error = take(script_->settle_errors, "settle")) {
        return *error;
      }
      for (const auto index : settlement.acks) {
        script_->trace += "ack " + name(index) + ";";
      }
      for (const auto& retry : settlement.retries) {
        script_->trace += "retry " + name(retry.index) + ";";
        script_->retries.push_back(retry);
      }
      for (const auto& dead : settlement.dead_letters) {
        script_->trace += "dead " + name(dead.index) + " (" + std::string(dead.reason) + ");";
      }
      return {};
    }
    Status flush(std::chrono::milliseconds) {
      if (script_->while_flushing) {
        script_->while_flushing();
      }
      if (auto error = take(script_->flush_errors, "flush")) {
        return *error;
      }
      script_->trace += "flush;";
      return {};
    }
    template <class Lost>
    Status extend(std::size_t first, std::size_t last, Lost lost) {
      ++script_->extends;
      if (script_->lose_on_extend >= first && script_->lose_on_extend < last) {
        lost(script_->lose_on_extend);
      }
      return {};
    }
    void wake() { ++script_->wakes; }
    Result<GroupState> state(std::size_t) { return GroupState{script_->state}; }

   private:
    std::string name(std::uint32_t index) const { return std::to_string(current_.at(index).id_.ms); }

    Result<Batch<Delivery>> give(std::deque<std::vector<Delivery>>& from, std::size_t max) {
      current_.clear();
      if (!from.empty()) {
        current_ = std::move(from.front());
        from.pop_front();
        if (current_.size() > max) {
          script_->trace += "batch over max;";
        }
      }
      return Batch<Delivery>{current_, std::exchange(script_->vanished, 0), false, std::exchange(script_->too_large, 0)};
    }

    std::shared_ptr<Error> take(std::deque<ErrorCode>& errors, std::string_view what) {
      if (errors.empty()) {
        return nullptr;
      }
      const ErrorCode code = errors.front();
      errors.pop_front();
      script_->trace += std::string(what) + " fails;";
      return std::make_shared<Error>(Error{code, std::string(what) + " failed"});
    }

    std::shared_ptr<Script> script_;
    std::vector<Delivery> current_;
  };
  using subscription_type = Subscription;

  Result<Subscription> subscribe(const SubscribeOptions& options) {
    if (!script->subscribe_errors.empty()) {
      const ErrorCode code = script->subscribe_errors.front();
      script->subscribe_errors.pop_front();
      return Error{code, "subscribe failed"};
    }
    script->trace += "subscribe";
    for (const EntryId after : options.resume_after) {
      script->trace += " after " + to_string(after);
    }
    for (const StreamMark& mark : options.resume_marks) {
      script->trace += " of " + std::to_string(mark.added);
    }
    script->trace += ';';
    return Subscription{script};
  }
  Result<EntryId> publish(std::string_view, std::string) { return EntryId{1, 0}; }
  [[nodiscard]] pulse::BackendHealth health() const {
    pulse::BackendHealth health;
    health.reconnects = script->reconnects;
    health.unmatched_acks = script->unmatched_acks;
    return health;
  }

  std::shared_ptr<Script> script = std::make_shared<Script>();
};

static_assert(Backend<ScriptedBackend>);

}  // namespace pulse::testing
