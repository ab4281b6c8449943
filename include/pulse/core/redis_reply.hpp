// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace pulse::inline v0_1 {

enum class ReplyKind : std::uint8_t { nil, integer, text, error, array };

/// One value of a reply. An array is followed by its elements, each with what it holds.
struct ReplyNode {
  union {
    const char* text;      ///< of a text or an error
    std::int64_t integer;  ///< of an integer
  };
  std::uint32_t size;  ///< bytes of a text or an error, elements of an array
  ReplyKind kind;
};
static_assert(sizeof(ReplyNode) == 16);

/// Replies as a client gives them: all their values in one row, in the order of the wire, in memory that is used again. Texts are
/// views into the client's memory. One thread.
class RedisReplies {
 public:
  void nil() { add({{nullptr}, 0, ReplyKind::nil}); }
  void integer(std::int64_t value) {
    ReplyNode node{{nullptr}, 0, ReplyKind::integer};
    node.integer = value;
    add(node);
  }
  /// Requires: fewer than 2^32 bytes; so for `error`.
  void text(std::string_view value) { add({{value.data()}, static_cast<std::uint32_t>(value.size()), ReplyKind::text}); }
  void error(std::string_view value) { add({{value.data()}, static_cast<std::uint32_t>(value.size()), ReplyKind::error}); }
  /// Its elements follow.
  void array(std::uint32_t elements) { add({{nullptr}, elements, ReplyKind::array}); }

  void clear() noexcept { size_ = 0; }
  /// Keeps the first `count` values. Requires: there are as many.
  void truncate(std::size_t count) noexcept { size_ = count; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::span<const ReplyNode> nodes() const noexcept { return {room_.data(), size_}; }
  [[nodiscard]] std::span<ReplyNode> nodes() noexcept { return {room_.data(), size_}; }

 private:
  void add(ReplyNode node) {
    if (size_ == room_.size()) [[unlikely]] {
      grow();
    }
    room_[size_++] = node;
  }
  [[gnu::cold, gnu::noinline]] void grow() { room_.resize(room_.size() < 32 ? 64 : room_.size() * 2); }

  std::vector<ReplyNode> room_;  // as large as it ever was: adding a value is a store, which push_back is not
  std::size_t size_ = 0;
};

/// Reads values one after the other. A function that answers false has not moved. One thread.
class ReplyReader {
 public:
  explicit ReplyReader(std::span<const ReplyNode> nodes) noexcept : at_(nodes.data()), end_(nodes.data() + nodes.size()) {}

  [[nodiscard]] bool done() const noexcept { return at_ == end_; }
  bool nil() noexcept { return take(ReplyKind::nil); }
  bool integer(std::int64_t& out) noexcept {
    if (!take(ReplyKind::integer)) {
      return false;
    }
    out = at_[-1].integer;
    return true;
  }
  bool text(std::string_view& out) noexcept {
    if (!take(ReplyKind::text)) {
      return false;
    }
    out = {at_[-1].text, at_[-1].size};
    return true;
  }
  bool error(std::string_view& out) noexcept {
    if (!take(ReplyKind::error)) {
      return false;
    }
    out = {at_[-1].text, at_[-1].size};
    return true;
  }
  bool array(std::uint32_t& elements) noexcept {
    if (!take(ReplyKind::array)) {
      return false;
    }
    elements = at_[-1].size;
    return true;
  }
  /// Passes over one value and all it holds.
  void skip() noexcept {
    for (std::uint64_t left = 1; left > 0 && at_ != end_; --left, ++at_) {
      left += at_->kind == ReplyKind::array ? at_->size : 0;
    }
  }

 private:
  bool take(ReplyKind kind) noexcept {
    if (at_ == end_ || at_->kind != kind) {
      return false;
    }
    ++at_;
    return true;
  }

  const ReplyNode* at_;
  const ReplyNode* end_;
};

}  // namespace pulse::inline v0_1
