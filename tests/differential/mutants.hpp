// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "pulse/backend/in_memory/stream.hpp"

namespace pulse_test::differential {

/// What a stream may get wrong. Each was the behaviour of some consumer or broker; the comparison must find each.
enum class Bug : std::uint8_t {
  history_is_not_counted,
  history_forgets_to_reset_idle,
  claim_cursor_is_thrown_away,
  claim_takes_young_entries,
  claim_counts_ids_alone,
  claim_skips_what_is_gone,
  claim_looks_without_bound,
  forced_claim_is_refused,
  removed_consumer_keeps_pending,
  trim_keeps_one_more,
  gone_entries_have_no_id,
  set_position_keeps_entries_read,
  group_begins_at_the_end,
  lag_is_always_known,
  read_ignores_what_is_ahead,
  duplicate_ids_are_taken,
};

inline constexpr Bug last_bug = Bug::duplicate_ids_are_taken;

/// A stream with one bug.
template <Bug B>
struct Mutant : pulse::detail::Stream<std::string, 4> {
  using Base = pulse::detail::Stream<std::string, 4>;
  using Group = Base::Group;
  using EntryId = pulse::EntryId;

  bool append(EntryId id, std::string&& payload) { return B == Bug::duplicate_ids_are_taken && id == last_id() ? true : Base::append(id, std::move(payload)); }
  std::uint64_t trim(std::uint64_t most) { return Base::trim(B == Bug::trim_keeps_one_more ? most + 1 : most); }
  Group* create_group(std::string_view name, EntryId after) { return Base::create_group(name, B == Bug::group_begins_at_the_end ? last_id() : after); }
  void set_position(Group& group, EntryId after) {
    const std::int64_t read = group.entries_read;
    Base::set_position(group, after);
    group.entries_read = B == Bug::set_position_keeps_entries_read ? read : group.entries_read;
    group.ahead = B != Bug::read_ignores_what_is_ahead && group.ahead;
  }
  std::uint64_t remove_consumer(Group& group, std::string_view name) {
    if (B == Bug::removed_consumer_keeps_pending && group.consumers.contains(name)) {
      const std::uint64_t count = group.pending_of(group.consumer(name));
      group.consumers.erase(group.consumers.find(name));
      return count;
    }
    return Base::remove_consumer(group, name);
  }
  std::uint64_t position(const Group& group, EntryId id) const {
    return B == Bug::gone_entries_have_no_id ? std::max(begin(), Base::position(group, id)) : Base::position(group, id);
  }
  template <class Sink>
  std::uint64_t read_history(Group& group, std::uint32_t consumer, std::uint64_t from, std::uint64_t to, std::size_t max, std::int64_t now_ns, bool counted,
                             Sink&& sink) {
    return Base::read_history(group, consumer, from, to, max, B == Bug::history_forgets_to_reset_idle ? now_ns - 1'000'000'000'000 : now_ns,
                              counted && B != Bug::history_is_not_counted, sink);
  }
  pulse::detail::Claimed claim(Group& group, std::uint32_t consumer, EntryId id, std::int64_t now_ns, pulse::detail::ClaimOptions options) {
    options.force = options.force && B != Bug::forced_claim_is_refused;
    options.min_idle_ns = B == Bug::claim_takes_young_entries ? 0 : options.min_idle_ns;
    if (B == Bug::claim_skips_what_is_gone && Base::find(Base::position(group, id)) == nullptr) {
      return pulse::detail::Claimed::no;
    }
    return Base::claim(group, consumer, id, now_ns, options);
  }
  template <class Sink>
  std::uint64_t auto_claim(Group& group, std::uint32_t consumer, std::int64_t min_idle_ns, std::uint64_t from, std::size_t max, bool just_id,
                           std::int64_t now_ns, Sink&& sink) {
    std::uint64_t next = from;
    if (B == Bug::claim_looks_without_bound) {
      for (std::uint64_t at = group.next_pending(from); at < group.list.end() && now_ns - group.find(at)->delivered_ns < min_idle_ns && find(at) != nullptr;
           at = group.next_pending(at + 1)) {
        next = at + 1;
      }
    }
    next = Base::auto_claim(group, consumer, min_idle_ns, next, max, just_id && B != Bug::claim_counts_ids_alone, now_ns, sink);
    return B == Bug::claim_cursor_is_thrown_away ? end() : next;
  }
  std::optional<std::uint64_t> lag(const Group& group) const {
    return B == Bug::lag_is_always_known ? std::optional{end() - std::min(std::max(group.next, begin()), end())} : Base::lag(group);
  }
};

}  // namespace pulse_test::differential
