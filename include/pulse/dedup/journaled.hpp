// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "pulse/concept/dedup.hpp"
#include "pulse/core/error.hpp"
#include "pulse/dedup/inner_lease.hpp"
#include "pulse/dedup/journal.hpp"

namespace pulse::inline v0_1 {

/// Around what is no Dedup: says what that lacks.
template <class S>
class Journaled : public detail::Unfit<S> {
 public:
  using detail::Unfit<S>::Unfit;
  static Result<Journaled> open(const S& /*inner*/, const JournalOptions& /*options*/) { return Journaled{}; }
};

/// A strategy whose commits outlive the process: what is committed goes into a journal, and the next start tells the strategy again,
/// in the same order. Contract page: docs/reference/dedup/journaled.md
///
/// After a crash at any point, `kill -9` included, the strategy knows the ids of the commits that were made, in the order of their commits, as far
/// back as the journal's window; what was leased is absent, and so is handled when it comes again. That a claim found an id done is not
/// recorded: after a start, an LruWindow has them in the order of their commits. Nor is the time of a commit: a start begins that of all ids of a
/// TtlWindow anew.
///
/// A claim is `fresh` only when the journal has room for its commit. Where it cannot have - the disk is full - a new id's claim answers
/// `unavailable`, ids that are known are answered as ever, and `journal().status()` says why. What is refused takes no place of a
/// strategy that has `known(id)`, as Pulse's windows do: else a window would run empty while the disk is full, since what is released uses up its place.
///
/// Complexity: that of S, and a checksum and a store of 24 bytes a commit; `commit(id)` and `release(id)` also claim the id, to learn
/// whether it is leased. Thread safety: one thread.
template <Dedup S>
class Journaled<S> : public detail::Wraps<S> {
 public:
  static constexpr bool durable = true;
  /// A claim of the strategy inside, and the id that the journal will be told.
  struct lease_type {
    EventId id{};
    detail::inner_lease<S> inner{};
  };

  /// Tells the strategy what the journal holds. Requires: the strategy knows nothing yet.
  Journaled(S inner, Journal journal) : inner_(std::move(inner)), journal_(std::move(journal)) {
    detail::assert_local<S>();
    for (const EventId id : journal_.take_recovered()) {
      detail::inner_lease<S> lease{};
      if (detail::claim_inner(inner_, id, lease) == Claim::fresh) {
        inner_.commit(lease);
        ++recovered_;
      } else if constexpr (requirement::DedupRemember<S>) {  // a filter, which takes it for another one
        inner_.remember(id);
        ++recovered_;
      }
    }
  }

  /// Opens the journal; a window of 0 takes the strategy's capacity. Errors: those of Journal::open.
  static Result<Journaled> open(S inner, JournalOptions options) {
    if constexpr (requires { inner.capacity(); }) {
      options.window = options.window == 0 ? inner.capacity() : options.window;
    }
    auto journal = Journal::open(std::move(options));
    if (!journal) {
      return std::move(journal).error();
    }
    return Journaled{std::move(inner), *std::move(journal)};
  }

  Claim claim(EventId id) {
    lease_type ignored;
    return claim(id, ignored);
  }
  Claim claim(EventId id, lease_type& lease) {
    lease.id = id;
    if (!journal_.reserve(leased_ + 1)) [[unlikely]] {
      return detail::known_inner(inner_, id);
    }
    const Claim answer = detail::claim_inner(inner_, id, lease.inner);
    leased_ += answer == Claim::fresh ? 1 : 0;
    return answer;
  }

  /// A batch, equal to one by one in order; `leases` may be empty. Requires: claims, and leases if any, are as many as ids.
  void claim(std::span<const EventId> ids, std::span<Claim> claims, std::span<lease_type> leases = {}) {
    constexpr std::size_t together = 64;
    detail::inner_lease<S> inner[together]{};
    while (!ids.empty()) {
      const std::size_t count = std::min(ids.size(), together);
      if (!journal_.reserve(leased_ + count)) [[unlikely]] {
        lease_type ignored;
        for (std::size_t i = 0; i < count; ++i) {
          claims[i] = claim(ids[i], leases.empty() ? ignored : leases[i]);
        }
      } else {
        detail::claim_inner(inner_, ids.first(count), claims.first(count), std::span{inner, count});
        for (std::size_t i = 0; i < count; ++i) {
          leased_ += claims[i] == Claim::fresh ? 1 : 0;
          if (!leases.empty()) {
            leases[i] = {ids[i], inner[i]};
          }
        }
      }
      ids = ids.subspan(count);
      claims = claims.subspan(count);
      leases = leases.empty() ? leases : leases.subspan(count);
    }
  }

  /// In the journal first: a crash between the two costs nothing.
  void commit(const lease_type& lease) {
    journal_.append(lease.id);
    inner_.commit(lease.inner);
    --leased_;
  }
  void release(const lease_type& lease) {
    inner_.release(lease.inner);
    --leased_;
  }
  void commit(EventId id) {
    if (detail::is_leased(inner_, id)) {
      journal_.append(id);
      inner_.commit(id);
      --leased_;
    }
  }
  void release(EventId id) {
    if (detail::is_leased(inner_, id)) {
      inner_.release(id);
      --leased_;
    }
  }

  /// Makes the id done, whether it was leased or not. Where the disk is full, until the next start.
  void remember(EventId id)
    requires requirement::DedupRemember<S>
  {
    const bool leased = detail::is_leased(inner_, id);  // then there is room for it
    if (leased || journal_.reserve(leased_ + 1)) {
      journal_.append(id);
    }
    leased_ -= leased ? 1 : 0;
    inner_.remember(id);
  }

  void prefetch(EventId id) const noexcept
    requires PrefetchingDedup<S>
  {
    inner_.prefetch(id);
  }

  [[nodiscard]] std::size_t size() const { return inner_.size(); }
  [[nodiscard]] std::size_t capacity() const
    requires requires(const S& inner) { inner.capacity(); }
  {
    return inner_.capacity();
  }
  /// How many ids the journal brought back at the start.
  [[nodiscard]] std::size_t recovered() const noexcept { return recovered_; }
  /// Waits until every commit is on the disk. Errors: those of Journal::flush.
  Status flush() noexcept { return journal_.flush(); }
  [[nodiscard]] const Journal& journal() const noexcept { return journal_; }
  [[nodiscard]] const S& inner() const noexcept { return inner_; }

 private:
  S inner_;
  Journal journal_;
  std::uint64_t leased_ = 0;
  std::size_t recovered_ = 0;
};

template <class S>
Journaled(S, Journal) -> Journaled<S>;

}  // namespace pulse::inline v0_1
