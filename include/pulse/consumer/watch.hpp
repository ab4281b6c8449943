// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "pulse/concept/observer.hpp"
#include "pulse/consumer/options.hpp"
#include "pulse/core/error.hpp"
#include "pulse/engine/stream_facts.hpp"

/// What a consumer tells its metrics and its observer of the backend, and remembers of it.
namespace pulse::inline v0_1::detail {

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

/// Entries that were pending and nobody is given: their data is gone, or too large. Of several streams that the backend does not tell apart it is "other":
/// a name would send an operator to the wrong one's dead letters.
template <class Delivery, class Streams, class Metrics>
void count_missed(const Batch<Delivery>& batch, const Streams& streams, Metrics& metrics) {
  if (batch.vanished + batch.too_large == 0) {
    return;
  }
  const Missed all{batch.vanished, batch.too_large};
  const std::span<const Missed> missed = batch.missed.empty() ? std::span{&all, 1} : batch.missed;
  for (std::size_t i = 0; i < missed.size(); ++i) {
    const auto slot = missed.size() == streams.size() ? streams[i].slot : LabelSlot<StreamLabel>{};
    metrics.add(family::vanished, missed[i].vanished, slot);
    metrics.add(family::consume, missed[i].too_large, slot, Track::v1, Outcome::dead_letter);
  }
  if (batch.vanished > 0) {
    tell<notice::Vanished>(metrics, [&] { return notice::Vanished{batch.vanished}; });
  }
}

/// Of a backend that gives more than it was asked for.
inline Error over_max(std::size_t given, std::size_t max) {
  return {ErrorCode::protocol, "the backend gave a batch of " + std::to_string(given) + " deliveries, " + std::to_string(max) +
                                   " were asked for: what is over was not handled and stays pending. See docs/reference/backend.md"};
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
      const BackendCounts counts = untold(backend);
      metrics.add(family::reconnects, counts.reconnects);
      if (counts.reconnects != 0) {
        tell<notice::Reconnected>(metrics, [&] { return notice::Reconnected{counts.reconnects}; });
      }
      metrics.add(family::unmatched_acks, counts.unmatched_acks);
    }
  }
  /// For each stream GroupState::acked_up_to as it was told last; none before the first look.
  [[nodiscard]] const std::vector<EntryId>& acked_up_to() const noexcept { return acked_up_to_; }
  /// The streams at that moment.
  [[nodiscard]] const std::vector<StreamMark>& marks() const noexcept { return marks_; }

 private:
  /// Each count once, whoever else has the same backend: where it cannot tell that itself, what was new to this consumer.
  template <class Backend>
  BackendCounts untold(const Backend& backend) {
    if constexpr (requires {
                    { backend.untold() } -> std::same_as<BackendCounts>;
                  }) {
      return backend.untold();
    } else {
      const BackendHealth health = backend.health();
      return {health.reconnects - std::exchange(told_.reconnects, health.reconnects),
              health.unmatched_acks - std::exchange(told_.unmatched_acks, health.unmatched_acks)};
    }
  }

  BackendCounts told_;  ///< of the backend, as far as the metrics know
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

}  // namespace pulse::inline v0_1::detail
