// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/core/delivery.hpp"
#include "pulse/core/entry_id.hpp"

/// The data structure of one stream, with the semantics of Redis Streams: entries in segments, and for each group a list of what is
/// pending in segments that run parallel. Entries have dense positions, so that appending, reading and acknowledging touch one cell,
/// however long the stream or the list is. Nothing here locks or reads a clock.
namespace pulse::detail {

inline constexpr std::size_t segment_size = 256;

template <class Payload>
struct StreamEntry {
  EntryId id;
  Payload payload;
  bool deleted;
  bool redriven;
};

template <class Payload>
using StreamSegment = std::array<StreamEntry<Payload>, segment_size>;

/// A window of segments over a growing range of positions; what lies before it is gone.
template <class Segment>
class SegmentWindow {
 public:
  [[nodiscard]] std::uint64_t begin() const noexcept { return first_ * segment_size; }
  [[nodiscard]] std::uint64_t end() const noexcept { return (first_ + segments_.size()) * segment_size; }
  /// Null where the segment was dropped.
  [[nodiscard]] const std::shared_ptr<Segment>& at(std::uint64_t position) const noexcept { return segments_[position / segment_size - first_]; }

  /// Makes room up to and including `position`, and returns its segment.
  Segment& reach(std::uint64_t position) {
    if (segments_.empty()) {
      first_ = position / segment_size;
    }
    while (end() <= position) {
      segments_.emplace_back();  // one that is passed over takes no memory
    }
    std::shared_ptr<Segment>& segment = segments_[position / segment_size - first_];
    if (segment == nullptr) {
      segment = spare_ && spare_.use_count() == 1 ? std::move(spare_) : std::make_shared_for_overwrite<Segment>();
    }
    return *segment;
  }
  /// Drops a segment. Its memory serves again, unless a batch still looks at it.
  void drop(std::uint64_t position) noexcept {
    spare_ = std::move(segments_[position / segment_size - first_]);
    while (!segments_.empty() && segments_.front() == nullptr) {
      segments_.pop_front();
      ++first_;
    }
  }
  [[nodiscard]] bool empty() const noexcept { return segments_.empty(); }

 private:
  std::deque<std::shared_ptr<Segment>> segments_;
  std::shared_ptr<Segment> spare_;
  std::uint64_t first_ = 0;
};

/// One entry in a group's pending list.
struct PendingRecord {
  std::uint32_t owner = 0;  ///< 0: not pending
  std::uint32_t count = 0;
  std::int64_t delivered_ns = 0;  ///< steady time of the last delivery: idle time is now minus this
  std::int64_t due_ns = 0;        ///< steady time of the retry, if scheduled
  bool scheduled = false;         ///< its owner waits to deliver it again
};

struct PendingSegment {
  std::array<PendingRecord, segment_size> records{};  ///< a record whose owner is 0 says nothing else
  std::uint32_t pending = 0;
};

template <class = void>  // so that it is compiled where there is a backend only
struct BasicStreamGroup {
  std::uint64_t next = 0;  ///< the position of the first entry not delivered yet
  std::uint64_t pending = 0;
  std::uint64_t missed = 0;  ///< entries that were gone before they were delivered, as far as reading has come
  SegmentWindow<PendingSegment> list;
  std::map<std::string, std::uint32_t, std::less<>> consumers;
  std::uint32_t last_consumer = 0;  ///< numbers are not given twice: a later consumer must not own what an earlier one did

  std::uint32_t consumer(std::string_view name) {
    const auto at = consumers.find(name);
    return at != consumers.end() ? at->second : consumers.emplace(std::string(name), ++last_consumer).first->second;
  }

  /// What `owner` has pending. Complexity: linear in the list.
  [[nodiscard]] std::uint64_t pending_of(std::uint32_t owner) const noexcept {
    std::uint64_t count = 0;
    for (std::uint64_t at = list.begin(); at < list.end(); at += segment_size) {
      if (const auto& part = list.at(at); part != nullptr && part->pending > 0) {
        count += static_cast<std::uint64_t>(
            std::count_if(part->records.begin(), part->records.end(), [owner](const PendingRecord& record) { return record.owner == owner; }));
      }
    }
    return count;
  }

  /// The part of the list that holds `position`, or nullptr.
  [[nodiscard]] PendingSegment* segment(std::uint64_t position) noexcept {
    return position < list.begin() || position >= list.end() ? nullptr : list.at(position).get();
  }

  [[nodiscard]] PendingRecord* find(std::uint64_t position) noexcept {
    PendingSegment* const part = segment(position);
    return part == nullptr || part->records[position % segment_size].owner == 0 ? nullptr : &part->records[position % segment_size];
  }

  void acknowledge(std::uint64_t position) noexcept {
    if (PendingRecord* record = find(position)) {
      record->owner = 0;
      --pending;
      if (--segment(position)->pending == 0) {
        drop_if_read(position);
      }
    }
  }

