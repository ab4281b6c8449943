// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "pulse/core/event_id.hpp"
#include "pulse/engine/ledger.hpp"

namespace pulse::engine {

/// A claimed delivery on its way through a handler. Whoever holds it decides once; a hold that is dropped without a decision, on
/// whatever path, gives the lease back and leaves the entry pending: it will be delivered again. Nothing is acknowledged by accident.
template <class Dedup>
class Hold {
 public:
  Hold(Dedup& dedup, EventId id, Ledger& ledger, std::uint32_t index) noexcept : dedup_(&dedup), ledger_(&ledger), id_(id), index_(index) {}

  Hold(Hold&& other) noexcept : dedup_(other.dedup_), ledger_(std::exchange(other.ledger_, nullptr)), id_(other.id_), index_(other.index_) {}
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
  Hold& operator=(Hold&&) = delete;
  ~Hold() {
    if (ledger_ != nullptr) {
      dedup_->release(id_);
    }
  }

  /// Handled: done in the dedup window first, acknowledged second, so that a crash between the two costs a duplicate, not an event.
  void ack() && {
    dedup_->commit(id_);
    std::exchange(ledger_, nullptr)->ack(index_);
  }
  /// Handled, but the entry belongs to another consumer by now: done, and not settled.
  void commit_only() && {
    dedup_->commit(id_);
    ledger_ = nullptr;
  }
  void retry(std::chrono::milliseconds delay) && {
    dedup_->release(id_);
    std::exchange(ledger_, nullptr)->retry(index_, delay);
  }
  /// Released, not committed: a dead letter that is brought back must be handled.
  void dead_letter(std::string reason) && {
    dedup_->release(id_);
    std::exchange(ledger_, nullptr)->dead_letter(index_, std::move(reason));
  }

 private:
  Dedup* dedup_;
  Ledger* ledger_;
  EventId id_;
  std::uint32_t index_;
};

}  // namespace pulse::engine
