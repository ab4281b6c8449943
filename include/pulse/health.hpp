// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "pulse/codec/json/writer.hpp"
#include "pulse/core/clock.hpp"
#include "pulse/core/describe.hpp"
#include "pulse/metrics/prometheus_text.hpp"

/// Health of a whole service, out of the health of its parts, for whoever restarts it, sends it work, or looks at it.
namespace pulse::inline v0_1 {

enum class HealthState : std::uint8_t {
  healthy,    ///< does all it is there for
  degraded,   ///< does it, but not in the way that was configured
  unhealthy,  ///< does not
};

/// The names of the states, as the registry's HealthStatus has them.
template <>
struct DescribeEnum<HealthState> {
  static constexpr std::string_view names[] = {"healthy", "degraded", "unhealthy"};
};

/// How one part of a service is doing.
struct ComponentHealth {
  bool live = true;       ///< false: it is stuck, and only a restart helps
  bool ready = true;      ///< false: it does not do its work at the moment
  bool degraded = false;  ///< it works, but not on what was configured
  std::vector<std::pair<std::string, std::string>> details{};

  [[nodiscard]] HealthState state() const noexcept {
    return !live || !ready ? HealthState::unhealthy : degraded ? HealthState::degraded : HealthState::healthy;
  }
};

namespace detail {

/// What `health()` of a consumer, a runtime or a backend says, in one shape; what one of them does not have is as if all were well.
template <class Told>
ComponentHealth component_health(const Told& told) {
  ComponentHealth health;
  const auto number = [&](const char* name, auto value) { health.details.emplace_back(name, std::to_string(value)); };
  health.ready = told.ready;
  if constexpr (requires { told.live; }) {
    health.live = told.live;
  }
  if constexpr (requires { told.degraded; }) {
    health.degraded = told.degraded;
  }
  if constexpr (requires { told.since_progress; }) {
    number("since_progress_ms", told.since_progress.count());
  }
  if constexpr (requires { told.failures_in_a_row; }) {
    number("failures_in_a_row", told.failures_in_a_row);
  }
  if constexpr (requires { told.reconnects; }) {
    number("reconnects", told.reconnects);
  }
  if constexpr (requires { told.backend; }) {
    health.details.emplace_back("backend", told.backend.empty() ? std::string("bus") : std::string(told.backend));
  }
  if (!told.detail.empty()) {
    health.details.emplace_back("detail", told.detail);
  }
  return health;
}

template <class>
inline constexpr bool never = false;

}  // namespace detail

/// The health of a service at one time.
struct HealthStatus {
  /// A part under its name.
  struct Component {
    std::string name;
    ComponentHealth health;
  };

  std::string service;
  std::string version;
  double ts = 0;  ///< seconds since the Unix epoch
  std::vector<Component> components{};

  [[nodiscard]] bool live() const noexcept {
    return all([](const ComponentHealth& health) { return health.live; });
  }
  [[nodiscard]] bool ready() const noexcept {
    return all([](const ComponentHealth& health) { return health.live && health.ready; });
  }
  [[nodiscard]] HealthState state() const noexcept {
    return !ready()                                                              ? HealthState::unhealthy
           : all([](const ComponentHealth& health) { return !health.degraded; }) ? HealthState::healthy
                                                                                 : HealthState::degraded;
  }

