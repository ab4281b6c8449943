// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>

#include "pulse/consumer/options.hpp"
#include "pulse/consumer/vitals.hpp"
#include "pulse/core/stop.hpp"
#include "pulse/engine/ledger.hpp"
#include "pulse/engine/loop.hpp"

/// How a consumer waits, and how it ends.
namespace pulse::inline v0_1::detail {

/// Calls `f` when a StopToken's source says stop, as long as the result lives; for other tokens `run` looks itself.
template <class Token, class F>
auto on_stop(const Token& token, F f) {
  if constexpr (std::is_same_v<Token, StopToken>) {
    return std::make_unique<StopCallback<F>>(token, std::move(f));
  } else {
    return std::nullptr_t{};
  }
}

/// Consumer::run: polls until it has stopped. `stop` is what a StopToken calls, `raise` what is done where the token itself is looked at.
template <class Token, class Poll, class Stop, class Raise, class Rest>
Status run_until(const Token& token, std::chrono::milliseconds wait, Poll poll, Stop stop, Raise raise, Rest rest) {
  const auto wake = on_stop(token, std::move(stop));
  const auto slice = std::is_same_v<Token, StopToken> ? wait : std::min(wait, std::chrono::milliseconds{50});
  while (true) {
    if (token.stop_requested()) {
      raise();
    }
    Result<PollReport> report = poll(slice);
    if (!report) {
      return std::move(report).error();
    }
    if (report->stopped) {
      return {};
    }
    if (report->pause.count() > 0) {
      rest(std::min(report->pause, slice));
    }
  }
}

/// Whether a batch waits for its claims.
template <class Held>
bool holds(const Held& held) noexcept {
  if constexpr (requires { held.has_value(); }) {
    return held.has_value();
  } else {
    return false;
  }
}

/// Consumer::arm: within what time a poll is due. `due`: at once, but for a pause that the loop keeps. What was watched before is watched on only
/// where the subscription armed: in a pause a reply that nobody reads yet would wake the host again and again.
template <class Subscription, class Ready>
Result<std::chrono::milliseconds> arm_until(bool due, engine::Action action, Subscription& subscription, std::size_t batch, Ready& ready) {
  if (action.step == engine::Step::receive && !due) {
    Result<std::chrono::milliseconds> armed = subscription.arm(batch, action.wait, ready);
    if (!armed) {
      ready.watch(-1);
    }
    return armed;
  }
  ready.watch(-1);
  return action.step == engine::Step::pause ? action.wait : std::chrono::milliseconds{0};
}

/// Of an error that passes, how long the loop rests.
inline Result<std::chrono::milliseconds> pause_of(Result<PollReport> failed) {
  return failed ? Result<std::chrono::milliseconds>{failed->pause} : Result<std::chrono::milliseconds>{std::move(failed).error()};
}

/// Settles what is in the ledger, and empties it. A remote window is told first: an ack whose mark is lost would let a duplicate pass.
template <class Dedup, class Subscription>
Status settle_batch(Dedup& dedup, Subscription& subscription, engine::Ledger& ledger, std::chrono::milliseconds deadline) {
  if constexpr (RemoteDedup<Dedup>) {
    if (Status told = dedup.flush(deadline); !told) {
      return told;
    }
  }
  Status settled = ledger.empty() ? Status{} : subscription.settle(ledger.settlement());
  if (settled) {
    ledger.clear();
  }
  return settled;
}

/// Says what a remote window, where it is one and `window`, and the backend have not been told yet, in this order, within one deadline.
template <class Dedup, class Subscription, class Clk>
Status flush_all(Dedup& dedup, Subscription& subscription, const Clk& clock, SteadyTime deadline, bool window) {
  const auto left = [&] { return std::max(std::chrono::ceil<std::chrono::milliseconds>(deadline - clock.steady()), std::chrono::milliseconds{0}); };
  Status told;
  if constexpr (RemoteDedup<Dedup>) {
    told = window ? dedup.flush(left()) : Status{};  // else it has just failed, or waits for what the backend has not taken
  }
  Status flushed = subscription.flush(left());
  return told ? std::move(flushed) : std::move(told);
}

/// What a consumer that stops still owes: said until it is taken, fails for good, or the deadline has come. One thread.
class LastWords {
 public:
  static constexpr std::chrono::milliseconds pause{10};

  /// One attempt. `settled`: what became of the last batch's settlement; where it failed, what was settled before is flushed all the same.
  template <class Dedup, class Subscription, class Clk, class Metrics>
  Result<PollReport> say(Status settled, Dedup& dedup, Subscription& subscription, const Clk& clock, SteadyTime deadline, engine::Loop& loop, Vitals& vitals,
                         Metrics& metrics, const SubscribeOptions& who) {
    Status flushed = flush_all(dedup, subscription, clock, deadline, settled.has_value());
    const Status said = settled ? std::move(flushed) : std::move(settled);
    if (const SteadyTime now = clock.steady(); !said && engine::Loop::passes(said.error().code) && now + pause < deadline) {
      if (!std::exchange(failed_, true)) {  // what is tried so often is told once
        metrics.add(family::backend_errors, 1);
        vitals.failed(metrics, said.error());
      }
      again_ = now + pause;
      return PollReport{.pause = pause};
    }
    loop.drained();
    if (!said) {
      return vitals.ended(metrics, said.error());
    }
    if (failed_) {
      vitals.clear(metrics);
    }
    tell<notice::Stopped>(metrics, [&] { return notice::Stopped{who.group, who.consumer}; });
    return PollReport{.stopped = true};
  }
  /// Within what time the next attempt is due.
  [[nodiscard]] std::chrono::milliseconds due(SteadyTime now) const noexcept {
    return std::max(std::chrono::ceil<std::chrono::milliseconds>(again_ - now), std::chrono::milliseconds{0});
  }

 private:
  SteadyTime again_{};
  bool failed_ = false;
};

/// Waits until notified, or for that long; a consumer that stops has no more time than its last words take.
template <class Clk>
void rest_for(std::chrono::milliseconds pause, const Clk& clock, std::condition_variable& wake, std::mutex& mutex, const std::atomic<bool>& stop) {
  std::unique_lock lock{mutex};
  clock.wait_until(wake, lock, clock.steady() + (stop.load(std::memory_order_relaxed) ? std::min(pause, LastWords::pause) : pause));
}

}  // namespace pulse::inline v0_1::detail
