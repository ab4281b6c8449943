// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "pulse/backend/redis/scripts.hpp"
#include "pulse/backend/redis/settling.hpp"
#include "pulse/core/delivery.hpp"
#include "pulse/redis/connection.hpp"

namespace pulse::detail {

/// The second connection of a subscription, for what cannot wait until the first one is free: a blocked read holds up everything behind
/// it. Connected when first needed. Thread safety: all of it.
template <class Client>
class RedisSideChannel {
 public:
  RedisSideChannel(typename RedisConnection<Client>::Settings settings, std::unique_ptr<Client> client, std::chrono::milliseconds timeout)
      : connection_(std::move(settings), std::move(client)), timeout_(timeout) {}

  /// Ends the blocked read of another connection; its reply is then nil, or what had arrived.
  Status unblock(std::int64_t client_id, SteadyTime deadline) {
    const std::lock_guard lock{mutex_};
    Result<ReplyReader> reply = ask("CLIENT UNBLOCK", deadline, [&](auto& c) { c.begin("CLIENT")("UNBLOCK")(static_cast<std::uint64_t>(client_id)); });
    return reply ? Status{} : Status{std::move(reply).error()};
  }

  /// Keeps what is this consumer's for it: the deliveries `ids` gives by calling its argument for those of `stream`, and what is pending after
  /// `after`. Calls `lost(id)` for what is another's.
  template <class Ids, class Lost>
  Status extend(const RedisKeys& stream, std::string_view group, std::string_view consumer, EntryId after, Ids ids, Lost lost) {
    const std::lock_guard lock{mutex_};
    Result<ReplyReader> reply = ask("the heartbeat", soon(), [&](auto& c) {
      auto& command = c.begin_script(static_cast<std::size_t>(RedisScript::extend), 1)(stream.key)(group)(consumer);
      after == EntryId{} ? command("") : command(after);
      ids([&](EntryId id) { command(id); });
    });
    if (!reply) {
      return std::move(reply).error();
    }
    std::uint32_t count = 0;
    if (!reply->array(count)) {
      return connection_.misshapen("the heartbeat");
    }
    std::string_view text;
    EntryId id;
    while (reply->text(text) && parse_entry_id(text, id)) {
      lost(id);
    }
    return {};
  }

  Result<GroupState> state(const RedisKeys& stream, std::string_view group) {
    const std::lock_guard lock{mutex_};
    GroupState state;
    std::int64_t number = 0;
    if (Result<ReplyReader> reply = ask("XLEN", soon(), [&](auto& c) { c.begin("XLEN")(stream.key); }); !reply) {
      return std::move(reply).error();
    } else if (reply->integer(number)) {
      state.length = static_cast<std::uint64_t>(number);
    }
    if (Result<ReplyReader> reply = ask("XLEN", soon(), [&](auto& c) { c.begin("XLEN")(stream.dlq); }); !reply) {
      return std::move(reply).error();
    } else if (reply->integer(number)) {
      state.dead_letters = static_cast<std::uint64_t>(number);
    }
    EntryId deleted;
    if (Result<ReplyReader> reply = ask("XINFO STREAM", soon(), [&](auto& c) { c.begin("XINFO")("STREAM")(stream.key); }); !reply) {
      return std::move(reply).error();
    } else {
      read_deleted(*reply, deleted);
    }
    Result<ReplyReader> reply = ask("XINFO GROUPS", soon(), [&](auto& c) { c.begin("XINFO")("GROUPS")(stream.key); });
    if (!reply) {
      return std::move(reply).error();
    }
    if (!read_group(*reply, group, deleted, state)) {
      return Error{ErrorCode::no_group, "\"" + stream.key + "\" has no group \"" + std::string(group) + "\""};
    }
    return state;
  }

 private:
  SteadyTime soon() const noexcept { return RedisConnection<Client>::now() + timeout_; }

  template <class Fill>
  Result<ReplyReader> ask(std::string_view what, SteadyTime deadline, Fill fill) {
    if (Result<bool> up = connection_.ensure(deadline); !up) {
      return std::move(up).error();
    }
    fill(connection_);
    connection_.end();
    Result<ReplyReader> reply = connection_.ask(deadline);
    std::string_view text;
    if (reply && reply->error(text)) {
      return connection_.refused(what, text);
    }
    return reply;
  }

  static void read_deleted(ReplyReader reader, EntryId& deleted) {
    std::uint32_t words = 0;
    std::string_view name;
    std::string_view value;
    if (!reader.array(words)) {
      return;
    }
    for (std::uint32_t i = 0; i + 1 < words && reader.text(name); i += 2) {
      if (name == "max-deleted-entry-id" && reader.text(value)) {
        (void)parse_entry_id(value, deleted);
      } else {
        reader.skip();
      }
    }
  }

  static bool read_group(ReplyReader reader, std::string_view group, EntryId deleted, GroupState& state) {
    std::uint32_t groups = 0;
    if (!reader.array(groups)) {
      return false;
    }
    for (std::uint32_t g = 0; g < groups; ++g) {
      std::uint32_t words = 0;
      bool mine = false;
      GroupState found = state;
      found.lag_known = false;
      if (!reader.array(words)) {
        return false;
      }
      for (std::uint32_t i = 0; i + 1 < words; i += 2) {
        std::string_view name;
        std::string_view value;
        std::int64_t number = 0;
        if (!reader.text(name)) {
          return false;
        }
        if (name == "name" && reader.text(value)) {
          mine = value == group;
        } else if (name == "pending" && reader.integer(number)) {
          found.pending = static_cast<std::uint64_t>(number);
        } else if (name == "lag" && reader.integer(number)) {
          found.lag = static_cast<std::uint64_t>(number);
          found.lag_known = true;
        } else if (EntryId last; name == "last-delivered-id" && reader.text(value)) {
          found.trimmed_unread = parse_entry_id(value, last) && deleted > last;
        } else {
          reader.skip();
        }
      }
      if (mine) {
        state = found;
        return true;
      }
    }
    return false;
  }

  std::mutex mutex_;
  RedisConnection<Client> connection_;
  std::chrono::milliseconds timeout_;
};

}  // namespace pulse::detail
