// SPDX-License-Identifier: MIT
//
// Strategies that each break one law, and the law that the kit must name.
#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>

#include "pulse/dedup/conformance.hpp"
#include "pulse/dedup/fifo_window.hpp"
#include "pulse/dedup/lru_window.hpp"
#include "pulse/dedup/seeded_hash.hpp"
#include "pulse/dedup/seen_set.hpp"

using pulse::Claim;
using pulse::EventId;

namespace {

enum class Fault {
  none,
  marks_before_handling,  // the mark comes before the handler
  takes_new_for_done,
  takes_new_for_leased,
  forgets_some,
  releases_nothing,
  grows,
  leases_twice,
  forgets_leases,
  release_forgets_done,
  commit_marks_absent,
  never_done,
  done_becomes_leased,
  always_unavailable,
  lease_ends_another,
  counts_nothing,
};

/// One id in so many.
bool chosen(EventId id, std::uint64_t of) { return (pulse::detail::SeededHash{1}(id) >> 20) % of == 0; }

/// An LruWindow of 100 with one fault, by id and by lease.
template <Fault F>
struct Broken : pulse::LruWindow {
  Broken() : LruWindow(100, 1) {}
  std::size_t claims = 0;
  EventId last{};

  Claim claim(EventId id) {
    lease_type ignored;
    return claim(id, ignored);
  }
  Claim claim(EventId id, lease_type& lease) {
    const lease_type before = lease_;
    Claim answer = LruWindow::claim(id, lease);
    ++claims;
    if (answer == Claim::fresh) {
      lease_ = lease;
      last = id;
      if (F == Fault::marks_before_handling) {
        LruWindow::commit(lease);
      }
      if (F == Fault::takes_new_for_done && chosen(id, 97)) {
        LruWindow::release(lease);
        return Claim::done;
      }
      if (F == Fault::takes_new_for_leased && chosen(id, 97)) {
        LruWindow::release(lease);
        return Claim::leased;
      }
      if (F == Fault::always_unavailable && claims % 50 == 0) {
        LruWindow::release(lease);
        return Claim::unavailable;
      }
      if (F == Fault::lease_ends_another && claims > 1) {
        std::swap(lease, const_cast<lease_type&>(before));
      }
    }
    if (F == Fault::forgets_some && answer == Claim::done && chosen(id, 50)) {
      answer = Claim::fresh;
    }
    if ((F == Fault::leases_twice || F == Fault::forgets_leases) && answer == Claim::leased && (F == Fault::leases_twice || claims % 10 == 0)) {
      answer = Claim::fresh;
    }
    if (F == Fault::done_becomes_leased && answer == Claim::done) {
      answer = Claim::leased;
    }
    return answer;
  }
  void commit(EventId id) {
    if (F == Fault::commit_marks_absent && LruWindow::claim(id) == Claim::done) {
      return;
    }
    if (F != Fault::never_done) {
      LruWindow::commit(id);
    }
  }
  void commit(lease_type lease) {
    if (F != Fault::never_done) {
      LruWindow::commit(lease);
    }
  }
  void release(EventId id) {
    if (F == Fault::release_forgets_done && LruWindow::claim(id) == Claim::done) {
      *this = Broken{};
    } else if (F != Fault::releases_nothing) {
      LruWindow::release(id);
    }
  }
  void release(lease_type lease) {
    if (F != Fault::releases_nothing) {
      LruWindow::release(lease);
    }
  }
  [[nodiscard]] std::size_t size() const { return F == Fault::grows ? claims : F == Fault::counts_nothing ? 0 : LruWindow::size(); }

