// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "pulse/core/delivery.hpp"
#include "pulse/core/entry_id.hpp"
#include "pulse/core/redis_reply.hpp"

/// What XINFO and XPENDING tell of a stream and its groups. Each returns false where the reply has not the form that it should have.
namespace pulse::inline v0_1::detail {

inline bool read_count(ReplyReader& reader, std::uint64_t& out) noexcept {
  std::int64_t number = 0;
  if (!reader.integer(number) || number < 0) {
    return false;
  }
  out = static_cast<std::uint64_t>(number);
  return true;
}

inline bool read_id(ReplyReader& reader, EntryId& out) noexcept {
  std::string_view text;
  return reader.text(text) && parse_entry_id(text, out);
}

inline bool read_ids(ReplyReader& reader, std::vector<EntryId>& out) {
  std::uint32_t ids = 0;
  if (!reader.array(ids)) {
    return false;
  }
  while (ids-- > 0) {
    if (!read_id(reader, out.emplace_back())) {
      return false;
    }
  }
  return true;
}

/// Calls `field(name, reader)` for each name of a map's reply; it reads the value and says so, or the value is passed over.
template <class Field>
bool read_fields(ReplyReader& reader, Field field) {
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

/// XINFO STREAM. A server of 6.2 tells neither `added` nor `first`.
inline bool read_stream(ReplyReader& reader, StreamMark& ever) {
  return read_fields(reader, [&](std::string_view field, ReplyReader& value) {
    if (field == "entries-added") {
      return read_count(value, ever.added);
    }
    if (field == "length") {
      return read_count(value, ever.length);
    }
    if (field == "recorded-first-entry-id") {
      return read_id(value, ever.first);
    }
    return field == "last-generated-id" && read_id(value, ever.last);
  });
}

/// What can still be delivered to a group and what it has lost. The server counts on one by one past what was trimmed unread, so that every loss stays
/// in its figures: `behind` is how many it was behind when the group was seen caught up last. Until then the lag is
/// not known where it is greater than what is there, and else may be too high by what was lost.
inline void correct(GroupState& state, const StreamMark& ever, EntryId last, std::optional<std::uint64_t> read, std::uint64_t& behind) {
  if (!read || (state.lag_known && state.lag < behind)) {  // counted anew, or another group of that name
    behind = 0;
  }
  const std::uint64_t gone = ever.added - std::min(ever.added, ever.length);
  if (last == ever.last) {
    behind = read && *read < ever.added ? ever.added - *read : 0;
    state.lag = 0;
    state.lag_known = true;
  } else if (ever.length > 0 && last >= ever.first) {  // what it read last is there still: nothing is gone behind that
    state.lag -= state.lag_known ? behind : 0;
    state.lag_known = state.lag_known && (gone == 0 || state.lag <= ever.length);
  } else {
    state.lag = ever.length;
    state.lag_known = true;
    state.trimmed_unread = read && gone > *read + behind ? gone - *read - behind : 0;
  }
}

/// XINFO GROUPS. `behind`: kept from one look to the next. `there`: the group was found.
inline bool read_group(ReplyReader& reader, std::string_view group, const StreamMark& ever, GroupState& state, std::uint64_t& behind, bool& there) {
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
    if (!read_fields(reader, [&](std::string_view field, ReplyReader& value) {
          if (field == "name") {
            return value.text(name);
          }
          if (field == "pending") {
            return read_count(value, found.pending);
          }
          if (field == "entries-read") {
            return read_known = read_count(value, entries_read);
          }
          if (field == "last-delivered-id") {
            return read_id(value, last);
          }
          return field == "lag" && (found.lag_known = read_count(value, found.lag));
        })) {
      return false;
    }
    if (name == group) {
      correct(found, ever, last, read_known ? std::optional{entries_read} : std::nullopt, behind);
      found.acked_up_to = last;
      state = found;
      there = true;
    }
  }
  return true;
}

/// XPENDING without a range, asked after XINFO GROUPS: what the group had read by then, up to the oldest that is pending, is settled.
inline bool read_oldest_pending(ReplyReader& reader, GroupState& state) {
  std::uint32_t parts = 0;
  std::uint64_t pending = 0;
  EntryId oldest;
  if (!reader.array(parts) || parts != 4 || !read_count(reader, pending)) {
    return false;
  }
  if (pending > 0) {
    if (!read_id(reader, oldest)) {
      return false;
    }
    state.acked_up_to = oldest == EntryId::min() ? EntryId{} : std::min(state.acked_up_to, oldest.previous());
  }
  return true;
}

}  // namespace pulse::inline v0_1::detail
