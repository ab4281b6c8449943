// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "pulse/concept/dedup.hpp"
#include "pulse/dedup/seeded_hash.hpp"

namespace pulse {

/// Remembers the `capacity` ids that were committed or asked for last. Exact: it forgets, but never takes a new id for a known one.
///
/// An id stays known while fewer than capacity - L other ids are claimed after it was committed or last asked for, L being the
/// most leases held meanwhile (one, where a single consumer handles one event at a time).
/// A lease is never evicted; while all `capacity` ids are leased, a claim of another answers `unavailable`.
///
/// Memory: 24 bytes a node and 8 to 16 of index, all taken at construction; nothing is allocated or rehashed afterwards.
/// Complexity: constant. Thread safety: one thread.
class LruWindow {
 public:
  static constexpr bool exact = true;
  static constexpr bool shared = false;
  static constexpr std::size_t default_capacity = 65536;
  static constexpr std::size_t max_capacity = std::size_t{1} << 30;
  struct lease_type {
    std::uint32_t node = 0;  ///< stays where it is while it is leased
  };

  /// Errors: std::invalid_argument for a capacity outside 1..max_capacity.
  explicit LruWindow(std::size_t capacity = default_capacity, std::uint64_t seed = detail::SeededHash::random_seed())
      : hash_(seed),
        nodes_(checked(capacity)),
        table_(std::bit_ceil(capacity * 2), 0),
        mask_(table_.size() - 1),
        node_bits_(static_cast<unsigned>(std::bit_width(capacity))) {}

  Claim claim(EventId id) noexcept {
    lease_type ignored;
    return claim(id, ignored);
  }
  Claim claim(EventId id, lease_type& lease) noexcept {
    const std::uint64_t hash = hash_(id);
    const std::size_t at = find(id, hash);
    if (table_[at] != 0) {
      const std::uint32_t node = node_of(table_[at]);
      if (nodes_[node].previous == leased) {
        return Claim::leased;
      }
      if (node != first_) {
        unlink(node);
        push_front(node);
      }
      return Claim::done;
    }
    std::uint32_t node;
    if (free_ != none) {
      node = free_;
      free_ = nodes_[node].next;
    } else if (used_ < nodes_.size()) {
      node = static_cast<std::uint32_t>(used_++);
    } else if (last_ != none) {
      node = last_;
      unlink(node);
      erase(find(nodes_[node].id, hash_(nodes_[node].id)));
      --size_;
      insert(find(id, hash), hash, node, id);
      lease.node = node;
      return Claim::fresh;
    } else {
      return Claim::unavailable;
    }
    insert(at, hash, node, id);
    lease.node = node;
    return Claim::fresh;
  }

  void commit(lease_type lease) noexcept { push_front(lease.node); }
  void release(lease_type lease) noexcept { release(nodes_[lease.node].id); }

  void commit(EventId id) noexcept {
    const std::size_t at = find(id, hash_(id));
    if (table_[at] != 0 && nodes_[node_of(table_[at])].previous == leased) {
      push_front(node_of(table_[at]));
    }
  }

  void release(EventId id) noexcept {
    const std::size_t at = find(id, hash_(id));
    if (table_[at] != 0 && nodes_[node_of(table_[at])].previous == leased) {
      const std::uint32_t node = node_of(table_[at]);
      erase(at);
      nodes_[node].next = free_;
      free_ = node;
      --size_;
    }
  }

  void prefetch(EventId id) const noexcept { __builtin_prefetch(&table_[home(hash_(id))]); }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return nodes_.size(); }

 private:
  static constexpr std::uint32_t none = 0xffffffff;
  static constexpr std::uint32_t leased = 0xfffffffe;  // as `previous`: off the list of the evictable

  struct Node {
    EventId id;
    std::uint32_t previous = none;
    std::uint32_t next = none;
  };
  static_assert(sizeof(Node) == 24);

  static std::size_t checked(std::size_t capacity) {
    if (capacity < 1 || capacity > max_capacity) {
      throw std::invalid_argument("LruWindow: the capacity is " + std::to_string(capacity) + ": allowed are 1 to " + std::to_string(max_capacity));
    }
    return capacity;
  }

  // An index entry is node + 1 in the low bits and a fingerprint of the hash above: most foreign entries are passed without a look
  // at their node. The home slot takes the hash's low bits, the fingerprint its high ones.
  [[nodiscard]] std::size_t home(std::uint64_t hash) const noexcept { return static_cast<std::size_t>(hash) & mask_; }
  [[nodiscard]] std::uint32_t entry(std::uint64_t hash, std::uint32_t node) const noexcept {
    return static_cast<std::uint32_t>(hash >> 32 << node_bits_) | (node + 1);
  }
  [[nodiscard]] std::uint32_t node_of(std::uint32_t entry) const noexcept {
    return (entry & static_cast<std::uint32_t>((std::uint64_t{1} << node_bits_) - 1)) - 1;
  }

  /// The slot that holds `id`, or the empty one where it would go. Terminates: at most half the slots are used.
  [[nodiscard]] std::size_t find(EventId id, std::uint64_t hash) const noexcept {
    std::size_t at = home(hash);
    const std::uint32_t fingerprint = static_cast<std::uint32_t>(hash >> 32 << node_bits_);
    while (table_[at] != 0) {
      if ((table_[at] ^ fingerprint) >> node_bits_ == 0 && nodes_[node_of(table_[at])].id == id) {
        break;
      }
      at = (at + 1) & mask_;
    }
    return at;
  }

  void insert(std::size_t at, std::uint64_t hash, std::uint32_t node, EventId id) noexcept {
    table_[at] = entry(hash, node);
    nodes_[node].id = id;
    nodes_[node].previous = leased;
    ++size_;
  }

  /// Empties a slot and moves later entries of the run back, so that no tombstones gather (Knuth, TAOCP 3, 6.4, algorithm R).
  void erase(std::size_t hole) noexcept {
    std::size_t at = hole;
    while (true) {
      at = (at + 1) & mask_;
      if (table_[at] == 0) {
        break;
      }
      const std::size_t wanted = home(hash_(nodes_[node_of(table_[at])].id));
      if (((at - wanted) & mask_) >= ((at - hole) & mask_)) {
        table_[hole] = table_[at];
        hole = at;
      }
    }
    table_[hole] = 0;
  }

  void push_front(std::uint32_t node) noexcept {
    nodes_[node].previous = none;
    nodes_[node].next = first_;
    (first_ == none ? last_ : nodes_[first_].previous) = node;
    first_ = node;
  }
  void unlink(std::uint32_t node) noexcept {
    const std::uint32_t previous = nodes_[node].previous;
    const std::uint32_t next = nodes_[node].next;
    (previous == none ? first_ : nodes_[previous].next) = next;
    (next == none ? last_ : nodes_[next].previous) = previous;
  }

  detail::SeededHash hash_;
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> table_;
  std::size_t mask_;
  unsigned node_bits_;
  std::size_t used_ = 0;
  std::size_t size_ = 0;
  std::uint32_t first_ = none;
  std::uint32_t last_ = none;
  std::uint32_t free_ = none;
};

}  // namespace pulse
