// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "pulse/concept/clock.hpp"
#include "pulse/control/rate_gate.hpp"
#include "pulse/core/config.hpp"
#include "pulse/core/stop.hpp"

namespace pulse::inline v0_1 {

/// Paces providers: a token bucket each, whose refill follows a scale, with a cooldown and a circuit breaker. A RateController.
///
/// Laws: over any time t no more than the integral of refill_rate * scale over t, plus the burst, is granted; at scale 0 nothing is,
/// whatever is in the bucket; once the scale is s > 0 (and neither cooldown nor circuit stand against it) n tokens are granted within
/// n / (refill_rate * s). The effective scale is the smaller of the provider's own and that of the global pressure. Failures and timeouts
/// never raise a rate, and a half-open circuit's probe is bound by the scale like everything else.
///
/// Callers of one provider are served in the order they came; try_acquire does not overtake who waits.
/// Thread safety: all of it, but that nobody may wait in it when it is destroyed. Bound: as many providers as are registered.
template <Clock Clk = SystemClock>
class RateCoordinator {
 public:
  /// `pressure`: the scales that set_global_pressure applies. Its other members are not used.
  explicit RateCoordinator(Clk clock = {}, FeedbackSettings pressure = {}) : clock_(std::move(clock)), pressure_(std::move(pressure)) {}
  RateCoordinator(const RateCoordinator&) = delete;
  RateCoordinator& operator=(const RateCoordinator&) = delete;

  /// A new provider, its bucket full, at scale 1. Errors: config, for a name that is empty or taken, or an option out of its range.
  Status register_provider(std::string_view name, const ProviderOptions& options) {
    if (!detail::is_name(name, true)) {
      return detail::bad_value("the provider's name", name, "a name of 1 to 128 printable bytes");
    }
    if (Status checked = check(options); !checked) {
      return Error{ErrorCode::config, "provider " + detail::shown(name) + ": " + checked.error().message};
    }
    const std::lock_guard lock{mutex_};
    if (!providers_.try_emplace(std::string(name), options, clock_.steady(), pressure_scale_).second) {
      return Error{ErrorCode::config, "provider " + detail::shown(name) + " is registered already"};
    }
    return {};
  }

  /// Takes n tokens if they are there now.
  /// Errors: capacity (not enough tokens), unavailable (paused, cooling down, circuit open), not_found, config (n is 0 or above the burst).
  Status try_acquire(std::string_view name, std::uint32_t n = 1) {
    const std::lock_guard lock{mutex_};
    Provider* const provider = find(name);
    if (Status checked = admissible(provider, name, n); !checked) {
      return checked;
    }
    const SteadyTime now = clock_.steady();
    if (!provider->queue.empty()) {
      return refused(provider->gate.barred(now), name);
    }
    const Refusal refusal = provider->gate.take(n, now);
    return refusal == Refusal::none ? Status{} : refused(refusal, name);
  }

  /// Takes n tokens, waiting for them until `deadline`. `stop` is a StopToken (ends the wait at once) or any StopTokenLike.
  /// Errors: as try_acquire at the deadline; stopped.
  template <StopTokenLike Stop = StopToken>
  Status acquire(std::string_view name, std::uint32_t n = 1, SteadyTime deadline = SteadyTime::max(), const Stop& stop = {}) {
    Provider* provider = nullptr;
    {
      const std::lock_guard lock{mutex_};
      provider = find(name);
      if (Status checked = admissible(provider, name, n); !checked) {
        return checked;
      }
    }  // providers are never removed: the pointer stays good
    const auto wake = [this, provider] {
      const std::lock_guard lock{mutex_};
      provider->changed.notify_all();
    };
    if constexpr (std::is_same_v<Stop, StopToken>) {
      const StopCallback on_stop{stop, wake};
      return wait(*provider, name, n, deadline, stop, std::chrono::hours{1});
    } else {
      return wait(*provider, name, n, deadline, stop, std::chrono::milliseconds{50});
    }
  }

  /// The provider's own scale. Who waits goes on at once when it rises. Errors: config (scale not within 0..1), not_found.
  Status set_budget_scale(std::string_view name, double scale, BackpressureLevel reason = BackpressureLevel::ok) {
    if (!(scale >= 0 && scale <= 1)) {
      return Error{ErrorCode::config, "provider " + detail::shown(name) + ": scale is " + detail::shown_number(scale) + "; allowed is 0 to 1"};
    }
    return with(name, [&](Provider& provider, SteadyTime now) {
      provider.gate.set_budget(scale, now);
      provider.reason = reason;
    });
  }

  /// Does what the adjustment says, in the order of the calls: that an older one does not follow a newer one is its maker's duty.
  /// Errors: throws std::invalid_argument where set_budget_scale gives an error.
  void apply(const RateAdjustment& adjustment) {
    if (const Status applied = set_budget_scale(adjustment.provider, adjustment.scale, adjustment.reason); !applied) {
      throw std::invalid_argument(applied.error().message);
    }
  }

