// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/concept/clock.hpp"
#include "pulse/concept/controller.hpp"
#include "pulse/concept/metrics.hpp"
#include "pulse/concept/observer.hpp"
#include "pulse/core/config.hpp"
#include "pulse/detail/refuse.hpp"

namespace pulse::inline v0_1 {

/// How FeedbackHandler sees the coordinators. Each bound has its reason beside it.
struct FeedbackOptions {
  std::chrono::nanoseconds expire_after = std::chrono::seconds{60};  ///< more than 0; a coordinator not heard from for so long counts as `expired_level`
  BackpressureLevel expired_level = BackpressureLevel::ok;
  std::chrono::nanoseconds max_skew = std::chrono::minutes{5};  ///< 0 or more; how far ahead of the wall clock a `ts` is believed
  std::size_t max_coordinators = 1024;                          ///< 1 or more; beyond, the one not heard from for longest is forgotten, with its newest `ts`
};

/// What a FeedbackHandler does with an adjustment besides applying it: nothing.
struct IgnoreAdjustment {
  void operator()(const RateAdjustment&) const noexcept {}
};

/// A FeedbackEvent of either track that owns its text or looks at it.
template <class E>
concept FeedbackLike = requires(const E& event) {
  { event.coordinator_id } -> std::convertible_to<std::string_view>;
  { event.source } -> std::convertible_to<std::string_view>;
  { event.level } -> std::convertible_to<BackpressureLevel>;
  { event.ts } -> std::convertible_to<double>;
  { event.queue_size } -> std::convertible_to<std::int64_t>;
};

/// Maps back-pressure to the rate of a provider: a FeedbackEvent in, a RateAdjustment to the controller out.
///
///  - Per coordinator the newest `ts` counts: an older event is `stale`, the same `ts` again is applied again (its delivery may have
///    failed after half the work).
///  - Of several coordinators the worst level wins; one that is silent for `expire_after` counts as `expired_level`. Silence is measured
///    by when an event arrived, on the monotonic clock; `tick()` notices it between events.
///  - A `ts` more than `max_skew` ahead of the wall clock counts as of its arrival, so that one wrong clock freezes nobody; among such
///    events the order of their `ts` still holds, until it was silent for `expire_after`. A `ts` ahead by less is believed, and hides older ones for at most
///    `max_skew`.
///
/// `on_adjustment(adjustment)` is called after each change of level or scale was applied: to publish it, say. When it throws, the
/// event is retried and the call repeated.
///
/// Requires: check(settings); controller and metrics outlive it. Refers to both.
/// Complexity: linear in the coordinators known. Thread safety: one thread at a time. Steady state allocates nothing.
template <class C, class M, class Clk = SystemClock, class Event = FeedbackEvent, class OnAdjustment = IgnoreAdjustment>
class FeedbackHandler {
  static_assert(RateController<C>, "pulse: FeedbackHandler needs a controller with `apply(const pulse::RateAdjustment&)`. See docs/reference/controller.md");
  static_assert(assert_metrics<M>() && assert_clock<Clk>());

 public:
  using events = Events<Event>;

  /// Errors: std::invalid_argument for an option outside its bounds.
  FeedbackHandler(C& controller, M& metrics, FeedbackSettings settings = {}, Clk clock = {}, FeedbackOptions options = {}, OnAdjustment on_adjustment = {})
      : controller_(controller),
        metrics_(metrics),
        settings_(std::move(settings)),
        clock_(std::move(clock)),
        options_(checked(options)),
        on_adjustment_(std::move(on_adjustment)),
        provider_(metrics_.template slot<ProviderLabel>(settings_.provider)) {
    wanted_.provider = settings_.provider;
  }

  /// Errors: what the controller or `on_adjustment` throws; the event may then be handled again.
  template <FeedbackLike E>
  Verdict handle(const E& event) {
    if (!settings_.enable) {
      return Verdict::ack();
    }
    if (!std::isfinite(event.ts)) {
      return Verdict::dead_letter("ts is not a finite number");
    }
    if (static_cast<unsigned>(event.level) > static_cast<unsigned>(BackpressureLevel::hard)) {
      return Verdict::dead_letter("level is none of ok, soft, hard");
    }
    const SteadyTime now = clock_.steady();
    Coordinator* const known = find(event.coordinator_id);
    double ts = event.ts;
    bool ahead = false;
    if (const double wall = epoch_seconds(clock_.wall()); ts > wall + std::chrono::duration<double>(options_.max_skew).count()) {
      ahead = true;
      ts = wall;
      if (known != nullptr && known->has_ahead && event.ts <= known->ahead) {
        if (event.ts < known->ahead || known->ahead_as < known->ts) {
          return Verdict::stale();
        }
        ts = known->ahead_as;  // the same event again: of the same time as before
      }
    }
    if (known != nullptr && ts < known->ts) {
      if (!ahead) {
        return Verdict::stale();
      }
      ts = known->ts;  // the wall clock stepped back: what arrives later is still newer
    }
    Coordinator& coordinator = known != nullptr ? *known : admit(event.coordinator_id);
    coordinator.ts = ts;
    if (ahead) {
      coordinator.has_ahead = true;
      coordinator.ahead = event.ts;
      coordinator.ahead_as = ts;
    }
    coordinator.level = event.level;
    coordinator.heard = now;
    coordinator.expired = false;
    if constexpr (M::enabled) {
      metrics_.set(family::queue_depth, static_cast<double>(event.queue_size), metrics_.template slot<SourceLabel>(event.source));
    }
    adjust(worst(now), ts, true);
    return Verdict::ack();
  }

