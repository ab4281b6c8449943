// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "pulse/concept/dedup.hpp"
#include "pulse/dedup/inner_lease.hpp"
#include "pulse/dedup/seeded_hash.hpp"
#include "pulse/dedup/shard_lock.hpp"

namespace pulse::inline v0_1 {

namespace requirement {
/// A strategy whose leases stand in a table of their own, sized at construction beside the capacity.
template <class S>
concept DedupSizesLeases = requires(std::size_t capacity, typename S::options_type options) {
  { options.leases } -> std::same_as<std::size_t&>;
  S{capacity, options};
};
}  // namespace requirement

/// Around what is no Dedup: says what that lacks.
template <class S>
class Sharded : public detail::Unfit<S> {
 public:
  using detail::Unfit<S>::Unfit;
};

/// Makes a strategy of one thread one of many: each id belongs to one of several shards, and each shard is an `S` behind a lock of its own,
/// on cache lines of its own. Contract page: docs/reference/dedup/sharded.md
///
/// What `S` promises holds per shard. `Sharded(capacity)` gives each shard its part and six standard deviations more, because ids fall
/// unevenly: so an id that `S{capacity}` would still know is forgotten with a probability below 10^-8. It divides the leases of a filter
/// (RotatingBloom, Cuckoo) in the same way, 16 at least to a shard. A shard whose every place is leased answers `unavailable` though others have room. Which
/// shard an id belongs to depends on a secret seed: nobody can aim at one.
///
/// Complexity: that of S, a hash and an uncontended lock. The claims of a batch wait for memory together. Thread safety: any thread may call anything at
/// any time, except moving and destroying.
template <Dedup S>
class Sharded<S> : public detail::Wraps<S> {
 public:
  static constexpr bool concurrent = true;
  static constexpr bool durable = DurableDedup<S>;
  static constexpr std::size_t max_shards = 65536;
  /// A shard for 64 ids, 32 to 2048: two threads that meet in one of fewer spend more on handing its memory to each other than they gain.
  [[nodiscard]] static constexpr std::size_t default_shards(std::size_t capacity) noexcept {
    return std::clamp<std::size_t>(std::bit_ceil(capacity / 64 + 1), 32, 2048);
  }
  /// A claim, and the shard that it is in.
  struct lease_type {
    std::uint32_t shard = 0;
    detail::inner_lease<S> inner{};
  };

  /// Requires: 1 <= shards <= max_shards. Errors: std::invalid_argument for a count outside, and what S says of its capacity.
  explicit Sharded(std::size_t capacity)
    requires(std::constructible_from<S, std::size_t> && !DurableDedup<S>)
      : Sharded(capacity, default_shards(capacity)) {}
  Sharded(std::size_t capacity, std::size_t shards, std::uint64_t seed = detail::SeededHash::random_seed())
    requires(std::constructible_from<S, std::size_t> && !DurableDedup<S>)
      : Sharded(shards, [part = part_of(capacity, checked(shards)), shards](std::size_t) { return shard_for(part, shards); }, seed) {}

  /// The shards that `make(index)` gives. A strategy that outlives the process finds an id again in the shard where it left it: it needs
  /// the same count and the same seed at each start.
  template <std::invocable<std::size_t> Make>
  Sharded(std::size_t shards, Make&& make, std::uint64_t seed) : hash_(seed) {
    detail::assert_local<S>();
    shards_.reserve(checked(shards));
    for (std::size_t i = 0; i < shards; ++i) {
      shards_.push_back(std::make_unique<Shard>(make, i));
    }
  }

  Claim claim(EventId id) {
    Shard& shard = *shards_[shard_of(id)];
    const Lock lock{shard};
    return shard.strategy.claim(id);
  }
  Claim claim(EventId id, lease_type& lease) {
    lease.shard = shard_of(id);
    Shard& shard = *shards_[lease.shard];
    const Lock lock{shard};
    return detail::claim_inner(shard.strategy, id, lease.inner);
  }

  /// A batch, equal to one by one in order; `leases` may be empty. Requires: claims, and leases if any, are as many as ids.
  void claim(std::span<const EventId> ids, std::span<Claim> claims, std::span<lease_type> leases = {}) {
    for (std::size_t from = 0; from < ids.size(); from += together) {
      const std::size_t count = std::min(ids.size() - from, together);
      claim_together(ids.subspan(from, count), claims.subspan(from, count), leases.empty() ? leases : leases.subspan(from, count));
    }
  }

  void commit(EventId id) {
    of(id, [&](S& strategy) { strategy.commit(id); });
  }
  void release(EventId id) {
    of(id, [&](S& strategy) { strategy.release(id); });
  }
  void commit(const lease_type& lease) {
    Shard& shard = *shards_[lease.shard];
    const Lock lock{shard};
    shard.strategy.commit(lease.inner);
  }
  void release(const lease_type& lease) {
    Shard& shard = *shards_[lease.shard];
    const Lock lock{shard};
    shard.strategy.release(lease.inner);
  }

