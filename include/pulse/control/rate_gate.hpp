// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include "pulse/core/clock.hpp"
#include "pulse/core/describe.hpp"
#include "pulse/core/error.hpp"
#include "pulse/core/feedback.hpp"
#include "pulse/core/printable.hpp"

namespace pulse::inline v0_1 {

/// How a provider may be used.
struct ProviderOptions {
  double capacity = 1;                                                  ///< tokens that may be taken in one burst, 1 to 1e9
  double refill_rate = 1;                                               ///< tokens per second at scale 1, 1e-6 to 1e9
  std::chrono::nanoseconds cooldown = std::chrono::seconds{1};          ///< what trigger_cooldown waits, 0 to a day
  std::uint32_t breaker_threshold = 0;                                  ///< failures in a row that open the circuit; 0: there is no breaker
  std::chrono::nanoseconds breaker_timeout = std::chrono::seconds{30};  ///< from open to the probe, 1 ns to a day
};

/// closed: calls pass. open: none do. half_open: one probe passes, and the first call that is reported then decides.
enum class Circuit : std::uint8_t { closed, open, half_open };

/// The names of a circuit's states.
template <>
struct DescribeEnum<Circuit> {
  static constexpr std::string_view names[] = {"closed", "open", "half_open"};
};

/// A provider as it stands.
struct ProviderState {
  double scale = 1;         ///< in force: the smaller of the next two
  double budget_scale = 1;  ///< its own
  double pressure_scale = 1;
  BackpressureLevel reason = BackpressureLevel::ok;  ///< that came with its own scale
  double tokens = 0;
  Circuit circuit = Circuit::closed;
  std::uint32_t failures = 0;  ///< in a row
  std::chrono::nanoseconds cooldown_left{0};
  std::size_t waiting = 0;  ///< callers of acquire
};

/// Errors: config, naming the option, its value and what is allowed.
[[nodiscard]] inline Status check(const ProviderOptions& options) {
  const auto wrong = [](const char* name, const std::string& value, const char* allowed) {
    return Error{ErrorCode::config, std::string(name) + " is " + value + "; allowed is " + allowed};
  };
  constexpr std::chrono::nanoseconds day = std::chrono::hours{24};
  if (!(options.capacity >= 1 && options.capacity <= 1e9)) {  // refuses NaN too
    return wrong("capacity", detail::shown_number(options.capacity), "1 to 1e9");
  }
  if (!(options.refill_rate >= 1e-6 && options.refill_rate <= 1e9)) {
    return wrong("refill_rate", detail::shown_number(options.refill_rate), "1e-6 to 1e9 a second");
  }
  if (options.cooldown.count() < 0 || options.cooldown > day) {
    return wrong("cooldown", std::to_string(options.cooldown.count()) + " ns", "0 to a day");
  }
  if (options.breaker_timeout.count() < 1 || options.breaker_timeout > day) {
    return wrong("breaker_timeout", std::to_string(options.breaker_timeout.count()) + " ns", "1 ns to a day");
  }
  return {};
}

namespace detail {

/// One provider's bucket, cooldown and circuit, as a function of the time it is told. Not thread-safe. Requires: time does not go back.
class RateGate {
 public:
  enum class Refusal : std::uint8_t { none, paused, cooling, open, tokens };

  RateGate(const ProviderOptions& options, SteadyTime now) : options_(options), tokens_(options.capacity), at_(now), cool_until_(now) {}

  [[nodiscard]] double capacity() const noexcept { return options_.capacity; }
  [[nodiscard]] double scale() const noexcept { return std::min(budget_, pressure_); }

  /// Why nobody is granted anything now, however few; none: it is a matter of tokens.
  [[nodiscard]] Refusal barred(SteadyTime now) const noexcept {
    return scale() <= 0                                     ? Refusal::paused
           : now < cool_until_                              ? Refusal::cooling
           : circuit_ != Circuit::closed && now < probe_at_ ? Refusal::open
                                                            : Refusal::none;
  }

