// SPDX-License-Identifier: MIT
#pragma once

#include <malloc.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <pulse/concept/dedup.hpp>
#include <pulse/dedup/inner_lease.hpp>

namespace bench::dedup {

using pulse::Claim;
using pulse::EventId;

/// How a window is asked. Back to back, the processor overlaps the cache misses of calls that follow each other, as far as it can look ahead:
/// some hundred instructions. In a consumer a handler stands between two calls, and it cannot: there it is one at a time.
enum class Way : std::uint8_t { one_at_a_time, back_to_back, batched };
constexpr Way ways[] = {Way::one_at_a_time, Way::back_to_back, Way::batched};
/// The name of a subject asked in that way ends so.
inline const char* suffix(Way way) { return way == Way::one_at_a_time ? ", one at a time" : way == Way::back_to_back ? "" : ", batches of 16"; }

/// Nothing behind it begins before all before it is complete: it stands for the handler. The same for all who take part.
inline void complete() {
#if defined(__x86_64__) || defined(__i386__)
  asm volatile("lfence" : : : "memory");
#elif defined(__aarch64__)
  asm volatile("dsb ish\n\tisb" : : : "memory");
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

/// A window under measurement: it says of each id whether it is known, and remembers it. The call is virtual once in a thousand ids.
class Subject {
 public:
  virtual ~Subject() = default;
  virtual void one_by_one(std::span<const EventId> ids, std::uint8_t* known) = 0;
  virtual void one_at_a_time(std::span<const EventId> ids, std::uint8_t* known) {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      one_by_one(ids.subspan(i, 1), known + i);
      complete();
    }
  }
  virtual void batched(std::span<const EventId> ids, std::uint8_t* known) { one_by_one(ids, known); }
  /// What it holds, as it says itself; 0: it does not say.
  [[nodiscard]] virtual std::size_t bytes() const { return 0; }
};

constexpr std::size_t batch_size = 16;

/// A strategy: what is fresh is committed at once, by its lease where there is one.
template <pulse::Dedup D>
class StrategySubject final : public Subject {
 public:
  template <class Make>
  StrategySubject(const Make& make, std::size_t window) : dedup_(make(window)) {}
  void one_by_one(std::span<const EventId> ids, std::uint8_t* known) override { each<false>(ids, known); }
  void one_at_a_time(std::span<const EventId> ids, std::uint8_t* known) override { each<true>(ids, known); }
  void batched(std::span<const EventId> ids, std::uint8_t* known) override {
    Claim claims[batch_size];
    Lease leases[batch_size]{};
    for (std::size_t from = 0; from < ids.size(); from += batch_size) {
      const std::size_t count = ids.size() - from < batch_size ? ids.size() - from : batch_size;
      pulse::detail::claim_inner(dedup_, ids.subspan(from, count), std::span{claims, count}, std::span{leases, count});
      for (std::size_t i = 0; i < count; ++i) {
        known[from + i] = claims[i] != Claim::fresh;
        if (claims[i] == Claim::fresh) {
          dedup_.commit(leases[i]);
        }
      }
    }
  }
  [[nodiscard]] std::size_t bytes() const override {
    if constexpr (requires { dedup_.bytes(); }) {
      return dedup_.bytes();
    } else {
      return 0;
    }
  }

 private:
  using Lease = pulse::detail::inner_lease<D>;
  template <bool alone>
  void each(std::span<const EventId> ids, std::uint8_t* known) {
    Lease lease{};
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const bool fresh = pulse::detail::claim_inner(dedup_, ids[i], lease) == Claim::fresh;
      known[i] = !fresh;
      if (fresh) {
        dedup_.commit(lease);
      }
      if constexpr (alone) {
        complete();
      }
    }
  }

  D dedup_;
};

template <class Window>
class PeerSubject final : public Subject {
 public:
  explicit PeerSubject(std::size_t window) : window_(window) {}
  void one_by_one(std::span<const EventId> ids, std::uint8_t* known) override { each<false>(ids, known); }
  void one_at_a_time(std::span<const EventId> ids, std::uint8_t* known) override { each<true>(ids, known); }

 private:
  template <bool alone>
  void each(std::span<const EventId> ids, std::uint8_t* known) {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      known[i] = window_.seen(ids[i]);
      if constexpr (alone) {
        complete();
      }
    }
  }

  Window window_;
};

/// Who takes part: made anew for each window size.
struct Contestant {
  std::string name;
  std::function<std::unique_ptr<Subject>(std::size_t window)> make;
  bool ours = false;                   ///< a strategy: compared with the peers
  bool batches = false;                ///< is also tried in batches
  bool exact = true;                   ///< one wrong answer ends the run
  std::size_t most = ~std::size_t{0};  ///< the largest window it is tried at
};

/// A strategy of `make(window)`, with one line in contestants.hpp.
template <class Make>
Contestant strategy(std::string name, Make make, std::size_t most = ~std::size_t{0}) {
  using D = decltype(make(std::size_t{1}));
  return {
      std::move(name), [make](std::size_t window) { return std::make_unique<StrategySubject<D>>(make, window); }, true, pulse::BatchedDedup<D>, D::exact, most};
}
template <class Window>
Contestant peer(std::string name) {
  return {std::move(name), [](std::size_t window) { return std::make_unique<PeerSubject<Window>>(window); }};
}

/// Bytes that the program holds on its heap now.
inline std::size_t heap() {
  const struct mallinfo2 facts = ::mallinfo2();
  return facts.uordblks + facts.hblkhd;
}

}  // namespace bench::dedup
