// SPDX-License-Identifier: MIT
// expect-error: the Clock has no `SteadyTime steady\(\) const`.*See docs/reference/clock.md
#include <pulse/concept/clock.hpp>

struct MyClock {
  pulse::WallTime wall() const { return {}; }
#ifdef PULSE_TWIN
  pulse::SteadyTime steady() const { return {}; }
#endif
  void wait_until(std::condition_variable&, std::unique_lock<std::mutex>&, pulse::SteadyTime) const {}
};
constexpr bool asserted = pulse::assert_clock<MyClock>();
