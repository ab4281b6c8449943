// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/concept/dedup.hpp"
#include "pulse/dedup/seeded_hash.hpp"
#include "pulse/detail/refuse.hpp"

namespace pulse::inline v0_1::detail {

/// The ids in flight, each with its hash. They are few and in the first cache, so a chain from each hash is enough.
///
/// Memory: 36 to 40 bytes a lease. Complexity: expected constant. Nothing is allocated after construction.
class LeaseTable {
 public:
  static constexpr std::uint32_t none = 0xffffffff;

  /// Requires: 1 <= capacity < none.
  explicit LeaseTable(std::size_t capacity) : slots_(capacity), chains_(std::bit_ceil(capacity), none) {
    for (std::size_t i = 0; i + 1 < capacity; ++i) {
      slots_[i].next = static_cast<std::uint32_t>(i + 1);
    }
  }

  /// `none` where it is not leased.
  [[nodiscard]] std::uint32_t find(EventId id, std::uint64_t hash) const noexcept {
    std::uint32_t slot = chains_[chain(hash)];
    while (slot != none && slots_[slot].id != id) {
      slot = slots_[slot].next;
    }
    return slot;
  }
  /// `none` where all are taken. Requires: it is not leased.
  [[nodiscard]] std::uint32_t add(EventId id, std::uint64_t hash) noexcept {
    const std::uint32_t slot = free_;
    if (slot != none) [[likely]] {
      std::uint32_t& first = chains_[chain(hash)];
      free_ = slots_[slot].next;
      slots_[slot] = {id, hash, first};
      first = slot;
      ++size_;
    }
    return slot;
  }
  /// Returns the hash of the id. Requires: it is leased.
  std::uint64_t remove(std::uint32_t slot) noexcept {
    const std::uint64_t hash = slots_[slot].hash;
    std::uint32_t* link = &chains_[chain(hash)];
    while (*link != slot) {
      link = &slots_[*link].next;
    }
    *link = slots_[slot].next;
    slots_[slot].next = free_;
    free_ = slot;
    --size_;
    return hash;
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return slots_.size() * sizeof(Slot) + chains_.size() * sizeof(std::uint32_t); }

 private:
  struct Slot {
    EventId id{};
    std::uint64_t hash = 0;
    std::uint32_t next = none;  ///< of its chain, or of those that are free
  };

  [[nodiscard]] std::size_t chain(std::uint64_t hash) const noexcept { return hash & (chains_.size() - 1); }

  std::vector<Slot> slots_;
  std::vector<std::uint32_t> chains_;  ///< the first slot of each
  std::uint32_t free_ = 0;
  std::uint32_t size_ = 0;
};

/// A strategy of three states made of a filter, which can only be told and asked. What is in flight stands beside it, in an exact table; an id
/// enters the filter when it is done, so that one whose handler failed is as absent as before.
///
/// A Filter has `contains(hash)`, `insert(hash)` of what it does not contain, `renew(hash)` of what it may, `prefetch(hash)`, `size()`, `window()` and
/// `bytes()`. It sees ids by a hash under a secret seed only.
template <class Filter>
class LeasedFilter {
 public:
  static constexpr std::size_t max_leases = std::size_t{1} << 20;
  struct lease_type {
    std::uint32_t slot = 0;  ///< of the table of leases
  };

  /// Errors: std::invalid_argument for leases outside 1..max_leases.
  LeasedFilter(std::string_view who, Filter filter, std::size_t leases, std::uint64_t seed)
      : hash_(seed), leases_(checked_leases(who, leases)), filter_(std::move(filter)) {}

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
    for (std::size_t from = 0; from < ids.size(); from += together) {
      const std::size_t count = std::min(ids.size() - from, together);
      for (std::size_t i = 0; i < count; ++i) {
        hashes[i] = hash_(ids[from + i]);
        filter_.prefetch(hashes[i]);
      }
      lease_type ignored;
      for (std::size_t i = 0; i < count; ++i) {
        claims[from + i] = claim_hashed(ids[from + i], hashes[i], leases.empty() ? ignored : leases[from + i]);
      }
    }
  }

  void commit(lease_type lease) noexcept { filter_.insert(leases_.remove(lease.slot)); }
  void release(lease_type lease) noexcept { leases_.remove(lease.slot); }
  void commit(EventId id) noexcept {
    if (const std::uint32_t slot = leases_.find(id, hash_(id)); slot != LeaseTable::none) {
      commit(lease_type{slot});
    }
  }
  void release(EventId id) noexcept {
    if (const std::uint32_t slot = leases_.find(id, hash_(id)); slot != LeaseTable::none) {
      release(lease_type{slot});
    }
  }

  /// Makes the id done, as if it was committed now, whether it was leased or not: for one that another strategy decided about.
  void remember(EventId id) noexcept {
    const std::uint64_t hash = hash_(id);
    if (const std::uint32_t slot = leases_.find(id, hash); slot != LeaseTable::none) {
      leases_.remove(slot);
    }
    filter_.renew(hash);
  }

  void prefetch(EventId id) const noexcept { filter_.prefetch(hash_(id)); }

  [[nodiscard]] std::size_t size() const noexcept { return filter_.size() + leases_.size(); }
  /// How many of the ids that were committed last are known for certain.
  [[nodiscard]] std::size_t capacity() const noexcept { return filter_.window(); }
  /// What it holds in memory, this object aside.
  [[nodiscard]] std::size_t bytes() const noexcept { return filter_.bytes() + leases_.bytes(); }

 protected:
  [[nodiscard]] const Filter& filter() const noexcept { return filter_; }

 private:
  static std::size_t checked_leases(std::string_view who, std::size_t leases) {
    if (leases < 1 || leases > max_leases) {
      refuse(who, "number of leases", std::to_string(leases), "1 to " + std::to_string(max_leases));
    }
    return leases;
  }

  /// The leases first: what is leased stays so, even where another id that came to the filter meanwhile looks the same there.
  Claim claim_hashed(EventId id, std::uint64_t hash, lease_type& lease) noexcept {
    if (leases_.find(id, hash) != LeaseTable::none) [[unlikely]] {
      return Claim::leased;
    }
    if (filter_.contains(hash)) {
      return Claim::done;
    }
    lease.slot = leases_.add(id, hash);
    return lease.slot != LeaseTable::none ? Claim::fresh : Claim::unavailable;
  }

  SeededHash hash_;
  LeaseTable leases_;
  Filter filter_;
};

}  // namespace pulse::inline v0_1::detail
