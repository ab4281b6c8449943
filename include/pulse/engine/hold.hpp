// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "pulse/concept/dedup.hpp"
#include "pulse/core/event_id.hpp"
#include "pulse/engine/ledger.hpp"

namespace pulse::inline v0_1::engine {

/// What ends a claim: the strategy's own handle where it has one, else the id again.
template <class Dedup>
struct LeaseOf {
  EventId id{};
  static Claim claim(Dedup& dedup, EventId id, LeaseOf& out) noexcept {
    out.id = id;
    return dedup.claim(id);
  }
  void commit(Dedup& dedup) const noexcept { dedup.commit(id); }
  void release(Dedup& dedup) const noexcept { dedup.release(id); }
};
/// The handle of a strategy that has one.
template <LeasingDedup Dedup>
struct LeaseOf<Dedup> {
  typename Dedup::lease_type lease{};
  static Claim claim(Dedup& dedup, EventId id, LeaseOf& out) noexcept { return dedup.claim(id, out.lease); }
  void commit(Dedup& dedup) const noexcept { dedup.commit(lease); }
  void release(Dedup& dedup) const noexcept { dedup.release(lease); }
};

/// A claimed delivery on its way through a handler. Whoever holds it decides once; a hold that is dropped without a decision, on
/// whatever path, gives the lease back and leaves the entry pending: it will be delivered again. Nothing is acknowledged by accident.
template <class Dedup>
class Hold {
 public:
  Hold(Dedup& dedup, LeaseOf<Dedup> lease, Ledger& ledger, std::uint32_t index) noexcept : dedup_(&dedup), ledger_(&ledger), lease_(lease), index_(index) {}

  Hold(Hold&& other) noexcept : dedup_(other.dedup_), ledger_(std::exchange(other.ledger_, nullptr)), lease_(other.lease_), index_(other.index_) {}
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
  Hold& operator=(Hold&&) = delete;
  ~Hold() {
    if (ledger_ != nullptr) {
      lease_.release(*dedup_);
    }
  }

  /// Handled: done in the dedup window first, acknowledged second, so that a crash between the two costs a duplicate, not an event.
  void ack() && {
    lease_.commit(*dedup_);
    std::exchange(ledger_, nullptr)->ack(index_);
  }
  /// Handled, but the entry belongs to another consumer by now: done, and not settled.
  void commit_only() && {
    lease_.commit(*dedup_);
    ledger_ = nullptr;
  }
  void retry(std::chrono::milliseconds delay) && {
    lease_.release(*dedup_);
    std::exchange(ledger_, nullptr)->retry(index_, delay);
  }
  /// Released, not committed: a dead letter that is brought back must be handled.
  void dead_letter(std::string reason) && {
    lease_.release(*dedup_);
    std::exchange(ledger_, nullptr)->dead_letter(index_, std::move(reason));
  }

 private:
  Dedup* dedup_;
  Ledger* ledger_;
  LeaseOf<Dedup> lease_;
  std::uint32_t index_;
};

}  // namespace pulse::inline v0_1::engine
