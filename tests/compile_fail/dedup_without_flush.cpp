// SPDX-License-Identifier: MIT
// expect-error: has a `pulse::Status claim\(ids, claims\)` and no `pulse::Status flush\(std::chrono::milliseconds\)`.*See docs/reference/dedup.md
#include <pulse/concept/dedup.hpp>

struct Window {
  static constexpr bool exact = true;
  static constexpr bool shared = true;
  pulse::Claim claim(pulse::EventId) { return pulse::Claim::fresh; }
  pulse::Status claim(std::span<const pulse::EventId>, std::span<pulse::Claim>) { return {}; }
#ifdef PULSE_TWIN
  pulse::Status flush(std::chrono::milliseconds) { return {}; }
#else
  pulse::Status flush(std::chrono::seconds) { return {}; }  // takes no milliseconds
#endif
  void commit(pulse::EventId) {}
  void release(pulse::EventId) {}
  std::size_t size() const { return 0; }
};
constexpr bool asserted = pulse::assert_dedup<Window>();
#ifdef PULSE_TWIN
static_assert(pulse::RemoteDedup<Window>);
#else
static_assert(!pulse::Dedup<Window>);
#endif