 private:
  lease_type lease_;
};

template <Fault F>
std::string verdict() {
  return pulse::conformance::dedup([] { return Broken<F>{}; }, {.window = 50, .capacity = 100});
}

/// With all the parameters of the one it replaces: beside it, a call would be ambiguous, and the kit would see no batches.
template <int Fault>
struct Careless : pulse::FifoWindow {
  Careless() : FifoWindow(100, 1) {}
  using FifoWindow::claim;
  void claim(std::span<const EventId> ids, std::span<Claim> claims, std::span<lease_type> leases = {}) {
    if (Fault == 2 && ids.size() > 64) {
      FifoWindow::claim(ids.first(64), claims.first(64), leases.empty() ? leases : leases.first(64));  // the rest is left as it was
      return;
    }
    FifoWindow::claim(ids, claims, leases);
    for (std::size_t i = 1; i < ids.size(); ++i) {
      if (Fault == 0 && ids[i] == ids[i - 1]) {
        claims[i] = Claim::fresh;  // looked both up before it entered either
      }
      if (Fault == 1 && !leases.empty() && claims[i] == Claim::fresh && claims[i - 1] == Claim::fresh) {
        std::swap(leases[i], leases[i - 1]);
      }
    }
  }
};

/// A window on a server that is up, with the faults of one that is not, and of one whose flush is a loss.
enum class Away { none, always_fails, fails_with_something_to_say, flushes_away, claims_nothing };
template <Away F>
struct Remote {
  static constexpr bool exact = true;
  static constexpr bool shared = true;
  pulse::FifoWindow window{100, 1};
  bool something = false;

  Claim claim(EventId id) { return window.claim(id); }
  pulse::Status claim(std::span<const EventId> ids, std::span<Claim> claims) {
    if (F == Away::claims_nothing) {
      window.claim(ids, claims);
      return pulse::Error{pulse::ErrorCode::unavailable, "away"};
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {
      claims[i] = window.claim(ids[i]);
    }
    return {};
  }
  void commit(EventId id) {
    something = true;
    window.commit(id);
  }
  void release(EventId id) { window.release(id); }
  [[nodiscard]] std::size_t size() const { return window.size(); }
  pulse::Status flush(std::chrono::milliseconds) {
    const bool fails = F == Away::always_fails || (F == Away::fails_with_something_to_say && something);
    if (F == Away::flushes_away && something) {
      window = pulse::FifoWindow{100, 1};
    }
    return fails ? pulse::Status{pulse::Error{pulse::ErrorCode::unavailable, "away"}} : pulse::Status{};
  }
};
template <Away F>
std::string remote_verdict() {
  static_assert(pulse::RemoteDedup<Remote<F>>);
  return pulse::conformance::dedup([] { return Remote<F>{}; }, {.window = 50, .since_claim = true, .capacity = 100});
}

/// Any thread may call it, says it. Each look and each step is guarded; what is between them is not.
template <bool Right>
struct Gap {
  static constexpr bool exact = true;
  static constexpr bool shared = false;
  static constexpr bool concurrent = true;
  struct State {
    std::mutex mutex;
    pulse::FifoWindow window{1000, 1};
  };
  std::unique_ptr<State> state = std::make_unique<State>();

  Claim claim(EventId id) {
    if (Right) {
      const std::lock_guard lock{state->mutex};
      return state->window.claim(id);
    }
    Claim answer;
    {
      const std::lock_guard lock{state->mutex};
      answer = state->window.claim(id);
      if (answer == Claim::fresh) {
        state->window.release(id);
      }
    }
    std::this_thread::yield();
    const std::lock_guard lock{state->mutex};
    if (answer == Claim::fresh) {
      (void)state->window.claim(id);
    }
    return answer;
  }
  void commit(EventId id) {
    const std::lock_guard lock{state->mutex};
    state->window.commit(id);
  }
  void release(EventId id) {
    const std::lock_guard lock{state->mutex};
    state->window.release(id);
  }
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock{state->mutex};
    return state->window.size();
  }
};

/// Takes every `every`-th new id for a known one, and says that it is not exact.
struct Lossy : pulse::SeenSet {
  static constexpr bool exact = false;
  explicit Lossy(std::uint64_t every_) : every(every_) {}
  std::uint64_t every;
  Claim claim(EventId id) {
    const Claim answer = BasicSeenSet::claim(id);
    if (answer == Claim::fresh && chosen(id, every)) {
      BasicSeenSet::release(id);
      return Claim::done;
    }
    return answer;
  }
};

/// Remembers half of what it promises.
struct Half : pulse::FifoWindow {
  Half() : FifoWindow(50, 1) {}
};

/// Forgets an id that was done, and keeps the lease that it once had: it is put off for ever.
struct Stuck {
  static constexpr bool exact = true;
  static constexpr bool shared = false;
  struct Known {
    Claim state;
    std::uint64_t touched;
  };
  std::map<EventId, Known> known{};
  std::uint64_t claims = 0;

