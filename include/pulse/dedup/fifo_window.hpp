// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>

#include "pulse/concept/dedup.hpp"
#include "pulse/dedup/aging_index.hpp"
#include "pulse/dedup/seeded_hash.hpp"
#include "pulse/detail/big_vector.hpp"

namespace pulse {

/// Remembers the `capacity` ids that were claimed last. Exact: it forgets, but never takes a new id for a known one.
///
/// An id stays known while fewer than capacity - L other ids are claimed as fresh after it, L being the most leases held meanwhile, and
/// those released among them counted. Asking for it again does not keep it longer: that is LruWindow. A lease is never forgotten; while
/// all `capacity` ids are leased, a claim of another answers `unavailable`.
///
/// Memory: 16 bytes an id in a ring, a quarter of one for its state, and 7.7 of index: 24 in all, taken at construction; nothing is allocated
/// or rehashed afterwards. Complexity: expected constant, under a secret seed; a claim looks at one cache line of the index, and at one of
/// the ring where the id is known. Thread safety: one thread.
class FifoWindow {
 public:
  static constexpr bool exact = true;
  static constexpr bool shared = false;
  static constexpr std::size_t default_capacity = 65536;
  static constexpr std::size_t max_capacity = detail::AgingIndex::max_capacity;
  struct lease_type {
    std::uint32_t slot = 0;  ///< of the ring: a leased id does not move
  };

  /// Errors: std::invalid_argument for a capacity outside 1..max_capacity.
  explicit FifoWindow(std::size_t capacity = default_capacity, std::uint64_t seed = detail::SeededHash::random_seed())
      : hash_(seed), ring_(checked(capacity)), states_(capacity / 32 + 1, 0), index_(capacity), capacity_(static_cast<std::uint32_t>(capacity)) {}

  Claim claim(EventId id) noexcept {
    lease_type ignored;
    return claim(id, ignored);
  }
  Claim claim(EventId id, lease_type& lease) noexcept { return claim_hashed(id, hash_(id), lease); }

  /// A batch, equal to one by one in order; `leases` may be empty. The searches of a batch wait for memory together.
  /// Requires: claims, and leases if any, are as many as ids.
  void claim(std::span<const EventId> ids, std::span<Claim> claims, std::span<lease_type> leases = {}) noexcept {
    constexpr std::size_t together = 16;
    std::uint64_t hashes[together];
    while (!ids.empty()) {
      const std::size_t count = ids.size() < together ? ids.size() : together;
      for (std::size_t i = 0; i < count; ++i) {
        hashes[i] = hash_(ids[i]);
        index_.prefetch(hashes[i]);
      }
      if (expected_ > 0) {  // a duplicate looks at the ring, too
        --expected_;
        for (std::size_t i = 0; i < count; ++i) {
          index_.hint(hashes[i], [this](std::uint32_t age) { __builtin_prefetch(&ring_[slot_of(age)]); });
        }
      }
      lease_type ignored;
      for (std::size_t i = 0; i < count; ++i) {
        claims[i] = claim_hashed(ids[i], hashes[i], leases.empty() ? ignored : leases[i]);
      }
      ids = ids.subspan(count);
      claims = claims.subspan(count);
      leases = leases.empty() ? leases : leases.subspan(count);
    }
  }

  void commit(lease_type lease) noexcept {
    change_state(lease.slot, leased, done);
    --leased_;
  }
  void release(lease_type lease) noexcept {
    const EventId id = ring_[lease.slot];
    index_.erase(index_.find(hash_(id), [&](std::uint32_t age) { return slot_of(age) == lease.slot; }));
    change_state(lease.slot, leased, nothing);
    --leased_;
    --size_;
  }

