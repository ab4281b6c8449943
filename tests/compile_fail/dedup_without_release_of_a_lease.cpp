// SPDX-License-Identifier: MIT
// expect-error: claim\(pulse::EventId, lease_type&\)` and not both `commit\(lease\)` and `release\(lease\)`.*See docs/reference/dedup.md
#include <pulse/concept/dedup.hpp>

struct Window {
  static constexpr bool exact = true;
  static constexpr bool shared = false;
  struct lease_type {};
  pulse::Claim claim(pulse::EventId) { return pulse::Claim::fresh; }
  pulse::Claim claim(pulse::EventId, lease_type&) { return pulse::Claim::fresh; }
  void commit(pulse::EventId) {}
  void commit(lease_type) {}
  void release(pulse::EventId) {}
#ifdef PULSE_TWIN
  void release(lease_type) {}
#endif
  std::size_t size() const { return 0; }
};
constexpr bool asserted = pulse::assert_dedup<Window>();
#ifdef PULSE_TWIN
static_assert(pulse::LeasingDedup<Window>);
#else
static_assert(!pulse::Dedup<Window>);
#endif
