// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "pulse/backend/in_memory/group.hpp"
#include "pulse/backend/in_memory/log.hpp"
#include "pulse/core/delivery.hpp"
#include "pulse/core/entry_id.hpp"

namespace pulse::inline v0_1::detail {

template <class Payload>
struct StreamDeadLetter {
  DeadLetter facts;
  Payload payload;
};

/// How Stream::claim takes over one entry.
struct ClaimOptions {
  std::int64_t min_idle_ns = 0;
  std::int64_t idle_ns = 0;            ///< what its idle time is set to
  std::optional<std::uint32_t> count;  ///< what its delivery count is set to; else it goes up
  bool just_id = false;                ///< the count stays
  bool force = false;                  ///< also where it is not pending
};

enum class Claimed : std::uint8_t { no, yes, gone };

/// A stream and its groups: the state machine of Redis Streams. What it does to replies and to state is what redis-server 7.0 does, and a
/// test compares the two by random commands; the differences by design are listed in docs/reference/backend.md.
/// A sink takes what a read finds: `hold(segment)` before the entries of a segment, `take(entry, position, count)`, and `gone(position)`
/// for what is pending and was trimmed or deleted. Times are steady ones. Nothing here locks or reads a clock.
template <class Payload, std::size_t Size = segment_size>
class Stream : public StreamLog<Payload, Size> {
  using Log = StreamLog<Payload, Size>;

 public:
  using Group = typename Log::Group;

  /// XGROUP CREATE: nullptr where there is one of that name.
  Group* create_group(std::string_view name, EntryId after) {
    const auto [at, created] = this->groups.try_emplace(std::string(name));
    if (!created) {
      return nullptr;
    }
    set_position(at->second, after);
    return &at->second;
  }
  [[nodiscard]] Group* find_group(std::string_view name) noexcept {
    const auto at = this->groups.find(name);
    return at == this->groups.end() ? nullptr : &at->second;
  }
  /// XGROUP SETID: the group goes on after `after`; back, it gets again what it had. What is pending stays so.
  void set_position(Group& group, EntryId after) noexcept {
    group.last_delivered = after;
    group.ahead = after > this->last_id();
    group.entries_read = -1;
    group.move(this->after(after));
  }

  /// XGROUP DELCONSUMER: forgets a consumer with all that is pending under its name, which nobody will get any more. Returns how many.
  /// Complexity: linear in the list.
  std::uint64_t remove_consumer(Group& group, std::string_view name) {
    const auto found = group.consumers.find(name);
    if (found == group.consumers.end()) {
      return 0;
    }
    const std::uint64_t before = group.pending;
    group.for_each_pending(group.list.begin(), group.list.end(), [&](std::uint64_t position, const PendingRecord& record) {
      (void)(record.owner == found->second && group.acknowledge(position));
      return true;
    });
    group.consumers.erase(found);
    return before - group.pending;
  }

  /// XREADGROUP >: delivers up to `max` new entries to `consumer`. Returns how many.
  template <class Sink>
  std::size_t read_new(Group& group, std::uint32_t consumer, std::size_t max, std::int64_t now_ns, Sink&& sink) {
    std::size_t left = max;
    std::uint64_t next = unread(group);
    const bool counts = group.entries_read >= 0 && !tombstones();
    while (next < this->end() && left > 0) {  // one segment at a time
      const auto& segment = this->segment(next);
      sink.hold(segment);
      PendingSegment<Size>& part = group.list.reach(next);
      const std::uint64_t stop = std::min(this->end(), (next / Size + 1) * Size);
      const std::size_t before = left;
      std::uint32_t again = 0;
      const auto* last = &(*segment)[next % Size];
      for (; next < stop && left > 0; ++next) {
        const auto& entry = (*segment)[next % Size];
        if (!entry.deleted) {
          PendingRecord& record = part.records[next % Size];
          again += record.owner == 0 ? 0 : 1;  // the position was set back: it changes hands
          record = {consumer, 1, now_ns, 0, false};
          --left;
          if (!counts) {
            count_read(group, entry.id);
          }
          last = &entry;
          sink.take(entry, next, 1);
        }
      }
      if (before > left) {
        group.last_delivered = last->id;
        group.ahead = false;
      }
      part.pending += static_cast<std::uint32_t>(before - left) - again;
      group.pending += before - left - again;
      group.move(next);
    }
    if (counts) {
      group.entries_read += static_cast<std::int64_t>(max - left);
    }
    return max - left;
  }

  /// Whether read_new would deliver something.
  [[nodiscard]] bool has_new(Group& group) const noexcept {
    std::uint64_t next = unread(group);
    while (next < this->end() && this->at(next).deleted) {
      ++next;
    }
    return next < this->end();
  }

  /// XREADGROUP with an id: what `consumer` has pending in positions [from, to), at most `max`, idle anew; the delivery count goes up where
  /// `counted`. What is gone stays pending unless the sink acknowledges it. Returns where to go on.
  template <class Sink>
  std::uint64_t read_history(Group& group, std::uint32_t consumer, std::uint64_t from, std::uint64_t to, std::size_t max, std::int64_t now_ns, bool counted,
                             Sink&& sink) {
    std::uint64_t reached = from;
    if (max > 0) {
      reached = to;
      group.for_each_pending(from, to, [&](std::uint64_t position, const PendingRecord& found) {
        if (found.owner != consumer) {
          return true;
        }
        if (this->find(position) == nullptr) {
          sink.gone(position);
        } else {
          PendingRecord& record = *group.find(position);
          record = {consumer, record.count + (counted ? 1U : 0U), now_ns, 0, false};
          deliver(position, record.count, sink);
        }
        reached = --max > 0 ? reached : position + 1;
        return max > 0;
      });
    }
    return reached;
  }