  template <FeedbackLike E, class Context>
  Verdict handle(const E& event, const Context&) {
    return handle(event);
  }

  /// Notices coordinators that fell silent, and tries again what could not be applied. To be called between polls, at least every
  /// few seconds. Errors: unavailable, when the controller or `on_adjustment` threw: the next call tries again.
  Status tick() { return expire(clock_.steady()); }

  /// The same at a time of the caller's choice.
  Status expire(SteadyTime now) {
    if (!settings_.enable || coordinators_.empty()) {
      return {};
    }
    try {
      adjust(worst(now), epoch_seconds(clock_.wall()), false);
    } catch (const std::exception& exception) {
      return Error{ErrorCode::unavailable, std::string("the rate could not be adjusted: ") + exception.what()};
    } catch (...) {
      return Error{ErrorCode::unavailable, "the rate could not be adjusted: an exception that is no std::exception"};
    }
    return {};
  }

  /// The level in force: the worst of the coordinators as of the last event or tick.
  [[nodiscard]] BackpressureLevel level() const noexcept { return wanted_.reason; }
  [[nodiscard]] std::size_t coordinators() const noexcept { return coordinators_.size(); }

 private:
  static FeedbackOptions checked(FeedbackOptions options) {
    if (options.expire_after.count() < 1) {  // else nobody would ever be heard, and nothing slowed
      detail::refuse("FeedbackOptions", "expire_after", std::to_string(options.expire_after.count()) + " ns", "1 ns and more");
    }
    if (options.max_skew.count() < 0) {
      detail::refuse("FeedbackOptions", "max_skew", std::to_string(options.max_skew.count()) + " ns", "0 ns and more");
    }
    if (options.max_coordinators < 1) {
      detail::refuse("FeedbackOptions", "max_coordinators", "0", "1 and more");
    }
    return options;
  }

  struct Coordinator {
    std::string id;
    double ts = 0;
    double ahead = 0;     // the greatest ts seen that was too far ahead,
    double ahead_as = 0;  // and the time it was taken for
    SteadyTime heard{};
    BackpressureLevel level = BackpressureLevel::ok;
    bool has_ahead = false;
    bool expired = false;
  };

  Coordinator* find(std::string_view id) noexcept {
    for (Coordinator& coordinator : coordinators_) {
      if (coordinator.id == id) {
        return &coordinator;
      }
    }
    return nullptr;
  }

  Coordinator& admit(std::string_view id) {
    if (coordinators_.size() < options_.max_coordinators) {
      return coordinators_.emplace_back(Coordinator{.id = std::string(id)});
    }
    Coordinator& oldest =
        *std::min_element(coordinators_.begin(), coordinators_.end(), [](const Coordinator& a, const Coordinator& b) { return a.heard < b.heard; });
    oldest.id = id;
    oldest.has_ahead = false;
    return oldest;
  }

  BackpressureLevel worst(SteadyTime now) noexcept {
    BackpressureLevel level = BackpressureLevel::ok;
    for (Coordinator& coordinator : coordinators_) {
      if (!coordinator.expired && now - coordinator.heard >= options_.expire_after) {
        coordinator.expired = true;
        coordinator.has_ahead = false;  // a single ts out of all reason must not make what a clock that is ahead says stale for ever
      }
      level = std::max(level, coordinator.expired ? options_.expired_level : coordinator.level);
    }
    return level;
  }

  /// `again`: apply even what is in force already, as a redelivery asks for.
  void adjust(BackpressureLevel level, double ts, bool again) {
    const bool change = !announced_ || level != wanted_.reason;
    if (!change && applied_ && !again) {
      return;
    }
    wanted_.reason = level;
    wanted_.scale = settings_.scale(level);
    wanted_.ts = announced_once_ ? std::max(wanted_.ts, ts) : ts;  // adjustments never go back in time
    announced_once_ = true;
    applied_ = false;
    announced_ = announced_ && !change;
    controller_.apply(std::as_const(wanted_));
    applied_ = true;
    if constexpr (M::enabled) {
      metrics_.set(family::rate_scale, wanted_.scale, provider_);
      metrics_.set(family::backpressure_state, static_cast<double>(level), provider_);
    }
    if (const bool paused = wanted_.scale == 0; paused != std::exchange(paused_, paused)) {
      if (paused) {
        detail::tell<notice::ProviderPaused>(metrics_, [&] { return notice::ProviderPaused{wanted_.provider}; });
      } else {
        detail::tell<notice::ProviderResumed>(metrics_, [&] { return notice::ProviderResumed{wanted_.provider, wanted_.scale}; });
      }
    }
    if (!announced_) {
      on_adjustment_(std::as_const(wanted_));
      announced_ = true;
    }
  }

  C& controller_;
  M& metrics_;
  FeedbackSettings settings_;
  [[no_unique_address]] Clk clock_;
  FeedbackOptions options_;
  [[no_unique_address]] OnAdjustment on_adjustment_;
  LabelSlot<ProviderLabel> provider_;
  std::vector<Coordinator> coordinators_;
  RateAdjustment wanted_{};
  bool applied_ = true;          // the controller has taken wanted_
  bool announced_ = false;       // on_adjustment_ has taken it
  bool announced_once_ = false;  // wanted_.ts is of an event
  bool paused_ = false;          // the scale in force is 0
};

}  // namespace pulse::inline v0_1
