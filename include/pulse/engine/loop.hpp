// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "pulse/core/clock.hpp"
#include "pulse/core/error.hpp"
#include "pulse/engine/retry.hpp"

namespace pulse::inline v0_1::engine {

/// What to do when the group or its stream is gone (dropped, flushed, lost in a restart).
enum class GroupLost : std::uint8_t {
  fail,                   ///< stop with an error: somebody must look
  recreate_at_beginning,  ///< what is left in the stream is delivered again; dedup absorbs what its window knows
  recreate_at_end,        ///< what was published meanwhile is skipped
  /// Up to where the whole group had settled everything when this consumer looked last, once per round of claiming: what came after is delivered again,
  /// up to a claim_interval of events and whatever is behind the oldest one that was pending. At the beginning where it has not looked yet, or where
  /// the stream is seen to be another one than it was, or that cannot be told. Skips nothing of the same stream; what of another one that looks the
  /// same: docs/reference/redis.md. Where that may happen, recreate_at_beginning with a dedup window is safe.
  recreate_at_last_acked,
};

/// The most deliveries a batch may have.
inline constexpr std::size_t largest_batch = 65536;

/// Sizes and times of the loop; `check` says which are allowed.
struct LoopOptions {
  std::size_t batch = 100;                          ///< deliveries per receive, 1 to largest_batch
  std::chrono::milliseconds wait{1000};             ///< longest wait of one receive, 0: none, so `run` never sleeps; this and all below at most a day
  std::chrono::milliseconds claim_idle{30'000};     ///< an entry pending that long counts as abandoned, >= 1 ms
  std::chrono::milliseconds claim_interval{5'000};  ///< between two rounds of claiming, >= 1 ms
  std::chrono::milliseconds error_base{50};         ///< first pause after a backend error; doubles
  std::chrono::milliseconds error_cap{5'000};       ///< longest pause after backend errors
  std::chrono::milliseconds drain_deadline{5'000};  ///< from the request to stop until `stopped` at the latest
  GroupLost group_lost = GroupLost::fail;
};

/// What the host does next.
enum class Step : std::uint8_t {
  receive,    ///< read up to `batch` deliveries, waiting up to `wait`
  claim,      ///< take over abandoned entries
  subscribe,  ///< make the group anew, then go on
  pause,      ///< do nothing for `wait`
  drain,      ///< settle and flush within `wait`, as often as it takes, then report `drained`
  stopped,    ///< nothing any more
};

/// A step, and how long it may take.
struct Action {
  Step step = Step::stopped;
  std::chrono::milliseconds wait{0};
};

/// The consumer's loop as a state machine: it is told what happened and when, and says what to do next. It does no I/O, reads no
/// clock and names no policy, so every schedule of it can be tested in microseconds. One thread.
class Loop {
 public:
  explicit Loop(const LoopOptions& options, std::uint64_t seed) noexcept : options_(options), random_(seed) {}

  [[nodiscard]] Action next(SteadyTime now) noexcept {
    Action action = peek(now);
    if (action.step == Step::receive) {
      action.wait = std::min(action.wait, options_.wait);
      just_claimed_ = false;
    }
    return action;
  }

  /// What `next` would say to a host that waits by itself, and nothing changes: where `wait` is 0, which would keep the host awake for ever, it may
  /// sleep until the next claim.
  [[nodiscard]] Action peek(SteadyTime now) const noexcept {
    if (state_ == State::stopped) {
      return {Step::stopped, {}};
    }
    if (state_ == State::draining) {
      return {Step::drain, remaining(now, drain_until_)};
    }
    if (now < paused_until_) {
      return {Step::pause, remaining(now, paused_until_)};
    }
    if (resubscribe_) {
      return {Step::subscribe, {}};
    }
    // Claiming takes turns with receiving: a long backlog of abandoned entries must not starve new ones, nor the reverse. After a failure
    // a receive must succeed first: a claim that has nothing to ask the server for would make the pauses short again.
    if (now >= next_claim_ && !just_claimed_ && failures_ == 0) {
      return {Step::claim, {}};
    }
    const std::chrono::milliseconds until_claim = remaining(now, next_claim_);
    return {Step::receive, options_.wait.count() > 0 ? std::min(options_.wait, until_claim) : until_claim};
  }

  void received(std::size_t) noexcept { healthy(); }

  /// `more`: the cursor has not come round, so eligible entries may lie ahead.
  void claimed(std::size_t count, bool more, SteadyTime now) noexcept {
    just_claimed_ = true;
    if (more && count > 0) {
      return;  // it stays due: in turn with receive
    }
    // An empty page in the middle of a scan: go on soon, but not as fast as the server answers.
    const auto base = more ? std::max(options_.claim_interval / 20, std::chrono::milliseconds{1}) : options_.claim_interval;
    // +-20 %, or the members of a group that started together would claim together for ever.
    const auto spread = static_cast<std::uint64_t>(base.count()) * 2 / 5;
    next_claim_ = now + base - std::chrono::milliseconds{spread / 2} + std::chrono::milliseconds{random_.up_to(spread)};
  }

  void subscribed() noexcept {
    resubscribe_ = false;
    healthy();
  }

  /// Returns whether the loop goes on. When it does not, the error is the caller's to report.
  bool failed(ErrorCode code, SteadyTime now) noexcept {
    if (code == ErrorCode::no_group && options_.group_lost != GroupLost::fail) {
      resubscribe_ = true;
    } else if (!passes(code)) {
      state_ = State::stopped;
      return false;
    }
    ++failures_;
    // Full jitter: after a restart of the server its clients come back spread over the whole pause.
    const auto ceiling = ExponentialBackoff::bounded(options_.error_base, options_.error_cap, failures_);
    paused_until_ = now + std::chrono::milliseconds{1 + random_.up_to(static_cast<std::uint64_t>(ceiling))};
    return true;
  }

  /// Whether an error of that code may be gone at the next attempt.
  [[nodiscard]] static constexpr bool passes(ErrorCode code) noexcept {
    return code == ErrorCode::unavailable || code == ErrorCode::protocol || code == ErrorCode::capacity;
  }

  void request_stop(SteadyTime now) noexcept {
    if (state_ == State::running) {
      state_ = State::draining;
      drain_until_ = now + options_.drain_deadline;
    }
  }

  void drained() noexcept { state_ = State::stopped; }

  [[nodiscard]] bool stopping() const noexcept { return state_ != State::running; }
  [[nodiscard]] bool stopped() const noexcept { return state_ == State::stopped; }
  [[nodiscard]] std::uint64_t failures_in_a_row() const noexcept { return failures_; }

 private:
  enum class State : std::uint8_t { running, draining, stopped };

  static std::chrono::milliseconds remaining(SteadyTime now, SteadyTime until) noexcept {
    return until <= now ? std::chrono::milliseconds{0} : std::chrono::ceil<std::chrono::milliseconds>(until - now);
  }

  void healthy() noexcept { failures_ = 0; }

  LoopOptions options_;
  detail::SplitMix64 random_;
  SteadyTime next_claim_{};  // the epoch: the first step looks for abandoned entries
  SteadyTime paused_until_{};
  SteadyTime drain_until_{};
  std::uint64_t failures_ = 0;
  State state_ = State::running;
  bool just_claimed_ = false;
  bool resubscribe_ = false;
};

/// Checks the options, and the budget: the entries of a batch age in the pending list while those before them are handled, so without
/// a heartbeat batch * handler_deadline must stay below claim_idle, or other members claim what is still in the queue here. With `prefetch`
/// one batch more waits, and no heartbeat reaches it.
[[nodiscard]] inline Status check(const LoopOptions& options, std::chrono::milliseconds handler_deadline, std::chrono::milliseconds heartbeat,
                                  bool prefetch = false) {
  const auto fail = [](std::string text) { return Status{Error{ErrorCode::config, std::move(text)}}; };
  const auto ms = [](std::chrono::milliseconds value) { return std::to_string(value.count()) + " ms"; };
  if (options.batch < 1 || options.batch > largest_batch) {
    return fail("ConsumerOptions.loop.batch is " + std::to_string(options.batch) + ": allowed are 1 to " + std::to_string(largest_batch));
  }
  const struct {
    const char* name;
    std::chrono::milliseconds value;
    std::int64_t least;
  } times[] = {{"loop.wait", options.wait, 0},
               {"loop.claim_idle", options.claim_idle, 1},
               {"loop.claim_interval", options.claim_interval, 1},
               {"loop.error_base", options.error_base, 1},
               {"loop.error_cap", options.error_cap, 1},
               {"loop.drain_deadline", options.drain_deadline, 0},
               {"heartbeat", heartbeat, 0},
               {"handler_deadline", handler_deadline, 0}};
  constexpr std::chrono::milliseconds most = std::chrono::hours{24};
  for (const auto& time : times) {
    if (time.value.count() < time.least || time.value > most) {
      return fail("ConsumerOptions." + std::string(time.name) + " is " + ms(time.value) + ": allowed are " + std::to_string(time.least) + " ms to " + ms(most));
    }
  }
  if (heartbeat.count() > 0 && heartbeat * 2 > options.claim_idle) {
    return fail("ConsumerOptions.heartbeat is " + ms(heartbeat) + ": it must be at most half of claim_idle (" + ms(options.claim_idle) +
                "), or one late beat loses the lease");
  }
  const std::size_t ahead = options.batch * ((heartbeat.count() == 0 ? 1U : 0U) + (prefetch ? 1U : 0U));
  if (ahead > 0 && handler_deadline * static_cast<std::int64_t>(ahead) >= options.claim_idle) {
    return fail("batch (" + std::to_string(options.batch) + (ahead > options.batch ? ", twice with prefetch" : "") + ") x handler_deadline (" +
                ms(handler_deadline) + ") is not below claim_idle (" + ms(options.claim_idle) +
                "): other members would claim entries that still wait here; make the batch smaller, claim_idle longer, or " +
                (prefetch ? "do without prefetch" : "set a heartbeat"));
  }
  return {};
}

}  // namespace pulse::inline v0_1::engine
