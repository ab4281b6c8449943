// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "pulse/concept/dedup.hpp"
#include "pulse/detail/random.hpp"

/// The laws of Dedup, executable and bound to no test framework. In a test of one's own strategy:
///
///     CHECK(pulse::conformance::dedup([] { return MyWindow{1000}; }, {.window = 1000}) == "");
namespace pulse::conformance {

struct DedupLaws {
  /// How many other ids may be claimed after a commit with the id still `done`; 0: it remembers nothing.
  std::size_t window = 0;
  /// Whether that counts from the claim that found the id fresh, as in a FIFO; else from the commit, and anew from each claim that found
  /// it done, as in an LRU.
  bool since_claim = false;
  /// The most ids it may hold; 0: no bound.
  std::size_t capacity = 0;
  std::uint64_t seed = 1;
};

namespace detail {
template <class D>
struct lease_or_none {
  struct type {};
};
template <LeasingDedup D>
struct lease_or_none<D> {
  using type = typename D::lease_type;
};

template <class D, class Lease>
Claim claim(D& dedup, EventId id, [[maybe_unused]] Lease& lease) {
  if constexpr (LeasingDedup<D>) {
    return dedup.claim(id, lease);
  } else {
    return dedup.claim(id);
  }
}
template <class D, class Lease>
void commit(D& dedup, EventId id, [[maybe_unused]] const Lease& lease, [[maybe_unused]] bool by_lease) {
  if constexpr (LeasingDedup<D>) {
    return by_lease ? dedup.commit(lease) : dedup.commit(id);
  } else {
    dedup.commit(id);
  }
}
template <class D, class Lease>
void release(D& dedup, EventId id, [[maybe_unused]] const Lease& lease, [[maybe_unused]] bool by_lease) {
  if constexpr (LeasingDedup<D>) {
    return by_lease ? dedup.release(lease) : dedup.release(id);
  } else {
    dedup.release(id);
  }
}

/// Two windows get the same claims, one of them in batches with ids that come twice, and the same commits and releases.
template <class Make>
bool batched_equals_single(Make make, std::uint64_t seed) {
  auto batched = make();
  auto single = make();
  pulse::detail::SplitMix64 random{seed};
  std::vector<EventId> ids;
  std::vector<Claim> claims;
  for (int round = 0; round < 2000; ++round) {
    ids.clear();
    for (std::uint64_t n = random.up_to(40); n > 0; --n) {
      ids.push_back({random.up_to(3), random.up_to(round % 3 == 0 ? 20 : 5000)});
    }
    claims.assign(ids.size(), Claim::unavailable);
    batched.claim(std::span<const EventId>{ids}, std::span<Claim>{claims});
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (single.claim(ids[i]) != claims[i]) {
        return false;
      }
    }
    for (const EventId id : ids) {
      if (random.up_to(3) == 0) {
        batched.release(id);
        single.release(id);
      } else {
        batched.commit(id);
        single.commit(id);
      }
    }
    if (batched.size() != single.size()) {
      return false;
    }
  }
  return true;
}
}  // namespace detail

/// Returns "" or the first law that was broken, with what was seen and the seed that shows it again.
template <class Make>
[[nodiscard]] std::string dedup(Make make, const DedupLaws& laws) {
  const auto broken = [&](const std::string& law) { return law + " (seed " + std::to_string(laws.seed) + ")"; };
  const auto id = [](std::uint64_t n) { return EventId{n * 0x9e3779b97f4a7c15ULL, n}; };
  if (laws.window > 0) {
    auto fresh = make();
    if (fresh.claim(id(1)) != Claim::fresh) {
      return broken("claim once: a new id is fresh");
    }
    if (fresh.claim(id(1)) != Claim::leased) {
      return broken("three states: an id that is being handled is leased");
    }
    fresh.release(id(1));
    if (fresh.claim(id(1)) != Claim::fresh) {
      return broken("release makes fresh");
    }
    fresh.commit(id(1));
    if (fresh.claim(id(1)) != Claim::done) {
      return broken("commit makes done");
    }
    fresh.release(id(1));
    if (fresh.claim(id(1)) != Claim::done) {
      return broken("release of a done id changes nothing");
    }
    fresh.commit(id(2));
    fresh.release(id(2));
    if (fresh.claim(id(2)) != Claim::fresh) {
      return broken("commit and release of an absent id change nothing");
    }
  }
  // Random sequences against a model that remembers everything and when it was last touched.
  using Window = decltype(make());
  using Lease = typename detail::lease_or_none<Window>::type;
  struct Known {
    Claim state;
    std::uint64_t touched;
    Lease lease;
  };
  auto window = make();
  std::map<EventId, Known> model;
  pulse::detail::SplitMix64 random{laws.seed};
  std::uint64_t claims = 0;
  std::size_t leased = 0;
  const std::uint64_t ids = laws.window == 0 ? 100 : laws.window * 3;
  const std::uint64_t steps = 40 * ids < 20'000 ? 20'000 : 40 * ids;
  for (std::uint64_t step = 0; step < steps; ++step) {
    const EventId chosen = id(random.up_to(ids));
    const auto known = model.find(chosen);
    switch (random.up_to(3)) {
      case 0:
      case 1: {
        const std::size_t room = laws.capacity == 0 ? ~std::size_t{0} : laws.capacity;
        Lease lease{};
        const Claim answer = detail::claim(window, chosen, lease);
        if (known == model.end() && answer != Claim::fresh && !(answer == Claim::unavailable && leased >= room)) {
          return broken("no false duplicates: an id it was never told, or that was released, is fresh");
        }
        if (known != model.end() && known->second.state == Claim::leased && answer != Claim::leased && laws.window > 0) {
          return broken("a lease is not forgotten before it ends");
        }
        if (known != model.end() && known->second.state == Claim::done && answer != Claim::done && claims - known->second.touched < laws.window) {
          return broken("a committed id is remembered for the stated window");
        }
        if (answer == Claim::fresh) {
          model[chosen] = {Claim::leased, claims, lease};
          ++leased;
        } else if (answer == Claim::done && known != model.end() && !laws.since_claim) {
          known->second.touched = claims;
        }
        ++claims;
        if (leased * 2 > laws.window || random.up_to(1) == 0) {  // most work ends
          if (const auto now = model.find(chosen); now != model.end() && now->second.state == Claim::leased) {
            detail::commit(window, chosen, now->second.lease, random.up_to(1) == 0);
            now->second = {Claim::done, laws.since_claim ? now->second.touched : claims, {}};
            --leased;
          }
        }
        break;
      }
      case 2:
        if (known != model.end() && known->second.state == Claim::leased) {
          detail::commit(window, chosen, known->second.lease, random.up_to(1) == 0);
          known->second = {Claim::done, laws.since_claim ? known->second.touched : claims, {}};
          --leased;
        } else {
          window.commit(chosen);
        }
        break;
      default:
        if (known != model.end() && known->second.state == Claim::leased) {
          detail::release(window, chosen, known->second.lease, random.up_to(1) == 0);
          model.erase(known);
          --leased;
        } else {
          window.release(chosen);
        }
        break;
    }
    if (laws.capacity > 0 && window.size() > laws.capacity) {
      return broken("size never exceeds the stated bound");
    }
  }
  if constexpr (BatchedDedup<Window>) {
    return detail::batched_equals_single(make, laws.seed) ? "" : broken("a batched claim equals one by one in order");
  }
  return "";
}

}  // namespace pulse::conformance