  Claim claim(EventId id) {
    const auto [at, added] = known.try_emplace(id, Known{Claim::leased, claims});
    if (added) {
      ++claims;
      return Claim::fresh;
    }
    if (at->second.state == Claim::done) {
      at->second.state = claims - at->second.touched > 1000 ? Claim::leased : Claim::done;
      at->second.touched = claims;
    }
    return at->second.state;
  }
  void commit(EventId id) {
    if (const auto at = known.find(id); at != known.end() && at->second.state == Claim::leased) {
      at->second = {Claim::done, claims};
    }
  }
  void release(EventId id) {
    if (const auto at = known.find(id); at != known.end() && at->second.state == Claim::leased) {
      known.erase(at);
    }
  }
  [[nodiscard]] std::size_t size() const { return known.size(); }
};

/// Knows an id by what `key` makes of it.
struct PartOf {
  static constexpr bool exact = true;
  static constexpr bool shared = false;
  std::uint64_t (*key)(EventId);
  std::unordered_map<std::uint64_t, Claim> states{};

  Claim claim(EventId id) {
    const auto [at, added] = states.try_emplace(key(id), Claim::leased);
    return added ? Claim::fresh : at->second;
  }
  void commit(EventId id) {
    if (const auto at = states.find(key(id)); at != states.end()) {
      at->second = Claim::done;
    }
  }
  void release(EventId id) {
    if (const auto at = states.find(key(id)); at != states.end() && at->second == Claim::leased) {
      states.erase(at);
    }
  }
  [[nodiscard]] std::size_t size() const { return states.size(); }
};
std::string part_verdict(std::uint64_t (*key)(EventId)) {
  return pulse::conformance::dedup([=] { return PartOf{key}; }, {.window = 500});
}

}  // namespace

// guarantee 2, 9: a strategy with one fault of a list: marks early, forgets, grows, leases twice and so on
TEST_CASE("the kit passes what is right, and names the law that a fault breaks") {
  CHECK(verdict<Fault::none>() == "");
  CHECK(verdict<Fault::marks_before_handling>() == "three states: an id that is being handled is leased (seed 1)");
  CHECK(verdict<Fault::takes_new_for_done>() == "no false duplicates: a new id is fresh, but for the stated share (seed 1)");
  CHECK(verdict<Fault::takes_new_for_leased>() == "no false duplicates: a new id is fresh, but for the stated share (seed 1)");
  CHECK(verdict<Fault::forgets_some>() == "a committed id is remembered for the stated window, to its edge (seed 1)");
  CHECK(verdict<Fault::releases_nothing>() == "release makes fresh (seed 1)");
  CHECK(verdict<Fault::grows>() == "size never exceeds the stated bound (seed 1)");
  CHECK(verdict<Fault::leases_twice>() == "three states: an id that is being handled is leased (seed 1)");
  CHECK(verdict<Fault::forgets_leases>() == "a lease is not forgotten before it ends (seed 1)");
  CHECK(verdict<Fault::release_forgets_done>() == "release of a done id changes nothing (seed 1)");
  CHECK(verdict<Fault::commit_marks_absent>() == "commit and release of an absent id change nothing (seed 1)");
  CHECK(verdict<Fault::never_done>() == "commit makes done (seed 1)");
  CHECK(verdict<Fault::done_becomes_leased>() == "commit makes done (seed 1)");
  CHECK(verdict<Fault::always_unavailable>() == "no false duplicates: a new id is fresh, but for the stated share (seed 1)");
  CHECK(verdict<Fault::lease_ends_another>() == "a lease ends its own id and no other (seed 1)");
  CHECK(verdict<Fault::counts_nothing>() == "size counts what is remembered, leased ids included (seed 1)");
}

