// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "pulse/core/clock.hpp"

namespace pulse::inline v0_1 {

/// Entries that wait for their next delivery: a heap by due time, bounded. One thread.
/// Complexity: logarithmic; allocates only to grow towards its bound.
template <class Entry>
class BasicRetrySchedule {
 public:
  explicit BasicRetrySchedule(std::size_t bound = 65536) noexcept : bound_(bound) {}

  /// False, and nothing changes, when the bound is reached: the entry then stays pending and is claimed when it has idled.
  bool add(SteadyTime due, Entry entry) {
    if (heap_.size() >= bound_) {
      return false;
    }
    heap_.push_back({due, entry});
    std::push_heap(heap_.begin(), heap_.end(), later);
    return true;
  }

  [[nodiscard]] bool due(SteadyTime now) const noexcept { return !heap_.empty() && heap_.front().due <= now; }

  /// Requires: due(now) was true.
  Entry take() {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Entry entry = heap_.back().entry;
    heap_.pop_back();
    return entry;
  }

  /// When the next one is due, or `otherwise` if that is sooner.
  [[nodiscard]] SteadyTime next(SteadyTime otherwise) const noexcept { return heap_.empty() ? otherwise : std::min(otherwise, heap_.front().due); }
  [[nodiscard]] std::size_t size() const noexcept { return heap_.size(); }

  /// Calls `f` for each entry that waits, in no order.
  template <class F>
  void for_each(F&& f) const {
    for (const Waiting& waiting : heap_) {
      f(waiting.entry);
    }
  }
  /// Complexity: linear.
  template <class Key>
  [[nodiscard]] bool contains(const Key& key) const noexcept {
    return std::any_of(heap_.begin(), heap_.end(), [&](const Waiting& waiting) { return waiting.entry == key; });
  }

 private:
  struct Waiting {
    SteadyTime due;
    Entry entry;
  };
  static bool later(const Waiting& a, const Waiting& b) noexcept { return a.due > b.due; }

  std::vector<Waiting> heap_;
  std::size_t bound_;
};

using RetrySchedule = BasicRetrySchedule<std::uint64_t>;

}  // namespace pulse::inline v0_1
