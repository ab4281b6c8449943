// SPDX-License-Identifier: MIT
// expect-error: the Dedup policy has no `void release\(pulse::EventId\)`.*so that the redelivery is handled
#include <pulse/concept/dedup.hpp>

struct Window {
  static constexpr bool exact = true;
  static constexpr bool shared = false;
  pulse::Claim claim(pulse::EventId) { return pulse::Claim::fresh; }
  void commit(pulse::EventId) {}
#ifdef PULSE_TWIN
  void release(pulse::EventId) {}
#endif
  std::size_t size() const { return 0; }
};
constexpr bool asserted = pulse::assert_dedup<Window>();
