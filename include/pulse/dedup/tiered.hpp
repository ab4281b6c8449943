// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "pulse/concept/dedup.hpp"
#include "pulse/dedup/inner_lease.hpp"

namespace pulse::inline v0_1 {

namespace requirement {
/// An exact strategy that can take a caller's word that an id is new, and so need not search for it.
template <class D>
concept DedupClaimNew = requires(D& dedup, EventId id, detail::inner_lease<D>& lease) {
  { dedup.claim_new(id, lease) } -> std::same_as<Claim>;
};
}  // namespace requirement

/// Of two strategies of which one is no Dedup: says what that lacks.
template <class Filter, class Exact>
class Tiered : public detail::Unfit<Filter, Exact> {
 public:
  using detail::Unfit<Filter, Exact>::Unfit;
};

/// A filter in front of an exact strategy, which decides: whatever the filter takes for known is asked of the exact one, so that no new event
/// is ever lost, however wrong the filter is. It needs no consent (AllowLoss). Contract page: docs/reference/dedup/tiered.md
///
/// It pays where the exact strategy is slow to ask - a database, a file - and has `claim_new(id, lease)`, which is called where the filter
/// knows that the id is new: `Claim::fresh`, or `unavailable`. Then the filter has to remember at least as long as the exact strategy: a filter that
/// has forgotten makes a duplicate pass as new. One that is not exact needs `remember(id)` for that, which is called when an id is done that it had taken
/// for known, or had no room to lease: what it never learned it cannot remember. Without `claim_new` the exact strategy is asked about every id.
///
/// Complexity: both; `commit(id)` searches once more where a filter learns. Thread safety: one thread.
template <Dedup Filter, Dedup Exact>
class Tiered<Filter, Exact> {
  static constexpr bool spares = requirement::DedupClaimNew<Exact>;
  static constexpr bool learns = spares && requirement::DedupRemember<Filter>;

 public:
  static constexpr bool exact = Exact::exact;
  static constexpr bool shared = Exact::shared;
  static constexpr bool durable = DurableDedup<Exact>;
  /// A claim of both, until it is committed or released.
  struct lease_type {
    detail::inner_lease<Filter> filter{};
    detail::inner_lease<Exact> exact{};
    EventId id{};  ///< for a filter that learns
    bool in_filter = false;
  };

  /// Errors: std::invalid_argument for a filter that is relied on (`claim_new`) and holds less than the exact strategy.
  Tiered(Filter filter, Exact exact_one) : filter_(std::move(filter)), exact_(std::move(exact_one)) {
    detail::assert_local<Filter, Exact>();
    static_assert(Exact::exact, "pulse: the second strategy of a Tiered decides, so it must be exact: exchange the two. See docs/reference/dedup/tiered.md");
    static_assert(!spares || !SharedDedup<Exact> || SharedDedup<Filter>,
                  "pulse: a filter of this process does not know what other members of the group handled: share the filter too, or ask the exact strategy "
                  "about every id (no claim_new). See docs/reference/dedup/tiered.md");
    static_assert(
        !spares || !DurableDedup<Exact> || DurableDedup<Filter>,
        "pulse: after a start the filter knows nothing of what the exact strategy still knows: make the filter durable (pulse::Journaled), or ask the "
        "exact strategy about every id (no claim_new). See docs/reference/dedup/tiered.md");
    static_assert(!spares || Filter::exact || learns,
                  "pulse: a filter that is not exact forgets early the ids it was wrong about, and their duplicates would pass as new: give it `void "
                  "remember(pulse::EventId)`, or ask the exact strategy about every id (no claim_new). See docs/reference/dedup/tiered.md");
    if constexpr (spares && requires { filter_.capacity() < exact_.capacity(); }) {
      if (filter_.capacity() < exact_.capacity()) {
        throw std::invalid_argument("Tiered: the filter holds " + std::to_string(filter_.capacity()) + " ids, less than the exact strategy's " +
                                    std::to_string(exact_.capacity()) + ": it must hold as many");
      }
    }
  }

