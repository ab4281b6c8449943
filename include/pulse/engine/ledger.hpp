// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/core/delivery.hpp"

namespace pulse::inline v0_1::engine {

/// What was decided about the deliveries of the current batch and is not settled yet. Memory is taken once, for the largest batch;
/// only the text of dead letters' reasons is allocated. One thread.
///
/// Requires: no more acks than `max_batch` between two calls of clear(): the consumer hands it no more of a batch, whatever a backend gives.
template <class Made = Settlement>  // dependent, so that it is compiled where there is a consumer only: spans of vectors are dear
class BasicLedger {
 public:
  explicit BasicLedger(std::size_t max_batch) : acks_(std::make_unique_for_overwrite<std::uint32_t[]>(max_batch)), acks_end_(acks_.get()) {
    retries_.reserve(max_batch);
    dead_letters_.reserve(max_batch);
    reasons_.reserve(max_batch);
  }

  void ack(std::uint32_t index) { *acks_end_++ = index; }
  void retry(std::uint32_t index, std::chrono::milliseconds delay) { retries_.push_back({index, delay}); }
  /// Again later, without having been tried.
  void wait(std::uint32_t index, std::chrono::milliseconds delay) { retries_.push_back({index, delay, false}); }
  void dead_letter(std::uint32_t index, std::string reason) {
    reasons_.push_back(std::move(reason));
    dead_letters_.push_back({index, {}});
  }

  [[nodiscard]] bool empty() const noexcept { return acks_end_ == acks_.get() && retries_.empty() && dead_letters_.empty(); }

  /// What to settle now; valid until the next change.
  [[nodiscard]] Made settlement() noexcept {
    for (std::size_t i = 0; i < dead_letters_.size(); ++i) {  // here, because growing reasons_ moves short strings
      dead_letters_[i].reason = reasons_[i];
    }
    return {{acks_.get(), acks_end_}, retries_, dead_letters_};
  }

  void clear() noexcept {
    acks_end_ = acks_.get();
    retries_.clear();
    dead_letters_.clear();
    reasons_.clear();
  }

 private:
  std::unique_ptr<std::uint32_t[]> acks_;  // an ack is one store: most deliveries end so
  std::uint32_t* acks_end_;
  std::vector<RetryItem> retries_;
  std::vector<DeadLetterItem> dead_letters_;
  std::vector<std::string> reasons_;  // parallel to dead_letters_
};

using Ledger = BasicLedger<>;

}  // namespace pulse::inline v0_1::engine
