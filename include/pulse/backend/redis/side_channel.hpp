// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "pulse/backend/redis/commands.hpp"
#include "pulse/backend/redis/scripts.hpp"
#include "pulse/backend/redis/settling.hpp"
#include "pulse/core/delivery.hpp"

namespace pulse::inline v0_1::detail {

/// The second connection of a subscription, for what cannot wait until the first one is free: a blocked read holds up everything behind
/// it. Thread safety: all of it.
template <class Client>
class RedisSideChannel {
 public:
  explicit RedisSideChannel(std::unique_ptr<RedisCommands<Client>> commands) : commands_(std::move(commands)) {}

  /// Ends the blocked read of another connection; its reply is then nil, or what had arrived.
  Status unblock(std::int64_t client_id, SteadyTime deadline) {
    return commands_->ask(
        "CLIENT UNBLOCK", deadline, [&](auto& c) { c.begin("CLIENT")("UNBLOCK")(static_cast<std::uint64_t>(client_id)); }, [](ReplyReader&) { return true; });
  }

  /// Keeps what is this consumer's for it: the deliveries `ids` gives by calling its argument for those of `stream`, and what is pending after
  /// `after`. Calls `lost(id)` for what is another's.
  template <class Ids, class Lost>
  Status extend(const RedisKeys& stream, std::string_view group, std::string_view consumer, EntryId after, Ids ids, Lost lost) {
    return commands_->ask(
        "the heartbeat",
        [&](auto& c) {
          auto& command = c.begin_script(static_cast<std::size_t>(RedisScript::extend), 1)(stream.key)(group)(consumer);
          after == EntryId{} ? command("") : command(after);
          ids([&](EntryId id) { command(id); });
        },
        [&](ReplyReader& reply) {
          std::uint32_t count = 0;
          std::string_view text;
          EntryId id;
          if (!reply.array(count)) {
            return false;
          }
          while (reply.text(text) && parse_entry_id(text, id)) {
            lost(id);
          }
          return true;
        });
  }

  Result<GroupState> state(const RedisKeys& stream, std::string_view group) {
    GroupState state;
    StreamEver ever;
    std::size_t which = 0;
    bool found = false;
    Status asked = commands_->ask_all(
        "XLEN, XINFO", 4,
        [&](auto& c, std::size_t i) {
          switch (i) {
            case 0: c.begin("XLEN")(stream.key); break;
            case 1: c.begin("XLEN")(stream.dlq); break;
            case 2: c.begin("XINFO")("STREAM")(stream.key); break;
            default: c.begin("XINFO")("GROUPS")(stream.key); break;
          }
        },
        [&](ReplyReader& reply) {
          switch (which++) {
            case 0: return count(reply, state.length);
            case 1: return count(reply, state.dead_letters);
            case 2:
              return fields(reply, [&](std::string_view field, ReplyReader& value) {
                return field == "entries-added" ? count(value, ever.added) : field == "last-generated-id" && id(value, ever.last);
              });
            default: return read_group(reply, group, ever, state, found);
          }
        });
    if (!asked) {
      return std::move(asked).error();
    }
    if (!found) {
      return Error{ErrorCode::no_group, "\"" + stream.key + "\" has no group \"" + std::string(group) + "\""};
    }
    return state;
  }

 private:
  /// Calls `field(name, reader)` for each name of a map's reply; it reads the value and says so, or the value is passed over.
  template <class Field>
  static bool fields(ReplyReader& reader, Field field) {
    std::uint32_t words = 0;
    std::string_view name;
    if (!reader.array(words)) {
      return false;
    }
    for (std::uint32_t i = 0; i + 1 < words; i += 2) {
      if (!reader.text(name)) {
        return false;
      }
      if (!field(name, reader)) {
        reader.skip();
      }
    }
    return true;
  }
  static bool count(ReplyReader& reader, std::uint64_t& out) noexcept {
    std::int64_t number = 0;
    if (!reader.integer(number) || number < 0) {
      return false;
    }
    out = static_cast<std::uint64_t>(number);
    return true;
  }

  static bool id(ReplyReader& reader, EntryId& out) noexcept {
    std::string_view text;
    return reader.text(text) && parse_entry_id(text, out);
  }

  struct StreamEver {
    std::uint64_t added = 0;  ///< entries that the stream ever had; 0 where the server (6.2) does not tell
    EntryId last;             ///< of them
  };

  /// `there`: the group was found.
  static bool read_group(ReplyReader& reader, std::string_view group, const StreamEver& ever, GroupState& state, bool& there) {
    std::uint32_t groups = 0;
    if (!reader.array(groups)) {
      return false;
    }
    for (; groups > 0; --groups) {
      GroupState found = state;
      std::string_view name;
      std::uint64_t entries_read = 0;
      EntryId last;
      bool read_known = false;
      found.lag_known = false;
      if (!fields(reader, [&](std::string_view field, ReplyReader& value) {
            if (field == "name") {
              return value.text(name);
            }
            if (field == "pending") {
              return count(value, found.pending);
            }
            if (field == "entries-read") {
              return read_known = count(value, entries_read);
            }
            if (field == "last-delivered-id") {
              return id(value, last);
            }
            return field == "lag" && (found.lag_known = count(value, found.lag));
          })) {
        return false;
      }
      if (name == group) {
        if (last == ever.last) {  // the server's own count is off for good once entries were trimmed unread
          found.lag = 0;
          found.lag_known = true;
        } else if (const std::uint64_t gone = ever.added - std::min(ever.added, state.length); read_known && gone > entries_read) {
          found.trimmed_unread = gone - entries_read;
          found.lag = std::min(found.lag, state.length);  // the server still counts those that are gone
        }
        state = found;
        there = true;
      }
    }
    return true;
  }

  std::unique_ptr<RedisCommands<Client>> commands_;
};

}  // namespace pulse::inline v0_1::detail
