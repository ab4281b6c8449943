// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/backend/in_memory/state.hpp"
#include "pulse/backend/retry_schedule.hpp"
#include "pulse/core/clock.hpp"
#include "pulse/core/error.hpp"

namespace pulse {

/// A member of a group of an InMemoryBackend; see concept/backend.hpp for the contract of each call.
template <class Payload, class Clk>
class InMemorySubscription {
  using State = detail::InMemoryState<Payload, Clk>;
  using Stream = detail::Stream<Payload>;

 public:
  /// One hand-over of an entry. Refers to the entry itself: nothing is copied. Valid as long as its batch.
  class delivery_type {
   public:
    [[nodiscard]] std::size_t stream() const noexcept { return stream_; }
    [[nodiscard]] EntryId id() const noexcept { return entry_->id; }
    [[nodiscard]] std::uint64_t delivery_count() const noexcept { return count_; }
    [[nodiscard]] bool redriven() const noexcept { return entry_->redriven; }
    [[nodiscard]] const Payload& data() const noexcept { return entry_->payload; }

   private:
    friend class InMemorySubscription;
    delivery_type(const detail::StreamEntry<Payload>& entry, std::uint64_t position, std::uint32_t stream, std::uint32_t count) noexcept
        : entry_(&entry), position_(position), stream_(stream), count_(count) {}
    const detail::StreamEntry<Payload>* entry_;
    std::uint64_t position_;
    std::uint32_t stream_;
    std::uint32_t count_;
  };

  /// Requires: the backend's lock is held.
  InMemorySubscription(State& state, const SubscribeOptions& options) : state_(&state), shared_(std::make_unique<Shared>()) {
    for (const std::string& key : options.streams) {
      Stream& stream = state.stream(key);
      const auto [at, created] = stream.groups.try_emplace(options.group);
      if (created) {
        at->second.next = options.start.newest ? stream.end() : stream.after(options.start.after);
        if (options.start.after == EntryId{} && !options.start.newest) {
          at->second.next = stream.begin();
        }
      }
      members_.push_back(
          {&stream, &at->second, at->second.consumer(options.consumer), at->second.list.begin(), at->second.next, 0, RetrySchedule{state.options.max_retries}});
    }
    group_ = options.group;
    consumer_ = options.consumer;
  }

  Result<Batch<delivery_type>> receive(std::size_t max, std::chrono::milliseconds wait) {
    std::unique_lock lock{state_->mutex};
    std::size_t vanished = 0;
    begin_batch(max);
    SteadyTime now = coarse_steady(state_->clock);
    SteadyTime deadline = now;
    bool waits = wait.count() > 0;
    while (true) {
      // Streams take turns at being first, or a busy one would starve the others.
      for (std::size_t i = 0; i < members_.size(); ++i) {
        const std::size_t at = (turn_ + i) % members_.size();
        collect(members_[at], static_cast<std::uint32_t>(at), max, now, vanished);
      }
      if (!batch_.empty() || vanished > 0 || (!waits && now >= deadline) || shared_->woken) {
        break;
      }
      if (std::exchange(waits, false)) {  // the exact time, once there is nothing to do but wait
        now = state_->clock.steady();
        deadline = now + wait;
        continue;
      }
      SteadyTime until = deadline;
      for (const Member& member : members_) {
        until = member.retries.next(until);
      }
      ++state_->waiting;
      state_->clock.wait_until(state_->arrived, lock, until);
      --state_->waiting;
      now = state_->clock.steady();
    }
    shared_->woken = false;
    turn_ = (turn_ + 1) % members_.size();
    return Batch<delivery_type>{batch_, vanished, false};
  }