  void commit(EventId id) noexcept {
    if (const detail::AgingIndex::Place place = find(id, hash_(id)); place.found && state(slot_of(place.age)) == leased) {
      commit(lease_type{slot_of(place.age)});
    }
  }
  void release(EventId id) noexcept {
    if (const detail::AgingIndex::Place place = find(id, hash_(id)); place.found && state(slot_of(place.age)) == leased) {
      release(lease_type{slot_of(place.age)});
    }
  }

  void prefetch(EventId id) const noexcept { index_.prefetch(hash_(id)); }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  /// What it holds in memory, this object aside.
  [[nodiscard]] std::size_t bytes() const noexcept { return ring_.size() * sizeof(EventId) + states_.size() * sizeof(std::uint64_t) + index_.bytes(); }

 private:
  enum State : std::uint64_t { nothing, leased, done };

  static std::size_t checked(std::size_t capacity) {
    if (capacity < 1 || capacity > max_capacity) {
      throw std::invalid_argument("FifoWindow: the capacity is " + std::to_string(capacity) + ": allowed are 1 to " + std::to_string(max_capacity));
    }
    return capacity;
  }

  [[nodiscard]] detail::AgingIndex::Place find(EventId id, std::uint64_t hash) const noexcept {
    return index_.find(hash, [&](std::uint32_t age) { return ring_[slot_of(age)] == id; });
  }

  Claim claim_hashed(EventId id, std::uint64_t hash, lease_type& lease) noexcept {
    const State before = state(next_);
    if (before != leased && index_.insert_plain(hash)) [[likely]] {
      return fill(id, before, lease);
    }
    return look_closely(id, hash, lease);
  }

  [[gnu::noinline]] Claim look_closely(EventId id, std::uint64_t hash, lease_type& lease) noexcept {
    detail::AgingIndex::Place place = find(id, hash);
    if (place.found) {
      expected_ = 16;
      return state(slot_of(place.age)) == leased ? Claim::leased : Claim::done;
    }
    if (leased_ == capacity_) {
      return Claim::unavailable;
    }
    if (state(next_) == leased) {
      do {  // a lease is older than the window: it keeps its slot for another round
        const std::uint32_t slot = next_;
        index_.renew(index_.find(hash_(ring_[slot]), [&](std::uint32_t age) { return slot_of(age) == slot; }));
        advance();
      } while (state(next_) == leased);
      place = find(id, hash);  // it may have been taken
    }
    index_.insert(place);
    return fill(id, state(next_), lease);
  }

  /// Puts an id that has entered the index into the slot whose turn it is.
  Claim fill(EventId id, State before, lease_type& lease) noexcept {
    change_state(next_, before, leased);
    size_ += before == done ? 0 : 1;
    ++leased_;
    ring_[next_] = id;
    lease.slot = next_;
    advance();
    return Claim::fresh;
  }

  [[nodiscard]] std::uint32_t slot_of(std::uint32_t age) const noexcept { return age < next_ ? next_ - 1 - age : next_ + capacity_ - 1 - age; }
  void advance() noexcept { next_ = next_ + 1 == capacity_ ? 0 : next_ + 1; }

  // Two bits a slot.
  [[nodiscard]] State state(std::uint32_t slot) const noexcept { return static_cast<State>(states_[slot / 32] >> (slot % 32 * 2) & 3); }
  void change_state(std::uint32_t slot, State from, State to) noexcept { states_[slot / 32] ^= static_cast<std::uint64_t>(from ^ to) << (slot % 32 * 2); }

  // The counters stand apart: where two neighbours change together, g++ 12 makes one store of 16 bytes of it, which the next load of 8 waits for.
  detail::SeededHash hash_;
  std::size_t size_ = 0;
  detail::BigVector<EventId> ring_;
  detail::BigVector<std::uint64_t> states_;
  detail::AgingIndex index_;
  std::uint32_t capacity_;
  std::uint32_t next_ = 0;      ///< the slot that is given out next
  std::uint32_t expected_ = 0;  ///< for how many batches to come duplicates are to be expected: some came lately
  std::uint32_t leased_ = 0;
};

}  // namespace pulse
