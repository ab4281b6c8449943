// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "pulse/dedup/conformance/laws.hpp"
#include "pulse/detail/random.hpp"

namespace pulse::inline v0_1::conformance::detail {

/// The life of one id, step by step.
template <class Make>
std::string three_states(Make make, const DedupLaws& laws) {
  const auto id = [&](std::uint64_t n) { return id_of(n, laws.ordered); };
  auto fresh = make();
  if (fresh.claim(id(1)) != Claim::fresh) {
    return "claim once: a new id is fresh";
  }
  if (fresh.size() == 0) {
    return "size counts what is remembered, leased ids included";
  }
  if (fresh.claim(id(1)) != Claim::leased) {
    return "three states: an id that is being handled is leased";
  }
  fresh.release(id(1));
  if (fresh.claim(id(1)) != Claim::fresh) {
    return "release makes fresh";
  }
  fresh.commit(id(1));
  if (fresh.claim(id(1)) != Claim::done) {
    return "commit makes done";
  }
  fresh.release(id(1));
  if (fresh.claim(id(1)) != Claim::done) {
    return "release of a done id changes nothing";
  }
  fresh.commit(id(1));
  if (fresh.claim(id(1)) != Claim::done) {
    return "commit of a done id changes nothing";
  }
  fresh.commit(id(2));
  fresh.release(id(2));
  if (fresh.claim(id(2)) != Claim::fresh) {
    return "commit and release of an absent id change nothing";
  }
  if constexpr (LeasingDedup<decltype(make())>) {
    Held<decltype(make())> one{id(3)};
    Held<decltype(make())> other{id(4)};
    if (laws.window > 1) {
      fresh.commit(id(2));
      if (one.claim(fresh) != Claim::fresh || other.claim(fresh) != Claim::fresh) {
        return "claim once: a new id is fresh, with a lease as well";
      }
      fresh.commit(one.lease);
      fresh.release(other.lease);
      if (fresh.claim(id(3)) != Claim::done || fresh.claim(id(4)) != Claim::fresh) {
        return "a lease ends its own id and no other";
      }
    }
  }
  return "";
}

/// Four windows' worth of new ids, each handled at once: the bound holds, and at each moment the last window is known.
template <class Make>
std::string memory(Make make, const DedupLaws& laws) {
  auto dedup = make();
  const std::uint64_t count = 4 * (laws.capacity > laws.window ? laws.capacity : laws.window) + 3;
  std::uint64_t falses = 0;
  std::vector<bool> taken(count, false);  // a lossy strategy may have taken it for a known one: then it is none that was committed
  for (std::uint64_t n = 0; n < count; ++n) {
    Held<decltype(make())> held{id_of(n, laws.ordered)};
    if (held.claim(dedup) == Claim::fresh) {
      held.commit(dedup, n % 2 == 0);
      taken[n] = true;
    } else {
      ++falses;
    }
    if (laws.capacity > 0 && dedup.size() > laws.capacity) {
      return "size never exceeds the stated bound";
    }
    const std::uint64_t oldest = n < laws.window ? 0 : n - laws.window + 1;
    if (taken[oldest] && laws.since_claim && dedup.claim(id_of(oldest, laws.ordered)) != Claim::done) {
      return "a committed id is remembered for the stated window, to its edge";
    }
  }
  for (std::uint64_t n = count - laws.window; n < count; ++n) {
    if (taken[n] && dedup.claim(id_of(n, laws.ordered)) != Claim::done) {
      return "a committed id is remembered for the stated window, to its edge";
    }
  }
  const bool exact = decltype(make())::exact;
  return (exact && falses > 0) || too_many(falses, count, laws.false_rate) ? "no false duplicates: a new id is fresh, but for the stated share" : "";
}

/// Random sequences against a model that remembers everything and when it was last touched.
template <class D>
class Model {
 public:
  Model(D& dedup, const DedupLaws& laws) : dedup_(dedup), laws_(laws), random_(laws.seed), ids_(laws.window == 0 ? 100 : laws.window * 3) {}