  Result<Batch<delivery_type>> claim_stale(std::chrono::milliseconds min_idle, std::size_t max) {
    const std::lock_guard lock{state_->mutex};
    std::size_t vanished = 0;
    begin_batch(max);
    const std::int64_t now = nanoseconds(state_->clock.steady());
    const std::int64_t idle = std::chrono::nanoseconds{min_idle}.count();
    bool more = false;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      Member& member = members_[i];
      // As Redis does: at most ten times as many looks as entries asked for, and the cursor says where to go on.
      std::size_t looks = max * 10;
      std::uint64_t position = member.claim_cursor;
      bool round = false;
      while (looks > 0 && batch_.size() < max) {
        // Anew each time: acknowledging what vanished may free the list's first segments.
        position = std::max(position, member.group->list.begin());
        if (position >= std::min(member.group->list.end(), member.group->next)) {
          round = true;
          break;
        }
        if (const auto* part = member.group->segment(position); part == nullptr || part->pending == 0) {
          position = (position / detail::segment_size + 1) * detail::segment_size;
          continue;
        }
        if (detail::PendingRecord* record = member.group->find(position)) {
          --looks;
          if (now - record->delivered_ns >= idle && !(record->owner == member.consumer && record->scheduled)) {
            if (member.stream->find(position) == nullptr) {
              member.group->acknowledge(position);
              ++vanished;
            } else {
              *record = {member.consumer, record->count + 1, now, 0, false};
              push(member, static_cast<std::uint32_t>(i), position, record->count);
            }
          }
        }
        ++position;
      }
      member.claim_cursor = round ? 0 : position;
      more = more || !round;
    }
    return Batch<delivery_type>{batch_, vanished, more};
  }

  Status settle(const Settlement& settlement) {
    bool dead = false;
    {
      const std::lock_guard lock{state_->mutex};
      for (const std::uint32_t index : settlement.acks) {
        Member& member = members_[batch_[index].stream_];
        (void)member.group->acknowledge(batch_[index].position_, member.consumer);  // refused where another took it over
      }
      const SteadyTime now = settlement.retries.empty() ? SteadyTime{} : state_->clock.steady();
      for (const RetryItem& retry : settlement.retries) {
        Member& member = members_[batch_[retry.index].stream_];
        if (detail::PendingRecord* record = owned(member, retry.index)) {
          record->due_ns = nanoseconds(now + retry.delay);
          record->count -= retry.counts ? 0 : 1;  // the next delivery raises it again
          record->scheduled = member.retries.add(now + retry.delay, batch_[retry.index].position_);
        }
      }
      for (const DeadLetterItem& item : settlement.dead_letters) {
        Member& member = members_[batch_[item.index].stream_];
        if (owned(member, item.index)) {
          bury(member, batch_[item.index], item.reason);
          member.group->acknowledge(batch_[item.index].position_);
          dead = true;
        }
      }
      if (state_->options.trim_acked && (dead || !settlement.acks.empty())) {
        for (Member& member : members_) {
          member.stream->trim_acknowledged();
        }
      }
    }
    return {};
  }

  Status flush(std::chrono::milliseconds) { return {}; }

  template <class Lost>
  Status extend(std::size_t first, std::size_t last, Lost lost) {
    const std::lock_guard lock{state_->mutex};
    const std::int64_t now = nanoseconds(state_->clock.steady());
    for (std::size_t i = first; i < last && i < batch_.size(); ++i) {
      Member& member = members_[batch_[i].stream_];
      if (detail::PendingRecord* record = member.group->find(batch_[i].position_)) {
        if (record->owner == member.consumer) {
          record->delivered_ns = now;
        } else {
          lost(i);
        }
      }
    }
    return {};
  }

  void wake() {
    {
      const std::lock_guard lock{state_->mutex};
      shared_->woken = true;
    }
    state_->arrived.notify_all();
  }

  Result<GroupState> state(std::size_t index) {
    const std::lock_guard lock{state_->mutex};
    const Member& member = members_[index];
    GroupState state;
    state.length = member.stream->length();
    state.pending = member.group->pending;
    state.lag = member.stream->end() - std::max(member.group->next, member.stream->begin());
    state.lag_known = state.length == member.stream->end() - member.stream->begin();  // entries deleted in between leave it unknown, as on Redis
    state.dead_letters = member.stream->dead_letters.size();
    state.trimmed_unread = member.group->missed + (member.stream->begin() - std::min(member.group->next, member.stream->begin()));
    return state;
  }

 private:
  struct Member {
    Stream* stream;
    detail::StreamGroup* group;
    std::uint32_t consumer;
    std::uint64_t history;      ///< next position of the own pending entries from before
    std::uint64_t history_end;  ///< where those end
    std::uint64_t claim_cursor;
    RetrySchedule retries;
  };
  struct Shared {
    bool woken = false;
  };  // apart, so that a subscription can move

