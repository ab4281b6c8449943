// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "pulse/core/error.hpp"
#include "pulse/core/event_id.hpp"

namespace pulse::inline v0_1 {

/// What a claim found. The caller of a `fresh` claim owns the lease and ends it with commit or release.
enum class Claim : std::uint8_t {
  fresh,        ///< was absent, is leased to the caller now
  leased,       ///< somebody is handling it and has not said how it went: look again later
  done,         ///< was handled: a duplicate
  unavailable,  ///< cannot tell now (a remote store is away, a bounded window is full of leases): look again later
};

namespace requirement {
template <class D>
concept DedupClaim = requires(D& dedup, EventId id) {
  { dedup.claim(id) } -> std::same_as<Claim>;
};
template <class D>
concept DedupCommit = requires(D& dedup, EventId id) { dedup.commit(id); };
template <class D>
concept DedupRelease = requires(D& dedup, EventId id) { dedup.release(id); };
template <class D>
concept DedupSize = requires(const D& dedup) {
  { dedup.size() } -> std::convertible_to<std::size_t>;
};
template <class D>
concept DedupTraits = requires {
  { std::bool_constant<D::exact>{} };
  { std::bool_constant<D::shared>{} };
};
template <class D>
concept DedupRemoteClaim = requires(D& dedup, std::span<const EventId> ids, std::span<Claim> claims) {
  { dedup.claim(ids, claims) } -> std::same_as<Status>;
};
template <class D>
concept DedupFlush = requires(D& dedup, std::chrono::milliseconds wait) {
  { dedup.flush(wait) } -> std::same_as<Status>;
};
template <class D>
concept DedupLeaseClaim = requires(D& dedup, EventId id, typename D::lease_type& lease) {
  { dedup.claim(id, lease) } -> std::same_as<Claim>;
};
template <class D>
concept DedupLeaseEnd = requires(D& dedup, typename D::lease_type& lease) {
  dedup.commit(lease);
  dedup.release(lease);
};
/// Not half of the calls by lease: it would be asked by id.
template <class D>
concept DedupLeaseWhole = !DedupLeaseClaim<D> || DedupLeaseEnd<D>;
/// Not half of a remote strategy: it would be taken for a local one, asked one by one, and acknowledged without its marks.
template <class D>
concept DedupRemoteWhole = !DedupRemoteClaim<D> || DedupFlush<D>;
}  // namespace requirement

/// An idempotency strategy: remembers which events were handled. Contract page: docs/reference/dedup.md
///
/// An event is absent, leased or done.
///
/// | expression | returns | meaning |
/// |---|---|---|
/// | `dedup.claim(id)` | Claim | absent -> leased to the caller, `fresh`; otherwise changes no state (an LRU may refresh its order) |
/// | `dedup.commit(id)` | | leased -> done. Called only after the handler succeeded |
/// | `dedup.release(id)` | | leased -> absent: the next claim is `fresh`. On a done or an absent id: nothing |
/// | `dedup.size()` | std::size_t | ids remembered, leased ones included |
/// | `D::exact` | bool constant | never says `leased` or `done` of an id it was not told. False: see AllowLoss |
/// | `D::shared` | bool constant | the window is shared by all members of the group, not only by this process |
///
/// Laws (executable in pulse/dedup/conformance.hpp): claim once; release makes fresh; done lasts for the stated window; a lease is never
/// forgotten before it ends unless the strategy states so; size never exceeds the stated bound. Claim, commit and release do not throw.
///
/// Optional. Of those in batches the Consumer calls only a remote strategy's: a local one it asks event by event, when each is handled. The batches of
/// a local one are for Tiered, Sharded and Journaled around it, and for code of one's own. It calls prefetch before it decodes an event whose key it
/// takes for the entry's id, as that of the event before was.
///
/// | expression | meaning |
/// |---|---|
/// | `dedup.claim(ids, claims)` | a batch at once, equal to one by one in order (std::span<const EventId>, std::span<Claim>) |
/// | `dedup.claim(ids, claims, leases)` | the same, and as many leases |
/// | `Claim dedup.known(id)` | as `claim(id)`, but an id that is absent is `unavailable` and takes no place: what Journaled asks while its disk is full |
/// | `dedup.prefetch(id)` | a hint that `claim(id)` follows soon. Reads nothing that a claim changes: any thread may call it at any time |
/// | `D::lease_type`; `dedup.claim(id, lease)` | as `claim(id)`; where it is `fresh`, `lease` names what was taken |
/// | `dedup.commit(lease)`, `dedup.release(lease)` | as by id, once, without looking the id up again |
/// | `Status dedup.claim(ids, claims)` | of a remote strategy (RemoteDedup): an error where the batch could not be claimed: it is claimed again later |
/// | `Status dedup.flush(wait)` | of the same: commits and releases may wait for it; called before anything is acknowledged. Done, or an error after `wait` |
/// | `dedup.lease()` | of a remote strategy whose leases expire: how long one lasts after its claim, and after each flush before its end |
/// | `dedup.owner(name)` | who claims: the consumer says its name at its start, before the first claim |
/// | `D::keyless` | bool constant: no answer depends on the id, so the consumer computes none and passes EventId{} |
/// | `D::concurrent` | bool constant: any thread may call anything at any time; else a strategy is one thread's (pulse::Sharded makes it many's) |
/// | `D::durable` | bool constant: what was committed outlives the process |
template <class D>
concept Dedup = requirement::DedupClaim<D> && requirement::DedupCommit<D> && requirement::DedupRelease<D> && requirement::DedupSize<D> &&
                requirement::DedupTraits<D> && requirement::DedupLeaseWhole<D> && requirement::DedupRemoteWhole<D>;

/// Claims a batch in one call.
template <class D>
concept BatchedDedup = Dedup<D> && requires(D& dedup, std::span<const EventId> ids, std::span<Claim> claims) { dedup.claim(ids, claims); };
/// Gives a claim a handle, by which it is ended without looking the id up again.
template <class D>
concept LeasingDedup = Dedup<D> && requirement::DedupLeaseClaim<D> && requirement::DedupLeaseEnd<D>;
/// Both: a batch of claims with their handles.
template <class D>
concept BatchLeasingDedup = LeasingDedup<D> && requires(D& dedup, std::span<const EventId> ids, std::span<Claim> claims,
                                                        std::span<typename D::lease_type> leases) { dedup.claim(ids, claims, leases); };
/// No answer depends on the id: the consumer does not compute one.
template <class D>
concept KeylessDedup = requires { requires D::keyless; };
/// Its answers come from elsewhere, at the cost of a round trip: the consumer claims a whole batch at once, and flushes before it acks.
template <class D>
concept RemoteDedup = Dedup<D> && requirement::DedupRemoteClaim<D> && requirement::DedupFlush<D>;
/// What it leased is free again after a time, whoever still handles it: the consumer's flushes keep it, and its start asks whether they come in time.
template <class D>
concept LendingDedup = Dedup<D> && requires(const D& dedup) {
  { dedup.lease() } -> std::convertible_to<std::chrono::milliseconds>;
};
/// Tells its claims from those of other members by a name: the consumer's, which is said at its start.
template <class D>
concept OwnedDedup = Dedup<D> && requires(D& dedup, std::string_view name) { dedup.owner(name); };
/// Can ask for the memory of an id ahead of its claim.
template <class D>
concept PrefetchingDedup = Dedup<D> && requires(const D& dedup, EventId id) { dedup.prefetch(id); };
/// Any thread may call anything at any time.
template <class D>
concept ConcurrentDedup = Dedup<D> && requires { requires D::concurrent; };
/// What was committed outlives the process.
template <class D>
concept DurableDedup = Dedup<D> && requires { requires D::durable; };
/// The members of a group that share a strategy recognise each other's events. Without it an entry that one member handled and did not
/// acknowledge is handled again by the member that claims it: assert this where that matters.
template <class D>
concept SharedDedup = Dedup<D> && D::shared;

/// Opts in to a strategy that is not exact: now and then it takes a new event for a duplicate, and that event is acknowledged
/// without having been handled, which loses it. The name at the point of use is the consent.
///
///     pulse::Consumer<Backend, pulse::AllowLoss<pulse::RotatingBloom>, Metrics, Controller>
///
/// As the front filter of a Tiered strategy, whose exact part decides, a lossy strategy needs no consent.
template <class D>
struct AllowLoss : D {
  using D::D;
  static constexpr bool loss_allowed = true;
};

/// Wrapped in AllowLoss.
template <class D>
concept LossAllowed = requires { requires D::loss_allowed; };

/// Asserts each requirement of Dedup on its own, with its message.
template <class D>
constexpr bool assert_strategy() {
  if constexpr (requires { D::assert_parts(); }) {  // a wrapper around what is none
    return D::assert_parts();
  } else {
    static_assert(requirement::DedupClaim<D>,
                  "pulse: the Dedup policy has no `pulse::Claim claim(pulse::EventId)`: add it, or use pulse::NoDedup. See docs/reference/dedup.md");
    static_assert(requirement::DedupCommit<D>,
                  "pulse: the Dedup policy has no `void commit(pulse::EventId)`, called after the handler succeeded: add it (marking in claim loses "
                  "events whose handler fails). See docs/reference/dedup.md");
    static_assert(requirement::DedupRelease<D>,
                  "pulse: the Dedup policy has no `void release(pulse::EventId)`, called after the handler failed: add it, so that the redelivery is "
                  "handled. See docs/reference/dedup.md");
    static_assert(requirement::DedupSize<D>, "pulse: the Dedup policy has no `std::size_t size() const`: add it. See docs/reference/dedup.md");
    static_assert(requirement::DedupTraits<D>,
                  "pulse: the Dedup policy lacks `static constexpr bool exact` or `static constexpr bool shared`: state both. See "
                  "docs/reference/dedup.md");
    static_assert(
        requirement::DedupLeaseWhole<D>,
        "pulse: the Dedup policy has a `pulse::Claim claim(pulse::EventId, lease_type&)` and not both `commit(lease)` and `release(lease)`: add them. "
        "See docs/reference/dedup.md");
    static_assert(requirement::DedupRemoteWhole<D>,
                  "pulse: the Dedup policy has a `pulse::Status claim(ids, claims)` and no `pulse::Status flush(std::chrono::milliseconds)`, called before "
                  "anything is acknowledged: add it. See docs/reference/dedup.md");
    constexpr bool named = requirement::DedupClaim<D> && requirement::DedupCommit<D> && requirement::DedupRelease<D> && requirement::DedupSize<D> &&
                           requirement::DedupTraits<D> && requirement::DedupLeaseWhole<D> && requirement::DedupRemoteWhole<D>;
    static_assert(Dedup<D> || !named,
                  "pulse: the Dedup policy misses a requirement of pulse::Dedup that has no message of its own: assert that concept to see which. See "
                  "docs/reference/dedup.md");
    return Dedup<D>;
  }
}

/// The same, and that a lossy strategy was asked for by name.
template <class D>
constexpr bool assert_dedup() {
  constexpr bool whole = assert_strategy<D>();
  if constexpr (requirement::DedupTraits<D>) {
    static_assert(D::exact || LossAllowed<D>,
                  "pulse: this Dedup policy may take a new event for a duplicate and so lose it: put an exact strategy behind it (pulse::Tiered), "
                  "or consent with pulse::AllowLoss<...>. See docs/reference/dedup.md");
    return whole && (D::exact || LossAllowed<D>);
  } else {
    return false;
  }
}

}  // namespace pulse::inline v0_1
