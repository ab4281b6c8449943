// SPDX-License-Identifier: MIT
// expect-error: names an event in `events` for which it has no `handle
#include <pulse/concept/controller.hpp>

struct Both {
  using events = pulse::Events<pulse::FeedbackEvent, pulse::RateAdjustment>;
  void handle(const pulse::FeedbackEvent&, const pulse::DeliveryContext&) {}
#ifdef PULSE_TWIN
  pulse::Verdict handle(const pulse::RateAdjustment&, const pulse::DeliveryContext&) { return pulse::Verdict::ack(); }
#endif
};
constexpr bool asserted = pulse::assert_controller<Both>();