  /// Holds all providers, those registered later too, at no more than the level's scale. Errors: config (no such level).
  Status set_global_pressure(BackpressureLevel level) {
    if (static_cast<unsigned>(level) >= enum_size<BackpressureLevel>) {
      return Error{ErrorCode::config, "the global pressure is none of ok, soft, hard"};
    }
    const double scale = pressure_.scale(level);
    if (!(scale >= 0 && scale <= 1)) {
      return Error{ErrorCode::config,
                   "the scale of global pressure " + std::string(name_of(level)) + " is " + detail::shown_number(scale) + "; allowed is 0 to 1"};
    }
    const std::lock_guard lock{mutex_};
    pressure_scale_ = scale;
    const SteadyTime now = clock_.steady();
    for (auto& [name, provider] : providers_) {
      provider.gate.set_pressure(scale, now);
      provider.changed.notify_all();
    }
    return {};
  }

  /// Grants nothing until the provider's cooldown has passed from now. Errors: not_found.
  Status trigger_cooldown(std::string_view name) {
    return with(name, [](Provider& provider, SteadyTime now) { provider.gate.cool_down(now); });
  }
  /// What a call to the provider came to. Errors: not_found.
  Status record_failure(std::string_view name) {
    return with(name, [](Provider& provider, SteadyTime now) { provider.gate.failed(now); });
  }
  Status record_success(std::string_view name) {
    return with(name, [](Provider& provider, SteadyTime now) { provider.gate.succeeded(now); });
  }

  /// Errors: not_found.
  [[nodiscard]] Result<ProviderState> provider_state(std::string_view name) const {
    const std::lock_guard lock{mutex_};
    const auto at = providers_.find(name);
    if (at == providers_.end()) {
      return unknown(name);
    }
    ProviderState state = at->second.gate.state(clock_.steady());
    state.reason = at->second.reason;
    state.waiting = at->second.queue.size();
    return state;
  }

 private:
  using Refusal = detail::RateGate::Refusal;

  struct Provider {
    Provider(const ProviderOptions& options, SteadyTime now, double pressure) : gate(options, now) { gate.set_pressure(pressure, now); }
    detail::RateGate gate;
    std::condition_variable changed;
    std::set<std::uint64_t> queue;  // tickets of who waits, in the order they came
    std::uint64_t next = 0;
    BackpressureLevel reason = BackpressureLevel::ok;
  };

  Provider* find(std::string_view name) {
    const auto at = providers_.find(name);
    return at == providers_.end() ? nullptr : &at->second;
  }

  static Error unknown(std::string_view name) { return {ErrorCode::not_found, "provider " + detail::shown(name) + " is not registered"}; }

  static Status admissible(const Provider* provider, std::string_view name, std::uint32_t n) {
    if (provider == nullptr) {
      return unknown(name);
    }
    if (n == 0 || n > provider->gate.capacity()) {
      return Error{ErrorCode::config, "provider " + detail::shown(name) + ": " + std::to_string(n) + " tokens asked for; allowed is 1 to its capacity, " +
                                          detail::shown_number(provider->gate.capacity())};
    }
    return {};
  }

  static Error refused(Refusal refusal, std::string_view name) {
    const std::string who = "provider " + detail::shown(name);
    switch (refusal) {
      case Refusal::paused: return {ErrorCode::unavailable, who + " is paused: its scale is 0"};
      case Refusal::cooling: return {ErrorCode::unavailable, who + " cools down"};
      case Refusal::open: return {ErrorCode::unavailable, who + ": its circuit is open"};
      case Refusal::tokens: return {ErrorCode::capacity, who + ": not enough tokens now"};
      default: return {ErrorCode::capacity, who + ": others wait already"};
    }
  }

  template <class F>
  Status with(std::string_view name, F&& f) {
    const std::lock_guard lock{mutex_};
    Provider* const provider = find(name);
    if (provider == nullptr) {
      return unknown(name);
    }
    f(*provider, clock_.steady());
    provider->changed.notify_all();
    return {};
  }

  template <class Stop>
  Status wait(Provider& provider, std::string_view name, std::uint32_t n, SteadyTime deadline, const Stop& stop, std::chrono::nanoseconds look) {
    std::unique_lock lock{mutex_};
    const std::uint64_t ticket = provider.next++;
    provider.queue.insert(ticket);
    std::optional<Error> error;
    while (true) {
      if (stop.stop_requested()) {
        error = Error{ErrorCode::stopped, "provider " + detail::shown(name) + ": asked to stop while waiting"};
        break;
      }
      const SteadyTime now = clock_.steady();
      const bool turn = *provider.queue.begin() == ticket;
      const Refusal refusal = turn ? provider.gate.take(n, now) : provider.gate.barred(now);
      if (turn && refusal == Refusal::none) {
        break;
      }
      if (now >= deadline) {
        error = refused(refusal, name);
        break;
      }
      SteadyTime until = std::min(deadline, now + look);
      if (turn) {
        until = std::min(until, provider.gate.next_chance(n, now));
      }
      clock_.wait_until(provider.changed, lock, until);
    }
    provider.queue.erase(ticket);
    provider.changed.notify_all();  // whose turn it is now
    return error ? Status{std::move(*error)} : Status{};
  }

  mutable std::mutex mutex_;
  Clk clock_;
  FeedbackSettings pressure_;
  double pressure_scale_ = 1;
  std::map<std::string, Provider, std::less<>> providers_;
};

}  // namespace pulse::inline v0_1
