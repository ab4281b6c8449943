// SPDX-License-Identifier: MIT
#pragma once

#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pulse/core/entry_id.hpp"

namespace pulse::inline v0_1::detail {

/// The words of one command, in memory that is used again. Texts are viewed, numbers are written here. One thread.
class RedisCommand {
 public:
  RedisCommand& operator()(std::string_view word) {
    words_.push_back({word, 0});
    return *this;
  }
  RedisCommand& operator()(std::uint64_t number) {
    begin();
    write(number);
    return end();
  }
  RedisCommand& operator()(std::chrono::milliseconds time) { return (*this)(static_cast<std::uint64_t>(time.count() < 0 ? 0 : time.count())); }
  RedisCommand& operator()(EntryId id) { return (*this)("", id); }
  /// An id after a sign, as "(" for an open range.
  RedisCommand& operator()(std::string_view sign, EntryId id) {
    if (id.ms != ms_ || ms_text_.empty()) {
      ms_ = id.ms;
      ms_text_ = std::to_string(id.ms) + '-';
    }
    begin();
    text_.append(sign).append(ms_text_);
    write(id.seq);
    return end();
  }

  void clear() noexcept {
    words_.clear();
    text_.clear();
  }

  /// Valid until the next change.
  [[nodiscard]] std::span<const std::string_view> words() {
    views_.clear();
    std::size_t at = 0;
    for (const Word& word : words_) {
      views_.push_back(word.written == 0 ? word.viewed : std::string_view{text_.data() + at, word.written});
      at += word.written;
    }
    return views_;
  }

 private:
  struct Word {
    std::string_view viewed;
    std::size_t written;  ///< bytes of text_; 0: it is viewed
  };

  void begin() noexcept { from_ = text_.size(); }
  RedisCommand& end() {
    words_.push_back({{}, text_.size() - from_});
    return *this;
  }
  void write(std::uint64_t number) {
    char digits[20];
    const auto done = std::to_chars(digits, digits + sizeof digits, number);
    text_.append(digits, done.ptr);
  }

  std::vector<Word> words_;
  std::string text_;
  std::vector<std::string_view> views_;
  std::size_t from_ = 0;
  std::uint64_t ms_ = 0;
  std::string ms_text_;  ///< of ms_, with its dash: ids that are said together share it
};

}  // namespace pulse::inline v0_1::detail