  Claim claim(EventId id) {
    lease_type ignored;
    return claim(id, ignored);
  }
  Claim claim(EventId id, lease_type& lease) {
    const Claim filtered = detail::claim_inner(filter_, id, lease.filter);
    lease.id = id;
    lease.in_filter = filtered == Claim::fresh;
    if constexpr (spares) {
      if (lease.in_filter) {
        return settled(exact_.claim_new(id, lease.exact), lease);
      }
    }
    return settled(detail::claim_inner(exact_, id, lease.exact), lease);
  }

  /// A batch, equal to one by one in order; `leases` may be empty. Requires: claims, and leases if any, are as many as ids.
  void claim(std::span<const EventId> ids, std::span<Claim> claims, std::span<lease_type> leases = {}) {
    if constexpr (spares) {
      lease_type ignored;
      for (std::size_t i = 0; i < ids.size(); ++i) {
        claims[i] = claim(ids[i], leases.empty() ? ignored : leases[i]);
      }
    } else {
      constexpr std::size_t together = 64;
      detail::inner_lease<Filter> filter_leases[together]{};
      detail::inner_lease<Exact> exact_leases[together]{};
      Claim filtered[together];
      for (std::size_t from = 0; from < ids.size(); from += together) {
        const std::size_t count = std::min(ids.size() - from, together);
        detail::claim_inner(filter_, ids.subspan(from, count), std::span{filtered, count}, std::span{filter_leases, count});
        detail::claim_inner(exact_, ids.subspan(from, count), claims.subspan(from, count), std::span{exact_leases, count});
        for (std::size_t i = 0; i < count; ++i) {
          const lease_type lease{filter_leases[i], exact_leases[i], {}, filtered[i] == Claim::fresh};
          (void)settled(claims[from + i], lease);
          if (!leases.empty()) {
            leases[from + i] = lease;
          }
        }
      }
    }
  }

  void commit(const lease_type& lease) {
    exact_.commit(lease.exact);
    if (lease.in_filter) {
      filter_.commit(lease.filter);
    } else if constexpr (learns) {
      filter_.remember(lease.id);
    }
  }
  void release(const lease_type& lease) {
    exact_.release(lease.exact);
    if (lease.in_filter) {
      filter_.release(lease.filter);
    }
  }
  void commit(EventId id) {
    if constexpr (learns) {
      if (detail::is_leased(exact_, id)) {
        exact_.commit(id);
        filter_.remember(id);
      }
    } else {
      exact_.commit(id);
      filter_.commit(id);
    }
  }
  void release(EventId id) {
    exact_.release(id);
    filter_.release(id);
  }

  /// As a claim, but an id that is absent takes no place: it is `unavailable`. The exact strategy alone decides that.
  [[nodiscard]] Claim known(EventId id)
    requires detail::KnowsDedup<Exact>
  {
    return exact_.known(id);
  }

  void prefetch(EventId id) const noexcept
    requires PrefetchingDedup<Filter> && PrefetchingDedup<Exact>
  {
    filter_.prefetch(id);
    exact_.prefetch(id);
  }

  [[nodiscard]] std::size_t size() const { return exact_.size(); }
  [[nodiscard]] std::size_t capacity() const
    requires requires(const Exact& inner) { inner.capacity(); }
  {
    return exact_.capacity();
  }
  [[nodiscard]] std::size_t bytes() const
    requires requires(const Filter& filter, const Exact& inner) { filter.bytes() + inner.bytes(); }
  {
    return filter_.bytes() + exact_.bytes();
  }
  [[nodiscard]] const Filter& filter() const noexcept { return filter_; }
  [[nodiscard]] const Exact& inner() const noexcept { return exact_; }

 private:
  /// Where the exact strategy knows what the filter did not, the filter does not keep its lease.
  Claim settled(Claim answer, const lease_type& lease) {
    if (lease.in_filter && answer != Claim::fresh) {
      answer == Claim::done ? filter_.commit(lease.filter) : filter_.release(lease.filter);
    }
    return answer;
  }

  Filter filter_;
  Exact exact_;
};

template <class Filter, class Exact>
Tiered(Filter, Exact) -> Tiered<Filter, Exact>;

}  // namespace pulse::inline v0_1
