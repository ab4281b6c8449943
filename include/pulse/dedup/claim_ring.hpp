// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "pulse/concept/dedup.hpp"
#include "pulse/dedup/aging_index.hpp"
#include "pulse/dedup/seeded_hash.hpp"
#include "pulse/detail/big_vector.hpp"
#include "pulse/detail/prefetch.hpp"

namespace pulse::inline v0_1::detail {

enum class SlotState : std::uint8_t { nothing, leased, done };

/// The states of a ring's slots, two bits each.
class TwoBitStates {
 public:
  explicit TwoBitStates(std::size_t slots) : words_(slots / slots_a_word + 1) {}

  [[nodiscard]] SlotState operator[](std::uint32_t slot) const noexcept {
    const Word& word = words_[slot / slots_a_word];
    return (word.known & bit(slot)) == 0 ? SlotState::nothing : (word.leased & bit(slot)) != 0 ? SlotState::leased : SlotState::done;
  }
  void prefetch(std::uint32_t slot) const noexcept { prefetch_line(&words_[slot / slots_a_word]); }
  void commit(std::uint32_t slot) noexcept { words_[slot / slots_a_word].leased &= ~bit(slot); }
  void release(std::uint32_t slot) noexcept {
    words_[slot / slots_a_word].leased &= ~bit(slot);
    words_[slot / slots_a_word].known &= ~bit(slot);
  }

  /// Whether the slot may be given to another id.
  [[nodiscard]] bool may_take(std::uint32_t slot) const noexcept { return (words_[slot / slots_a_word].leased & bit(slot)) == 0; }
  /// How many slots in a row, from this one on and at most so many, may be given to others: maybe fewer than there are. Requires: most > 0.
  [[nodiscard]] std::uint32_t may_take(std::uint32_t slot, std::uint32_t most) const noexcept {
    const auto free = static_cast<std::uint32_t>(std::countr_zero(words_[slot / slots_a_word].leased >> slot % slots_a_word));
    const std::uint32_t here = slots_a_word - slot % slots_a_word;
    return std::min({free, here, most});
  }
  /// Leases a slot that may be taken, or so many that the call before told of at once. Adds to `size` those whose id was not known.
  void lease(std::uint32_t slot, std::size_t& size) noexcept {
    Word& word = words_[slot / slots_a_word];
    word.leased |= bit(slot);
    if ((word.known & bit(slot)) == 0) [[unlikely]] {
      word.known |= bit(slot);
      ++size;
    }
  }
  void lease(std::uint32_t slot, std::uint32_t count, std::size_t& size) noexcept {
    Word& word = words_[slot / slots_a_word];
    const std::uint64_t bits = (~std::uint64_t{0} >> (slots_a_word - count)) << slot % slots_a_word;
    word.leased |= bits;
    if (const std::uint64_t fresh = bits & ~word.known; fresh != 0) [[unlikely]] {
      word.known |= bits;
      size += static_cast<std::size_t>(std::popcount(fresh));
    }
  }
  [[nodiscard]] std::size_t bytes() const noexcept { return words_.size() * sizeof(Word); }

 private:
  static constexpr std::uint32_t slots_a_word = 64;
  struct Word {
    std::uint64_t leased = 0;
    std::uint64_t known = 0;  ///< leased or done
  };
  [[nodiscard]] static constexpr std::uint64_t bit(std::uint32_t slot) noexcept { return std::uint64_t{1} << slot % slots_a_word; }

  BigVector<Word> words_;
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
      : hash_(seed), ring_(capacity), states_(std::move(states)), capacity_(static_cast<std::uint32_t>(capacity)), index_(capacity) {}

  Claim claim(EventId id) noexcept {
    lease_type ignored;
    return claim(id, ignored);
  }
  /// Inlined always: the path of a new id is short, but g++ takes it for long, and a call would be a tenth of it.
  [[gnu::always_inline]] Claim claim(EventId id, lease_type& lease) noexcept {
    const Spot spot = index_.spot(hash_(id));
    if (states_.may_take(next_) && index_.insert_plain(spot)) [[likely]] {
      return fill(id, lease);
    }
    return look_closely(id, spot.home, spot.print, lease);
  }

