// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "pulse/concept/dedup.hpp"
#include "pulse/dedup/seeded_hash.hpp"
#include "pulse/dedup/slot_index.hpp"
#include "pulse/detail/big_vector.hpp"
#include "pulse/detail/refuse.hpp"

namespace pulse::inline v0_1 {

/// Remembers the `capacity` ids that were committed or asked for last. Exact: it forgets, but never takes a new id for a known one.
///
/// An id stays known while fewer than capacity - L other ids are claimed after it was committed or last asked for, L being the
/// most leases held meanwhile (one, where a single consumer handles one event at a time).
/// A lease is never evicted; while all `capacity` ids are leased, a claim of another answers `unavailable`.
///
/// Memory: 24 bytes an id in a node, and 7.7 of index: 31.7 in all, taken at construction; nothing is allocated or rehashed afterwards.
/// Complexity: expected constant, under a secret seed; a claim of a new id looks at two cache lines of the index, its own and that of the id
/// it puts out, asked for together. Thread safety: one thread. Contract page:
/// docs/reference/dedup/lru-window.md
class LruWindow {
 public:
  static constexpr bool exact = true;
  static constexpr bool shared = false;
  static constexpr std::size_t default_capacity = 65536;
  static constexpr std::size_t max_capacity = detail::SlotIndex::max_capacity;
  /// A claim, by its place: committing it looks nothing up.
  struct lease_type {
    std::uint32_t node = 0;  ///< stays where it is while it is leased
  };

  /// Errors: std::invalid_argument for a capacity outside 1..max_capacity.
  explicit LruWindow(std::size_t capacity = default_capacity, std::uint64_t seed = detail::SeededHash::random_seed())
      : hash_(seed), nodes_(detail::checked_capacity("LruWindow", capacity, max_capacity)), index_(capacity), capacity_(capacity) {}

  Claim claim(EventId id) noexcept {
    lease_type ignored;
    return claim(id, ignored);
  }
  /// Inlined always: the path of a new id is short, but g++ takes it for long, and a call would be a tenth of it.
  [[gnu::always_inline]] Claim claim(EventId id, lease_type& lease) noexcept {
    const std::uint64_t hash = hash_(id);
    index_.prefetch(hash);
    Victim victim;
    if (size_ == capacity_ && last_ != none) {
      victim = victim_at(last_);
      index_.prefetch(victim.hash);
    }
    const Claim found = claim_hashed(id, hash, victim, lease);
    if (size_ == capacity_) {
      prefetch_victims(1);  // of the next claim
    }
    return found;
  }

  /// A batch, equal to one by one in order; `leases` may be empty. The searches of a batch wait for memory together.
  /// Requires: claims, and leases if any, are as many as ids.
  void claim(std::span<const EventId> ids, std::span<Claim> claims, std::span<lease_type> leases = {}) noexcept {
    constexpr std::size_t together = 16;
    std::uint64_t hashes[together];
    while (!ids.empty()) {
      const std::size_t count = std::min(ids.size(), together);
      for (std::size_t i = 0; i < count; ++i) {
        hashes[i] = hash_(ids[i]);
        index_.prefetch(hashes[i]);
      }
      if (size_ == capacity_) {
        prefetch_victims(count);
      }
      if (expected_ > 0) {  // a duplicate looks at its node, too
        --expected_;
        for (std::size_t i = 0; i < count; ++i) {
          index_.hint(hashes[i], [this](std::uint32_t node) { __builtin_prefetch(&nodes_[node], 1); });
        }
      }
      lease_type ignored;
      for (std::size_t i = 0; i < count; ++i) {
        claims[i] = claim_hashed(ids[i], hashes[i], {}, leases.empty() ? ignored : leases[i]);
      }
      ids = ids.subspan(count);
      claims = claims.subspan(count);
      leases = leases.empty() ? leases : leases.subspan(count);
    }
  }

  void commit(lease_type lease) noexcept { push_front(lease.node); }
  void release(lease_type lease) noexcept {
    index_.erase(hash_(nodes_[lease.node].id), lease.node);
    give_back(lease.node);
  }

  void commit(EventId id) noexcept {
    if (const detail::SlotIndex::Place place = find(id, hash_(id)); place.found && is_leased(place.slot)) {
      commit(lease_type{place.slot});
    }
  }
  void release(EventId id) noexcept {
    if (const detail::SlotIndex::Place place = find(id, hash_(id)); place.found && is_leased(place.slot)) {
      release(lease_type{place.slot});
    }
  }

