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
#include <utility>

#include "pulse/backend/in_memory/group.hpp"
#include "pulse/backend/in_memory/segments.hpp"
#include "pulse/core/entry_id.hpp"

namespace pulse::inline v0_1::detail {

template <class Payload>
struct StreamEntry {
  EntryId id;
  Payload payload;
  bool deleted;
  bool redriven;
};

template <class Payload, std::size_t Size = segment_size>
using StreamSegment = std::array<StreamEntry<Payload>, Size>;

/// The entries of a stream, in segments. They have dense positions, counted from the first one ever, so that appending, reading and
/// acknowledging touch one cell, however long the stream or the pending list is.
template <class Payload, std::size_t Size = segment_size>
class StreamLog {
 public:
  using Entry = StreamEntry<Payload>;
  using Segment = StreamSegment<Payload, Size>;
  using Group = BasicStreamGroup<Size>;

  /// `ms` is the wall clock's; ids grow even where it goes back.
  EntryId append(std::uint64_t ms, Payload&& payload, bool redriven) {
    const EntryId id = ms > last_.ms ? EntryId{ms, 0} : last_.next();
    put(id, std::move(payload), redriven);
    return id;
  }
  /// Appends under an id of the caller's. False, and nothing changes, when it is not greater than all that ever were, or 0-0.
  bool append(EntryId id, Payload&& payload) {
    if (id <= last_) {
      return false;
    }
    put(id, std::move(payload), false);
    return true;
  }

  [[nodiscard]] std::uint64_t length() const noexcept { return length_; }
  /// The position of the first entry; that of the next one to come, where there is none.
  [[nodiscard]] std::uint64_t begin() const noexcept { return begin_; }
  /// The position of the next entry to come: how many were ever appended.
  [[nodiscard]] std::uint64_t end() const noexcept { return end_; }
  /// 0-0 where there is none.
  [[nodiscard]] EntryId first_id() const noexcept { return begin_ < end_ ? at(begin_).id : EntryId{}; }
  /// The greatest id ever given.
  [[nodiscard]] EntryId last_id() const noexcept { return last_; }
  /// The greatest id that was deleted, other than by trimming.
  [[nodiscard]] EntryId last_deleted_id() const noexcept { return last_deleted_; }

  /// The entry at a position, or nullptr when it was trimmed or deleted.
  [[nodiscard]] const Entry* find(std::uint64_t position) const noexcept {
    return position < begin_ || position >= end_ || at(position).deleted ? nullptr : &at(position);
  }
  [[nodiscard]] const std::shared_ptr<Segment>& segment(std::uint64_t position) const noexcept { return entries_.at(position); }

  /// The position of the first entry with an id greater than `id`, deleted or not. Complexity: logarithmic.
  [[nodiscard]] std::uint64_t after(EntryId id) const noexcept { return id == EntryId::max() ? end_ : from(begin_, id.next()); }

  /// The id of what is or was at a position. Requires: it is in the stream, or pending in `group`.
  [[nodiscard]] EntryId id_of(const Group& group, std::uint64_t position) const noexcept {
    return position >= entries_.begin() ? at(position).id : (*group.segment(position)->ids)[position % Size];
  }

  /// The first position with an id of at least `id` among what is in the stream or pending in `group`; end() where there is none.
  /// Complexity: logarithmic, and linear in the segments of the list whose entries are gone.
  [[nodiscard]] std::uint64_t position(const Group& group, EntryId id) const noexcept {
    const std::uint64_t kept = std::min(entries_.begin(), end_);
    if (kept < end_ && at(kept).id <= id) {
      return from(kept, id);
    }
    for (std::uint64_t part = group.list.begin(); part < std::min(kept, group.list.end()); part += Size) {
      const auto* const gone = group.segment(part);
      if (gone != nullptr && gone->ids != nullptr && gone->ids->back() >= id) {
        return part + static_cast<std::uint64_t>(std::lower_bound(gone->ids->begin(), gone->ids->end(), id) - gone->ids->begin());
      }
    }
    return kept < end_ ? from(kept, id) : end_;
  }

