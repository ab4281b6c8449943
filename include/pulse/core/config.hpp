// SPDX-License-Identifier: MIT
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

#include "pulse/core/describe.hpp"
#include "pulse/core/error.hpp"
#include "pulse/core/feedback.hpp"
#include "pulse/core/printable.hpp"
#include "pulse/core/redis_url.hpp"

namespace pulse::inline v0_1 {

/// How a back-pressure level becomes the scale of a provider's rate. Scales are shares of the full rate, 0 (paused) to 1.
struct FeedbackSettings {
  bool enable = true;             ///< false: feedback is acknowledged without effect
  std::string provider = "ibkr";  ///< whose rate follows
  double scale_ok = 1.0;
  double scale_soft = 0.5;
  double scale_hard = 0.0;

  [[nodiscard]] double scale(BackpressureLevel level) const noexcept {
    return level == BackpressureLevel::ok ? scale_ok : level == BackpressureLevel::soft ? scale_soft : scale_hard;
  }
};

/// Whether the settings make sense: a provider is named, each scale is within 0..1, and a worse level has no greater scale.
/// Errors: config, naming what is wrong and what is allowed.
[[nodiscard]] Status check(const FeedbackSettings& settings);

namespace detail {
struct SystemEnvironment {
  const char* operator()(const char* name) const noexcept { return std::getenv(name); }
};
}  // namespace detail

/// What the environment says. Reference: docs/reference/configuration.md
struct PulseConfig {
  bool enabled = true;                                 ///< PULSE_ENABLED
  std::string backend = "inmem";                       ///< EVENT_BUS_BACKEND; which names there are is known to Runtime only
  std::string redis_url = "redis://localhost:6379/0";  ///< REDIS_URL; print it by `redacted` only
  std::string name_space = "mdp";                      ///< MD_NAMESPACE
  Track track = Track::v1;                             ///< SCHEMA_TRACK
  std::string group = "pipeline";                      ///< PULSE_GROUP, for `SubscribeOptions::group`
  std::string consumer = "consumer-1";                 ///< PULSE_CONSUMER, for `SubscribeOptions::consumer`
  std::string publisher_token;                         ///< PUBLISHER_TOKEN; never printed
  FeedbackSettings feedback{};                         ///< MDP_FB_*

  /// Reads the environment. A variable that is not set, or empty, takes its default.
  /// Errors: config, for the first bad value: names the variable, the value (never a secret) and what is allowed.
  ///
  /// `lookup(name)`, where given, is asked instead; it returns `const char*`: nullptr where the variable is not set.
  template <class Lookup = detail::SystemEnvironment>
  [[nodiscard]] static Result<PulseConfig> from_env(Lookup&& lookup = {});
};

namespace detail {

inline Error bad_value(std::string_view name, std::string_view value, std::string_view allowed) {
  return {ErrorCode::config, std::string(name) + " is " + shown(value) + "; allowed is " + std::string(allowed)};
}

constexpr bool same_word(std::string_view text, std::string_view lower) noexcept {
  if (text.size() != lower.size()) {
    return false;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + ('a' - 'A')) : text[i];
    if (c != lower[i]) {
      return false;
    }
  }
  return true;
}

constexpr bool parse_flag(std::string_view text, bool& out) noexcept {
  for (const std::string_view word : {"true", "1", "yes", "on"}) {
    if (same_word(text, word)) {
      out = true;
      return true;
    }
  }
  for (const std::string_view word : {"false", "0", "no", "off"}) {
    if (same_word(text, word)) {
      out = false;
      return true;
    }
  }
  return false;
}

/// Reads digits[.digits], independent of the locale. Of a fraction, the digits that a double of 15 does not hold are passed over, as in a third that Python
/// wrote: so both numbers below are exact, and the quotient is rounded once.
constexpr bool parse_share(std::string_view text, double& out) noexcept {
  double digits = 0;
  double divisor = 1;
  int significant = 0;  // at most 15
  int fraction = 0;     // at most 22, as 1e22 is the last exact power
  bool point = false;
  bool any = false;
  for (const char c : text) {
    if (c == '.' && !point) {
      point = true;
    } else if (c >= '0' && c <= '9' && (point || significant < 15)) {
      any = true;
      if (significant < 15 && fraction < 22) {
        digits = digits * 10 + (c - '0');
        divisor *= point ? 10 : 1;
        significant += digits > 0 ? 1 : 0;
        fraction += point ? 1 : 0;
      }
    } else {
      return false;
    }
  }
  const double value = digits / divisor;
  if (!any || value > 1) {
    return false;
  }
  out = value;
  return true;
}

constexpr bool is_name(std::string_view text, bool spaces) noexcept {
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
    if (!plain && !(spaces && static_cast<unsigned char>(c) >= 0x20 && c != 0x7f)) {
      return false;
    }
  }
  return !text.empty() && text.size() <= 128;
}

}  // namespace detail