 private:
  template <class F>
  [[nodiscard]] bool all(F holds) const noexcept {
    for (const Component& component : components) {
      if (!holds(component.health)) {
        return false;
      }
    }
    return true;
  }
};

/// Appends it as JSON, in the shape of the registry's HealthStatus: service, state, components (name, state, details), version, ts.
inline void append_health_json(const HealthStatus& status, std::string& out) {
  const auto member = [&](std::string_view before, std::string_view value) {
    out.append(before);
    detail::append_string(out, value);
  };
  member("{\"service\":", status.service);
  member(",\"state\":", name_of(status.state()));
  out += ",\"components\":";
  std::string_view before = "[";
  for (const HealthStatus::Component& component : status.components) {
    out += std::exchange(before, ",");
    member("{\"name\":", component.name);
    member(",\"state\":", name_of(component.health.state()));
    out += ",\"details\":";
    std::string_view between = "{";
    for (const auto& [name, value] : component.health.details) {
      member(std::exchange(between, ","), name);
      member(":", value);
    }
    out += component.health.details.empty() ? "{}}" : "}}";
  }
  out += status.components.empty() ? "[" : "";
  member("],\"version\":", status.version);
  out += ",\"ts\":";
  detail::append_double(out, status.ts);
  out += '}';
}

/// The gauges by which health is exposed: calls `f(name, help, holds)` for each, where holds(component health) says whether it is 1.
template <class F>
void for_each_health_gauge(F f) {
  f("pulse_component_live", "Whether the component's loop comes round", [](const ComponentHealth& health) { return health.live; });
  f("pulse_component_ready", "Whether the component does its work", [](const ComponentHealth& health) { return health.live && health.ready; });
  f("pulse_component_degraded", "Whether the component works on other than what was configured", [](const ComponentHealth& health) { return health.degraded; });
}

/// Appends it in the Prometheus text format: gauges of 1 and 0, one of each a component.
inline void append_health_text(const HealthStatus& status, std::string& out) {
  for_each_health_gauge([&](std::string_view name, std::string_view help, auto holds) {
    out.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ").append(name).append(" gauge\n");
    for (const HealthStatus::Component& component : status.components) {
      out.append(name).append("{component=\"");
      detail::append_label_value(out, component.name);
      out.append(holds(component.health) ? "\"} 1\n" : "\"} 0\n");
    }
  });
}

/// The parts of a service whose health is asked for.
///
///     pulse::Health health{"bars-pipeline", "2.3.1"};
///     health.watch("consumer", consumer).watch("redis", backend);
///
/// Thread safety: watch is for before it is asked; status may be asked from any thread, for all that the parts' own `health` may.
class Health {
 public:
  /// `stuck_after`: how long a loop may take to come round, its handlers included, before it counts as stuck.
  explicit Health(std::string service, std::string service_version = "", std::chrono::milliseconds stuck_after = std::chrono::seconds{30})
      : service_(std::move(service)), version_(std::move(service_version)), stuck_after_(stuck_after) {}

  /// Anything with `health(stuck_after)` (a Consumer, a Runtime) or `health()` (a backend), which is referred to; or a function that returns
  /// ComponentHealth. One that throws is a part that is not ready.
  template <class Part>
  Health& watch(std::string name, Part&& part) {
    if constexpr (std::is_invocable_r_v<ComponentHealth, Part&>) {
      parts_.emplace_back(std::move(name), std::forward<Part>(part));
    } else if constexpr (requires { part.health().ready, part.health().detail; }) {
      static_assert(std::is_lvalue_reference_v<Part>, "pulse: Health::watch refers to its part: name one that stays");
      if constexpr (requires { part.health(stuck_after_); }) {
        parts_.emplace_back(std::move(name), [&part, stuck = stuck_after_] { return detail::component_health(part.health(stuck)); });
      } else {
        parts_.emplace_back(std::move(name), [&part] { return detail::component_health(part.health()); });
      }
    } else {
      static_assert(detail::never<Part>,
                    "pulse: Health::watch needs a part with a health() that has `ready` and `detail` (a Consumer, a Runtime, a backend), or a function "
                    "that returns pulse::ComponentHealth. See docs/reference/health.md");
    }
    return *this;
  }

  [[nodiscard]] HealthStatus status(WallTime now = SystemClock::wall()) const {
    HealthStatus status{service_, version_, epoch_seconds(now), {}};
    for (const auto& [name, check] : parts_) {
      const auto failed = [&, &part = name](const char* why) {
        status.components.push_back({part, {.live = true, .ready = false, .degraded = false, .details = {{"detail", why}}}});
      };
      try {
        status.components.push_back({name, check()});
      } catch (const std::exception& exception) {
        failed(exception.what());
      } catch (...) {
        failed("an exception that is no std::exception");
      }
    }
    return status;
  }

 private:
  std::string service_;
  std::string version_;
  std::chrono::milliseconds stuck_after_;
  std::vector<std::pair<std::string, std::function<ComponentHealth()>>> parts_;
};

}  // namespace pulse::inline v0_1
