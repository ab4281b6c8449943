// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "pulse/dedup/conformance/laws.hpp"
#include "pulse/detail/random.hpp"

namespace pulse::inline v0_1::conformance::detail {

/// Two strategies get the same claims, one of them in batches with ids that come twice, and the same commits and releases; some leases are held for a
/// few batches.
template <class Make>
std::string batches(Make make, const DedupLaws& laws) {
  auto batched = make();
  auto single = make();
  using D = decltype(make());
  pulse::detail::SplitMix64 random{laws.seed};
  std::vector<EventId> ids;
  std::vector<Claim> claims;
  std::deque<std::pair<Held<D>, bool>> held_on;  // and whether its lease is known
  std::set<EventId> open;
  const auto end = [&](const Held<D>& held, bool by_lease) {
    if (random.up_to(3) == 0) {
      held.release(batched, by_lease);
      single.release(held.id);
    } else {
      held.commit(batched, by_lease);
      single.commit(held.id);
    }
  };
  std::uint64_t top = 0;
  for (int round = 0; round < 2000; ++round) {
    ids.clear();
    const std::uint64_t longest = round % 16 == 0 ? 200 : 40;
    for (std::uint64_t n = random.up_to(longest); n > 0; --n) {
      if (laws.ordered) {
        const std::uint64_t back = random.up_to(60);
        ids.push_back(id_of(back % 2 == 0 || back > top ? top++ : top - back, true));
      } else {
        ids.push_back({random.up_to(3), random.up_to(round % 3 == 0 ? 20 : 5000)});
      }
    }
    claims.assign(ids.size(), Claim::unavailable);
    std::vector<pulse::detail::inner_lease<D>> leases(ids.size());
    bool with_leases = false;
    if constexpr (BatchLeasingDedup<D>) {
      with_leases = round % 2 == 0;
      if (with_leases) {
        batched.claim(std::span<const EventId>{ids}, std::span<Claim>{claims}, std::span{leases});
      }
    }
    if (!with_leases) {
      (void)batched.claim(std::span<const EventId>{ids}, std::span<Claim>{claims});
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (single.claim(ids[i]) != claims[i]) {
        return "a batched claim equals one by one in order";
      }
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const bool fresh = claims[i] == Claim::fresh;
      if (open.contains(ids[i]) || (with_leases && !fresh)) {
        continue;
      }
      const Held<D> held{ids[i], leases[i]};
      if (fresh && random.up_to(15) == 0) {
        open.insert(ids[i]);
        held_on.emplace_back(held, with_leases);
      } else {
        end(held, with_leases);
      }
    }
    for (const std::uint64_t most = random.up_to(4); held_on.size() > most;) {
      end(held_on.front().first, held_on.front().second);
      open.erase(held_on.front().first.id);
      held_on.pop_front();
    }
    if (batched.size() != single.size()) {
      return "a batched claim equals one by one in order, and so does the size";
    }
  }
  return "";
}

/// What a remote strategy that is up owes to who claims a batch and flushes before the acks.
template <class Make>
std::string remote(Make make, const DedupLaws& laws) {
  constexpr std::chrono::seconds wait{5};
  auto dedup = make();
  const EventId ids[2]{id_of(1, laws.ordered), id_of(2, laws.ordered)};
  Claim claims[2]{Claim::unavailable, Claim::unavailable};
  const auto claim = [&](Claim first, Claim second) {
    return dedup.claim(std::span<const EventId>{ids}, std::span<Claim>{claims}).has_value() && claims[0] == first && claims[1] == second;
  };
  if (!dedup.flush(wait)) {
    return "remote: a flush with nothing to say succeeds";
  }
  if (!claim(Claim::fresh, Claim::fresh)) {
    return "remote: a batch of new ids is claimed";
  }
  dedup.commit(ids[0]);
  dedup.release(ids[1]);
  if (!dedup.flush(wait)) {
    return "remote: a flush says what was committed and released";
  }
  return claim(Claim::done, Claim::fresh) ? "" : "remote: what was flushed is done, or fresh";
}

}  // namespace pulse::inline v0_1::conformance::detail
