// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/backend/redis/entries.hpp"
#include "pulse/backend/retry_schedule.hpp"
#include "pulse/core/delivery.hpp"
#include "pulse/core/entry_id.hpp"
#include "pulse/core/keys.hpp"
#include "pulse/core/redis_reply.hpp"

namespace pulse::inline v0_1::detail {

/// A stream's names on the server.
struct RedisKeys {
  std::string key;
  std::string dlq;
};

/// An entry that waits for its next delivery.
struct RedisRetry {
  EntryId id;
  bool counts = true;
  friend bool operator==(const RedisRetry& retry, EntryId other) noexcept { return retry.id == other; }
};

/// What a subscription knows of one of its streams.
struct RedisStream {
  EntryId newest{};         ///< of the new entries that were read
  EntryId recover_after{};  ///< where the next page of its own pending entries starts
  EntryId counted_to{};     ///< the last of them that was counted, where recoveries count: once in a subscription, however often it connects
  bool recovering = true;   ///< there may be own pending entries that nobody was given since the connection was made
  EntryId claim_cursor{};
  BasicRetrySchedule<RedisRetry> retries;
};

/// Deliveries out of replies, in the order in which they came. Their texts lie in the client's memory. One thread.
class RedisInbox {
 public:
  RedisInbox(std::vector<std::string> keys, std::size_t max_retries) {
    for (std::string& key : keys) {
      std::string dlq = dlq_key(key);
      keys_.push_back({std::move(key), std::move(dlq)});
      streams_.push_back(RedisStream{{}, {}, {}, true, {}, BasicRetrySchedule<RedisRetry>{max_retries}});
    }
    missed_.resize(keys_.size());
  }

  /// The reply of a read of new entries: for each stream that has some, its key and they. Calls `gone(stream, id)` for one without fields.
  /// False: it is no such reply; so for `rows`.
  template <class Gone>
  bool fresh(ReplyReader& reader, Gone gone) {
    std::uint32_t with_entries = 0;
    if (reader.nil()) {
      return true;
    }
    if (!reader.array(with_entries)) {
      return false;
    }
    for (; with_entries > 0; --with_entries) {
      std::uint32_t two = 0;
      std::uint32_t entries = 0;
      std::string_view key;
      if (!reader.array(two) || two != 2 || !reader.text(key) || !reader.array(entries)) {
        return false;
      }
      std::uint32_t stream = 0;
      while (stream < keys_.size() && keys_[stream].key != key) {
        ++stream;
      }
      if (stream == keys_.size()) {
        return false;
      }
      for (; entries > 0; --entries) {
        std::string_view text;
        EntryId id;
        if (!reader.array(two) || two != 2 || !reader.text(text) || !parse_entry_id(text, id)) {
          return false;
        }
        streams_[stream].newest = id;
        if (reader.nil()) {
          gone(stream, id);
          ++missed_[stream].vanished;
        } else if (!push(reader, stream, id, 1)) {
          return false;
        }
      }
    }
    return true;
  }

  /// Rows of a script: id, delivery count and, unless the entry is gone or was too large to be read, its fields. `last` is the id of the last row, `count` how
  /// many.
  bool rows(ReplyReader& reader, std::uint32_t stream, bool skip_retries, EntryId& last, std::size_t& count) {
    std::uint32_t left = 0;
    if (!reader.array(left)) {
      return false;
    }
    for (count = left; left > 0; --left) {
      std::uint32_t parts = 0;
      std::string_view text;
      std::int64_t deliveries = 0;
      if (!reader.array(parts) || !reader.text(text) || !parse_entry_id(text, last) || !reader.integer(deliveries) || parts != (deliveries <= 0 ? 2U : 3U)) {
        return false;
      }
      if (deliveries == 0) {
        ++missed_[stream].vanished;
      } else if (deliveries < 0) {
        ++missed_[stream].too_large;
      } else if (skip_retries && streams_[stream].retries.contains(last)) {
        reader.skip();  // it comes when it is due
      } else if (!push(reader, stream, last, static_cast<std::uint64_t>(deliveries))) {
        return false;
      }
    }
    return true;
  }

  /// Whether there is something to tell of entries that nobody is given.
  [[nodiscard]] bool missed() const noexcept {
    return std::any_of(missed_.begin(), missed_.end(), [](const Missed& of) { return of.vanished + of.too_large > 0; });
  }
  /// A batch, and what was missed since the last one.
  Batch<RedisDelivery> batch(std::span<const RedisDelivery> deliveries, bool more) {
    told_.clear();
    Missed all;
    if (missed()) [[unlikely]] {
      told_ = std::exchange(missed_, std::vector<Missed>(keys_.size()));
      for (const Missed& of : told_) {
        all.vanished += of.vanished;
        all.too_large += of.too_large;
      }
    }
    return {deliveries, all.vanished, more, all.too_large, told_};
  }
  void add_vanished(std::uint32_t stream, std::size_t count) noexcept { missed_[stream].vanished += count; }

  [[nodiscard]] std::vector<RedisDelivery>& ready() noexcept { return ready_; }
  [[nodiscard]] std::vector<RedisStream>& streams() noexcept { return streams_; }
  [[nodiscard]] const std::vector<RedisKeys>& keys() const noexcept { return keys_; }
  /// Whether any of them is recovering.
  [[nodiscard]] bool recovering() const noexcept {
    return std::any_of(streams_.begin(), streams_.end(), [](const RedisStream& stream) { return stream.recovering; });
  }
  /// Forgets what lies behind the first `count` deliveries.
  void cut(std::size_t count) noexcept { ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(std::min(count, ready_.size())), ready_.end()); }
  void clear() noexcept {
    ready_.clear();
    entries_.clear();
  }

 private:
  bool push(ReplyReader& reader, std::uint32_t stream, EntryId id, std::uint64_t count) {
    std::string_view data;
    bool redriven = false;
    if (!entries_.fields(reader, data, redriven)) {
      return false;
    }
    ready_.emplace_back(id, count, data, stream, redriven);
    return true;
  }

  std::vector<RedisKeys> keys_;
  std::vector<RedisStream> streams_;
  std::vector<RedisDelivery> ready_;
  RedisEntries entries_;
  std::vector<Missed> missed_;  ///< of each stream, since the last batch
  std::vector<Missed> told_;    ///< with the last batch
};

}  // namespace pulse::inline v0_1::detail
