// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "command.hpp"
#include "pulse/detail/random.hpp"

namespace pulse_test::differential {

/// Makes the sequence of a seed. It looks at nothing but the ids it gave out, so that a seed means the same sequence whatever the code under
/// test does with it.
class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  Sequence operator()() {
    Sequence sequence;
    const std::uint64_t steps = 8 + below(50);
    sequence.push_back(make(Kind::create_group));
    sequence.back().group = groups[0];
    while (sequence.size() < steps) {
      sequence.push_back(make(kind()));
    }
    return sequence;
  }

 private:
  std::uint64_t below(std::uint64_t n) { return random_.up_to(n - 1); }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

  Kind kind() {
    static constexpr std::pair<Kind, std::uint64_t> weights[] = {
        {Kind::add, 22},          {Kind::read, 20},        {Kind::history, 7},         {Kind::ack, 7},
        {Kind::fenced_ack, 4},    {Kind::claim, 9},        {Kind::auto_claim, 10},     {Kind::recover, 3},
        {Kind::trim, 3},          {Kind::trim_before, 2},  {Kind::remove, 5},          {Kind::create_group, 3},
        {Kind::destroy_group, 1}, {Kind::set_position, 3}, {Kind::create_consumer, 2}, {Kind::remove_consumer, 2},
        {Kind::pass, 9},          {Kind::extend, 4},
    };
    std::uint64_t all = 0;
    for (const auto& [each, weight] : weights) {
      all += weight;
    }
    std::uint64_t drawn = below(all);
    for (const auto& [each, weight] : weights) {
      if (drawn < weight) {
        return each;
      }
      drawn -= weight;
    }
    return Kind::add;
  }

  Command make(Kind kind) {
    Command c{kind};
    c.group = groups[one_in(4) ? 1 : 0];
    c.consumer = consumers[below(3)];
    switch (kind) {
      case Kind::add: c.ids = new_ids(); break;
      case Kind::read:
      case Kind::history:
      case Kind::recover:
        c.count = one_in(4) ? 50 : 1 + below(5);
        c.ids = {one_in(2) ? EntryId{} : id()};
        c.counted = kind == Kind::recover && one_in(3);
        break;
      case Kind::ack:
      case Kind::fenced_ack:
      case Kind::extend:
      case Kind::remove: c.ids = some_ids(4); break;
      case Kind::claim:
        c.ids = some_ids(6);
        c.min_idle = below(4);
        c.just_id = one_in(3);
        c.force = one_in(4);
        if (one_in(4)) {
          c.idle = below(4);
        }
        if (one_in(4)) {
          c.retry_count = static_cast<std::uint32_t>(below(6));
        }
        break;
      case Kind::auto_claim:
        c.ids = {one_in(2) ? EntryId{} : id()};
        c.min_idle = below(4);
        c.count = one_in(3) ? 1 : 1 + below(8);
        c.just_id = one_in(3);
        break;
      case Kind::trim: c.count = one_in(4) ? 0 : below(published_.size() + 2); break;
      case Kind::trim_before: c.ids = {id()}; break;
      case Kind::create_group:
      case Kind::set_position:
        if (!one_in(5)) {  // else $
          c.ids = {one_in(2) ? EntryId{} : id()};
        }
        break;
      case Kind::pass: c.count = 1 + below(3); break;
      case Kind::destroy_group:
      case Kind::create_consumer:
      case Kind::remove_consumer: break;
    }
    return c;
  }

  /// Mostly one that was given out, mostly a late one; sometimes one that was not, or not yet.
  EntryId id() {
    if (published_.empty() || one_in(8)) {
      return {last_.ms + below(4), below(3)};
    }
    const std::uint64_t size = published_.size();
    const std::uint64_t back = one_in(2) ? below(size) : below(size < 8 ? size : 8);
    return published_[static_cast<std::size_t>(size - 1 - back)];
  }
  std::vector<EntryId> some_ids(std::uint64_t most) {
    std::vector<EntryId> ids;
    for (std::uint64_t i = 1 + below(most); i > 0; --i) {
      ids.push_back(id());
    }
    return ids;
  }
  std::vector<EntryId> new_ids() {
    if (one_in(20)) {
      return {one_in(2) ? EntryId{} : id()};  // mostly refused
    }
    std::vector<EntryId> ids;
    for (std::uint64_t i = one_in(12) ? 10 + below(20) : 1 + below(4); i > 0; --i) {
      last_ = one_in(3) ? EntryId{last_.ms, last_.seq + 1 + below(2)} : EntryId{last_.ms + 1 + below(2), below(2)};
      ids.push_back(last_);
      published_.push_back(last_);
    }
    return ids;
  }

  pulse::detail::SplitMix64 random_;
  std::vector<EntryId> published_;
  EntryId last_{};
};

inline Sequence generate(std::uint64_t seed) { return Generator{seed}(); }

}  // namespace pulse_test::differential
