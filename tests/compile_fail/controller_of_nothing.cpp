// SPDX-License-Identifier: MIT
// expect-error: the Controller has neither `apply\(const pulse::RateAdjustment&\)` nor.*See docs/reference/controller.md
#include <pulse/concept/controller.hpp>

struct Rates {
#ifdef PULSE_TWIN
  void apply(const pulse::RateAdjustment&) {}
#endif
};
constexpr bool asserted = pulse::assert_controller<Rates>();