  /// As a claim, but an id that is absent takes no place: it is `unavailable`.
  [[nodiscard]] Claim known(EventId id)
    requires detail::KnowsDedup<S>
  {
    Shard& shard = *shards_[shard_of(id)];
    const Lock lock{shard};
    return shard.strategy.known(id);
  }

  /// Makes the id done, whether it was leased or not.
  void remember(EventId id)
    requires requirement::DedupRemember<S>
  {
    of(id, [&](S& strategy) { strategy.remember(id); });
  }

  void prefetch(EventId id) const noexcept
    requires PrefetchingDedup<S>
  {
    shards_[shard_of(id)]->strategy.prefetch(id);
  }

  /// Takes the locks in turn: while others claim, it is a size that the strategy had in parts. Complexity: linear in the shards.
  [[nodiscard]] std::size_t size() const {
    return sum([](const S& strategy) { return strategy.size(); });
  }
  [[nodiscard]] std::size_t capacity() const
    requires requires(const S& strategy) { strategy.capacity(); }
  {
    return sum([](const S& strategy) { return strategy.capacity(); });
  }
  [[nodiscard]] std::size_t bytes() const
    requires requires(const S& strategy) { strategy.bytes(); }
  {
    return sum([](const S& strategy) { return strategy.bytes(); }) + shards_.size() * (sizeof(Shard) + sizeof(shards_[0]));
  }
  [[nodiscard]] std::size_t shards() const noexcept { return shards_.size(); }

  /// Calls `visit(strategy)` for each shard in turn, under its lock: for what S can do beyond a Dedup.
  template <class Visit>
  void each(Visit&& visit) {
    for (const std::unique_ptr<Shard>& shard : shards_) {
      const Lock lock{*shard};
      visit(shard->strategy);
    }
  }

 private:
  static constexpr std::size_t together = 32;

  struct alignas(128) Shard {  // two lines: processors fetch them in pairs
    template <class Make>
    Shard(Make& make, std::size_t index) : strategy(make(index)) {}
    S strategy;
    detail::ShardLock lock;  // behind what changes in the strategy, which stands last in ours: one cache line goes from thread to thread, not two
  };

  struct Lock {
    explicit Lock(Shard& locked) noexcept : shard(locked) { shard.lock.lock(); }
    ~Lock() { shard.lock.unlock(); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    Shard& shard;
  };

  static std::size_t checked(std::size_t shards) {
    if (shards < 1 || shards > max_shards) {
      throw std::invalid_argument("Sharded: the count of shards is " + std::to_string(shards) + ": allowed are 1 to " + std::to_string(max_shards));
    }
    return shards;
  }
  /// The ids of a window fall on the shards by chance: a shard's share is about normal with the deviation of its root.
  static std::size_t part_of(std::size_t capacity, std::size_t shards) {
    const double mean = static_cast<double>(capacity) / static_cast<double>(shards);
    const double part = mean + 6 * std::sqrt(mean) + 4;
    return part < static_cast<double>(capacity) ? static_cast<std::size_t>(part) : capacity;
  }

  /// All shards together lease what one S would, and not so much each: a shard of few ids would be little else.
  static S shard_for(std::size_t part, [[maybe_unused]] std::size_t shards) {
    if constexpr (requirement::DedupSizesLeases<S>) {
      typename S::options_type options{};
      options.leases = std::max<std::size_t>(part_of(options.leases, shards), 16);
      return S{part, options};
    } else {
      return S{part};
    }
  }

  [[nodiscard]] std::uint32_t shard_of(EventId id) const noexcept { return static_cast<std::uint32_t>((hash_(id) >> 32) * shards_.size() >> 32); }

  template <class Do>
  void of(EventId id, Do&& what) {
    Shard& shard = *shards_[shard_of(id)];
    const Lock lock{shard};
    what(shard.strategy);
  }
  template <class Of>
  [[nodiscard]] std::size_t sum(Of&& of_one) const {
    std::size_t total = 0;
    for (const std::unique_ptr<Shard>& shard : shards_) {
      const Lock lock{*shard};
      total += of_one(shard->strategy);
    }
    return total;
  }

  /// All shards are asked for their memory first, then each id in its turn: of a batch, few ids fall on one shard, and to gather them
  /// costs more than the locks that it spares.
  void claim_together(std::span<const EventId> ids, std::span<Claim> claims, std::span<lease_type> leases) {
    std::uint32_t shard[together];
    for (std::size_t i = 0; i < ids.size(); ++i) {
      shard[i] = shard_of(ids[i]);
      __builtin_prefetch(&shards_[shard[i]]->lock, 1);
      if constexpr (PrefetchingDedup<S>) {
        shards_[shard[i]]->strategy.prefetch(ids[i]);
      }
    }
    lease_type ignored;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      lease_type& lease = leases.empty() ? ignored : leases[i];
      lease.shard = shard[i];
      Shard& home = *shards_[shard[i]];
      const Lock lock{home};
      claims[i] = detail::claim_inner(home.strategy, ids[i], lease.inner);
    }
  }

  detail::SeededHash hash_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace pulse::inline v0_1
