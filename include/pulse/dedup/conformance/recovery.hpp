// SPDX-License-Identifier: MIT
#pragma once

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "pulse/dedup/conformance/laws.hpp"
#include "pulse/detail/random.hpp"

/// The laws of a strategy that outlives its process (`D::durable`). In a test of one's own:
///
///     CHECK(pulse::conformance::recovery([] { return MyStore{"path"}; }, [] { std::remove("path"); }, {.window = 1000}) == "");
namespace pulse::inline v0_1::conformance {

/// What the strategy under test says of itself.
struct RecoveryLaws {
  /// How many of the last commits are known again.
  std::size_t window = 0;
  /// Commits that a killed process may lose at most: those it keeps back.
  std::size_t kept_back = 0;
  int kills = 20;
  std::uint64_t seed = 1;
};

/// Whether what a strategy knows after a crash is what it was told up to some moment, `told` being the ids whose commits had begun, in order.
/// Returns how many commits that moment has seen, or -1 where there is no such moment: one of the last `window` before it is missing.
/// Claims what it asks for.
template <class D>
[[nodiscard]] std::ptrdiff_t knows_prefix(D& dedup, std::span<const EventId> told, std::size_t window) {
  std::size_t seen = told.size();
  while (seen > 0 && dedup.claim(told[seen - 1]) == Claim::fresh) {
    dedup.release(told[seen - 1]);
    --seen;
  }
  const std::size_t asked = told.size() - seen;  // each may have pushed out one of the oldest
  for (std::size_t back = 1; back <= seen && back + asked <= window; ++back) {
    if (dedup.claim(told[seen - back]) != Claim::done) {
      return -1;
    }
  }
  return static_cast<std::ptrdiff_t>(seen);
}

namespace detail {

/// Closed and opened again, a few times over: what was done is done, what was leased or released is absent, what was never told is fresh.
template <class Open>
std::string reopened(Open& open, const RecoveryLaws& laws) {
  std::vector<EventId> told;
  std::uint64_t next = 0;
  EventId leased{};
  EventId released{};
  for (int life = 0; life < 4; ++life) {
    auto dedup = open();
    using D = decltype(open());
    if (life > 0 && (dedup.claim(leased) != Claim::fresh || dedup.claim(released) != Claim::fresh)) {
      return "recovery: what was not committed is fresh after a start";
    }
    if (life > 0 && knows_prefix(dedup, told, laws.window - 2) != static_cast<std::ptrdiff_t>(told.size())) {
      return "recovery: what was committed is done after a start";
    }
    if (dedup.claim(id_of(~next, false)) != Claim::fresh) {
      return "recovery: what it was never told is fresh after a start";
    }
    for (std::uint64_t n = 0; n < laws.window + laws.window / 2; ++n) {
      Held<D> held{id_of(next++, false)};
      if (held.claim(dedup) != Claim::fresh) {
        return "recovery: a new id is fresh";
      }
      held.commit(dedup, n % 2 == 0);
      told.push_back(held.id);
    }
    Held<D> last{leased = id_of(next++, false)};
    Held<D> dropped{released = id_of(next++, false)};
    if (last.claim(dedup) != Claim::fresh || dropped.claim(dedup) != Claim::fresh) {
      return "recovery: a new id is fresh";
    }
    dropped.release(dedup, life % 2 == 0);
  }
  return "";
}

/// A child process commits and is killed at any moment.
template <class Open>
std::string killed(Open& open, const RecoveryLaws& laws, std::uint64_t seed) {
  void* const shared = ::mmap(nullptr, sizeof(std::atomic<std::uint64_t>) * 2, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) {
    throw std::bad_alloc{};
  }
  auto* const counts = ::new (shared) std::atomic<std::uint64_t>[2]();
  std::atomic<std::uint64_t>& begun = counts[0];
  std::atomic<std::uint64_t>& ended = counts[1];
  pulse::detail::SplitMix64 random{seed};
  const std::uint64_t stop_at = random.up_to(3 * laws.window);
  const ::pid_t child = ::fork();
  if (child == 0) {
    auto dedup = open();
    using D = decltype(open());
    for (std::uint64_t n = 0;; ++n) {
      Held<D> held{id_of(n, false)};
      if (held.claim(dedup) != Claim::fresh) {
        ::_exit(1);
      }
      begun.store(n + 1);
      held.commit(dedup, n % 2 == 0);
      ended.store(n + 1);
      if (n > 8 * laws.window + 1000) {
        ::pause();  // enough for any moment
      }
    }
  }
  while (ended.load() < stop_at && ::waitpid(child, nullptr, WNOHANG) == 0) {
    ::usleep(static_cast<::useconds_t>(random.up_to(50)));
  }
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  std::vector<EventId> told;
  told.reserve(begun.load());
  for (std::uint64_t n = 0; n < begun.load(); ++n) {
    told.push_back(id_of(n, false));
  }
  const std::uint64_t finished = ended.load();
  ::munmap(shared, sizeof(std::atomic<std::uint64_t>) * 2);
  if (finished < stop_at) {
    return "recovery: a new id is fresh, in a process of its own";
  }
  auto dedup = open();
  const std::ptrdiff_t seen = knows_prefix(dedup, told, laws.window);
  if (seen < 0) {
    return "recovery: after a kill it knows what it was told up to some moment, and nothing is missing before it";
  }
  return static_cast<std::uint64_t>(seen) + laws.kept_back >= finished ? "" : "recovery: a kill loses no commit that had returned, but for those kept back";
}

}  // namespace detail

/// Returns "" or the first law that was broken. `open()` gives the strategy over one and the same store, `erase()` empties that. Forks: call
/// it where no other threads run.
template <class Open, class Erase>
[[nodiscard]] std::string recovery(Open open, Erase erase, const RecoveryLaws& laws) {
  static_assert(DurableDedup<decltype(open())>, "pulse: only a strategy that says `durable` is held to these laws. See docs/reference/dedup.md");
  erase();
  std::string law = detail::reopened(open, laws);
  for (int round = 0; law.empty() && round < laws.kills; ++round) {
    erase();
    law = detail::killed(open, laws, laws.seed * 1000 + static_cast<std::uint64_t>(round));
  }
  erase();
  return law.empty() ? "" : law + " (seed " + std::to_string(laws.seed) + ")";
}

}  // namespace pulse::inline v0_1::conformance
