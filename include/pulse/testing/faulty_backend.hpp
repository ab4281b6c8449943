// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/concept/backend.hpp"
#include "pulse/detail/random.hpp"

/// Tools for the tests of who uses Pulse, or writes a policy for it. See docs/reference/backend.md
namespace pulse::inline v0_1::testing {

/// How often calls fail.
struct FaultOdds {
  std::uint32_t one_in = 8;  ///< calls; half of those that fail are refused, half are done with the reply lost. 0: none
  std::uint64_t seed = 1;    ///< equal seeds and equal calls fail alike
};

/// The faults of one FaultyBackend and of its subscriptions. Thread safety: all of it.
class FaultSource {
 public:
  enum class Fate : std::uint8_t { done, refused, reply_lost };

  explicit FaultSource(const FaultOdds& odds) noexcept : seed_(odds.seed), one_in_(odds.one_in) {}

  /// Of the next call.
  [[nodiscard]] Fate next() noexcept {
    const std::uint32_t one_in = one_in_.load(std::memory_order_relaxed);
    detail::SplitMix64 random{seed_ + 0x9e3779b97f4a7c15ULL * calls_.fetch_add(1, std::memory_order_relaxed)};
    const std::uint64_t drawn = random();
    if (one_in == 0 || (drawn >> 1) % one_in != 0) {
      return Fate::done;
    }
    injected_.fetch_add(1, std::memory_order_relaxed);
    return drawn % 2 == 0 ? Fate::refused : Fate::reply_lost;
  }
  void set_one_in(std::uint32_t one_in) noexcept { one_in_.store(one_in, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t injected() const noexcept { return injected_.load(std::memory_order_relaxed); }

  [[nodiscard]] static Error error(Fate fate) {
    return Error{ErrorCode::unavailable, fate == Fate::refused ? "injected: refused" : "injected: done, and the reply is lost"};
  }

 private:
  const std::uint64_t seed_;
  std::atomic<std::uint32_t> one_in_;
  std::atomic<std::uint64_t> calls_{0};
  std::atomic<std::uint64_t> injected_{0};
};

template <class B>
class FaultySubscription;

/// Another backend whose calls fail now and then, as a network's do: refused, or done with the reply lost. What must hold all the same
/// is at-least-once: run a consumer over it and count.
///
///     pulse::testing::FaultyBackend faulty{backend, {.one_in = 5, .seed = 7}};
///     pulse::Consumer consumer{faulty, pulse::SeenSet{}, pulse::NoMetrics{}, handler};
///
/// After a read whose reply is lost the next one subscribes anew under the same name, as after a lost connection, so that what was handed
/// over unseen comes back. `wake`, `state` and `health` never fail. Refers to the backend, which must outlive it. Thread safety: as the
/// backend's.
template <class B>
class FaultyBackend {
 public:
  using payload_type = typename B::payload_type;
  using subscription_type = FaultySubscription<B>;
  static constexpr Capabilities capabilities = B::capabilities;

  explicit FaultyBackend(B& backend, const FaultOdds& odds = {}) : backend_(backend), faults_(std::make_shared<FaultSource>(odds)) {}

  Result<subscription_type> subscribe(const SubscribeOptions& options) {
    if (const auto fate = faults_->next(); fate != FaultSource::Fate::done) {
      if (fate == FaultSource::Fate::reply_lost) {
        (void)backend_.subscribe(options);
      }
      return FaultSource::error(fate);
    }
    auto made = backend_.subscribe(options);
    if (!made) {
      return std::move(made).error();
    }
    return subscription_type{backend_, options, std::move(*made), faults_};
  }

  Result<EntryId> publish(std::string_view stream, payload_type payload) {
    const auto fate = faults_->next();
    if (fate == FaultSource::Fate::refused) {
      return FaultSource::error(fate);
    }
    Result<EntryId> published = backend_.publish(stream, std::move(payload));
    if (published && fate == FaultSource::Fate::reply_lost) {
      return FaultSource::error(fate);
    }
    return published;
  }
  [[nodiscard]] BackendHealth health() const { return backend_.health(); }

  /// How often calls fail from now on; 0: never again.
  void set_one_in(std::uint32_t one_in) noexcept { faults_->set_one_in(one_in); }
  /// Calls that failed.
  [[nodiscard]] std::uint64_t injected() const noexcept { return faults_->injected(); }

 private:
  B& backend_;
  std::shared_ptr<FaultSource> faults_;
};

/// A member of a group of a FaultyBackend.
template <class B>
class FaultySubscription {
  using Inner = typename B::subscription_type;
  using Fate = FaultSource::Fate;

 public:
  using delivery_type = typename Inner::delivery_type;

  FaultySubscription(B& backend, const SubscribeOptions& options, Inner inner, std::shared_ptr<FaultSource> faults)
      : backend_(&backend), options_(options), inner_(std::make_unique<Inner>(std::move(inner))), faults_(std::move(faults)) {}

  Result<Batch<delivery_type>> receive(std::size_t max, std::chrono::milliseconds wait) {
    return read([&] { return inner_->receive(max, wait); });
  }
  Result<Batch<delivery_type>> claim_stale(std::chrono::milliseconds min_idle, std::size_t max) {
    return read([&] { return inner_->claim_stale(min_idle, max); });
  }
  Status settle(const Settlement& settlement) {
    return call([&] { return inner_->settle(settlement); });
  }
  Status flush(std::chrono::milliseconds wait) {
    return call([&] { return inner_->flush(wait); });
  }
  template <class Lost>
  Status extend(std::size_t first, std::size_t last, Lost lost) {
    const Fate fate = faults_->next();
    if (fate == Fate::refused) {
      return FaultSource::error(fate);
    }
    if (fate == Fate::reply_lost) {
      (void)inner_->extend(first, last, [](std::size_t) {});
      return FaultSource::error(fate);
    }
    return inner_->extend(first, last, lost);
  }
  void wake() {
    const std::lock_guard lock{*mutex_};
    inner_->wake();
  }
  Result<GroupState> state(std::size_t stream) { return inner_->state(stream); }

 private:
  template <class F>
  Result<Batch<delivery_type>> read(F f) {
    if (lost_) {
      auto again = backend_->subscribe(options_);
      if (!again) {
        return std::move(again).error();
      }
      const std::lock_guard lock{*mutex_};
      inner_ = std::make_unique<Inner>(std::move(*again));
      lost_ = false;
    }
    const Fate fate = faults_->next();
    if (fate == Fate::done) {
      return f();
    }
    if (fate == Fate::reply_lost) {
      (void)f();
      lost_ = true;
    }
    return FaultSource::error(fate);
  }
  template <class F>
  Status call(F f) {
    const Fate fate = faults_->next();
    if (fate == Fate::refused) {
      return FaultSource::error(fate);
    }
    Status done = f();
    return done && fate == Fate::reply_lost ? Status{FaultSource::error(fate)} : std::move(done);
  }

  B* backend_;
  SubscribeOptions options_;
  std::unique_ptr<Inner> inner_;
  std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();  // guards inner_ against wake
  std::shared_ptr<FaultSource> faults_;
  bool lost_ = false;
};

}  // namespace pulse::inline v0_1::testing
