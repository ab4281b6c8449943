// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace pulse::inline v0_1 {

inline constexpr std::string_view feedback_stream = "telemetry.feedback";
inline constexpr std::string_view rate_adjustment_stream = "telemetry.rate_adjustment";
inline constexpr std::string_view default_group = "pipeline";

/// The key under which a stream is kept: "<prefix>:<stream>", where the stream itself starts with its namespace:
/// stream_key("telemetry.feedback") is "mdp:mdp.telemetry.feedback". This is the one place that makes keys; whoever needs others
/// passes whole keys to `SubscribeOptions` and `Publisher`, which take them as they are.
[[nodiscard]] inline std::string stream_key(std::string_view stream, std::string_view name_space = "mdp", std::string_view prefix = "mdp") {
  std::string key;
  key.reserve(prefix.size() + name_space.size() + stream.size() + 2);
  key.append(prefix).append(1, ':').append(name_space).append(1, '.').append(stream);
  return key;
}

/// The key of the stream on which the dead letters of `key` are kept.
[[nodiscard]] inline std::string dlq_key(std::string_view key) { return std::string(key) + ".dlq"; }

}  // namespace pulse::inline v0_1
