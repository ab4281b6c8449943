// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/backend/redis/asked.hpp"
#include "pulse/backend/redis/inbox.hpp"
#include "pulse/backend/redis/options.hpp"
#include "pulse/backend/redis/scripts.hpp"
#include "pulse/backend/redis/settling.hpp"
#include "pulse/core/clock.hpp"
#include "pulse/core/delivery.hpp"
#include "pulse/redis/connection.hpp"

namespace pulse::inline v0_1::detail {

/// The conversation of a subscription with its server: commands are asked, written together, and their replies taken in the same order, some of
/// them later. An error reply or a lost connection ends the conversation: everything that was settled and not confirmed is said again in the
/// next, and what was pending for this consumer is read again, because a reply may have been lost with its entries. One thread.
template <class Client>
class RedisExchange {
  using Connection = RedisConnection<Client>;

 public:
  RedisExchange(const SubscribeOptions& wanted, const RedisOptions& options, std::shared_ptr<RedisStatus> status, std::unique_ptr<Connection> main)
      : options_(options),
        group_(wanted.group),
        consumer_(wanted.consumer),
        careful_(wanted.count_recoveries),
        inbox_(wanted.streams, options.max_retries),
        status_(std::move(status)),
        main_(std::move(main)) {}

  /// There is a connection, or an error. A new one starts from what is known to be done; of the deliveries that came, the first `given` are kept.
  Status connect(SteadyTime deadline, std::size_t given) {
    Result<bool> made = main_->ensure(deadline);
    if (!made) {
      return failed(std::move(made).error());
    }
    if (*made) {
      status_->reconnected();
      settling_.forget_sent();
      inbox_.cut(given);
      for (RedisStream& stream : inbox_.streams()) {
        stream.recovering = true;
        stream.recover_after = {};
      }
    }
    return {};
  }

  /// Puts what was settled and not sent yet into the pipeline.
  void ask_settlement() {
    settling_.send(*main_, inbox_.keys(), group_, consumer_, options_.fenced_acks,
                   [this](RedisSettling::Sent sent) { expected_.push_back({Kind::settled, 0, sent}); });
  }

  /// New entries, up to `count` of each stream; waits for the first up to `block`, where that is more than 0.
  void ask_new(std::size_t count, std::chrono::milliseconds block) {
    RedisCommand& command = main_->begin("XREADGROUP")("GROUP")(group_)(consumer_)("COUNT")(limit_.of(count));
    if (block.count() > 0) {
      command("BLOCK")(block);
      blocked_until_ = Connection::now() + block;
    }
    command("STREAMS");
    for (const RedisKeys& key : inbox_.keys()) {
      command(key.key);
    }
    for (std::size_t i = 0; i < inbox_.keys().size(); ++i) {
      command(">");
    }
    end(Kind::fresh, 0);
    ++reads_;
  }

  /// A page of what was pending before, of each stream that may have some; one entry in all where it is counted. After a lost connection those that
  /// were counted come again uncounted: the process lives, and some only wait for their retry.
  /// An entry that no reply can hold is dead-lettered instead, as of `now`. Where the limit is one entry, one stream is asked: replies add up.
  void ask_history(std::size_t count, WallTime now) {
    const std::string failed_at = std::to_string(epoch_seconds(now));  // a command refers to its words until its end
    for (std::uint32_t i = 0; i < inbox_.streams().size(); ++i) {
      if (const RedisStream& stream = inbox_.streams()[i]; stream.recovering) {
        const bool again = careful_ && stream.counted_to != EntryId{} && stream.recover_after <= stream.counted_to;
        page_ = limit_.of(careful_ ? 1 : count);
        page_end_ = again ? stream.counted_to : EntryId::max();
        main_->begin_script(static_cast<std::size_t>(RedisScript::recover),
                            2)(inbox_.keys()[i].key)(inbox_.keys()[i].dlq)(group_)(consumer_)(stream.recover_after)(
            page_end_)(std::uint64_t{main_->largest_reply()})(failed_at)(page_)(std::uint64_t{careful_ && !again ? 1U : 0U});
        end(Kind::history, i);
        if (careful_ || limit_.least()) {
          return;
        }
      }
    }
  }

  /// Up to `count` retries that are due. Returns how many.
  std::size_t ask_retries(std::size_t count, SteadyTime now) {
    std::size_t asked = 0;
    for (std::uint32_t i = 0; i < inbox_.streams().size() && asked < count; ++i) {
      if (auto& retries = inbox_.streams()[i].retries; retries.due(now)) {
        RedisCommand& command = script(RedisScript::retake, i);
        for (; asked < count && retries.due(now); ++asked) {
          const RedisRetry retry = retries.take();
          command(retry.counts ? "" : "=", retry.id);
        }
        end(Kind::retaken, i);
      }
    }
    return asked;
  }

