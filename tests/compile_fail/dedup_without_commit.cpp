// SPDX-License-Identifier: MIT
// expect-error: the Dedup policy has no `void commit\(pulse::EventId\)`.*See docs/reference/dedup.md
#include <pulse/concept/dedup.hpp>

struct Window {
  static constexpr bool exact = true;
  static constexpr bool shared = false;
  pulse::Claim claim(pulse::EventId) { return pulse::Claim::fresh; }
#ifdef PULSE_TWIN
  void commit(pulse::EventId) {}
#endif
  void release(pulse::EventId) {}
  std::size_t size() const { return 0; }
};
constexpr bool asserted = pulse::assert_dedup<Window>();
