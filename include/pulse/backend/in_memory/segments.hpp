// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace pulse::inline v0_1::detail {

inline constexpr std::size_t segment_size = 256;

/// A window of segments of `Size` positions each; what lies before it is gone.
template <class Segment, std::size_t Size>
class SegmentWindow {
 public:
  [[nodiscard]] std::uint64_t begin() const noexcept { return first_ * Size; }
  [[nodiscard]] std::uint64_t end() const noexcept { return (base_ + segments_.size()) * Size; }
  [[nodiscard]] bool empty() const noexcept { return begin() == end(); }
  /// Null where the segment was dropped. Requires: begin() <= position < end().
  [[nodiscard]] const std::shared_ptr<Segment>& at(std::uint64_t position) const noexcept { return segments_[position / Size - base_]; }

  /// Makes room for `position`, and returns its segment.
  Segment& reach(std::uint64_t position) {
    const std::uint64_t index = position / Size - base_;
    return index < segments_.size() && segments_[index] != nullptr ? *segments_[index] : make(position / Size);
  }
  /// Drops a segment. Its memory serves again, unless a batch still looks at it.
  void drop(std::uint64_t position) noexcept {
    spare_ = std::move(segments_[position / Size - base_]);
    while (first_ < base_ + segments_.size() && segments_[first_ - base_] == nullptr) {
      ++first_;
    }
    if (const std::uint64_t gone = first_ - base_; gone >= 16 && gone * 2 >= segments_.size()) {
      segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(gone));
      base_ = first_;
    }
  }

 private:
  Segment& make(std::uint64_t number) {
    if (empty()) {
      segments_.clear();
      first_ = base_ = number;
    }
    if (number < base_) {
      segments_.insert(segments_.begin(), base_ - number, nullptr);  // one that is passed over takes no memory
      base_ = number;
    }
    if (number - base_ >= segments_.size()) {
      segments_.resize(number - base_ + 1);
    }
    first_ = std::min(first_, number);
    std::shared_ptr<Segment>& segment = segments_[number - base_];
    segment = spare_ && spare_.use_count() == 1 ? std::move(spare_) : std::make_shared_for_overwrite<Segment>();
    return *segment;
  }

  std::vector<std::shared_ptr<Segment>> segments_;  ///< numbers base_ to the end
  std::shared_ptr<Segment> spare_;
  std::uint64_t base_ = 0;
  std::uint64_t first_ = 0;  ///< the number of the first one that is there
};

}  // namespace pulse::inline v0_1::detail