  /// Up to `max` abandoned entries of all streams together; where there are more streams than that, of some, and of the next ones the next time. First the
  /// leases of what waits here for its retry are renewed: that is not abandoned.
  void ask_abandoned(std::chrono::milliseconds min_idle, std::size_t max) {
    const std::size_t streams = inbox_.streams().size();
    for (std::uint32_t i = 0; i < streams; ++i) {
      RedisCommand* command = nullptr;
      std::size_t ids = 0;
      inbox_.streams()[i].retries.for_each([&](const RedisRetry& retry) {
        command = command == nullptr ? &script(RedisScript::extend, i)("") : command;
        (*command)(retry.id);
        if (++ids % 1000 == 0) {  // a script holds up everybody
          end(Kind::ignored, i);
          command = nullptr;
        }
      });
      if (command != nullptr) {
        end(Kind::ignored, i);
      }
    }
    const std::size_t asked = std::min(streams, max);
    for (std::size_t n = 0; n < asked; ++n) {
      const auto i = static_cast<std::uint32_t>(claim_from_);
      claim_from_ = (claim_from_ + 1) % streams;
      script(RedisScript::claim, i)(min_idle)(inbox_.streams()[i].claim_cursor)(limit_.of(max / asked));
      end(Kind::claimed, i);
      if (options_.trim_acked) {
        main_->begin_script(static_cast<std::size_t>(RedisScript::trim), 1)(inbox_.keys()[i].key);
        end(Kind::ignored, i);
      }
    }
    claim_asked_ = claim_asked_ + asked < streams ? claim_asked_ + asked : 0;
  }
  /// Whether streams were left out of this round of claiming, or stopped in the middle.
  [[nodiscard]] bool claims_left() noexcept {
    return claim_asked_ > 0 ||
           std::any_of(inbox_.streams().begin(), inbox_.streams().end(), [](const RedisStream& stream) { return stream.claim_cursor != EntryId{}; });
  }

  /// Ends the conversation from this side; the next call that needs one begins it anew.
  void disconnect() noexcept {
    main_->close();
    reads_ = 0;
    blocked_until_ = {};
    expected_.clear();
    next_ = 0;
  }

  Status write(SteadyTime deadline) {
    Status written = main_->flush(deadline);
    return written ? Status{} : failed(std::move(written).error());
  }

  /// Takes replies until all but `leave` are there. False: interrupted, where that is heeded; the rest comes later. A reply that takes
  /// longer than it may, or than `deadline`, ends the connection.
  Result<bool> take(std::size_t leave, bool heed_interrupt, SteadyTime deadline = SteadyTime::max()) {
    while (expected() > leave) {
      const SteadyTime until = std::max(Connection::now(), blocked_until_) + options_.command_timeout;
      Result<bool> got = take_one(std::min(until, deadline));
      if (!got || (!*got && heed_interrupt)) {
        return got;
      }
    }
    return true;
  }

  /// The texts of earlier deliveries are not needed any more.
  void release() noexcept {
    inbox_.clear();
    main_->release(replies_);
  }
  void interrupt() noexcept { main_->interrupt(); }
  /// Takes the replies that have arrived and waits for none; as `take`. `overdue`: what is still to come is taken for lost.
  Result<bool> take_arrived(bool overdue) {
    if (overdue) {
      return take(0, false, Connection::now());
    }
    main_->interrupt();  // heeded once there is nothing to read
    return take(0, true);
  }
  [[nodiscard]] int descriptor() const noexcept
    requires PollableRedisClient<Client>
  {
    return main_->descriptor();
  }

  [[nodiscard]] RedisInbox& inbox() noexcept { return inbox_; }
  [[nodiscard]] RedisSettling& settling() noexcept { return settling_; }
  [[nodiscard]] std::size_t expected() const noexcept { return expected_.size() - next_; }
  /// Reads of new entries that were asked for and not answered.
  [[nodiscard]] std::size_t reads() const noexcept { return reads_; }
  /// The end of the read that blocks; long ago where none does.
  [[nodiscard]] SteadyTime blocked_until() const noexcept { return blocked_until_; }
  [[nodiscard]] bool connected() const noexcept { return main_->connected(); }
  [[nodiscard]] std::int64_t client_id() const noexcept { return main_->facts().client_id; }
  [[nodiscard]] const std::string& group() const noexcept { return group_; }
  [[nodiscard]] const std::string& consumer() const noexcept { return consumer_; }

