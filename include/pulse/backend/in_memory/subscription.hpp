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

namespace pulse::inline v0_1 {

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
  InMemorySubscription(State& state, const SubscribeOptions& options) : state_(&state), shared_(std::make_unique<Shared>(state)) {
    for (std::size_t i = 0; i < options.streams.size(); ++i) {
      Stream& stream = state.stream(options.streams[i]);
      EntryId after = options.start.newest ? stream.last_id() : options.start.after;
      if (!options.resume_after.empty()) {
        after = options.resume_after[i] <= stream.last_id() ? options.resume_after[i] : EntryId{};
      }
      (void)stream.create_group(options.group, after);
      auto& group = *stream.find_group(options.group);
      const std::uint32_t consumer = group.consumer(options.consumer);
      members_.push_back({&stream, &group, consumer, group.list.begin(), group.next, 0, RetrySchedule{state.options.max_retries}});
    }
    careful_ = options.count_recoveries;
    group_ = options.group;
    consumer_ = options.consumer;
  }

  Result<Batch<delivery_type>> receive(std::size_t max, std::chrono::milliseconds wait) {
    std::unique_lock lock{state_->mutex};
    shared_->disarm();
    std::size_t vanished = 0;
    begin_batch(max);
    SteadyTime now = coarse_steady(state_->clock);
    SteadyTime deadline = now;
    bool waits = wait.count() > 0;
    careful_ = careful_ && std::any_of(members_.begin(), members_.end(), [](const Member& member) { return member.history < member.history_end; });
    while (true) {
      // Streams take turns at being first, or a busy one would starve the others.
      for (std::size_t i = 0; i < members_.size(); ++i) {
        const std::size_t at = (turn_ + i) % members_.size();
        collect(at, max, now, vanished);
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
    return Batch<delivery_type>{batch_, vanished, false, 0, missed_};
  }

  template <class Ready>
  Result<std::chrono::milliseconds> arm(std::size_t, std::chrono::milliseconds wait, Ready& ready) {
    const std::lock_guard lock{state_->mutex};
    shared_->disarm();
    const SteadyTime now = state_->clock.steady();
    SteadyTime until = now + wait;
    for (const Member& member : members_) {
      if (member.history < member.history_end || member.stream->has_new(*member.group)) {
        return std::chrono::milliseconds{0};
      }
      until = member.retries.next(until);
    }
    if (shared_->woken || until <= now) {
      return std::chrono::milliseconds{0};
    }
    shared_->armed = true;
    state_->bells.push_back({shared_.get(), &ready, [](void* bell) { static_cast<Ready*>(bell)->ring(); }});
    return std::chrono::ceil<std::chrono::milliseconds>(until - now);
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
      const std::size_t room = max - batch_.size();
      if (room > 0) {
        const std::uint64_t next = member.stream->auto_claim(*member.group, member.consumer, idle, member.claim_cursor, room, false, now, sink(i, vanished));
        member.claim_cursor = next < member.stream->end() ? next : 0;
      }
      more = more || room == 0 || member.claim_cursor > 0;
    }
    return Batch<delivery_type>{batch_, vanished, more, 0, missed_};
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
        if (detail::PendingRecord* record = owned(member, retry.index); record != nullptr && !record->scheduled) {
          record->due_ns = nanoseconds(now + retry.later());
          record->count -= retry.counts ? 0 : 1;  // the next delivery raises it again
          record->scheduled = member.retries.add(now + retry.later(), batch_[retry.index].position_);
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
      state_->ring();
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
    state.trimmed_unread = std::max(member.group->next, member.stream->begin()) - member.group->next;
    state.acked_up_to = member.group->last_delivered;
    if (const std::uint64_t oldest = member.group->next_pending(member.group->list.begin()); oldest < member.group->list.end()) {
      state.acked_up_to = std::min(state.acked_up_to, member.stream->id_of(*member.group, oldest).previous());
    }
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
  struct Shared {  // apart, so that a subscription can move
    explicit Shared(State& of) noexcept : state(of) {}
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    ~Shared() {
      if (armed) {
        const std::lock_guard lock{state.mutex};
        disarm();
      }
    }
    /// Requires: the lock is held.
    void disarm() {
      if (std::exchange(armed, false)) [[unlikely]] {
        std::erase_if(state.bells, [this](const detail::Bell& bell) { return bell.owner == this; });
      }
    }
    State& state;
    bool armed = false;
    bool woken = false;
  };

  static std::int64_t nanoseconds(SteadyTime time) noexcept { return time.time_since_epoch().count(); }

  void begin_batch(std::size_t max) {
    batch_.clear();
    batch_.reserve(max);
    pins_.clear();
    missed_.clear();
  }

  /// What the stream finds goes into the batch, which keeps its segments alive, trimmed or not. What is gone is acknowledged and counted.
  struct Sink {
    InMemorySubscription& self;
    Member& member;
    std::uint32_t index;
    std::size_t& vanished;

    void hold(const std::shared_ptr<detail::StreamSegment<Payload>>& segment) {
      if (self.pins_.empty() || self.pins_.back() != segment) {
        self.pins_.push_back(segment);
      }
    }
    void take(const detail::StreamEntry<Payload>& entry, std::uint64_t position, std::uint32_t count) {
      self.batch_.push_back({entry, position, index, count});
    }
    void gone(std::uint64_t position) {
      (void)member.group->acknowledge(position);
      ++vanished;
      self.missed_.resize(self.members_.size());
      ++self.missed_[index].vanished;
    }
  };
  Sink sink(std::size_t index, std::size_t& vanished) { return {*this, members_[index], static_cast<std::uint32_t>(index), vanished}; }

  void collect(std::size_t index, std::size_t max, SteadyTime now, std::size_t& vanished) {
    Member& member = members_[index];
    Stream& stream = *member.stream;
    const std::int64_t now_ns = nanoseconds(now);
    Sink out = sink(index, vanished);
    if (careful_) {
      max = std::min<std::size_t>(max, 1);  // alone: whatever follows it has not been tried
    }
    while (member.history < member.history_end && batch_.size() < max) {  // a schedule ended with the subscription that kept it
      member.history = stream.read_history(*member.group, member.consumer, member.history, member.history_end, max - batch_.size(), now_ns, careful_, out);
    }
    while (batch_.size() < max && member.retries.due(now)) {
      const std::uint64_t position = member.retries.take();
      detail::PendingRecord* record = member.group->find(position);
      if (record != nullptr && record->owner == member.consumer && record->scheduled && record->due_ns <= now_ns) {
        (void)stream.read_history(*member.group, member.consumer, position, position + 1, 1, now_ns, true, out);
      }
    }
    (void)stream.read_new(*member.group, member.consumer, max - batch_.size(), now_ns, out);
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
  std::vector<Missed> missed_;  ///< of each stream, where the batch met any
  std::vector<std::shared_ptr<detail::StreamSegment<Payload>>> pins_;
  std::string group_;
  std::string consumer_;
  std::size_t turn_ = 0;
  bool careful_ = false;  ///< SubscribeOptions::count_recoveries, until all from before has come
};

}  // namespace pulse::inline v0_1
