// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "pulse/backend/in_memory/segments.hpp"
#include "pulse/core/entry_id.hpp"

namespace pulse::inline v0_1::detail {

/// One entry in a group's pending list.
struct PendingRecord {
  std::uint32_t owner = 0;  ///< 0: not pending
  std::uint32_t count = 0;
  std::int64_t delivered_ns = 0;  ///< steady time of the last delivery: idle time is now minus this
  std::int64_t due_ns = 0;        ///< steady time of the retry, if scheduled
  bool scheduled = false;         ///< its owner waits to deliver it again
};

template <std::size_t Size>
struct PendingSegment {
  std::array<PendingRecord, Size> records{};  ///< a record whose owner is 0 says nothing else
  std::uint32_t pending = 0;
  std::shared_ptr<const std::array<EntryId, Size>> ids;  ///< once the stream has dropped these entries: who they were
};

/// A consumer group of one stream: where it has read to, and what is pending, in segments that run parallel to those of the entries.
template <std::size_t Size = segment_size>
struct BasicStreamGroup {
  std::uint64_t next = 0;  ///< the position of the first entry not delivered yet
  EntryId last_delivered{};
  bool ahead = false;              ///< last_delivered was set past the stream's end: what comes up to there counts as delivered
  std::int64_t entries_read = -1;  ///< how many of all entries ever lie up to there, as Redis counts them; -1: not known
  std::uint64_t pending = 0;
  SegmentWindow<PendingSegment<Size>, Size> list;
  std::map<std::string, std::uint32_t, std::less<>> consumers;
  std::uint32_t last_consumer = 0;  ///< numbers are not given twice: a later consumer must not own what an earlier one did

  std::uint32_t consumer(std::string_view name) {
    const auto at = consumers.find(name);
    return at != consumers.end() ? at->second : consumers.emplace(std::string(name), ++last_consumer).first->second;
  }

  /// Calls `f(position, record)` for what is pending in [from, to), in order, until it returns false. `f` may acknowledge what it is shown.
  template <class F>
  void for_each_pending(std::uint64_t from, std::uint64_t to, F f) {
    for (std::uint64_t at = next_pending(from); at < std::min(to, list.end()); at = next_pending(at + 1)) {
      if (!f(at, *find(at))) {
        return;
      }
    }
  }

  /// The first position from `from` on where something is pending, or list.end() or more.
  [[nodiscard]] std::uint64_t next_pending(std::uint64_t from) const noexcept {
    std::uint64_t at = std::max(from, list.begin());
    while (at < list.end()) {
      const PendingSegment<Size>* const part = list.at(at).get();
      const std::uint64_t past = (at / Size + 1) * Size;
      if (part != nullptr && part->pending > 0) {
        for (; at < past; ++at) {
          if (part->records[at % Size].owner != 0) {
            return at;
          }
        }
      }
      at = past;
    }
    return at;
  }

  /// What `owner` has pending. Complexity: linear in the list.
  [[nodiscard]] std::uint64_t pending_of(std::uint32_t owner) const noexcept {
    std::uint64_t count = 0;
    for (std::uint64_t at = list.begin(); at < list.end(); at += Size) {
      if (const auto& part = list.at(at); part != nullptr && part->pending > 0) {
        count += static_cast<std::uint64_t>(
            std::count_if(part->records.begin(), part->records.end(), [owner](const PendingRecord& record) { return record.owner == owner; }));
      }
    }
    return count;
  }

  /// The part of the list that holds `position`, or nullptr.
  [[nodiscard]] PendingSegment<Size>* segment(std::uint64_t position) const noexcept {
    return position < list.begin() || position >= list.end() ? nullptr : list.at(position).get();
  }

  [[nodiscard]] PendingRecord* find(std::uint64_t position) const noexcept {
    PendingSegment<Size>* const part = segment(position);
    return part == nullptr || part->records[position % Size].owner == 0 ? nullptr : &part->records[position % Size];
  }

  /// Acknowledges, whoever owns it. False when it is not pending.
  bool acknowledge(std::uint64_t position) noexcept {
    PendingRecord* const record = find(position);
    return record != nullptr && acknowledge(position, record->owner);
  }

  /// Acknowledges for `owner`. False when it is not the owner.
  bool acknowledge(std::uint64_t position, std::uint32_t owner) noexcept {
    PendingSegment<Size>* const part = segment(position);
    if (part == nullptr || part->records[position % Size].owner != owner) {
      return false;
    }
    part->records[position % Size].owner = 0;
    --pending;
    if (--part->pending == 0) {
      drop_if_read(position);
    }
    return true;
  }

  /// Moves the read position. Segments that it leaves behind with nothing pending are freed.
  void move(std::uint64_t to) noexcept {
    const std::uint64_t from = std::exchange(next, to);
    if (from / Size != to / Size) {
      leave(from, to);
    }
  }

 private:
  void leave(std::uint64_t from, std::uint64_t to) noexcept {
    for (std::uint64_t at = std::max(from, list.begin()); at / Size < to / Size && at < list.end(); at += Size) {
      if (const auto* const part = segment(at); part != nullptr && part->pending == 0) {
        drop_if_read(at);
      }
    }
  }
  // A segment that lies before the read position and holds nothing pending is of no more use, whatever is still pending before it.
  void drop_if_read(std::uint64_t position) noexcept {
    if (position / Size < next / Size) {
      list.at(position)->ids.reset();
      list.drop(position);
    }
  }
};

using StreamGroup = BasicStreamGroup<>;

}  // namespace pulse::inline v0_1::detail
