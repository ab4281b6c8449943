// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "pulse/concept/controller.hpp"
#include "pulse/core/feedback.hpp"

namespace pulse::inline v0_1 {

/// A RateController that applies to another, and hands `publish` each RateAdjustment by which a provider's scale changed: for the
/// stream telemetry.rate_adjustment.
///
///     pulse::Publishing controller{rates, [&](const pulse::RateAdjustment& a) {
///       if (!publisher.publish(a)) throw std::runtime_error("not published");  // an exception makes the event be retried
///     }};
///
/// The first adjustment of a provider counts as a change. `publish` runs after `apply`; where either throws the change is not noted as
/// published, so the event's next delivery publishes it, and so does any other adjustment, since what was sent may have arrived all the same. It remembers one
/// scale a provider; which providers there are is the controller's configuration, never the wire's. Lvalues are referred to, rvalues owned. Thread safety: one
/// thread.
template <class Controller, class Publish>
class Publishing {
  static_assert(RateController<std::remove_reference_t<Controller>>, "pulse: Publishing needs a controller with apply(const pulse::RateAdjustment&)");
  static_assert(std::is_invocable_v<Publish&, const RateAdjustment&>, "pulse: Publishing needs a callable that takes const pulse::RateAdjustment&");

 public:
  Publishing(Controller&& controller, Publish&& publish) : controller_(std::forward<Controller>(controller)), publish_(std::forward<Publish>(publish)) {}

  void apply(const RateAdjustment& adjustment) {
    controller_.apply(adjustment);
    const auto known = scales_.find(adjustment.provider);
    if (known != scales_.end() && known->second == adjustment.scale) {
      return;
    }
    scales_.erase(adjustment.provider);  // where it throws, nobody knows what is out there: whatever comes next is published
    publish_(adjustment);
    scales_.insert_or_assign(adjustment.provider, adjustment.scale);
  }

 private:
  Controller controller_;
  Publish publish_;
  std::unordered_map<std::string, double> scales_;
};

template <class C, class P>
Publishing(C&&, P&&) -> Publishing<C, P>;

}  // namespace pulse::inline v0_1