  /// Calls `f(entry)` for the entries with ids in [first, last], oldest first.
  template <class F>
  void for_each(EntryId first, EntryId last, F f) const {
    for (std::uint64_t position = from(begin_, first); position < end_ && at(position).id <= last; ++position) {
      if (!at(position).deleted) {
        f(at(position));
      }
    }
  }

  /// Deletes one entry. What is pending of it stays as a ghost. False when it is not there.
  bool erase(EntryId id) {
    const std::uint64_t position = from(begin_, id);
    if (find(position) == nullptr || at(position).id != id) {
      return false;
    }
    (*entries_.at(position))[position % Size].deleted = true;
    --length_;
    last_deleted_ = std::max(last_deleted_, id);
    drop_dead_front();
    return true;
  }

  /// Keeps the newest `most` entries, exactly. What is pending of the others stays as ghosts. Returns how many went.
  std::uint64_t trim(std::uint64_t most) {
    const std::uint64_t before = length_;
    while (length_ > most) {
      advance();
    }
    drop_dead_front();
    return before - length_;
  }
  /// Keeps the entries with ids of at least `id`, likewise.
  std::uint64_t trim_before(EntryId id) {
    const std::uint64_t before = length_;
    for (const std::uint64_t to = from(begin_, id); begin_ < to;) {
      advance();
    }
    drop_dead_front();
    return before - length_;
  }

  /// Frees whole segments that every group has read and acknowledged.
  void trim_acknowledged() {
    if (groups.empty()) {
      return;
    }
    while (true) {
      const std::uint64_t past = (begin_ / Size + 1) * Size;
      if (past > end_) {
        return;
      }
      for (auto& [name, group] : groups) {
        const auto* const part = group.segment(begin_);
        if (group.next < past || (part != nullptr && part->pending > 0)) {
          return;
        }
      }
      for (const Segment& part = *entries_.at(begin_); begin_ < past; ++begin_) {
        length_ -= part[begin_ % Size].deleted ? 0 : 1;
      }
      drop_passed();
      drop_dead_front();
    }
  }

  std::map<std::string, Group, std::less<>> groups;

 protected:
  [[nodiscard]] const Entry& at(std::uint64_t position) const noexcept { return (*entries_.at(position))[position % Size]; }

 private:
  void put(EntryId id, Payload&& payload, bool redriven) {
    if (end_ % Size == 0 || tail_ == nullptr) {
      tail_ = &entries_.reach(end_);
    }
    Entry& entry = (*tail_)[end_ % Size];
    entry.id = id;
    entry.payload = std::move(payload);
    entry.deleted = false;
    entry.redriven = redriven;
    last_ = id;
    ++end_;
    ++length_;
  }

  /// The first position from `low` on with an id of at least `id`.
  [[nodiscard]] std::uint64_t from(std::uint64_t low, EntryId id) const noexcept {
    std::uint64_t high = end_;
    while (low < high) {
      const std::uint64_t middle = low + (high - low) / 2;
      if (at(middle).id < id) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  void advance() {
    length_ -= at(begin_).deleted ? 0 : 1;
    if (++begin_ % Size == 0) {
      drop_passed();
    }
  }
  /// The segment before begin_, which is the beginning of one. Lists with something pending in it keep the ids of its entries.
  void drop_passed() {
    std::shared_ptr<std::array<EntryId, Size>> ids;
    for (auto& [name, group] : groups) {
      if (auto* const part = group.segment(begin_ - Size); part != nullptr && part->pending > 0) {
        if (ids == nullptr) {
          ids = std::make_shared<std::array<EntryId, Size>>();
          const Segment& passed = *entries_.at(begin_ - Size);
          std::transform(passed.begin(), passed.end(), ids->begin(), [](const Entry& entry) { return entry.id; });
        }
        part->ids = ids;
      }
    }
    entries_.drop(begin_ - Size);
  }
  void drop_dead_front() {
    while (begin_ < end_ && at(begin_).deleted) {
      advance();
    }
  }
  SegmentWindow<Segment, Size> entries_;
  Segment* tail_ = nullptr;  // the one that is appended to
  std::uint64_t begin_ = 0;
  std::uint64_t end_ = 0;
  std::uint64_t length_ = 0;
  EntryId last_{};
  EntryId last_deleted_{};
};

}  // namespace pulse::inline v0_1::detail
