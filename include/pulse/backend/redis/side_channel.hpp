// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "pulse/backend/redis/commands.hpp"
#include "pulse/backend/redis/info.hpp"
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
    std::size_t which = 0;
    bool found = false;
    Status asked = commands_->ask_all(
        "XLEN, XINFO, XPENDING", 5,
        [&](auto& c, std::size_t i) {
          switch (i) {
            case 0: c.begin("XLEN")(stream.key); break;
            case 1: c.begin("XLEN")(stream.dlq); break;
            case 2: c.begin("XINFO")("STREAM")(stream.key); break;
            case 3: c.begin("XINFO")("GROUPS")(stream.key); break;
            default: c.begin("XPENDING")(stream.key)(group); break;  // last: what was delivered by then and is not pending now is settled
          }
        },
        [&](ReplyReader& reply) {
          switch (which++) {
            case 0: return read_count(reply, state.length);
            case 1: return read_count(reply, state.dead_letters);
            case 2: return read_stream(reply, state.mark);
            case 3: return read_group(reply, group, state.mark, state, behind_[stream.key], found);
            default: return read_oldest_pending(reply, state);
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
  std::unique_ptr<RedisCommands<Client>> commands_;
  std::map<std::string, std::uint64_t> behind_;  ///< of each stream, see correct(); while `commands_` reads a reply
};

}  // namespace pulse::inline v0_1::detail