  void prefetch(EventId id) const noexcept { index_.prefetch(hash_(id)); }
  /// As a claim, but an id that is absent takes no place: it is `unavailable`.
  [[nodiscard]] Claim known(EventId id) noexcept {
    const detail::SlotIndex::Place place = find(id, hash_(id));
    return place.found ? found(place.slot) : Claim::unavailable;
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  /// What it holds in memory, this object aside.
  [[nodiscard]] std::size_t bytes() const noexcept { return nodes_.size() * sizeof(Node) + index_.bytes(); }

 private:
  static constexpr std::uint32_t none = 0xffffffff;
  static constexpr std::uint32_t leased = 0xfffffffe;  // as `previous`: off the list of the evictable

  struct Node {
    EventId id;
    std::uint32_t previous = none;
    std::uint32_t next = none;
  };
  static_assert(sizeof(Node) == 24);

  /// Whom a new id puts out, as it looked before: its hash, so that it is made once.
  struct Victim {
    std::uint64_t hash = 0;
    std::uint32_t node = none;
  };
  [[nodiscard]] Victim victim_at(std::uint32_t node) const noexcept { return {hash_(nodes_[node].id), node}; }

  [[nodiscard]] bool is_leased(std::uint32_t node) const noexcept { return nodes_[node].previous == leased; }
  [[nodiscard]] detail::SlotIndex::Place find(EventId id, std::uint64_t hash) const noexcept {
    return index_.find(hash, [&](std::uint32_t node) { return nodes_[node].id == id; });
  }

  Claim claim_hashed(EventId id, std::uint64_t hash, const Victim& victim, lease_type& lease) noexcept {
    if (const std::uint32_t way = index_.plain_way(hash); way != detail::SlotIndex::not_plain) [[likely]] {
      const std::uint32_t node = take(victim);
      if (node == none) [[unlikely]] {
        return Claim::unavailable;
      }
      index_.insert_plain(hash, way, node);
      return fill(id, node, lease);
    }
    return look_closely(id, hash, lease);
  }
  Claim found(std::uint32_t node) noexcept {
    if (is_leased(node)) {
      return Claim::leased;
    }
    if (node != first_) {
      unlink(node);
      push_front(node);
    }
    return Claim::done;
  }
  [[gnu::noinline]] Claim look_closely(EventId id, std::uint64_t hash, lease_type& lease) noexcept {
    const detail::SlotIndex::Place place = find(id, hash);
    if (place.found) {
      expected_ = 16;
      return found(place.slot);
    }
    const std::uint32_t node = take({});
    if (node == none) {
      return Claim::unavailable;
    }
    index_.insert(hash, place, node);
    return fill(id, node, lease);
  }
  Claim fill(EventId id, std::uint32_t node, lease_type& lease) noexcept {
    asm("" : "+r"(id.high));  // by halves: g++ 12 would put an id that comes in registers together in memory first, and the hash would wait for it there
    nodes_[node].id = id;
    nodes_[node].previous = leased;
    lease.node = node;
    return Claim::fresh;
  }

  /// A node for a new id: one that was given back, one that was never used, else the one used longest ago.
  std::uint32_t take(const Victim& victim) noexcept {
    if (size_ == capacity_) [[likely]] {
      const std::uint32_t node = last_;
      if (node != none) [[likely]] {
        index_.erase(victim.node == node ? victim.hash : hash_(nodes_[node].id), node);
        unlink_last();
      }
      return node;
    }
    ++size_;
    if (free_ == none) {
      return used_++;
    }
    const std::uint32_t node = free_;
    free_ = nodes_[node].next;
    return node;
  }
  void give_back(std::uint32_t node) noexcept {
    nodes_[node].next = free_;
    free_ = node;
    --size_;
  }

  void prefetch_victims(std::size_t count) const noexcept {
    std::uint32_t node = last_;
    for (std::size_t i = 0; i < count && node != none; ++i) {
      index_.prefetch(victim_at(node).hash);
      node = nodes_[node].previous;
    }
  }

  void push_front(std::uint32_t node) noexcept {
    nodes_[node].previous = none;
    nodes_[node].next = first_;
    (first_ == none ? last_ : nodes_[first_].previous) = node;
    first_ = node;
  }
  void unlink_last() noexcept {
    last_ = nodes_[last_].previous;
    (last_ == none ? first_ : nodes_[last_].next) = none;
  }
  void unlink(std::uint32_t node) noexcept {
    const std::uint32_t previous = nodes_[node].previous;
    const std::uint32_t next = nodes_[node].next;
    (previous == none ? first_ : nodes_[previous].next) = next;
    (next == none ? last_ : nodes_[next].previous) = previous;
  }

  detail::SeededHash hash_;
  detail::BigVector<Node> nodes_;
  detail::SlotIndex index_;
  std::size_t capacity_;
  std::uint32_t used_ = 0;
  std::uint32_t first_ = none;  ///< the one used last
  std::uint32_t last_ = none;   ///< the one used longest ago
  std::uint32_t free_ = none;
  std::uint32_t expected_ = 0;  ///< for how many batches to come duplicates are to be expected: some came lately
  std::size_t size_ = 0;
};

}  // namespace pulse::inline v0_1