  /// Takes n tokens, or says why not. A half-open circuit's single probe is granted here.
  Refusal take(std::uint32_t n, SteadyTime now) noexcept {
    if (const Refusal why = barred(now); why != Refusal::none) {
      return why;
    }
    const double tokens = tokens_at(now);
    if (tokens < static_cast<double>(n)) {
      return Refusal::tokens;
    }
    if (circuit_ != Circuit::closed) {
      circuit_ = Circuit::half_open;
      probe_at_ = now + options_.breaker_timeout;  // a probe nobody reports on must not shut the circuit for good: then the next one goes
    }
    tokens_ = tokens - static_cast<double>(n);
    at_ = now;
    return Refusal::none;
  }

  /// The earliest time at which `take` may grant n tokens if nothing else changes.
  [[nodiscard]] SteadyTime next_chance(std::uint32_t n, SteadyTime now) const noexcept {
    constexpr double hour = 3600e9;
    if (scale() <= 0) {
      return now + std::chrono::hours{1};
    }
    const double missing = static_cast<double>(n) - tokens_at(now);
    const double wait = missing <= 0 ? 0 : std::min(hour, missing / (options_.refill_rate * scale()) * 1e9);
    SteadyTime at = now + std::chrono::nanoseconds{static_cast<std::int64_t>(std::ceil(wait))};
    at = std::max(at, cool_until_);
    return circuit_ == Circuit::closed ? at : std::max(at, probe_at_);
  }

  void set_budget(double scale, SteadyTime now) noexcept {
    settle(now);
    budget_ = scale;
  }
  void set_pressure(double scale, SteadyTime now) noexcept {
    settle(now);
    pressure_ = scale;
  }
  void cool_down(SteadyTime now) noexcept { cool_until_ = std::max(cool_until_, now + options_.cooldown); }

  void failed(SteadyTime now) noexcept {
    if (options_.breaker_threshold == 0) {
      return;
    }
    failures_ += failures_ < ~std::uint32_t{0} ? 1 : 0;
    // While open, failures of calls from before do not put the probe off: else a slow provider never gets one.
    if (circuit_ == Circuit::half_open || (circuit_ == Circuit::closed && failures_ >= options_.breaker_threshold)) {
      circuit_ = Circuit::open;
      probe_at_ = now + options_.breaker_timeout;
    }
  }

  void succeeded(SteadyTime) noexcept {
    if (circuit_ == Circuit::open) {
      return;  // a call from before: only a probe closes it
    }
    circuit_ = Circuit::closed;
    failures_ = 0;
  }

  [[nodiscard]] ProviderState state(SteadyTime now) const noexcept {
    ProviderState state;
    state.scale = scale();
    state.budget_scale = budget_;
    state.pressure_scale = pressure_;
    state.tokens = tokens_at(now);
    state.circuit = circuit_;
    state.failures = failures_;
    state.cooldown_left = now < cool_until_ ? cool_until_ - now : std::chrono::nanoseconds{0};
    return state;
  }

 private:
  // From an anchor, not by adding up: many looks must not lose tokens to rounding.
  [[nodiscard]] double tokens_at(SteadyTime now) const noexcept {
    const double seconds = std::chrono::duration<double>(std::max(now, at_) - at_).count();
    return std::min(options_.capacity, tokens_ + seconds * options_.refill_rate * scale());
  }
  void settle(SteadyTime now) noexcept {
    tokens_ = tokens_at(now);
    at_ = std::max(now, at_);
  }

  ProviderOptions options_;
  double tokens_;  // at at_
  SteadyTime at_;
  SteadyTime cool_until_;
  SteadyTime probe_at_{};
  double budget_ = 1;
  double pressure_ = 1;
  std::uint32_t failures_ = 0;
  Circuit circuit_ = Circuit::closed;
};

}  // namespace detail

}  // namespace pulse::inline v0_1