 private:
  using Kind = RedisAsked::Kind;

  RedisCommand& script(RedisScript which, std::uint32_t stream) {
    return main_->begin_script(static_cast<std::size_t>(which), 1)(inbox_.keys()[stream].key)(group_)(consumer_);
  }
  void end(Kind kind, std::uint32_t stream) {
    main_->end();
    expected_.push_back({kind, stream, {}});
  }

  Error failed(Error error) {
    if (next_ < expected_.size() && expected_.back().kind != Kind::settled) {
      error.code == ErrorCode::capacity ? limit_.too_large() : limit_.cut();
    }
    disconnect();
    status_->down(error.message);
    return error;
  }

  Result<bool> take_one(SteadyTime deadline) {
    const std::size_t first = replies_.size();
    Result<bool> got = main_->read(replies_, deadline);
    if (!got) {
      return failed(std::move(got).error());
    }
    if (!*got) {
      return false;
    }
    const RedisAsked due = expected_[next_++];
    if (next_ == expected_.size() || next_ >= 64) {  // with reads ahead it never runs empty
      expected_.erase(expected_.begin(), expected_.begin() + static_cast<std::ptrdiff_t>(next_));
      next_ = 0;
    }
    ReplyReader reader{std::as_const(replies_).nodes().subspan(first)};
    std::string_view text;
    if (reader.error(text)) {
      return failed(main_->refused(RedisAsked::name(due.kind), text));
    }
    if (!understood(due, reader)) {
      return failed(main_->misshapen(RedisAsked::name(due.kind)));
    }
    status_->works();
    return true;
  }

  bool understood(const RedisAsked& due, ReplyReader& reader) {
    std::int64_t number = 0;
    RedisStream& stream = inbox_.streams()[due.stream];
    EntryId last = stream.recover_after;
    std::size_t rows = 0;
    switch (due.kind) {
      case Kind::settled:
        if (!reader.integer(number) || number < 0) {
          return false;
        }
        settling_.confirm(due.sent);
        if (const std::uint64_t asked = due.sent.acks + due.sent.letters; asked > static_cast<std::uint64_t>(number)) {
          status_->unmatched(asked - static_cast<std::uint64_t>(number));
        }
        return true;
      case Kind::fresh:
        --reads_;
        blocked_until_ = {};
        limit_.went_well();
        return inbox_.fresh(reader, [this](std::uint32_t index, EntryId id) { settling_.ack(index, id); });
      case Kind::history:
        if (!inbox_.rows(reader, due.stream, true, last, rows)) {
          return false;
        }
        if (rows > 0) {  // an empty page says nothing of the next stream's
          limit_.went_well();
        }
        if (careful_ && rows > 0) {
          stream.counted_to = std::max(stream.counted_to, last);
        }
        last = rows < page_ ? page_end_ : last;
        stream.recovering = last != EntryId::max();
        stream.recover_after = stream.recovering ? last.next() : EntryId{};
        careful_ = careful_ && inbox_.recovering();  // after a lost connection, later, the process has not died
        return true;
      case Kind::retaken: return inbox_.rows(reader, due.stream, false, last, rows);
      case Kind::claimed: {
        std::uint32_t parts = 0;
        std::string_view cursor;
        if (!reader.array(parts) || parts != 3 || !reader.text(cursor) || !parse_entry_id(cursor, stream.claim_cursor) ||
            !inbox_.rows(reader, due.stream, false, last, rows) || !reader.integer(number) || number < 0) {
          return false;
        }
        inbox_.add_vanished(due.stream, static_cast<std::size_t>(number));
        return true;
      }
      case Kind::ignored: break;
    }
    return true;
  }

  const RedisOptions options_;
  const std::string group_;
  const std::string consumer_;
  bool careful_;  ///< SubscribeOptions::count_recoveries, until all from before has come
  RedisInbox inbox_;
  std::shared_ptr<RedisStatus> status_;
  std::unique_ptr<Connection> main_;
  RedisSettling settling_;
  RedisReplies replies_;
  std::vector<RedisAsked> expected_;  ///< replies to come, from next_ on
  std::size_t next_ = 0;
  std::size_t reads_ = 0;
  std::uint64_t page_ = 0;
  EntryId page_end_{};
  RedisPageLimit limit_;
  SteadyTime blocked_until_{};
  std::size_t claim_from_ = 0;   ///< the stream whose turn it is
  std::size_t claim_asked_ = 0;  ///< streams, of the round of claiming
};

}  // namespace pulse::inline v0_1::detail