  std::string run() {
    const std::uint64_t steps = 40 * ids_ < 20'000 ? 20'000 : 40 * ids_;
    for (std::uint64_t step = 0; step < steps; ++step) {
      const std::uint64_t n = choose();
      const EventId id = id_of(n, laws_.ordered);
      switch (random_.up_to(3)) {
        case 0:
        case 1:
          if (const std::string law = claim(n, id); !law.empty()) {
            return law;
          }
          break;
        case 2: end(id, true); break;
        default: end(id, false); break;
      }
      if (laws_.capacity > 0 && dedup_.size() > laws_.capacity) {
        return "size never exceeds the stated bound";
      }
    }
    return too_many(falses_, asked_.size(), laws_.false_rate) ? "no more false duplicates than the stated share" : "";
  }

 private:
  struct Known {
    Claim state;
    std::uint64_t touched;
    Held<D> held;
  };

  std::uint64_t choose() {
    if (!laws_.ordered) {
      return random_.up_to(ids_);
    }
    const std::uint64_t back = random_.up_to(ids_);
    return back % 2 == 0 || back > top_ ? top_ : top_ - back;
  }

  std::string claim(std::uint64_t n, EventId id) {
    top_ += n == top_ ? 1 : 0;
    const auto known = model_.find(id);
    const std::size_t room = laws_.leases != 0 ? laws_.leases : laws_.capacity != 0 ? laws_.capacity : ~std::size_t{0};
    Held<D> held{id};
    const Claim answer = held.claim(dedup_);
    if (answer == Claim::unavailable && leased_ < room) {
      return "it answers while it can hold a lease more";
    }
    if (known == model_.end()) {
      const bool wrong = answer == Claim::leased || answer == Claim::done;
      if (D::exact && wrong) {
        return "no false duplicates: an id it was never told, or that was released, is fresh";
      }
      if (asked_.insert(id).second) {  // each once: those that it is wrong about stay unknown, and would be counted over and over
        falses_ += wrong ? 1 : 0;
      }
    } else if (known->second.state == Claim::leased && answer != Claim::leased && laws_.window > 0) {
      return "a lease is not forgotten before it ends";
    } else if (known->second.state == Claim::done && answer != Claim::done && claims_ - known->second.touched < laws_.window) {
      return "a committed id is remembered for the stated window";
    } else if (D::exact && known->second.state == Claim::done && answer == Claim::leased) {  // one that is not exact may take it for another that is leased
      return "a committed id that is forgotten is fresh: nobody handles it";
    }
    if (answer == Claim::fresh) {
      model_[id] = {Claim::leased, claims_, held};
      ++leased_;
    } else if (answer == Claim::done && known != model_.end() && !laws_.since_claim) {
      known->second.touched = claims_;
    }
    ++claims_;
    if (leased_ * 2 > laws_.window || leased_ * 2 > room || random_.up_to(1) == 0) {  // most work ends
      end_leased(id, true);
    }
    return "";
  }

  /// Commits or releases, whatever the id's state is.
  void end(EventId id, bool commit) {
    if (end_leased(id, commit)) {
      return;
    }
    if (!D::exact && model_.find(id) == model_.end()) {
      return;  // it may take the id for another one that is leased
    }
    commit ? dedup_.commit(id) : dedup_.release(id);
  }
  bool end_leased(EventId id, bool commit) {
    const auto known = model_.find(id);
    if (known == model_.end() || known->second.state != Claim::leased) {
      return false;
    }
    --leased_;
    if (commit) {
      known->second.held.commit(dedup_, random_.up_to(1) == 0);
      known->second.state = Claim::done;
      known->second.touched = laws_.since_claim ? known->second.touched : claims_;
    } else {
      known->second.held.release(dedup_, random_.up_to(1) == 0);
      model_.erase(known);
    }
    return true;
  }

  D& dedup_;
  const DedupLaws& laws_;
  pulse::detail::SplitMix64 random_;
  std::uint64_t ids_;
  std::map<EventId, Known> model_;
  std::uint64_t claims_ = 0;
  std::uint64_t top_ = 0;  ///< the next new one, where they are ordered
  std::size_t leased_ = 0;
  std::set<EventId> asked_;
  std::uint64_t falses_ = 0;
};

}  // namespace pulse::inline v0_1::conformance::detail
