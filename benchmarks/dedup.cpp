// SPDX-License-Identifier: MIT
//
// What remembering an id costs: claim and commit of 16-byte random ids in the steady state, where each new id evicts one, against what one
// builds from containers. Cases of one size take turns in one process. Every answer is counted and compared with what is known.
#include <boost/intrusive/list.hpp>
#include <boost/intrusive/unordered_set.hpp>
#include <boost/version.hpp>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>
#if BOOST_VERSION >= 108100
#include <boost/unordered/unordered_flat_set.hpp>
#define PULSE_BENCH_FLAT_SET
#endif

#include <pulse/dedup/fifo_window.hpp>
#include <pulse/dedup/lru_window.hpp>
#include <pulse/detail/random.hpp>

#include "bench.hpp"

namespace {

using pulse::Claim;
using pulse::EventId;

std::uint64_t mixed(std::uint64_t n) {
  n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9;
  n = (n ^ (n >> 27)) * 0x94d049bb133111eb;
  return n ^ (n >> 31);
}

/// The n-th id of a stream in which every tenth, if wanted, is a redelivery of an id from half a window ago.
struct Ids {
  std::size_t window;
  bool duplicates;
  std::uint64_t at = 0;
  EventId next() {
    std::uint64_t n = at++;
    if (duplicates && n % 10 == 0 && n > window) {
      n -= window / 20 * 10 + 5;  // 5 modulo 10: never itself a redelivery
    }
    return {mixed(n * 2 + 1), mixed(n * 2 + 2)};
  }
  /// How many of the ids from..to are redeliveries.
  [[nodiscard]] std::uint64_t known(std::uint64_t from, std::uint64_t to) const {
    std::uint64_t count = 0;
    for (std::uint64_t n = from + (10 - from % 10) % 10; duplicates && n < to; n += 10) {
      count += n > window ? 1 : 0;
    }
    return count;
  }
};

struct Hash {
  pulse::detail::SeededHash hash{pulse::detail::SeededHash::random_seed()};
  std::size_t operator()(EventId id) const { return static_cast<std::size_t>(hash(id)); }
  std::size_t operator()(const struct Node& node) const;
};

/// A set and the order of arrival beside it, in a ring of ids or a deque: the usual window.
template <class Set, bool Ring>
struct SetWindow {
  Set set;
  std::vector<EventId> ring;
  std::deque<EventId> queue;
  std::size_t capacity;
  std::size_t at = 0;
  explicit SetWindow(std::size_t size) : capacity(size) {
    set.reserve(size + 1);
    ring.reserve(Ring ? size : 0);
  }
  bool seen(EventId id) {
    if (!set.insert(id).second) {
      return true;
    }
    if constexpr (Ring) {
      if (ring.size() < capacity) {
        ring.push_back(id);
      } else {
        set.erase(ring[at]);
        ring[at] = id;
        at = at + 1 == capacity ? 0 : at + 1;
      }
    } else {
      queue.push_back(id);
      if (queue.size() > capacity) {
        set.erase(queue.front());
        queue.pop_front();
      }
    }
    return false;
  }
};

struct ListLru {
  std::list<EventId> order;
  std::unordered_map<EventId, std::list<EventId>::iterator, Hash> map;
  std::size_t capacity;
  explicit ListLru(std::size_t size) : capacity(size) { map.reserve(size + 1); }
  bool seen(EventId id) {
    if (const auto at = map.find(id); at != map.end()) {
      order.splice(order.begin(), order, at->second);
      return true;
    }
    order.push_front(id);
    map.emplace(id, order.begin());
    if (map.size() > capacity) {
      map.erase(order.back());
      order.pop_back();
    }
    return false;
  }
};

struct Node : boost::intrusive::list_base_hook<>, boost::intrusive::unordered_set_base_hook<boost::intrusive::store_hash<true>> {
  EventId id;
  friend bool operator==(const Node& a, const Node& b) { return a.id == b.id; }
};
std::size_t Hash::operator()(const Node& node) const { return static_cast<std::size_t>(hash(node.id)); }

struct IntrusiveLru {
  using Set = boost::intrusive::unordered_set<Node, boost::intrusive::hash<Hash>, boost::intrusive::power_2_buckets<true>>;
  struct Equal {
    bool operator()(EventId a, const Node& b) const { return a == b.id; }
    bool operator()(const Node& a, EventId b) const { return a.id == b; }
  };
  std::vector<Node> nodes;
  std::vector<Set::bucket_type> buckets;
  Hash hash;
  Set set;
  boost::intrusive::list<Node> order;
  std::size_t used = 0;
  explicit IntrusiveLru(std::size_t size) : nodes(size), buckets(std::bit_ceil(size)), set(Set::bucket_traits(buckets.data(), buckets.size()), hash) {}
  ~IntrusiveLru() {
    set.clear();
    order.clear();
  }
  IntrusiveLru(const IntrusiveLru&) = delete;
  IntrusiveLru& operator=(const IntrusiveLru&) = delete;
  bool seen(EventId id) {
    Set::insert_commit_data commit;
    const auto [at, fresh] = set.insert_check(id, hash, Equal{}, commit);
    if (!fresh) {
      order.splice(order.begin(), order, order.iterator_to(*at));
      return true;
    }
    Node* node;
    if (used < nodes.size()) {
      node = &nodes[used++];
      node->id = id;
      set.insert_commit(*node, commit);
    } else {
      node = &order.back();
      order.pop_back();
      set.erase(set.iterator_to(*node));
      node->id = id;
      set.insert(*node);
    }
    order.push_front(*node);
    return false;
  }
};

void require(bool right, const std::string& what) {
  if (!right) {
    std::fprintf(stderr, "dedup: wrong answers: %s\n", what.c_str());
    std::exit(1);
  }
}

/// A case over a window of `size`: warmed until each new id evicts one, then measured; its answers are checked in every round.
template <class Window, class Run>
bench::Case make(const std::string& name, std::size_t size, bool duplicates, Run run) {
  auto window = std::make_shared<Window>(size);
  auto ids = std::make_shared<Ids>(Ids{size, duplicates});
  run(*window, *ids, size + size / 4);
  return {name, [=](std::size_t count) {
            const std::uint64_t from = ids->at;
            const std::uint64_t found = run(*window, *ids, count);
            require(found == ids->known(from, ids->at), name);
          }};
}

const auto seen_one_by_one = [](auto& window, Ids& ids, std::size_t count) {
  std::uint64_t found = 0;
  for (std::size_t i = 0; i < count; ++i) {
    found += window.seen(ids.next()) ? 1 : 0;
  }
  return found;
};
const auto claim_one_by_one = [](auto& window, Ids& ids, std::size_t count) {
  std::uint64_t found = 0;
  typename std::remove_reference_t<decltype(window)>::lease_type lease;
  for (std::size_t i = 0; i < count; ++i) {
    if (window.claim(ids.next(), lease) == Claim::fresh) {
      window.commit(lease);
    } else {
      ++found;
    }
  }
  return found;
};
const auto claim_batched = [](auto& window, Ids& ids, std::size_t count) {
  constexpr std::size_t batch = 16;
  EventId batch_ids[batch];
  Claim claims[batch];
  typename std::remove_reference_t<decltype(window)>::lease_type leases[batch];
  std::uint64_t found = 0;
  for (std::size_t i = 0; i < count; i += batch) {
    for (EventId& id : batch_ids) {
      id = ids.next();
    }
    window.claim(batch_ids, claims, leases);
    for (std::size_t j = 0; j < batch; ++j) {
      if (claims[j] == Claim::fresh) {
        window.commit(leases[j]);
      } else {
        ++found;
      }
    }
  }
  return found;
};

/// What no window can beat: two cache lines an operation, asked for in time.
struct Limit {
  std::vector<std::uint64_t> lines;
  explicit Limit(std::size_t size) : lines(size * 3) {}
};
const auto touch_two_lines = [](Limit& limit, Ids& ids, std::size_t count) {
  constexpr std::size_t batch = 16;
  std::size_t at[batch][2];
  for (std::size_t i = 0; i < count; i += batch) {
    for (auto& two : at) {
      const EventId id = ids.next();
      two[0] = static_cast<std::size_t>((id.high >> 32) * limit.lines.size() >> 32);
      two[1] = static_cast<std::size_t>((id.low >> 32) * limit.lines.size() >> 32);
      __builtin_prefetch(&limit.lines[two[0]], 1);
      __builtin_prefetch(&limit.lines[two[1]], 1);
    }
    for (const auto& two : at) {
      limit.lines[two[0]] += two[1];
      limit.lines[two[1]] += two[0];
    }
  }
  return std::uint64_t{0};
};
struct Nothing {
  explicit Nothing(std::size_t) {}
};
const auto make_ids = [](Nothing&, Ids& ids, std::size_t count) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    sum += ids.next().low;
  }
  bench::keep(sum);
  return std::uint64_t{0};
};