  /// Acknowledges for `owner`. False when it is not the owner.
  bool acknowledge(std::uint64_t position, std::uint32_t owner) noexcept {
    PendingSegment* const part = segment(position);
    if (part == nullptr || part->records[position % segment_size].owner != owner) {
      return false;
    }
    part->records[position % segment_size].owner = 0;
    --pending;
    if (--part->pending == 0) {
      drop_if_read(position);
    }
    return true;
  }

 private:
  // A segment that lies before the read position and holds nothing pending is of no more use, whatever is still pending before it.
  void drop_if_read(std::uint64_t position) noexcept {
    if (position / segment_size < next / segment_size) {
      list.drop(position);
    }
  }
};

using StreamGroup = BasicStreamGroup<>;

template <class Payload>
struct StreamDeadLetter {
  DeadLetter facts;
  Payload payload;
};

template <class Payload>
class Stream {
 public:
  using Entry = StreamEntry<Payload>;

  /// `ms` is the wall clock's; ids grow even where it goes back.
  EntryId append(std::uint64_t ms, Payload&& payload, bool redriven) {
    const EntryId id = ms > last_.ms ? EntryId{ms, 0} : last_.next();
    if (end_ % segment_size == 0 || tail_ == nullptr) {
      tail_ = &entries_.reach(end_);
    }
    Entry& entry = (*tail_)[end_ % segment_size];
    entry.id = id;
    entry.payload = std::move(payload);
    entry.deleted = false;
    entry.redriven = redriven;
    last_ = id;
    ++end_;
    ++length_;
    return id;
  }

  [[nodiscard]] std::uint64_t end() const noexcept { return end_; }
  [[nodiscard]] std::uint64_t length() const noexcept { return length_; }
  [[nodiscard]] std::uint64_t begin() const noexcept { return begin_; }

  /// The entry at a position, or nullptr when it was trimmed or deleted.
  [[nodiscard]] const Entry* find(std::uint64_t position) const noexcept {
    if (position < begin_ || position >= end_) {
      return nullptr;
    }
    const Entry& entry = (*entries_.at(position))[position % segment_size];
    return entry.deleted ? nullptr : &entry;
  }
  [[nodiscard]] const std::shared_ptr<StreamSegment<Payload>>& segment(std::uint64_t position) const noexcept { return entries_.at(position); }

  /// The position of the first entry with an id greater than `id`. Complexity: logarithmic.
  [[nodiscard]] std::uint64_t after(EntryId id) const noexcept {
    std::uint64_t low = begin_;
    std::uint64_t high = end_;
    while (low < high) {
      const std::uint64_t middle = low + (high - low) / 2;
      if ((*entries_.at(middle))[middle % segment_size].id <= id) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /// Deletes one entry. What is pending of it stays as a ghost. False when it is not there.
  bool erase(EntryId id) noexcept {
    const std::uint64_t position = id == EntryId::min() ? begin_ : after(id) - 1;
    if (position < begin_ || position >= end_) {
      return false;
    }
    Entry& entry = (*entries_.at(position))[position % segment_size];
    if (entry.id != id || entry.deleted) {
      return false;
    }
    entry.deleted = true;
    --length_;
    drop_dead_front();
    return true;
  }

  /// Keeps the newest `most` entries, exactly. What is pending of the others stays as ghosts.
  void trim(std::uint64_t most) noexcept {
    while (length_ > most) {
      length_ -= (*entries_.at(begin_))[begin_ % segment_size].deleted ? 0 : 1;
      advance();
    }
  }

  /// Frees whole segments that every group has read and acknowledged.
  void trim_acknowledged() noexcept {
    if (groups.empty()) {
      return;
    }
    while (true) {
      const std::uint64_t past = (begin_ / segment_size + 1) * segment_size;
      if (past > end_) {
        return;
      }
      for (auto& [name, group] : groups) {
        const PendingSegment* const part = group.segment(begin_);
        if (group.next < past || (part != nullptr && part->pending > 0)) {
          return;
        }
      }
      while (begin_ < past) {
        length_ -= (*entries_.at(begin_))[begin_ % segment_size].deleted ? 0 : 1;
        advance();
      }
    }
  }

  std::map<std::string, StreamGroup, std::less<>> groups;
  std::map<EntryId, StreamDeadLetter<Payload>> dead_letters;
  EntryId last_dead_letter{};

 private:
  void advance() noexcept {
    ++begin_;
    if (begin_ % segment_size == 0) {
      entries_.drop(begin_ - 1);
    }
  }
  void drop_dead_front() noexcept {
    while (begin_ < end_ && (*entries_.at(begin_))[begin_ % segment_size].deleted) {
      advance();
    }
  }

  SegmentWindow<StreamSegment<Payload>> entries_;
  StreamSegment<Payload>* tail_ = nullptr;  // the one that is appended to
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
  std::uint64_t length_ = 0;
  EntryId last_{};
};

}  // namespace pulse::detail