  /// A batch, equal to one by one in order; `leases` may be empty. The searches of a batch wait for memory together.
  /// Requires: claims, and leases if any, are as many as ids.
  void claim(std::span<const EventId> ids, std::span<Claim> claims, std::span<lease_type> leases = {}) noexcept {
    constexpr std::size_t together = 16;
    Spot spots[together];
    while (!ids.empty()) {
      const std::size_t count = std::min(ids.size(), together);
      for (std::size_t i = 0; i < count; ++i) {
        spots[i] = index_.spot(hash_(ids[i]));
        index_.prefetch(spots[i]);
      }
      if (expected_ > 0) {  // a duplicate looks at the ring and at its state, too
        --expected_;
        for (std::size_t i = 0; i < count; ++i) {
          const std::uint32_t slot = slot_of(index_.hint(spots[i]));
          __builtin_prefetch(&ring_[slot]);
          states_.prefetch(slot);
        }
      }
      claim_spots(ids.data(), spots, count, claims.data(), leases.empty() ? nullptr : leases.data());
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
    index_.erase(index_.find(index_.spot(hash_(id)), [&](std::uint32_t age) { return slot_of(age) == lease.slot; }));
    states_.release(lease.slot);
    --leased_;
    --size_;
  }

  void commit(EventId id) noexcept {
    if (const AgingIndex::Place place = find(id, index_.spot(hash_(id))); place.found && states_[slot_of(place.age)] == SlotState::leased) {
      commit(lease_type{slot_of(place.age)});
    }
  }
  void release(EventId id) noexcept {
    if (const AgingIndex::Place place = find(id, index_.spot(hash_(id))); place.found && states_[slot_of(place.age)] == SlotState::leased) {
      release(lease_type{slot_of(place.age)});
    }
  }

  void prefetch(EventId id) const noexcept { index_.prefetch(index_.spot(hash_(id))); }
  /// As a claim, but an id that is absent takes no place: it is `unavailable`.
  [[nodiscard]] Claim known(EventId id) const noexcept {
    const AgingIndex::Place place = find(id, index_.spot(hash_(id)));
    const SlotState state = place.found ? states_[slot_of(place.age)] : SlotState::nothing;
    return state == SlotState::nothing ? Claim::unavailable : state == SlotState::leased ? Claim::leased : Claim::done;
  }

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
  using Spot = AgingIndex::Spot;

  [[nodiscard]] AgingIndex::Place find(EventId id, Spot spot) const noexcept {
    return index_.find(spot, [&](std::uint32_t age) { return ring_[slot_of(age)] == id; });
  }

  /// Most ids are plainly new: runs of these are entered at once, into slots side by side.
  void claim_spots(const EventId* ids, const Spot* spots, std::size_t count, Claim* claims, lease_type* leases) noexcept {
    for (std::size_t at = 0; at < count;) {
      const std::uint32_t room = states_.may_take(next_, std::min(static_cast<std::uint32_t>(count - at), capacity_ - next_));
      const std::size_t taken = index_.insert_plain(spots + at, room);
      if (taken > 0) {
        fill_run(ids + at, static_cast<std::uint32_t>(taken), claims + at, leases == nullptr ? nullptr : leases + at);
        at += taken;
      }
      if (taken < room || room == 0) {
        lease_type ignored;
        claims[at] = look_closely(ids[at], spots[at].home, spots[at].print, leases == nullptr ? ignored : leases[at]);
        ++at;
      }
    }
  }

  /// The spot comes in two, so that the short path need not pack it into one register for this.
  [[gnu::noinline]] Claim look_closely(EventId id, std::uint32_t home, std::uint32_t print, lease_type& lease) noexcept {
    const Spot spot{home, print};
    const AgingIndex::Place place = find(id, spot);
    if (place.found) {
      expected_ = 16;
      const SlotState state = states_[slot_of(place.age)];
      if (state != SlotState::nothing) {
        return state == SlotState::leased ? Claim::leased : Claim::done;
      }
      index_.erase(place);
    }
    if (leased_ == capacity_) {
      return Claim::unavailable;
    }
    while (states_[next_] == SlotState::leased) {  // a lease is older than the window: it keeps its slot for another round
      const std::uint32_t slot = next_;
      index_.renew(index_.find(index_.spot(hash_(ring_[slot])), [&](std::uint32_t age) { return slot_of(age) == slot; }));
      advance(1);
    }
    if (!states_.may_take(next_)) {
      return Claim::unavailable;
    }
    index_.insert(spot);
    return fill(id, lease);
  }

  /// Puts ids that have entered the index into the slots whose turn it is.
  Claim fill(EventId id, lease_type& lease) noexcept {
    asm("" : "+r"(id.high));  // by halves: g++ 12 would put an id that comes in registers together in memory first, and the hash would wait for it there
    ring_[next_] = id;
    lease.slot = next_;
    states_.lease(next_, size_);
    ++leased_;
    advance(1);
    return Claim::fresh;
  }
  void fill_run(const EventId* ids, std::uint32_t count, Claim* claims, lease_type* leases) noexcept {
    std::copy_n(ids, count, ring_.begin() + next_);
    std::fill_n(claims, count, Claim::fresh);
    if (leases != nullptr) {
      for (std::uint32_t i = 0; i < count; ++i) {
        leases[i].slot = next_ + i;
      }
    }
    states_.lease(next_, count, size_);
    leased_ += count;
    advance(count);
  }

  [[nodiscard]] std::uint32_t slot_of(std::uint32_t age) const noexcept { return age < next_ ? next_ - 1 - age : next_ + capacity_ - 1 - age; }
  void advance(std::uint32_t count) noexcept { next_ = next_ + count == capacity_ ? 0 : next_ + count; }

  SeededHash hash_;
  BigVector<EventId> ring_;
  States states_;
  std::uint32_t capacity_;
  AgingIndex index_;
  // What changes stands last, behind what changes of the index.
  std::uint32_t next_ = 0;      ///< the slot that is given out next
  std::uint32_t expected_ = 0;  ///< for how many batches to come duplicates are to be expected: some came lately
  std::uint32_t leased_ = 0;
  std::size_t size_ = 0;
};

}  // namespace pulse::inline v0_1::detail