  static std::int64_t nanoseconds(SteadyTime time) noexcept { return time.time_since_epoch().count(); }

  void begin_batch(std::size_t max) {
    batch_.clear();
    batch_.reserve(max);
    pins_.clear();
  }

  void push(Member& member, std::uint32_t index, std::uint64_t position, std::uint32_t count) {
    batch_.push_back({pin(member, position)[position % detail::segment_size], position, index, count});
  }

  /// The segment of an entry, which the batch keeps alive, trimmed or not.
  const detail::StreamSegment<Payload>& pin(Member& member, std::uint64_t position) {
    const auto& segment = member.stream->segment(position);
    if (pins_.empty() || pins_.back() != segment) {
      pins_.push_back(segment);
    }
    return *segment;
  }

  void collect(Member& member, std::uint32_t index, std::size_t max, SteadyTime now, std::size_t& vanished) {
    const std::int64_t now_ns = nanoseconds(now);
    for (; member.history < member.history_end && batch_.size() < max; ++member.history) {
      detail::PendingRecord* record = member.group->find(member.history);
      if (record != nullptr && record->owner == member.consumer) {
        if (member.stream->find(member.history) == nullptr) {
          member.group->acknowledge(member.history);
          ++vanished;
        } else {
          record->delivered_ns = now_ns;
          record->scheduled = false;  // the schedule ended with the subscription that kept it
          push(member, index, member.history, record->count);
        }
      }
    }
    while (batch_.size() < max && member.retries.due(now)) {
      const std::uint64_t position = member.retries.take();
      detail::PendingRecord* record = member.group->find(position);
      if (record != nullptr && record->owner == member.consumer && record->scheduled && record->due_ns <= now_ns) {
        if (member.stream->find(position) == nullptr) {
          member.group->acknowledge(position);
          ++vanished;
        } else {
          *record = {member.consumer, record->count + 1, now_ns, 0, false};
          push(member, index, position, record->count);
        }
      }
    }
    std::uint64_t& next = member.group->next;
    if (next < member.stream->begin()) {
      member.group->missed += member.stream->begin() - next;
      next = member.stream->begin();
    }
    while (next < member.stream->end() && batch_.size() < max) {  // one segment at a time
      const auto& segment = pin(member, next);
      detail::PendingSegment& part = member.group->list.reach(next);
      const std::uint64_t stop = std::min(member.stream->end(), (next / detail::segment_size + 1) * detail::segment_size);
      std::uint32_t delivered = 0;
      for (; next < stop && batch_.size() < max; ++next) {
        const auto& entry = segment[next % detail::segment_size];
        if (!entry.deleted) {
          part.records[next % detail::segment_size] = {member.consumer, 1, now_ns, 0, false};
          ++delivered;
          batch_.push_back({entry, next, index, 1});
        } else {
          ++member.group->missed;
        }
      }
      part.pending += delivered;
      member.group->pending += delivered;
    }
  }

  detail::PendingRecord* owned(Member& member, std::uint32_t index) noexcept {
    detail::PendingRecord* record = member.group->find(batch_[index].position_);
    return record != nullptr && record->owner == member.consumer ? record : nullptr;
  }

  void bury(Member& member, const delivery_type& delivery, std::string_view reason) {
    const WallTime wall = state_->clock.wall();
    const auto ms = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(wall.time_since_epoch()).count());
    EntryId& last = member.stream->last_dead_letter;
    last = ms > last.ms ? EntryId{ms, 0} : last.next();
    DeadLetter facts{last, delivery.id(), std::string(reason), bytes(delivery.data()), group_, consumer_, delivery.count_, epoch_seconds(wall)};
    member.stream->dead_letters.emplace(last, detail::StreamDeadLetter<Payload>{std::move(facts), delivery.data()});
  }

  std::string bytes(const Payload& payload) const {
    if constexpr (std::is_same_v<Payload, std::string>) {
      return payload;
    } else {
      return state_->encode ? state_->encode(payload) : std::string{};
    }
  }

  State* state_;
  std::unique_ptr<Shared> shared_;
  std::vector<Member> members_;
  std::vector<delivery_type> batch_;
  std::vector<std::shared_ptr<detail::StreamSegment<Payload>>> pins_;
  std::string group_;
  std::string consumer_;
  std::size_t turn_ = 0;
};

}  // namespace pulse