std::string text(std::size_t size) { return size >= 1'000'000 ? std::to_string(size / 1'000'000) + " M" : std::to_string(size / 1000) + " k"; }

void compare(bench::Report& report, std::size_t size, bool duplicates) {
  const std::string suffix = ", window " + text(size) + (duplicates ? ", 10 % redelivered" : "");
  std::vector<bench::Case> cases;
  cases.push_back(make<pulse::FifoWindow>("FifoWindow", size, duplicates, claim_one_by_one));
  cases.push_back(make<pulse::FifoWindow>("FifoWindow, batches of 16", size, duplicates, claim_batched));
  cases.push_back(make<pulse::LruWindow>("LruWindow", size, duplicates, claim_one_by_one));
  const std::size_t peers = cases.size();
#ifdef PULSE_BENCH_FLAT_SET
  cases.push_back(make<SetWindow<boost::unordered_flat_set<EventId, Hash>, true>>("boost::unordered_flat_set + ring", size, duplicates, seen_one_by_one));
#endif
  cases.push_back(make<SetWindow<std::unordered_set<EventId, Hash>, false>>("std::deque + std::unordered_set", size, duplicates, seen_one_by_one));
  cases.push_back(make<ListLru>("std::list + std::unordered_map", size, duplicates, seen_one_by_one));
  cases.push_back(make<IntrusiveLru>("Boost.Intrusive LRU", size, duplicates, seen_one_by_one));
  const std::size_t peers_end = cases.size();
  if (!duplicates) {
    cases.push_back(make<Limit>("limit: two cache lines, prefetched", size, false, touch_two_lines));
    cases.push_back(make<Nothing>("do nothing: make the ids", size, false, make_ids));
  }
  bench::measure(cases, report.quick ? 100'000 : 400'000, report.quick ? 7 : 15);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    report.row(cases[i].name + suffix, "time per id", cases[i].ns, "ns");
  }
  for (std::size_t i = 0; i < peers; ++i) {
    for (std::size_t j = peers; j < peers_end; ++j) {
      report.row(cases[i].name + suffix, "ratio", cases[i].ns, "ns", cases[j].name, cases[j].ns / cases[i].ns);
    }
  }
  if (!duplicates) {
    report.row("FifoWindow, batches of 16" + suffix, "over the limit", cases[1].ns, "ns", cases[cases.size() - 2].name + " (cost)",
               cases[1].ns / cases[cases.size() - 2].ns);
    report.row("FifoWindow" + suffix, "memory per id", static_cast<double>(pulse::FifoWindow{size}.bytes()) / static_cast<double>(size), "bytes");
  }
}

}  // namespace

int main(int argc, char** argv) {
  bench::Report report{"dedup", argc, argv};
  for (const std::size_t size : {std::size_t{10'000}, std::size_t{1'000'000}}) {
    compare(report, size, false);
    compare(report, size, true);
  }
  if (!report.quick) {
    compare(report, 100'000, false);
    compare(report, 10'000'000, false);
    compare(report, 10'000'000, true);
  }
  return 0;
}
