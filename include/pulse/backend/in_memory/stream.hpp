// SPDX-License-Identifier: MIT
#pragma once

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
  Payload payload{};
  bool deleted = false;
  bool redriven = false;
};

template <class Payload>
using StreamSegment = std::array<StreamEntry<Payload>, segment_size>;

/// A window of segments over a growing range of positions; what lies before it is gone.
template <class Segment>
class SegmentWindow {
 public:
  [[nodiscard]] std::uint64_t begin() const noexcept { return first_ * segment_size; }
  [[nodiscard]] std::uint64_t end() const noexcept { return (first_ + segments_.size()) * segment_size; }
  [[nodiscard]] const std::shared_ptr<Segment>& at(std::uint64_t position) const noexcept { return segments_[position / segment_size - first_]; }

  /// Makes room up to and including `position`.
  void reach(std::uint64_t position) {
    if (segments_.empty()) {
      first_ = position / segment_size;
    }
    while (end() <= position) {
      if (spare_ && spare_.use_count() == 1) {
        segments_.push_back(std::move(spare_));
      } else {
        segments_.push_back(std::make_shared<Segment>());
      }
    }
  }
  /// Drops the first segment. Its memory serves again, unless a batch still looks at it.
  void pop_front() {
    spare_ = std::move(segments_.front());
    segments_.pop_front();
    ++first_;
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
  std::array<PendingRecord, segment_size> records{};
  std::uint32_t pending = 0;
};

struct StreamGroup {
  std::uint64_t next = 0;  ///< the position of the first entry not delivered yet
  std::uint64_t pending = 0;
  SegmentWindow<PendingSegment> list;
  std::map<std::string, std::uint32_t, std::less<>> consumers;

  std::uint32_t consumer(std::string_view name) {
    const auto at = consumers.find(name);
    return at != consumers.end() ? at->second : consumers.emplace(std::string(name), static_cast<std::uint32_t>(consumers.size() + 1)).first->second;
  }

  [[nodiscard]] PendingRecord* find(std::uint64_t position) noexcept {
    if (position < list.begin() || position >= list.end()) {
      return nullptr;
    }
    PendingRecord& record = list.at(position)->records[position % segment_size];
    return record.owner == 0 ? nullptr : &record;
  }

  void deliver(std::uint64_t position, std::uint32_t owner, std::int64_t now_ns) {
    list.reach(position);
    PendingSegment& segment = *list.at(position);
    segment.records[position % segment_size] = {owner, 1, now_ns, 0, false};
    ++segment.pending;
    ++pending;
  }

  void acknowledge(std::uint64_t position) noexcept {
    if (PendingRecord* record = find(position)) {
      *record = {};
      --list.at(position)->pending;
      --pending;
      // Segments before the read position that hold nothing pending are of no more use.
      while (!list.empty() && list.at(list.begin())->pending == 0 && list.begin() + segment_size <= next) {
        list.pop_front();
      }
    }
  }
};

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
  EntryId append(std::uint64_t ms, Payload payload, bool redriven) {
    const EntryId id = ms > last_.ms ? EntryId{ms, 0} : last_.next();
    entries_.reach(end_);
    Entry& entry = (*entries_.at(end_))[end_ % segment_size];
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
        const bool listed = begin_ >= group.list.begin() && begin_ < group.list.end();
        if (group.next < past || (listed && group.list.at(begin_)->pending > 0)) {
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
      entries_.pop_front();
    }
  }
  void drop_dead_front() noexcept {
    while (begin_ < end_ && (*entries_.at(begin_))[begin_ % segment_size].deleted) {
      advance();
    }
  }

  SegmentWindow<StreamSegment<Payload>> entries_;
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
  std::uint64_t length_ = 0;
  EntryId last_{};
};

}  // namespace pulse::detail
