// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "pulse/concept/observer.hpp"
#include "pulse/consumer_options.hpp"
#include "pulse/control/feedback_handler.hpp"
#include "pulse/core/stop.hpp"
#include "pulse/engine/processor.hpp"

/// What a Consumer derives from its policies.
namespace pulse::inline v0_1::detail {

/// The payload a consumer sees: that of a typed backend's envelopes, else what the controller handles.
template <class Delivery, class Controller, class Traits>
struct payload_seen {
  using data_type = std::remove_cvref_t<decltype(std::declval<const Delivery&>().data())>;
  static auto pick() {
    if constexpr (requires { typename data_type::payload_type; }) {
      return std::type_identity<typename data_type::payload_type>{};
    } else if constexpr (requires { typename Controller::events; }) {
      return std::type_identity<typename Controller::events::payload_type>{};
    } else {
      return std::type_identity<typename Traits::feedback>{};
    }
  }
  using type = typename decltype(pick())::type;
};

/// A RateController is driven through a FeedbackHandler; an EventHandler is called as it is.
template <class C, class M, class Clk>
struct handler_of {
  using type = FeedbackHandler<C, M, Clk>;
  static type make(C& controller, M& metrics, const Clk& clock, const FeedbackSettings& settings) { return type{controller, metrics, settings, clock}; }
};
template <EventHandler C, class M, class Clk>
struct handler_of<C, M, Clk> {
  using type = C&;
  static type make(C& controller, M&, const Clk&, const FeedbackSettings&) { return controller; }
};

/// Gives a handler that keeps time of its own (FeedbackHandler: silent coordinators expire) its chance between events.
template <class Handler>
void tick(Handler& handler) {
  if constexpr (requires { handler.tick(); }) {
    (void)handler.tick();
  }
}

/// No streams means the feedback stream.
inline ConsumerOptions with_streams(ConsumerOptions options) {
  if (options.subscribe.streams.empty()) {
    options.subscribe.streams.push_back(stream_key(feedback_stream));
  }
  return options;
}

inline std::uint64_t seed_of(const ConsumerOptions& options) { return options.seed != 0 ? options.seed : std::random_device{}(); }

/// The salt tells equal entry ids of two streams apart.
template <class M>
std::vector<engine::StreamFacts> stream_facts(const std::vector<std::string>& keys, const M& metrics) {
  std::vector<engine::StreamFacts> facts;
  for (const std::string& key : keys) {
    facts.push_back({key, keys.size() == 1 ? EventId{} : EventId::from_text(key), metrics.template slot<StreamLabel>(key)});
  }
  return facts;
}

template <class Controller>
Status check_options(const ConsumerOptions& options) {
  if (Status checked = engine::check(options.loop, options.handler_deadline, options.heartbeat, options.subscribe.prefetch); !checked) {
    return checked;
  }
  if (options.lease_wait.count() < 1 || options.lease_wait > std::chrono::hours{24}) {
    return Error{ErrorCode::config, "ConsumerOptions.lease_wait is " + std::to_string(options.lease_wait.count()) + " ms: allowed are 1 ms to a day"};
  }
  return RateController<Controller> ? check(options.feedback) : Status{};
}

/// Calls `f` when a StopToken's source says stop, as long as the result lives; for other tokens `run` looks itself.
template <class Token, class F>
auto on_stop(const Token& token, F f) {
  if constexpr (std::is_same_v<Token, StopToken>) {
    return std::make_unique<StopCallback<F>>(token, std::move(f));
  } else {
    return std::nullptr_t{};
  }
}

/// When a consumer's loop last got on, its failures in a row, and what the last one said. Thread safety: one thread tells, any may ask.
class Vitals {
 public:
  /// `when`: now, or until when it may rest.
  void progressed(SteadyTime when) noexcept {
    progress_.store(when.time_since_epoch().count(), std::memory_order_relaxed);
    position_.store(0, std::memory_order_release);
  }
  /// Nothing is to be done for that long, which is given back.
  std::chrono::milliseconds rests(SteadyTime now, std::chrono::milliseconds pause) noexcept {
    progressed(now + pause);
    return pause;
  }
  /// The event of that index in the batch is next. It reads no clock: who asks does, and sees by the index whether those before are finished.
  void handling(std::uint32_t index) noexcept { position_.store(index, std::memory_order_relaxed); }
  Error note(Error error) {
    const std::lock_guard lock{mutex_};
    last_ = error.message;
    ++count_;
    any_ = true;
    return error;
  }
  /// The last failure: nothing goes on after it.
  template <class Metrics>
  Error ended(Metrics& metrics, Error error) {
    tell<notice::Ended>(metrics, [&] { return notice::Ended{error.code, error.message}; });
    return note(std::move(error));
  }
  /// A failure after which the loop goes on.
  template <class Metrics>
  void failed(Metrics& metrics, Error error) {
    tell<notice::BackendFailed>(metrics, [&] { return notice::BackendFailed{error.code, error.message, count_ + 1}; });
    (void)note(std::move(error));
  }
  template <class Metrics>
  void clear(Metrics& metrics) {
    if (any_) [[unlikely]] {
      any_ = false;
      tell<notice::BackendRecovered>(metrics, [&] { return notice::BackendRecovered{count_}; });
      const std::lock_guard lock{mutex_};
      count_ = 0;
      last_.clear();
    }
  }
  /// Between two events of a batch the progress counts from the first question that sees it: nobody noted when it was made.
  [[nodiscard]] ConsumerHealth health(SteadyTime now) const {
    ConsumerHealth health;
    const std::lock_guard lock{mutex_};
    const std::uint32_t position = position_.load(std::memory_order_acquire);
    const std::chrono::nanoseconds progress{progress_.load(std::memory_order_relaxed)};
    if (const std::pair at{progress, position}; at != seen_) {
      seen_ = at;
      seen_at_ = now.time_since_epoch();
    }
    const std::chrono::nanoseconds last = position == 0 ? progress : std::max(progress, seen_at_);
    health.since_progress = std::max(std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch() - last), std::chrono::milliseconds{0});
    health.failures_in_a_row = count_;
    health.detail = last_;
    return health;
  }