  /// XCLAIM of one entry. What is gone is acknowledged, whatever its idle time.
  Claimed claim(Group& group, std::uint32_t consumer, EntryId id, std::int64_t now_ns, const ClaimOptions& options) {
    const std::uint64_t position = this->position(group, id);
    PendingRecord* record = position < this->end() && this->id_of(group, position) == id ? group.find(position) : nullptr;
    if (position >= this->end() || this->find(position) == nullptr || this->at(position).id != id) {
      return record != nullptr && group.acknowledge(position) ? Claimed::gone : Claimed::no;
    }
    if (record == nullptr) {
      if (!options.force) {
        return Claimed::no;
      }
      PendingSegment<Size>& part = group.list.reach(position);
      ++part.pending;
      ++group.pending;
      record = &part.records[position % Size];
      record->count = 1;
    } else if (now_ns - record->delivered_ns < options.min_idle_ns) {
      return Claimed::no;
    }
    *record = {consumer, options.count.value_or(record->count + (options.just_id ? 0U : 1U)), now_ns - std::max<std::int64_t>(options.idle_ns, 0), 0, false};
    return Claimed::yes;
  }

  /// XAUTOCLAIM: takes over at most `max` entries from the position `from` on that have been idle for `min_idle_ns`, in at most ten times as
  /// many looks. What is gone is acknowledged, whatever its idle time, and counts. An entry that `consumer` itself waits to retry is passed over.
  /// Returns the position of what is pending next, to go on there, or end() where the round is done.
  template <class Sink>
  std::uint64_t auto_claim(Group& group, std::uint32_t consumer, std::int64_t min_idle_ns, std::uint64_t from, std::size_t max, bool just_id,
                           std::int64_t now_ns, Sink&& sink) {
    std::uint64_t position = group.next_pending(from);
    for (std::size_t looks = max * 10; looks > 0 && max > 0 && position < group.list.end(); --looks) {
      PendingRecord& record = *group.find(position);
      if (this->find(position) == nullptr) {
        sink.gone(position);
        (void)group.acknowledge(position);
        --max;
      } else if (now_ns - record.delivered_ns >= min_idle_ns && !(record.owner == consumer && record.scheduled)) {
        record = {consumer, record.count + (just_id ? 0U : 1U), now_ns, 0, false};
        deliver(position, record.count, sink);
        --max;
      }
      position = group.next_pending(position + 1);
    }
    return position < group.list.end() ? position : this->end();
  }

  /// Entries that `group` has not read, as XINFO GROUPS tells it; nothing where Redis cannot tell. Once entries are trimmed before they are
  /// read, it counts them too.
  [[nodiscard]] std::optional<std::uint64_t> lag(const Group& group) const noexcept {
    std::int64_t read = group.entries_read;
    if (this->end() > 0 && (read < 0 || tombstones(group.last_delivered))) {
      read = entries_until(group.last_delivered);
    }
    return read < 0 && this->end() > 0 ? std::nullopt : std::optional{this->end() - static_cast<std::uint64_t>(std::max<std::int64_t>(read, 0))};
  }

  std::map<EntryId, StreamDeadLetter<Payload>> dead_letters;
  EntryId last_dead_letter{};

 private:
  /// Where `group` reads on: past what was trimmed, and past what counts as delivered although it came after.
  [[nodiscard]] std::uint64_t unread(const Group& group) const noexcept {
    const std::uint64_t next = std::max(group.next, this->begin());
    return group.ahead ? std::max(next, this->after(group.last_delivered)) : next;
  }

  template <class Sink>
  void deliver(std::uint64_t position, std::uint32_t count, Sink& sink) {
    const auto& segment = this->segment(position);
    sink.hold(segment);
    sink.take((*segment)[position % Size], position, count);
  }

  /// Whether entries were deleted, other than by trimming, at or after `id` and not before the first that is left.
  [[nodiscard]] bool tombstones(EntryId id = EntryId{}) const noexcept {
    return this->last_deleted_id() != EntryId{} && id <= this->last_deleted_id() && this->length() > 0 && this->first_id() <= this->last_deleted_id();
  }

  // As Redis keeps count of what a group has read: one by one while nothing is deleted ahead, and else where it can be told from the ends.
  void count_read(Group& group, EntryId id) const noexcept {
    group.entries_read = group.entries_read >= 0 && !tombstones(id) ? group.entries_read + 1 : entries_until(id);
  }
  /// How many of all entries ever have ids up to `id`; -1 where that cannot be told.
  [[nodiscard]] std::int64_t entries_until(EntryId id) const noexcept {
    const auto all = static_cast<std::int64_t>(this->end());
    if (id == this->last_id() || (this->length() == 0 && id < this->last_id())) {
      return all;
    }
    if (id < this->last_id() && id <= this->first_id() && (this->last_deleted_id() == EntryId{} || this->last_deleted_id() < this->first_id())) {
      return all - static_cast<std::int64_t>(this->length()) + (id == this->first_id() ? 1 : 0);
    }
    return -1;
  }
};

}  // namespace pulse::inline v0_1::detail
