// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "pulse/concept/dedup.hpp"
#include "pulse/dedup/aging_index.hpp"
#include "pulse/dedup/seeded_hash.hpp"
#include "pulse/detail/big_vector.hpp"

namespace pulse::inline v0_1::detail {

enum class SlotState : std::uint8_t { nothing, leased, done };

/// The states of a ring's slots, two bits each.
class TwoBitStates {
 public:
  explicit TwoBitStates(std::size_t slots) : words_(slots / 32 + 1, 0) {}

  [[nodiscard]] SlotState operator[](std::uint32_t slot) const noexcept { return static_cast<SlotState>(words_[slot / 32] >> (slot % 32 * 2) & 3); }
  void lease(std::uint32_t slot, SlotState before) noexcept { change(slot, before, SlotState::leased); }
  void commit(std::uint32_t slot) noexcept { change(slot, SlotState::leased, SlotState::done); }
  void release(std::uint32_t slot) noexcept { change(slot, SlotState::leased, SlotState::nothing); }

  /// Whether the slot of an id in that state may be given to another.
  [[nodiscard]] static bool may_take(SlotState state) noexcept { return state != SlotState::leased; }
  [[nodiscard]] std::size_t bytes() const noexcept { return words_.size() * sizeof(std::uint64_t); }

 private:
  void change(std::uint32_t slot, SlotState from, SlotState to) noexcept {
    words_[slot / 32] ^= (static_cast<std::uint64_t>(from) ^ static_cast<std::uint64_t>(to)) << (slot % 32 * 2);
  }

  BigVector<std::uint64_t> words_;
};

/// The ids claimed last, in a ring in the order of their claims, and an index beside it. What a slot's state is, and whether it may be taken,
/// the States say; they may let an id expire by themselves, and the ring then finds it in the state `nothing`.
template <class States>
class ClaimRing {
 public:
  static constexpr std::size_t max_capacity = AgingIndex::max_capacity;
  struct lease_type {
    std::uint32_t slot = 0;  ///< of the ring: a leased id does not move
  };

  /// Requires: 1 <= capacity <= max_capacity.
  ClaimRing(std::size_t capacity, States states, std::uint64_t seed)
      : hash_(seed), ring_(capacity), states_(std::move(states)), index_(capacity), capacity_(static_cast<std::uint32_t>(capacity)) {}

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
    states_.commit(lease.slot);
    --leased_;
  }
  void release(lease_type lease) noexcept {
    const EventId id = ring_[lease.slot];
    index_.erase(index_.find(hash_(id), [&](std::uint32_t age) { return slot_of(age) == lease.slot; }));
    states_.release(lease.slot);
    --leased_;
    --size_;
  }

  void commit(EventId id) noexcept {
    if (const AgingIndex::Place place = find(id, hash_(id)); place.found && states_[slot_of(place.age)] == SlotState::leased) {
      commit(lease_type{slot_of(place.age)});
    }
  }
  void release(EventId id) noexcept {
    if (const AgingIndex::Place place = find(id, hash_(id)); place.found && states_[slot_of(place.age)] == SlotState::leased) {
      release(lease_type{slot_of(place.age)});
    }
  }

  void prefetch(EventId id) const noexcept { index_.prefetch(hash_(id)); }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  /// What it holds in memory, this object aside.
  [[nodiscard]] std::size_t bytes() const noexcept { return ring_.size() * sizeof(EventId) + states_.bytes() + index_.bytes(); }

 protected:
  [[nodiscard]] States& states() noexcept { return states_; }
  [[nodiscard]] const States& states() const noexcept { return states_; }
  /// So many ids were `done` and are `nothing` now.
  void expire(std::size_t count) noexcept { size_ -= count; }

 private:
  [[nodiscard]] AgingIndex::Place find(EventId id, std::uint64_t hash) const noexcept {
    return index_.find(hash, [&](std::uint32_t age) { return ring_[slot_of(age)] == id; });
  }

  Claim claim_hashed(EventId id, std::uint64_t hash, lease_type& lease) noexcept {
    const SlotState before = states_[next_];
    if (states_.may_take(before) && index_.insert_plain(hash)) [[likely]] {
      return fill(id, before, lease);
    }
    return look_closely(id, hash, lease);
  }

  [[gnu::noinline]] Claim look_closely(EventId id, std::uint64_t hash, lease_type& lease) noexcept {
    AgingIndex::Place place = find(id, hash);
    if (place.found) {
      expected_ = 16;
      const SlotState state = states_[slot_of(place.age)];
      if (state != SlotState::nothing) {
        return state == SlotState::leased ? Claim::leased : Claim::done;
      }
      index_.erase(place);
      place = find(id, hash);
    }
    if (leased_ == capacity_) {
      return Claim::unavailable;
    }
    if (states_[next_] == SlotState::leased) {
      do {  // a lease is older than the window: it keeps its slot for another round
        const std::uint32_t slot = next_;
        index_.renew(index_.find(hash_(ring_[slot]), [&](std::uint32_t age) { return slot_of(age) == slot; }));
        advance();
      } while (states_[next_] == SlotState::leased);
      place = find(id, hash);  // it may have been taken
    }
    if (!states_.may_take(states_[next_])) {
      return Claim::unavailable;
    }
    index_.insert(place);
    return fill(id, states_[next_], lease);
  }

  /// Puts an id that has entered the index into the slot whose turn it is.
  Claim fill(EventId id, SlotState before, lease_type& lease) noexcept {
    states_.lease(next_, before);
    size_ += before == SlotState::done ? 0 : 1;
    ++leased_;
    ring_[next_] = id;
    lease.slot = next_;
    advance();
    return Claim::fresh;
  }

  [[nodiscard]] std::uint32_t slot_of(std::uint32_t age) const noexcept { return age < next_ ? next_ - 1 - age : next_ + capacity_ - 1 - age; }
  void advance() noexcept { next_ = next_ + 1 == capacity_ ? 0 : next_ + 1; }

  // The counters stand apart: where two neighbours change together, g++ 12 makes one store of 16 bytes of it, for which the next load of 8 waits.
  SeededHash hash_;
  std::size_t size_ = 0;
  BigVector<EventId> ring_;
  States states_;
  AgingIndex index_;
  std::uint32_t capacity_;
  std::uint32_t next_ = 0;      ///< the slot that is given out next
  std::uint32_t expected_ = 0;  ///< for how many batches to come duplicates are to be expected: some came lately
  std::uint32_t leased_ = 0;
};

}  // namespace pulse::inline v0_1::detail
