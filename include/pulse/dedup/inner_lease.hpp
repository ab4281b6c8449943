// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>

#include "pulse/concept/dedup.hpp"

/// What strategies that stand around another one share.
namespace pulse::inline v0_1 {

namespace requirement {
/// A filter that can be told that an id is done, whatever it thinks of it.
template <class D>
concept DedupRemember = requires(D& dedup, EventId id) { dedup.remember(id); };
}  // namespace requirement

namespace detail {

/// The traits that a wrapper takes over. A loss that was consented to inside is consented to outside.
template <class S>
struct Wraps {
  static constexpr bool exact = S::exact;
  static constexpr bool shared = S::shared;
};
template <LossAllowed S>
struct Wraps<S> {
  static constexpr bool exact = S::exact;
  static constexpr bool shared = S::shared;
  static constexpr bool loss_allowed = true;
};

/// Said in a wrapper's constructor, not in its class: of a class that does not compile, some compilers say a good deal more.
template <class... S>
constexpr void assert_local() {
  static_assert((!RemoteDedup<S> && ...),
                "pulse: a strategy that is asked elsewhere (RemoteDedup, as RedisDedup) stands alone: inside Tiered, Sharded or Journaled nobody would tell "
                "it the consumer's name, nor flush it before the acks: give it to the Consumer itself. See docs/reference/dedup.md");
}

/// In the place of a wrapper around what is no Dedup, and none itself: says what that lacks, once and where it is made or asserted, and takes what a
/// Dedup takes, so that the compiler has nothing to add.
template <class... S>
struct Unfit {
  using lease_type = EventId;
  static constexpr bool assert_parts() { return (assert_strategy<S>() && ...); }
  template <class... Any>
  explicit Unfit(Any&&...) {
    (void)assert_parts();
  }
  template <class... Any>
  Claim claim(Any&&...) {
    return Claim::unavailable;
  }
  void commit(EventId) {}
  void release(EventId) {}
  [[nodiscard]] std::size_t size() const { return 0; }
};

template <class S>
struct inner_lease_of {
  using type = EventId;
};
template <LeasingDedup S>
struct inner_lease_of<S> {
  using type = typename S::lease_type;
};
/// What ends a claim on S: its own lease where it has one, else the id again.
template <class S>
using inner_lease = typename inner_lease_of<S>::type;

/// One id, in whichever way S takes one.
template <Dedup S>
[[gnu::always_inline]] inline Claim claim_inner(S& dedup, EventId id, inner_lease<S>& lease) {
  if constexpr (LeasingDedup<S>) {
    return dedup.claim(id, lease);
  } else {
    lease = id;
    return dedup.claim(id);
  }
}

/// Can tell what it knows without taking a place for what it does not.
template <class S>
concept KnowsDedup = Dedup<S> && requires(S& dedup, EventId id) {
  { dedup.known(id) } -> std::same_as<Claim>;
};

/// A claim while nothing new can be leased: an id that is absent is `unavailable`. Of a strategy without `known` such an id may use up a place.
template <Dedup S>
[[nodiscard]] Claim known_inner(S& dedup, EventId id) {
  if constexpr (KnowsDedup<S>) {
    return dedup.known(id);
  } else {
    inner_lease<S> lease{};
    const Claim answer = claim_inner(dedup, id, lease);
    if (answer == Claim::fresh) {
      dedup.release(lease);
    }
    return answer == Claim::fresh ? Claim::unavailable : answer;
  }
}

/// A strategy tells its leases apart from the rest by a claim alone.
template <Dedup S>
[[nodiscard]] bool is_leased(S& dedup, EventId id) {
  inner_lease<S> lease{};
  const Claim answer = claim_inner(dedup, id, lease);
  if (answer == Claim::fresh) {
    dedup.release(lease);
  }
  return answer == Claim::leased;
}

/// A batch, in whichever way S takes one. `leases` are as many as ids.
template <Dedup S>
void claim_inner(S& dedup, std::span<const EventId> ids, std::span<Claim> claims, std::span<inner_lease<S>> leases) {
  if constexpr (BatchLeasingDedup<S>) {
    dedup.claim(ids, claims, leases);
  } else if constexpr (BatchedDedup<S> && !LeasingDedup<S>) {
    dedup.claim(ids, claims);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      leases[i] = ids[i];
    }
  } else {
    if constexpr (PrefetchingDedup<S>) {
      for (const EventId id : ids) {
        dedup.prefetch(id);
      }
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {
      claims[i] = claim_inner(dedup, ids[i], leases[i]);
    }
  }
}

}  // namespace detail

}  // namespace pulse::inline v0_1