 private:
  std::atomic<std::int64_t> progress_{0};
  std::atomic<std::uint32_t> position_{0};  // in the batch, since progress_ was noted
  bool any_ = false;
  mutable std::mutex mutex_;
  mutable std::pair<std::chrono::nanoseconds, std::uint32_t> seen_;  // progress_ and position_ when they were asked for last
  mutable std::chrono::nanoseconds seen_at_{0};                      // since when they are that
  std::uint64_t count_ = 0;
  std::string last_;
};

/// Reads a batch. The wait for it is rest, and no sign of a loop that is stuck.
template <class Subscription, class Clk>
auto receive_resting(Subscription& subscription, std::size_t most, std::chrono::milliseconds wait, SteadyTime now, const Clk& clock, Vitals& vitals) {
  auto batch = subscription.receive(most, vitals.rests(now, wait));
  if (wait > std::chrono::seconds{1}) {  // what is left of a short one is not worth reading the clock: a stuck handler is told of that much later
    vitals.progressed(clock.steady());
  }
  return batch;
}

/// Sets a family of times to now, for each stream of the consumer.
template <class Metrics, class Streams, class Clk, class Family>
void tell_time(Metrics& metrics, const Streams& streams, const Clk& clock, Family family) {
  if constexpr (Metrics::enabled) {
    const double wall = epoch_seconds(coarse_wall(clock));
    for (const engine::StreamFacts& stream : streams) {
      metrics.set(family, wall, stream.slot);
    }
  }
}

/// Consumer::run: polls until it has stopped. `stop` is what a StopToken calls, `raise` what is done where the token itself is looked at.
template <class Token, class Poll, class Stop, class Raise, class Rest>
Status run_until(const Token& token, std::chrono::milliseconds wait, Poll poll, Stop stop, Raise raise, Rest rest) {
  const auto wake = on_stop(token, std::move(stop));
  const auto slice = std::is_same_v<Token, StopToken> ? wait : std::min(wait, std::chrono::milliseconds{50});
  while (true) {
    if (token.stop_requested()) {
      raise();
    }
    Result<PollReport> report = poll(slice);
    if (!report) {
      return std::move(report).error();
    }
    if (report->stopped) {
      return {};
    }
    if (report->pause.count() > 0) {
      rest(std::min(report->pause, slice));
    }
  }
}

/// Whether a batch waits for its claims.
template <class Held>
bool holds(const Held& held) noexcept {
  if constexpr (requires { held.has_value(); }) {
    return held.has_value();
  } else {
    return false;
  }
}

/// Consumer::arm: within what time a poll is due. `due`: at once, but for a pause that the loop keeps. What was watched before is watched on only
/// where the subscription armed: in a pause a reply that nobody reads yet would wake the host again and again.
template <class Subscription, class Ready>
Result<std::chrono::milliseconds> arm_until(bool due, engine::Action action, Subscription& subscription, std::size_t batch, Ready& ready) {
  if (action.step == engine::Step::receive && !due) {
    Result<std::chrono::milliseconds> armed = subscription.arm(batch, action.wait, ready);
    if (!armed) {
      ready.watch(-1);
    }
    return armed;
  }
  ready.watch(-1);
  return action.step == engine::Step::pause ? action.wait : std::chrono::milliseconds{0};
}

/// Of an error that passes, how long the loop rests.
inline Result<std::chrono::milliseconds> pause_of(Result<PollReport> failed) {
  return failed ? Result<std::chrono::milliseconds>{failed->pause} : Result<std::chrono::milliseconds>{std::move(failed).error()};
}

