// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/backend/redis/entries.hpp"
#include "pulse/core/delivery.hpp"
#include "pulse/core/error.hpp"
#include "pulse/core/redis_reply.hpp"

namespace pulse::inline v0_1::detail {

/// A reply of entries of a DLQ, or rows of the script that leaves out what is too large. What others wrote there may lack fields: those stay
/// empty, but for `data`, which is then all of them as JSON, as it comes back.
inline bool read_dead_letters(ReplyReader& reader, std::vector<DeadLetter>& out) {
  std::uint32_t letters = 0;
  if (!reader.array(letters)) {
    return false;
  }
  for (; letters > 0; --letters) {
    DeadLetter letter;
    std::uint32_t parts = 0;
    std::uint32_t words = 0;
    std::string_view name;
    std::string_view value;
    bool data = false;
    if (!reader.array(parts) || (parts != 2 && parts != 3) || !reader.text(value) || !parse_entry_id(value, letter.id)) {
      return false;
    }
    ReplyReader again = reader;
    if (!reader.array(words) || words % 2 != 0) {
      return false;
    }
    for (; words > 0; words -= 2) {
      if (!reader.text(name) || !reader.text(value)) {
        return false;
      }
      if (name == "original_id") {
        (void)parse_entry_id(value, letter.original_id);
      } else if (name == "reason") {
        letter.reason = value;
      } else if (name == "data") {
        letter.data = value;
        data = true;
      } else if (name == "group") {
        letter.group = value;
      } else if (name == "consumer") {
        letter.consumer = value;
      } else if (name == "deliveries") {
        (void)parse_canonical_u64(value, letter.deliveries);
      } else if (name == "failed_at") {
        letter.failed_at = std::strtod(std::string(value).c_str(), nullptr);
      }
    }
    if (std::int64_t left_out = 0; parts == 3) {
      if (!reader.integer(left_out) || left_out < 0) {
        return false;
      }
      letter.left_out = static_cast<std::uint64_t>(left_out);
    }
    if (!data && letter.left_out == 0) {
      RedisEntries entries;
      bool redriven = false;
      (void)entries.fields(again, value, redriven);
      letter.data = value;
    }
    out.push_back(std::move(letter));
  }
  return true;
}

/// A reply of maps: the value of `name` in each.
inline bool read_names(ReplyReader& reader, std::vector<std::string>& out) {
  std::uint32_t maps = 0;
  if (!reader.array(maps)) {
    return false;
  }
  for (; maps > 0; --maps) {
    std::uint32_t words = 0;
    std::string_view name;
    std::string_view value;
    if (!reader.array(words)) {
      return false;
    }
    for (; words > 1; words -= 2) {
      if (!reader.text(name)) {
        return false;
      }
      if (name == "name" && reader.text(value)) {
        out.emplace_back(value);
      } else {
        reader.skip();
      }
    }
  }
  return true;
}

/// Keys of a cluster are on one node together only where they share a hash tag: what stands between the first '{' and the next '}'.
inline std::string_view hash_tag(std::string_view key) noexcept {
  const auto open = key.find('{');
  const auto close = open == std::string_view::npos ? open : key.find('}', open + 1);
  return close == std::string_view::npos || close == open + 1 ? std::string_view{} : key.substr(open + 1, close - open - 1);
}

/// Errors: config, for a stream that a cluster would keep apart from its DLQ or from the other streams.
inline Status share_a_slot(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    if (hash_tag(key).empty() || hash_tag(key) != hash_tag(keys.front())) {
      return Error{ErrorCode::config,
                   "the server is part of a cluster: the key \"" + key +
                       "\" needs the same {hash tag} as every other stream of the subscription, so that they and their dead letters lie together"};
    }
  }
  return {};
}

}  // namespace pulse::inline v0_1::detail
