// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <unordered_map>

#include "pulse/concept/dedup.hpp"
#include "pulse/dedup/seeded_hash.hpp"

namespace pulse::inline v0_1 {

/// Remembers every id for ever: exact, and NOT bounded: about 56 bytes an id on a 64-bit machine, growing until the process ends.
/// Use for tests, replays and short-lived jobs; a service wants LruWindow.
///
/// `Hash` is seeded, so that ids of a stranger's choosing do not pile up in one bucket; another must resist that as well.
///
/// Complexity: amortised constant; allocates per id. Errors: std::bad_alloc where memory ends. Thread safety: one thread.
template <class Hash = detail::SeededIdHash>
class BasicSeenSet {
 public:
  static constexpr bool exact = true;
  static constexpr bool shared = false;

  Claim claim(EventId id) {
    const auto [at, added] = states_.try_emplace(id, Claim::leased);
    return added ? Claim::fresh : at->second;
  }
  void commit(EventId id) {
    if (const auto at = states_.find(id); at != states_.end()) {
      at->second = Claim::done;
    }
  }
  void release(EventId id) {
    if (const auto at = states_.find(id); at != states_.end() && at->second == Claim::leased) {
      states_.erase(at);
    }
  }
  [[nodiscard]] std::size_t size() const noexcept { return states_.size(); }

 private:
  std::unordered_map<EventId, Claim, Hash> states_;
};

using SeenSet = BasicSeenSet<>;

}  // namespace pulse::inline v0_1
