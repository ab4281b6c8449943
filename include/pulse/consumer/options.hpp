// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <type_traits>

#include "pulse/codec/json.hpp"
#include "pulse/concept/backend.hpp"
#include "pulse/concept/clock.hpp"
#include "pulse/concept/codec.hpp"
#include "pulse/concept/controller.hpp"
#include "pulse/concept/dedup.hpp"
#include "pulse/concept/metrics.hpp"
#include "pulse/core/config.hpp"
#include "pulse/core/delivery.hpp"
#include "pulse/core/feedback.hpp"
#include "pulse/core/keys.hpp"
#include "pulse/engine/loop.hpp"
#include "pulse/engine/retry.hpp"

namespace pulse::inline v0_1 {

/// The rest of a consumer's types. Derive and replace what differs:
///
///     struct MyTraits : pulse::DefaultTraits { using clock = pulse::ManualClock; };
struct DefaultTraits {
  using codec = JsonCodec;  ///< for backends that deliver bytes
  using clock = SystemClock;
  using retry = ExponentialBackoff;  ///< see RetryPolicy
  using feedback = FeedbackEvent;    ///< what bytes are decoded as for a RateController: v1::FeedbackEvent or v2::FeedbackEvent
};

/// The same on track v2: what v2 adds to a FeedbackEvent is read and checked, and filled from a v1 envelope's headers.
template <class Traits = DefaultTraits>
struct OnTrackV2 : Traits {
  using feedback = v2::FeedbackEvent;
};

/// How a consumer behaves. Every value has a bound that `start` checks; the defaults suit handlers of milliseconds.
struct ConsumerOptions {
  /// Streams (keys), group, name. No streams means the feedback stream, `stream_key("telemetry.feedback")`.
  SubscribeOptions subscribe{};
  /// Batch size, waits, claiming, pauses after errors, drain deadline.
  engine::LoopOptions loop{};
  /// How often the leases of a running batch are extended, on a thread of their own; 0: never, no thread. At most half of claim_idle.
  std::chrono::milliseconds heartbeat{10'000};
  /// false: no thread; the host calls `heartbeat()` of the consumer instead, at least that often while a batch is handled.
  bool heartbeat_thread = true;
  /// The longest a handler is meant to take. Only for the checks of the budget: where there is no heartbeat, or the dedup window's leases expire.
  std::chrono::milliseconds handler_deadline{100};
  /// When an event that somebody else is handling at the moment is looked at again.
  std::chrono::milliseconds lease_wait{500};
  /// Scale per level, for a RateController.
  FeedbackSettings feedback{};
  /// Of the jitter in pauses and retries; 0: drawn anew for each consumer. A fixed one makes a run repeatable, and members of a group alike.
  std::uint64_t seed = 0;
};

/// What one `poll` did.
struct PollReport {
  std::size_t received = 0;            ///< deliveries taken from the backend
  std::size_t settled = 0;             ///< of them acked, retried or dead-lettered
  bool stopped = false;                ///< the consumer has stopped: do not poll again
  std::chrono::milliseconds pause{0};  ///< nothing to do for that long, after a backend error
};

/// How a consumer is doing. `live` is judged by progress: a loop that has not got on for `stuck_after` is not live.
struct ConsumerHealth {
  bool live = false;
  bool ready = false;  ///< subscribed, the backend works, not stopping
  /// Since the loop came round or an event was finished, whichever is later; 0 while it waits, pauses or drains as it may. Of an event that is not
  /// the first of its batch, since a question first saw it finished.
  std::chrono::milliseconds since_progress{0};
  std::uint64_t failures_in_a_row = 0;
  std::string detail;  ///< the last error, in a line; empty if none
};

/// Whether these four policies make a Consumer: true exactly when it compiles and works.
template <class B, class D, class M, class C, class T = DefaultTraits>
concept composable = Backend<std::remove_reference_t<B>> && Dedup<std::remove_reference_t<D>> &&
                     (std::remove_reference_t<D>::exact || LossAllowed<std::remove_reference_t<D>>) && Metrics<std::remove_reference_t<M>> &&
                     Controller<std::remove_reference_t<C>> && Clock<typename T::clock> && RetryPolicy<typename T::retry>;

namespace detail {
/// Whether a policy is none of its own family but of another: in the wrong place.
template <class B, class D, class M, class C>
inline constexpr bool misplaced = (!Backend<B> && (Dedup<B> || Metrics<B> || Controller<B>)) || (!Dedup<D> && (Backend<D> || Metrics<D> || Controller<D>)) ||
                                  (!Metrics<M> && (Backend<M> || Dedup<M> || Controller<M>)) || (!Controller<C> && (Backend<C> || Dedup<C> || Metrics<C>));

/// What a Consumer of fewer arguments than policies is made of.
struct MissingPolicy {};
template <class D, class M, class C>
inline constexpr bool misplaced<MissingPolicy, D, M, C> = true;

/// Asserts every requirement of every policy, each with its own message; but that one is missing or in a wrong place alone.
template <class B, class D, class M, class C, class T>
constexpr bool assert_composable() {
  constexpr bool placed = !misplaced<std::remove_reference_t<B>, std::remove_reference_t<D>, std::remove_reference_t<M>, std::remove_reference_t<C>>;
  static_assert(placed,
                "pulse: a policy of the Consumer is missing, or stands in the place of another: they are Backend, Dedup, Metrics, Controller, in this order "
                "(pulse::NoDedup and pulse::NoMetrics where there is none). See docs/reference/consumer.md");
  if constexpr (placed) {
    constexpr bool backend = assert_backend<std::remove_reference_t<B>>();
    constexpr bool dedup = assert_dedup<std::remove_reference_t<D>>();
    constexpr bool metrics = assert_metrics<std::remove_reference_t<M>>();
    constexpr bool controller = assert_controller<std::remove_reference_t<C>>();
    constexpr bool clock = assert_clock<typename T::clock>();
    static_assert(RetryPolicy<typename T::retry>,
                  "pulse: Traits::retry has no `std::chrono::milliseconds delay(std::uint64_t count, std::uint64_t random) const` with `max_deliveries`: "
                  "add them, or use pulse::ExponentialBackoff. See docs/reference/consumer.md");
    constexpr bool named = backend && dedup && metrics && controller && clock && RetryPolicy<typename T::retry>;
    static_assert(composable<B, D, M, C, T> || !named,
                  "pulse: the Consumer misses a requirement of pulse::composable that has no message of its own: assert that concept to see which. See "
                  "docs/reference/consumer.md");
    return composable<B, D, M, C, T>;
  } else {
    return false;
  }
}

/// What a consumer of wrong policies is: nothing, so that the assertion's message stands alone.
class NoConsumer {
 public:
  template <class... A>
  explicit NoConsumer(A&&...) {}
  template <class... A>
  Status start(A&&...) {
    return {};
  }
  template <class... A>
  Result<PollReport> poll(A&&...) {
    return PollReport{};
  }
  template <class... A>
  Status run(A&&...) {
    return {};
  }
  void stop() {}
  [[nodiscard]] ConsumerHealth health() const { return {}; }
};
}  // namespace detail

}  // namespace pulse::inline v0_1
