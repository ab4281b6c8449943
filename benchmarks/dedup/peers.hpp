// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <boost/intrusive/list.hpp>
#include <boost/intrusive/unordered_set.hpp>
#include <boost/version.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>
#if BOOST_VERSION >= 108100
#include <boost/unordered/unordered_flat_set.hpp>
#define PULSE_BENCH_FLAT_SET
#endif
#ifdef PULSE_BENCH_ABSL
#include <absl/container/flat_hash_set.h>
#endif

#include <pulse/dedup/seeded_hash.hpp>

/// What one builds from containers. Each says of an id whether it was seen within the last `size` ids, and remembers it. All hash alike.
namespace bench::dedup {

using pulse::EventId;

struct Node;
struct Hash {
  pulse::detail::SeededHash hash{pulse::detail::SeededHash::random_seed()};
  std::size_t operator()(EventId id) const { return static_cast<std::size_t>(hash(id)); }
  std::size_t operator()(const Node& node) const;
};

/// A set and the order of arrival beside it in a ring.
template <class Set>
struct SetAndRing {
  Set set;
  std::vector<EventId> ring;
  std::size_t capacity;
  std::size_t at = 0;
  explicit SetAndRing(std::size_t size) : capacity(size) {
    set.reserve(size + 1);
    ring.reserve(size);
  }
  bool seen(EventId id) {
    if (!set.insert(id).second) {
      return true;
    }
    if (ring.size() < capacity) {
      ring.push_back(id);
    } else {
      set.erase(ring[at]);
      ring[at] = id;
      at = at + 1 == capacity ? 0 : at + 1;
    }
    return false;
  }
};

struct SetAndDeque {
  std::unordered_set<EventId, Hash> set;
  std::deque<EventId> queue;
  std::size_t capacity;
  explicit SetAndDeque(std::size_t size) : capacity(size) { set.reserve(size + 1); }
  bool seen(EventId id) {
    if (!set.insert(id).second) {
      return true;
    }
    queue.push_back(id);
    if (queue.size() > capacity) {
      set.erase(queue.front());
      queue.pop_front();
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
inline std::size_t Hash::operator()(const Node& node) const { return static_cast<std::size_t>(hash(node.id)); }

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

/// Texts in a ring of strings, and a set of views over it.
template <class Set>
struct TextWindow {
  Set set;
  std::vector<std::string> ring;
  std::size_t at = 0;
  std::size_t used = 0;
  explicit TextWindow(std::size_t size) : ring(size) { set.reserve(size + 1); }
  bool seen(std::string_view text) {
    if (set.contains(text)) {
      return true;
    }
    std::string& place = ring[at];
    if (used == ring.size()) {
      set.erase(std::string_view{place});
    } else {
      ++used;
    }
    place.assign(text);
    set.insert(std::string_view{place});
    at = at + 1 == ring.size() ? 0 : at + 1;
    return false;
  }
};

/// What no window can beat: two cache lines an id, asked for in time.
struct TwoLines {
  std::vector<std::uint64_t> words;
  explicit TwoLines(std::size_t size) : words(size * 3) {}
  template <class Ids>
  void touch(const Ids& ids) {
    constexpr std::size_t batch = 16;
    std::size_t at[batch][2];
    for (std::size_t from = 0; from < ids.size(); from += batch) {
      const std::size_t count = ids.size() - from < batch ? ids.size() - from : batch;
      for (std::size_t i = 0; i < count; ++i) {
        at[i][0] = static_cast<std::size_t>((ids[from + i].high >> 32) * words.size() >> 32);
        at[i][1] = static_cast<std::size_t>((ids[from + i].low >> 32) * words.size() >> 32);
        __builtin_prefetch(&words[at[i][0]], 1);
        __builtin_prefetch(&words[at[i][1]], 1);
      }
      for (std::size_t i = 0; i < count; ++i) {
        words[at[i][0]] += at[i][1];
        words[at[i][1]] += at[i][0];
      }
    }
  }
};

}  // namespace bench::dedup
