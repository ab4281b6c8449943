// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "pulse/concept/dedup.hpp"
#include "pulse/core/entry_id.hpp"
#include "pulse/dedup/fifo_window.hpp"
#include "pulse/detail/refuse.hpp"

namespace pulse::inline v0_1 {

/// How much a Watermark tells apart.
struct WatermarkOptions {
  /// How many ranges of entry ids it can tell apart. Default 4096, 48 bytes each. An entry in flight, or released and not handled yet, takes two.
  std::size_t ranges = 4096;
  /// The capacity of the FifoWindow for ids that are not entry ids. Default 4096, 26 bytes each.
  std::size_t others = 4096;
};

/// Remembers every entry of one stream that was handled, for ever, in memory proportional to what is in flight and out of order: what is done
/// lies in ranges from entry id to entry id, as acknowledgements do in a transport protocol, and neighbours grow together.
///
/// Requires: the ids are those of one stream, and this is the only consumer of its group that reads it, so that entries after
/// `last_delivered` come for the first time in the order of their ids. Then it is exact. Entries up to `last_delivered` - the group's
/// last-delivered id when the consumer subscribes - may come in any order, from an earlier life: they are remembered each for itself. Where that id
/// is not known, pass EntryId::max(): all are, and the window is the `ranges` ids handled last.
///
/// A replay of acknowledged entries, as after a failover, is absorbed however far back it begins. What it cannot know: a new event under an id at or
/// below one that was delivered, from a master that lost entries and whose clock is behind, is taken for done.
///
/// Not taken for entry ids are UUIDs, hashed texts, and entry ids mixed with the salt of one of several streams (`ms` of 2^48 and more): these
/// go to a FifoWindow beside it, with its guarantee.
///
/// An id stays `done` while 2 * (leased + released) + 1 and the entries of the earlier life fit `ranges`. Where they do not, first what was
/// released is forgotten, which loses nothing; then the lowest range, whose ids are fresh again. While all ranges are leased, a claim of
/// another id is `unavailable`; it takes a range of its own when it comes again.
///
/// Memory: options. Complexity: logarithmic in the ranges, constant at the end of the stream; moves what is behind. Allocates nothing after
/// construction. Thread safety: one thread. Contract page: docs/reference/dedup/watermark.md
class Watermark {
 public:
  static constexpr bool exact = true;
  static constexpr bool shared = false;
  static constexpr std::size_t max_ranges = std::size_t{1} << 20;

  /// Errors: std::invalid_argument for ranges outside 1..max_ranges, or others outside what a FifoWindow takes.
  explicit Watermark(EntryId last_delivered, WatermarkOptions options = {}, std::uint64_t seed = detail::SeededHash::random_seed())
      : others_(options.others, seed), last_delivered_(last_delivered), max_(options.ranges) {
    if (options.ranges < 1 || options.ranges > max_ranges) {
      detail::refuse("Watermark", "number of ranges", std::to_string(options.ranges), "1 to " + std::to_string(max_ranges));
    }
    ranges_.reserve(max_);
  }

  Claim claim(EventId id) noexcept {
    if (!id.is_entry()) {
      return others_.claim(id);
    }
    const EntryId entry{id.high, id.low};
    std::size_t at = find(entry);
    if (at < ranges_.size() && ranges_[at].first <= entry) {
      Range& range = ranges_[at];
      if (range.state == State::done) {
        return Claim::done;
      }
      if (range.state == State::leased) {
        return Claim::leased;
      }
      range.state = State::leased;
      ++size_;
      return Claim::fresh;
    }
    if (ranges_.size() == max_) {
      if (!forget_lowest(State::released) && !forget_lowest(State::done)) {
        note_gap(at, entry);
        return Claim::unavailable;
      }
      at = find(entry);
    }
    insert(at, entry, State::leased);
    ++size_;
    return Claim::fresh;
  }
  /// A batch, equal to one by one in order. Requires: claims are as many as ids.
  void claim(std::span<const EventId> ids, std::span<Claim> claims) noexcept {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      claims[i] = claim(ids[i]);
    }
  }

  /// As a claim, but an id that is absent is `unavailable`, and takes no place of one that is done.
  [[nodiscard]] Claim known(EventId id) noexcept {
    if (!id.is_entry()) {
      return others_.known(id);
    }
    const EntryId entry{id.high, id.low};
    std::size_t at = find(entry);
    if (at < ranges_.size() && ranges_[at].first <= entry) {
      const State state = ranges_[at].state;
      return state == State::done ? Claim::done : state == State::leased ? Claim::leased : Claim::unavailable;
    }
    if (ranges_.size() < max_ || forget_lowest(State::released)) {  // as if it had been leased and released: no range grows over it
      at = find(entry);
      insert(at, entry, State::released);
    } else {
      note_gap(at, entry);
    }
    return Claim::unavailable;
  }