// guarantee 2: strategies that know an id by a part of it
TEST_CASE("the kit catches a strategy that does not look at the whole id") {
  CHECK(part_verdict([](EventId id) { return pulse::detail::SeededHash{1}(id); }) == "");
  std::uint64_t (*const parts[])(EventId) = {
      [](EventId id) { return id.low; },
      [](EventId id) { return id.high; },
      [](EventId id) { return id.high ^ id.low; },
      [](EventId id) { return id.high + id.low; },
      [](EventId id) { return id.high << 32 | id.low >> 32; },
      [](EventId id) { return id.high << 32 | (id.low & 0xffffffff); },
      [](EventId id) { return (id.high >> 32 << 32) | id.low >> 32; },
      [](EventId id) { return (id.high >> 32 << 32) | (id.low & 0xffffffff); },
  };
  for (std::size_t i = 0; i < std::size(parts); ++i) {
    CAPTURE(i);
    const std::string law = part_verdict(parts[i]);
    CHECK((law == "commit and release of an absent id change nothing (seed 1)" ||
           law == "no false duplicates: a new id is fresh, but for the stated share (seed 1)"));
  }
}

TEST_CASE("the kit catches a window that is shorter than stated, of either kind") {
  CHECK(pulse::conformance::dedup([] { return Half{}; }, {.window = 51, .since_claim = true, .capacity = 100}) ==
        "a committed id is remembered for the stated window, to its edge (seed 1)");
  CHECK(pulse::conformance::dedup([] { return pulse::LruWindow{100, 1}; }, {.window = 500, .capacity = 100}) ==
        "a committed id is remembered for the stated window, to its edge (seed 1)");
  CHECK(pulse::conformance::dedup([] { return pulse::LruWindow{100, 1}; }, {.window = 10, .capacity = 99}) == "size never exceeds the stated bound (seed 1)");
}

TEST_CASE("the kit catches a strategy whose done ids become leased, held by nobody, behind its window") {
  CHECK(pulse::conformance::dedup([] { return Stuck{}; }, {.window = 500}) == "a committed id that is forgotten is fresh: nobody handles it (seed 1)");
}

TEST_CASE("the kit catches a batch that differs from one by one") {
  const pulse::conformance::DedupLaws laws{.window = 50, .since_claim = true, .capacity = 100};
  CHECK(pulse::conformance::dedup([] { return Careless<0>{}; }, laws) == "a batched claim equals one by one in order (seed 1)");
  CHECK(pulse::conformance::dedup([] { return Careless<1>{}; }, laws) != "");
  CHECK(pulse::conformance::dedup([] { return Careless<2>{}; }, laws) == "a batched claim equals one by one in order (seed 1)");
}

TEST_CASE("the kit catches a remote strategy whose flush fails, or whose claim does, although nothing is away") {
  CHECK(remote_verdict<Away::none>() == "");
  CHECK(remote_verdict<Away::always_fails>() == "remote: a flush with nothing to say succeeds (seed 1)");
  CHECK(remote_verdict<Away::fails_with_something_to_say>() == "remote: a flush says what was committed and released (seed 1)");
  CHECK(remote_verdict<Away::flushes_away>() == "remote: what was flushed is done, or fresh (seed 1)");
  CHECK(remote_verdict<Away::claims_nothing>() == "remote: a batch of new ids is claimed (seed 1)");
}

TEST_CASE("the kit catches what threads do to a strategy that promises too much") {
  const pulse::conformance::DedupLaws laws{.window = 500, .since_claim = true, .capacity = 1000};
  CHECK(pulse::conformance::dedup([] { return Gap<true>{}; }, laws) == "");
  CHECK(pulse::conformance::dedup([] { return Gap<false>{}; }, laws).starts_with("threads: "));
}

// guarantee 3: a strategy that takes more new ids for known than it says
TEST_CASE("the kit counts what a lossy strategy takes for known, and holds it to its rate") {
  const pulse::conformance::DedupLaws laws{.window = 2000, .false_rate = 0.01};
  CHECK(pulse::conformance::dedup([] { return Lossy{100}; }, laws) == "");
  CHECK(pulse::conformance::dedup([] { return Lossy{40}; }, laws) == "no false duplicates: a new id is fresh, but for the stated share (seed 1)");
}