/// Abandoned entries that were taken over.
template <class Deliveries, class Streams, class Metrics>
void count_claimed(const Deliveries& taken, const Streams& streams, Metrics& metrics) {
  for (const auto& delivery : taken) {
    metrics.add(family::claimed, 1, streams[delivery.stream()].slot);
  }
  if (!taken.empty()) {
    tell<notice::Claimed>(metrics, [&] { return notice::Claimed{taken.size()}; });
  }
}

/// Entries that were pending and whose data is gone.
template <class Streams, class Metrics>
void count_vanished(std::size_t vanished, const Streams& streams, Metrics& metrics) {
  if (vanished > 0) {
    metrics.add(family::vanished, vanished, streams.front().slot);
    tell<notice::Vanished>(metrics, [&] { return notice::Vanished{vanished}; });
  }
}

/// What costs a question to the backend, asked once per round of claiming: gauges, and how far the group has settled everything. One thread.
class BackendWatch {
 public:
  /// `remembers`: whether `acked_up_to` is wanted. Where nobody wants anything, nothing is asked. What cannot be told now stays as it was.
  template <class Backend, class Subscription, class Streams, class Metrics>
  void look(const Backend& backend, Subscription& subscription, const Streams& streams, Metrics& metrics, bool remembers) {
    constexpr bool tells = detail::observing<Metrics, notice::Reconnected>;
    if (!Metrics::enabled && !remembers && !tells) {
      return;
    }
    acked_up_to_.resize(streams.size());
    marks_.resize(streams.size());
    trimmed_.resize(streams.size());
    for (std::size_t i = 0; i < streams.size(); ++i) {
      if (const Result<GroupState> state = subscription.state(i)) {
        acked_up_to_[i] = state->acked_up_to;
        marks_[i] = state->mark;
        metrics.set(family::pending, static_cast<double>(state->pending), streams[i].slot);
        if (state->lag_known) {
          metrics.set(family::undelivered, static_cast<double>(state->lag), streams[i].slot);
        }
        metrics.set(family::dlq_depth, static_cast<double>(state->dead_letters), streams[i].slot);
        // The state forgets them when the group has caught up; who is to be woken by them looks seldom.
        const std::uint64_t before = std::exchange(trimmed_[i], state->trimmed_unread);
        metrics.add(family::trimmed_unread, state->trimmed_unread - std::min(before, state->trimmed_unread), streams[i].slot);
      }
    }
    if constexpr (Metrics::enabled || tells) {
      const BackendHealth health = backend.health();
      const std::uint64_t times = health.reconnects - std::exchange(reconnects_, health.reconnects);
      metrics.add(family::reconnects, times);
      if (times != 0) {
        tell<notice::Reconnected>(metrics, [&] { return notice::Reconnected{times}; });
      }
      metrics.add(family::unmatched_acks, health.unmatched_acks - std::exchange(unmatched_acks_, health.unmatched_acks));
    }
  }
  /// For each stream GroupState::acked_up_to as it was told last; none before the first look.
  [[nodiscard]] const std::vector<EntryId>& acked_up_to() const noexcept { return acked_up_to_; }
  /// The streams at that moment.
  [[nodiscard]] const std::vector<StreamMark>& marks() const noexcept { return marks_; }

 private:
  std::uint64_t reconnects_ = 0;  ///< of the backend, as far as the metrics know; so for the next
  std::uint64_t unmatched_acks_ = 0;
  std::vector<std::uint64_t> trimmed_;
  std::vector<EntryId> acked_up_to_;
  std::vector<StreamMark> marks_;
};

/// How a group that was lost is made anew.
inline SubscribeOptions anew(const ConsumerOptions& options, const BackendWatch& watch) {
  SubscribeOptions wanted = options.subscribe;
  wanted.start = options.loop.group_lost == engine::GroupLost::recreate_at_end ? StartAt::end() : StartAt::beginning();
  if (options.loop.group_lost == engine::GroupLost::recreate_at_last_acked) {
    wanted.resume_after = watch.acked_up_to();
    wanted.resume_marks = watch.marks();
  }
  return wanted;
}

/// Says what a remote window, where it is one, and the backend have not been told yet, in this order, within one deadline.
template <class Dedup, class Subscription, class Clk>
Status flush_all(Dedup& dedup, Subscription& subscription, const Clk& clock, SteadyTime deadline) {
  const auto left = [&] { return std::max(std::chrono::ceil<std::chrono::milliseconds>(deadline - clock.steady()), std::chrono::milliseconds{0}); };
  Status told;
  if constexpr (RemoteDedup<Dedup>) {
    told = dedup.flush(left());
  }
  Status flushed = subscription.flush(left());
  return told ? std::move(flushed) : std::move(told);
}

}  // namespace pulse::inline v0_1::detail
