// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pulse/backend/redis/scripts.hpp"
#include "pulse/core/entry_id.hpp"

/// The in-memory backend's streams against a redis-server, by random commands.
namespace pulse_test::differential {

using pulse::EntryId;

inline constexpr std::string_view key = "s";
inline constexpr std::string_view groups[] = {"g", "h"};
inline constexpr std::string_view consumers[] = {"a", "b", "c"};

/// Time goes in units that are so large that what really passes while a sequence runs is none of them.
inline constexpr std::uint64_t unit_ms = 1'000'000;

enum class Kind : std::uint8_t {
  add,
  read,
  history,
  ack,
  fenced_ack,
  claim,
  auto_claim,
  recover,
  extend,
  trim,
  trim_before,
  remove,
  create_group,
  destroy_group,
  set_position,
  create_consumer,
  remove_consumer,
  pass,
};

/// One step of a sequence. What a kind does not need, it ignores.
struct Command {
  Kind kind;
  std::string_view group = groups[0];
  std::string_view consumer = consumers[0];
  std::vector<EntryId> ids{};
  std::uint64_t count = 0;
  std::uint64_t min_idle = 0;  ///< units; so are the others
  std::optional<std::uint64_t> idle{};
  std::optional<std::uint32_t> retry_count{};
  bool just_id = false;
  bool force = false;
  bool counted = false;  ///< recover
};

using Sequence = std::vector<Command>;

/// The least idle time that counts as `units`: half a unit less, so that a clock that is set meanwhile changes nothing.
constexpr std::uint64_t least_ms(std::uint64_t units) { return units == 0 ? 0 : units * unit_ms - unit_ms / 2; }

/// Makes everything that is pending and not gone older. (XCLAIM would drop what is gone.)
inline constexpr std::string_view pass_script = R"(local unit = tonumber(ARGV[1])
for _, g in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  for _, p in ipairs(redis.call('XPENDING', KEYS[1], g[2], '-', '+', 1000000)) do
    if #redis.call('XRANGE', KEYS[1], p[1], p[1]) > 0 then
      local idle = (math.floor(p[3] / unit + 0.5) + tonumber(ARGV[2])) * unit
      redis.call('XCLAIM', KEYS[1], g[2], p[2], 0, p[1], 'IDLE', string.format('%.0f', idle), 'RETRYCOUNT', p[4], 'JUSTID')
    end
  end
end
return 'OK')";

inline std::string_view script(pulse::detail::RedisScript which) { return pulse::detail::redis_scripts[static_cast<std::size_t>(which)]; }

/// The command as Redis takes it: mostly one, an XADD for each id. A script stands in place of its digest.
inline std::vector<std::vector<std::string>> words(const Command& c) {
  const std::string s{key};
  const std::string group{c.group};
  const std::string consumer{c.consumer};
  const auto number = [](std::uint64_t n) { return std::to_string(n); };
  const auto with_ids = [&](std::vector<std::string> line) {
    for (const EntryId id : c.ids) {
      line.push_back(to_string(id));
    }
    return line;
  };
  const std::string id = c.ids.empty() ? "0-0" : to_string(c.ids[0]);
  switch (c.kind) {
    case Kind::add: {
      std::vector<std::vector<std::string>> lines;
      for (const EntryId each : c.ids) {
        lines.push_back({"XADD", s, to_string(each), "data", 'd' + to_string(each)});
      }
      return lines;
    }
    case Kind::read: return {{"XREADGROUP", "GROUP", group, consumer, "COUNT", number(c.count), "STREAMS", s, ">"}};
    case Kind::history: return {{"XREADGROUP", "GROUP", group, consumer, "COUNT", number(c.count), "STREAMS", s, id}};
    case Kind::ack: return {with_ids({"XACK", s, group})};
    case Kind::fenced_ack: return {with_ids({"EVAL", std::string(script(pulse::detail::RedisScript::fenced_ack)), "1", s, group, consumer})};
    case Kind::claim: {
      std::vector<std::string> line = with_ids({"XCLAIM", s, group, consumer, number(least_ms(c.min_idle))});
      if (c.idle) {
        line.insert(line.end(), {"IDLE", number(*c.idle * unit_ms)});
      }
      if (c.retry_count) {
        line.insert(line.end(), {"RETRYCOUNT", number(*c.retry_count)});
      }
      if (c.force) {
        line.push_back("FORCE");
      }
      if (c.just_id) {
        line.push_back("JUSTID");
      }
      return {line};
    }
    case Kind::auto_claim: {
      std::vector<std::string> line{"XAUTOCLAIM", s, group, consumer, number(least_ms(c.min_idle)), id, "COUNT", number(c.count)};
      if (c.just_id) {
        line.push_back("JUSTID");
      }
      return {line};
    }
    case Kind::recover:
      return {{"EVAL", std::string(script(pulse::detail::RedisScript::recover)), "2", s, s + ".dlq", group, consumer, id, "+", "0", "0", number(c.count),
               c.counted ? "1" : "0"}};
    case Kind::extend: return {with_ids({"EVAL", std::string(script(pulse::detail::RedisScript::extend)), "1", s, group, consumer, ""})};
    case Kind::trim: return {{"XTRIM", s, "MAXLEN", number(c.count)}};
    case Kind::trim_before: return {{"XTRIM", s, "MINID", id}};
    case Kind::remove: return {with_ids({"XDEL", s})};
    case Kind::create_group: return {{"XGROUP", "CREATE", s, group, c.ids.empty() ? "$" : id}};
    case Kind::destroy_group: return {{"XGROUP", "DESTROY", s, group}};
    case Kind::set_position: return {{"XGROUP", "SETID", s, group, c.ids.empty() ? "$" : id}};
    case Kind::create_consumer: return {{"XGROUP", "CREATECONSUMER", s, group, consumer}};
    case Kind::remove_consumer: return {{"XGROUP", "DELCONSUMER", s, group, consumer}};
    case Kind::pass: return {{"EVAL", std::string(pass_script), "1", s, number(unit_ms), number(c.count)}};
  }
  return {};
}

/// The command for a reader.
inline std::string text(const Command& c) {
  if (c.kind == Kind::pass) {
    return "(" + std::to_string(c.count) + " units of time pass)";
  }
  std::string out;
  for (const std::vector<std::string>& line : words(c)) {
    out += out.empty() ? "" : "; ";
    if (c.kind == Kind::fenced_ack || c.kind == Kind::recover || c.kind == Kind::extend) {
      out += c.kind == Kind::recover ? "(recover)" : c.kind == Kind::extend ? "(extend)" : "(fenced ack)";
      for (std::size_t i = 3; i < line.size(); ++i) {
        out += ' ' + line[i];
      }
      continue;
    }
    for (std::size_t i = 0; i < line.size(); ++i) {
      out += (i == 0 ? "" : " ") + line[i];
    }
  }
  return out;
}

}  // namespace pulse_test::differential