inline Status check(const FeedbackSettings& settings) {
  if (!detail::is_name(settings.provider, true)) {
    return detail::bad_value("feedback.provider", settings.provider, "a name of 1 to 128 printable bytes");
  }
  const auto share = [](double scale) { return scale >= 0 && scale <= 1; };  // false for NaN
  if (!share(settings.scale_ok) || !share(settings.scale_soft) || !share(settings.scale_hard) || settings.scale_ok < settings.scale_soft ||
      settings.scale_soft < settings.scale_hard) {
    return Error{ErrorCode::config, "feedback.scale_ok, scale_soft, scale_hard are " + detail::shown_number(settings.scale_ok) + ", " +
                                        detail::shown_number(settings.scale_soft) + ", " + detail::shown_number(settings.scale_hard) +
                                        "; allowed is 1 >= ok >= soft >= hard >= 0"};
  }
  return {};
}

template <class Lookup>
Result<PulseConfig> PulseConfig::from_env(Lookup&& lookup) {
  PulseConfig config;
  Error failed;
  const auto read = [&](const char* variable, std::string_view allowed, auto&& take) {
    const char* const text = lookup(variable);
    if (failed.message.empty() && text != nullptr && *text != '\0' && !take(std::string_view(text))) {
      failed = detail::bad_value(variable, text, allowed);
    }
  };
  const auto flag = [&](const char* variable, bool& out) {
    read(variable, "true or false (also 1/0, yes/no, on/off)", [&](std::string_view text) { return detail::parse_flag(text, out); });
  };
  const auto name = [&](const char* variable, std::string& out, bool spaces, std::string_view allowed) {
    read(variable, allowed, [&](std::string_view text) { return detail::is_name(text, spaces) && (out = text, true); });
  };
  const auto scale = [&](const char* variable, double& out) {
    read(variable, "a decimal number from 0 to 1, such as 0.5", [&](std::string_view text) { return detail::parse_share(text, out); });
  };

  flag("PULSE_ENABLED", config.enabled);
  name("EVENT_BUS_BACKEND", config.backend, false, "the name of a backend, such as inmem or redis");
  name("MD_NAMESPACE", config.name_space, false, "1 to 128 letters, digits, '_', '-' or '.'");
  read("SCHEMA_TRACK", "v1 or v2", [&](std::string_view text) { return value_of(text, config.track); });
  name("PULSE_GROUP", config.group, true, "a name of 1 to 128 printable bytes");
  name("PULSE_CONSUMER", config.consumer, true, "a name of 1 to 128 printable bytes");
  flag("MDP_FB_ENABLE_FEEDBACK", config.feedback.enable);
  name("MDP_FB_PROVIDER_NAME", config.feedback.provider, true, "a name of 1 to 128 printable bytes");
  scale("MDP_FB_SCALE_OK", config.feedback.scale_ok);
  scale("MDP_FB_SCALE_SOFT", config.feedback.scale_soft);
  scale("MDP_FB_SCALE_HARD", config.feedback.scale_hard);
  if (!failed.message.empty()) {
    return failed;
  }
  if (const Status sane = check(config.feedback); !sane) {
    return Error{ErrorCode::config, "MDP_FB_SCALE_OK, MDP_FB_SCALE_SOFT, MDP_FB_SCALE_HARD: " + sane.error().message};
  }
  if (const char* const url = lookup("REDIS_URL"); url != nullptr && *url != '\0') {
    if (const auto parsed = RedisUrl::parse(url); !parsed) {
      return Error{ErrorCode::config, "REDIS_URL is " + parsed.error().message};
    }
    config.redis_url = url;
  }
  if (const char* const token = lookup("PUBLISHER_TOKEN"); token != nullptr) {
    config.publisher_token = token;
  }
  return config;
}

}  // namespace pulse::inline v0_1
