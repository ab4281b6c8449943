// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/core/entry_id.hpp"
#include "pulse/core/redis_reply.hpp"

namespace pulse::inline v0_1 {

/// One hand-over of an entry of a Redis stream. Its data lies where the client read it. Valid as long as its batch.
class RedisDelivery {
 public:
  RedisDelivery(EntryId id, std::uint64_t count, std::string_view data, std::uint32_t stream, bool redriven) noexcept
      : id_(id), count_(count), data_(data), stream_(stream), redriven_(redriven) {}

  [[nodiscard]] std::size_t stream() const noexcept { return stream_; }
  [[nodiscard]] EntryId id() const noexcept { return id_; }
  [[nodiscard]] std::uint64_t delivery_count() const noexcept { return count_; }
  [[nodiscard]] bool redriven() const noexcept { return redriven_; }
  /// The value of the field `data`; of an entry that has none, all its fields as a JSON object.
  [[nodiscard]] std::string_view data() const noexcept { return data_; }

 private:
  EntryId id_;
  std::uint64_t count_;
  std::string_view data_;
  std::uint32_t stream_;
  bool redriven_;
};

namespace detail {

/// Entries out of replies. Keeps the text of those that had to be written anew. One thread.
class RedisEntries {
 public:
  /// The fields of an entry: an array of names and values. False when it is none.
  bool fields(ReplyReader& reader, std::string_view& data, bool& redriven) {
    std::uint32_t words = 0;
    std::string_view name;
    ReplyReader again = reader;
    if (!reader.array(words)) {
      return false;
    }
    bool found = false;
    redriven = false;
    for (std::uint32_t i = 0; i + 1 < words; i += 2) {
      std::string_view value;
      if (!reader.text(name) || !reader.text(value)) {
        return false;
      }
      if (name == "data" && !found) {
        data = value;
        found = true;
      } else if (name == "redriven") {
        redriven = true;
      }
    }
    if (words % 2 != 0) {
      return false;
    }
    if (!found) {
      data = written(again);
    }
    return true;
  }

  void clear() noexcept { written_.clear(); }

 private:
  /// For the DLQ: an entry without `data` is nothing that Pulse wrote, but its content must not be lost.
  std::string_view written(ReplyReader reader) {
    std::string text = "{";
    std::uint32_t words = 0;
    (void)reader.array(words);
    std::string_view word;
    for (std::uint32_t i = 0; i < words && reader.text(word); ++i) {
      text += i % 2 == 1 ? ":" : i == 0 ? "" : ",";
      quote(word, text);
    }
    text += '}';
    written_.push_back(std::make_unique<std::string>(std::move(text)));
    return *written_.back();
  }
  static void quote(std::string_view word, std::string& out) {
    constexpr char hex[] = "0123456789abcdef";
    out += '"';
    for (const char c : word) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        out += '\\';
        out += c;
      } else if (byte < 0x20) {
        out += "\\u00";
        out += hex[byte >> 4];
        out += hex[byte & 15];
      } else {
        out += c;
      }
    }
    out += '"';
  }

  std::vector<std::unique_ptr<std::string>> written_;
};

}  // namespace detail

}  // namespace pulse::inline v0_1
