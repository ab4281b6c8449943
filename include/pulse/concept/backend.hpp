// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "pulse/core/delivery.hpp"
#include "pulse/core/error.hpp"
#include "pulse/fwd.hpp"

namespace pulse::inline v0_1 {

namespace requirement {

template <class B>
concept BackendTypes = requires {
  typename B::payload_type;
  typename B::subscription_type;
  typename B::subscription_type::delivery_type;
  { std::bool_constant<B::capabilities.typed>{} };
};
template <class B>
concept BackendSubscribe = requires(B& backend, const SubscribeOptions& options) {
  { backend.subscribe(options) } -> std::same_as<Result<typename B::subscription_type>>;
};
template <class B>
concept BackendPublish = requires(B& backend, std::string_view stream, typename B::payload_type payload) {
  { backend.publish(stream, std::move(payload)) } -> std::same_as<Result<EntryId>>;
};
template <class B>
concept BackendHealth = requires(const B& backend) {
  { backend.health() } -> std::same_as<pulse::BackendHealth>;
};

template <class D>
concept DeliveryBasics = requires(const D& delivery) {
  { delivery.stream() } -> std::convertible_to<std::size_t>;
  { delivery.id() } -> std::convertible_to<EntryId>;
  { delivery.delivery_count() } -> std::convertible_to<std::uint64_t>;
  { delivery.redriven() } -> std::convertible_to<bool>;
  delivery.data();
};

template <class S>
concept SubscriptionReceive = requires(S& subscription, std::size_t max, std::chrono::milliseconds wait) {
  { subscription.receive(max, wait) } -> std::same_as<Result<Batch<typename S::delivery_type>>>;
};
template <class S>
concept SubscriptionClaim = requires(S& subscription, std::chrono::milliseconds min_idle, std::size_t max) {
  { subscription.claim_stale(min_idle, max) } -> std::same_as<Result<Batch<typename S::delivery_type>>>;
};
template <class S>
concept SubscriptionSettle = requires(S& subscription, const Settlement& settlement) {
  { subscription.settle(settlement) } -> std::same_as<Status>;
};
template <class S>
concept SubscriptionFlush = requires(S& subscription, std::chrono::milliseconds wait) {
  { subscription.flush(wait) } -> std::same_as<Status>;
};
template <class S>
concept SubscriptionExtend = requires(S& subscription, std::size_t index, void (*lost)(std::size_t)) {
  { subscription.extend(index, index, lost) } -> std::same_as<Status>;
};
template <class S>
concept SubscriptionWake = requires(S& subscription) { subscription.wake(); };
template <class S>
concept SubscriptionState = requires(S& subscription, std::size_t stream) {
  { subscription.state(stream) } -> std::same_as<Result<GroupState>>;
};

template <class S>
concept SubscriptionArm = requires(S& subscription, std::size_t max, std::chrono::milliseconds wait, Readiness& ready) {
  { subscription.arm(max, wait, ready) } -> std::same_as<Result<std::chrono::milliseconds>>;
};

}  // namespace requirement

/// One consumer's membership in a group. Contract page: docs/reference/backend.md
///
/// | expression | returns | meaning |
/// |---|---|---|
/// | `s.receive(max, wait)` | Result<Batch<D>> | up to `max` deliveries; waits up to `wait` where there is none |
/// | `s.claim_stale(min_idle, max)` | Result<Batch<D>> | takes over entries of the group that are pending for at least `min_idle` |
/// | `s.settle(settlement)` | Status | acks, retries and dead letters of the current batch |
/// | `s.flush(wait)` | Status | everything settled so far is done, or an error at the latest after `wait` |
/// | `s.extend(first, last, lost)` | Status | resets the idle time of the deliveries [first, last) of the current batch |
/// | `s.wake()` | | ends a waiting receive, or the next one, at once |
/// | `s.state(stream)` | Result<GroupState> | the state of the subscription's stream of that index |
///
/// receive gives first this consumer's own pending entries from before the subscription, uncounted unless SubscribeOptions::count_recoveries;
/// then retries that are due; then new entries. It is empty on a time-out or a wake. The batch is all streams' together: never over `max`.
/// A consumer that is given more handles what fits, leaves the rest pending, and reports a protocol error.
///
/// claim_stale goes on where the last call stopped, and says `more` until it has come round. What it takes counts one delivery more. Its batch, too, is
/// all streams' together: what `max` leaves out has its turn in the next call.
///
/// flush also ends a read that a wake left waiting: a member that has flushed and reads no more is handed nothing.
///
/// settle may be put off until the next receive or flush: an error then comes from there. It may be repeated after an error. A dead
/// letter is copied and acked as one step that never acks without the copy.
///
/// extend calls `lost(index)` for each delivery that another consumer owns now, and never takes it back; the batch must be current.
///
/// Only extend and wake may run beside another call, from any thread. No call throws. A subscription is movable; destroying it changes nothing on the
/// server: what is pending stays pending. A retried entry stays pending meanwhile, so a crash loses none.
///
/// A delivery `d` has `d.stream()` (index into the subscription's streams), `d.id()` (EntryId), `d.delivery_count()` (1 at first),
/// `d.redriven()` (it came back from the DLQ) and `d.data()`: std::string_view, or const Envelope& where capabilities.typed.
template <class S>
concept Subscription = requirement::DeliveryBasics<typename S::delivery_type> && requirement::SubscriptionReceive<S> && requirement::SubscriptionClaim<S> &&
                       requirement::SubscriptionSettle<S> && requirement::SubscriptionFlush<S> && requirement::SubscriptionExtend<S> &&
                       requirement::SubscriptionWake<S> && requirement::SubscriptionState<S> && std::move_constructible<S>;

/// A subscription that a host with an event loop can wait for, beside other things.
///
/// | expression | returns | meaning |
/// |---|---|---|
/// | `s.arm(max, wait, ready)` | Result<std::chrono::milliseconds> | what `receive(max, 0)` would wait for rings, or is watched |
///
/// Called between two batches. `ready` becomes readable when a receive is worth while, and may without need. The time returned is at most `wait`: then a
/// receive is due in any case, at once where it is 0. It waits for nothing but a connection that has to be made, and room to write. A receive(max, 0) that
/// follows does not wait for what has not arrived. `ready` outlives the subscription.
template <class S>
concept ArmingSubscription = Subscription<S> && requirement::SubscriptionArm<S>;

/// A transport. Contract page: docs/reference/backend.md
///
/// | expression | returns | meaning |
/// |---|---|---|
/// | `B::payload_type` | type | what is published: bytes (std::string), or an envelope |
/// | `B::capabilities` | Capabilities constant | what it can do |
/// | `b.subscribe(options)` | Result<subscription_type> | creates the group where it is missing |
/// | `b.publish(stream, payload)` | Result<EntryId> | appends an entry |
/// | `b.health()` | BackendHealth | does not block |
///
/// publish and health may be called from any thread. The backend outlives its subscriptions. Where several consumers share a backend whose health counts
/// reconnects or unmatched acks, it has `b.untold()`, too, from any thread: BackendCounts since the last call, which each is told to one of them.
template <class B>
concept Backend = requirement::BackendTypes<B> && requirement::BackendSubscribe<B> && requirement::BackendPublish<B> && requirement::BackendHealth<B> &&
                  Subscription<typename B::subscription_type>;

/// A backend whose dead letters an operator can look at and bring back. Every call names the key of the stream whose DLQ it means.
///
/// | expression | returns | meaning |
/// |---|---|---|
/// | `b.dead_letters(stream, after, max)` | Result<std::vector<DeadLetter>> | up to `max` dead letters with ids greater than `after`, oldest first |
/// | `b.redrive(stream, id)` | Result<EntryId> | appends the entry to its stream again, marked as redriven, and removes the dead letter: one step |
/// | `b.purge(stream, id)` | Status | removes the dead letter for good |
template <class B>
concept DeadLetterStore = Backend<B> && requires(B& backend, std::string_view stream, EntryId id, std::size_t max) {
  { backend.dead_letters(stream, id, max) } -> std::same_as<Result<std::vector<DeadLetter>>>;
  { backend.redrive(stream, id) } -> std::same_as<Result<EntryId>>;
  { backend.purge(stream, id) } -> std::same_as<Status>;
};

/// Asserts each requirement of Backend on its own, with its message; last the whole, so that no requirement is missed in silence.
template <class B>
constexpr bool assert_backend() {
  static_assert(requirement::BackendTypes<B>,
                "pulse: the Backend lacks payload_type, subscription_type (with delivery_type) or `static constexpr pulse::Capabilities "
                "capabilities`: add them, or use pulse::InMemoryBackend. See docs/reference/backend.md");
  if constexpr (requirement::BackendTypes<B>) {
    using S = typename B::subscription_type;
    static_assert(requirement::BackendSubscribe<B>,
                  "pulse: the Backend has no `pulse::Result<subscription_type> subscribe(const pulse::SubscribeOptions&)`: add it. See "
                  "docs/reference/backend.md");
    static_assert(requirement::BackendPublish<B>,
                  "pulse: the Backend has no `pulse::Result<pulse::EntryId> publish(std::string_view, payload_type)`: add it. See "
                  "docs/reference/backend.md");
    static_assert(requirement::BackendHealth<B>, "pulse: the Backend has no `pulse::BackendHealth health() const`: add it. See docs/reference/backend.md");
    static_assert(requirement::DeliveryBasics<typename S::delivery_type>,
                  "pulse: the Backend's deliveries lack one of stream(), id(), delivery_count(), redriven(), data(): add it. See "
                  "docs/reference/backend.md");
    static_assert(requirement::SubscriptionReceive<S>,
                  "pulse: the Backend's subscription has no `pulse::Result<pulse::Batch<delivery_type>> receive(std::size_t, "
                  "std::chrono::milliseconds)`: add it. See docs/reference/backend.md");
    static_assert(requirement::SubscriptionClaim<S>,
                  "pulse: the Backend's subscription has no `pulse::Result<pulse::Batch<delivery_type>> claim_stale(std::chrono::milliseconds, "
                  "std::size_t)`: add it, or abandoned entries are never handled. See docs/reference/backend.md");
    static_assert(requirement::SubscriptionSettle<S>,
                  "pulse: the Backend's subscription has no `pulse::Status settle(const pulse::Settlement&)`: add it. See "
                  "docs/reference/backend.md");
    static_assert(requirement::SubscriptionFlush<S>,
                  "pulse: the Backend's subscription has no `pulse::Status flush(std::chrono::milliseconds)`: add it. See "
                  "docs/reference/backend.md");
    static_assert(requirement::SubscriptionExtend<S>,
                  "pulse: the Backend's subscription has no `pulse::Status extend(std::size_t first, std::size_t last, Lost lost)`: add it, or "
                  "long handlers lose their entries. See docs/reference/backend.md");
    static_assert(requirement::SubscriptionWake<S>,
                  "pulse: the Backend's subscription has no `void wake()`: add it, or stopping waits for a read to time out. See "
                  "docs/reference/backend.md");
    static_assert(requirement::SubscriptionState<S>,
                  "pulse: the Backend's subscription has no `pulse::Result<pulse::GroupState> state(std::size_t)`: add it. See "
                  "docs/reference/backend.md");
    static_assert(std::move_constructible<S>,
                  "pulse: the Backend's subscription cannot be moved (a std::atomic or std::mutex member forbids it), and subscribe hands it out by "
                  "value: add a move constructor, or hold such members by a std::unique_ptr. See docs/reference/backend.md");
    constexpr bool named = requirement::BackendSubscribe<B> && requirement::BackendPublish<B> && requirement::BackendHealth<B> &&
                           requirement::DeliveryBasics<typename S::delivery_type> && requirement::SubscriptionReceive<S> && requirement::SubscriptionClaim<S> &&
                           requirement::SubscriptionSettle<S> && requirement::SubscriptionFlush<S> && requirement::SubscriptionExtend<S> &&
                           requirement::SubscriptionWake<S> && requirement::SubscriptionState<S> && std::move_constructible<S>;
    static_assert(Backend<B> || !named,
                  "pulse: the Backend misses a requirement of pulse::Backend that has no message of its own: assert that concept to see which. See "
                  "docs/reference/backend.md");
    return Backend<B>;
  } else {
    return false;
  }
}

}  // namespace pulse::inline v0_1