  void commit(EventId id) noexcept {
    if (!id.is_entry()) {
      return others_.commit(id);
    }
    if (const std::size_t at = find_leased(id); at < ranges_.size()) {
      ranges_[at].state = State::done;
      join(at + 1);
      join(at);
    }
  }
  void release(EventId id) noexcept {
    if (!id.is_entry()) {
      return others_.release(id);
    }
    if (const std::size_t at = find_leased(id); at < ranges_.size()) {
      ranges_[at].state = State::released;
      --size_;
    }
  }

  /// Ids remembered, all of those in the ranges.
  [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(size_) + others_.size(); }
  /// Ranges in use: 1 where everything was handled.
  [[nodiscard]] std::size_t ranges() const noexcept { return ranges_.size(); }
  /// What it holds in memory, this object aside.
  [[nodiscard]] std::size_t bytes() const noexcept { return ranges_.capacity() * sizeof(Range) + others_.bytes(); }

 private:
  enum class State : std::uint8_t { leased, released, done };
  struct Range {
    EntryId first;
    EntryId last;
    std::uint64_t count;
    State state;
    bool follows;  ///< the stream has nothing between the range before it and this one
  };

  /// The first range that ends at `entry` or after.
  [[nodiscard]] std::size_t find(EntryId entry) const noexcept {
    if (ranges_.empty() || ranges_.back().last < entry) {
      return ranges_.size();
    }
    const auto at = std::lower_bound(ranges_.begin(), ranges_.end(), entry, [](const Range& range, EntryId wanted) { return range.last < wanted; });
    return static_cast<std::size_t>(at - ranges_.begin());
  }
  /// The range of an id that is leased, or the number of ranges.
  [[nodiscard]] std::size_t find_leased(EventId id) const noexcept {
    const EntryId entry{id.high, id.low};
    const std::size_t at = find(entry);
    return at < ranges_.size() && ranges_[at].first <= entry && ranges_[at].state == State::leased ? at : ranges_.size();
  }

  void insert(std::size_t at, EntryId entry, State state) noexcept {
    const bool in_order = at == ranges_.size();
    if (!in_order) {
      ranges_[at].follows = false;  // there was something before it that had not been delivered
    }
    const bool follows = in_order && !ranges_.empty() && gap_until_ <= ranges_.back().last;
    ranges_.insert(ranges_.begin() + static_cast<std::ptrdiff_t>(at), Range{entry, entry, 1, state, follows});
  }
  /// Something in front of the range at `at`, or behind the last one up to `last`, was delivered and is in no range: none may grow over it.
  void note_gap(std::size_t at, EntryId last) noexcept {
    if (at < ranges_.size()) {
      ranges_[at].follows = false;
    } else {
      gap_until_ = std::max(gap_until_, last);
    }
  }

  /// Makes one of a range and the one before it, where both are done and no entry can lie between.
  void join(std::size_t at) noexcept {
    if (at == 0 || at >= ranges_.size()) {
      return;
    }
    Range& left = ranges_[at - 1];
    const Range& right = ranges_[at];
    if (left.state == State::done && right.state == State::done && right.follows && left.last >= last_delivered_) {
      left.last = right.last;
      left.count += right.count;
      ranges_.erase(ranges_.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }

  /// What is forgotten is fresh when it comes again: no range grows over it.
  bool forget_lowest(State state) noexcept {
    const auto at = std::find_if(ranges_.begin(), ranges_.end(), [=](const Range& range) { return range.state == state; });
    if (at == ranges_.end()) {
      return false;
    }
    size_ -= state == State::done ? at->count : 0;
    const EntryId last = at->last;
    note_gap(static_cast<std::size_t>(ranges_.erase(at) - ranges_.begin()), last);
    return true;
  }

  FifoWindow others_;
  EntryId last_delivered_;
  std::size_t max_;
  std::vector<Range> ranges_;  ///< ascending
  std::uint64_t size_ = 0;
  EntryId gap_until_{};  ///< the last entry behind all ranges that was refused or forgotten, where it is behind them still
};

}  // namespace pulse::inline v0_1
