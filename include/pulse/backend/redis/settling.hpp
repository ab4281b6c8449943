// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pulse/backend/redis/inbox.hpp"
#include "pulse/backend/redis/scripts.hpp"
#include "pulse/core/clock.hpp"
#include "pulse/core/delivery.hpp"

namespace pulse::inline v0_1::detail {

/// What was settled and the server has not confirmed yet. It is kept until the reply, so that a lost connection loses no decision: all of
/// it may be said twice. One thread.
class RedisSettling {
 public:
  struct Sent {
    std::uint32_t acks = 0;
    std::uint32_t letters = 0;
  };

  [[nodiscard]] bool empty() const noexcept { return acks_done_ == acks_.size() && letters_done_ == letters_.size(); }

  void ack(std::uint32_t stream, EntryId id) { acks_.push_back({id, stream}); }
  void dead_letter(const RedisDelivery& delivery, std::string_view reason, WallTime now) {
    letters_.push_back({static_cast<std::uint32_t>(delivery.stream()), delivery.id(), delivery.delivery_count(), std::string(reason),
                        std::string(delivery.data()), std::to_string(epoch_seconds(now))});
  }

  /// Puts the commands for what was not sent into the connection's pipeline; calls `expect(Sent)` for each reply to come.
  template <class Connection, class Expect>
  void send(Connection& connection, std::span<const RedisKeys> streams, std::string_view group, std::string_view consumer, bool fenced, Expect expect) {
    if (streams.size() > 1) {
      std::sort(acks_.begin() + static_cast<std::ptrdiff_t>(acks_sent_), acks_.end(),
                [](const Ack& a, const Ack& b) { return a.stream != b.stream ? a.stream < b.stream : a.id < b.id; });
    }
    while (acks_sent_ < acks_.size()) {
      const std::uint32_t stream = acks_[acks_sent_].stream;
      std::uint32_t count = 0;
      auto& command = fenced ? connection.begin_script(static_cast<std::size_t>(RedisScript::fenced_ack), 1)(streams[stream].key)(group)(consumer)
                             : connection.begin("XACK")(streams[stream].key)(group);
      for (; acks_sent_ < acks_.size() && acks_[acks_sent_].stream == stream && count < max_ids; ++acks_sent_, ++count) {
        command(acks_[acks_sent_].id);
      }
      connection.end();
      expect(Sent{count, 0});
    }
    for (; letters_sent_ < letters_.size(); ++letters_sent_) {
      const Letter& letter = letters_[letters_sent_];
      const RedisKeys& keys = streams[letter.stream];
      connection.begin_script(static_cast<std::size_t>(RedisScript::dead_letter), 2)(keys.key)(keys.dlq)(group)(consumer)(letter.id)("original_id")(letter.id)(
          "reason")(letter.reason)("data")(letter.data)("group")(group)("consumer")(consumer)("deliveries")(letter.count)("failed_at")(letter.failed_at);
      connection.end();
      expect(Sent{0, 1});
    }
  }

  /// The oldest of what was sent is done.
  void confirm(Sent sent) {
    acks_done_ += sent.acks;
    letters_done_ += sent.letters;
    drop(acks_, acks_sent_, acks_done_);
    drop(letters_, letters_sent_, letters_done_);
  }
  /// The connection is gone: what was not confirmed is sent again.
  void forget_sent() noexcept {
    acks_sent_ = acks_done_;
    letters_sent_ = letters_done_;
  }

 private:
  static constexpr std::uint32_t max_ids = 4096;  ///< in one command
  struct Ack {
    EntryId id;
    std::uint32_t stream;
  };
  struct Letter {
    std::uint32_t stream;
    EntryId id;
    std::uint64_t count;
    std::string reason;
    std::string data;
    std::string failed_at;
  };

  /// Frees what is done, at a constant cost an item: with reads ahead there is always something under way, so waiting for the end would never free anything.
  template <class Item>
  static void drop(std::vector<Item>& items, std::size_t& sent, std::size_t& done) {
    if (done == items.size() || (done >= 64 && done * 2 >= items.size())) {
      items.erase(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(done));
      sent -= done;
      done = 0;
    }
  }

  std::vector<Ack> acks_;
  std::vector<Letter> letters_;
  std::size_t acks_sent_ = 0;
  std::size_t acks_done_ = 0;
  std::size_t letters_sent_ = 0;
  std::size_t letters_done_ = 0;
};

}  // namespace pulse::inline v0_1::detail
