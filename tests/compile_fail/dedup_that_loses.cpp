// SPDX-License-Identifier: MIT
// guarantee 3: a strategy that loses, without consent
// expect-error: may take a new event for a duplicate and so lose it.*pulse::AllowLoss
#include <pulse/concept/dedup.hpp>

struct Filter {
  static constexpr bool exact = false;
  static constexpr bool shared = false;
  pulse::Claim claim(pulse::EventId) { return pulse::Claim::fresh; }
  void commit(pulse::EventId) {}
  void release(pulse::EventId) {}
  std::size_t size() const { return 0; }
};
#ifdef PULSE_TWIN
constexpr bool asserted = pulse::assert_dedup<pulse::AllowLoss<Filter>>();
#else
constexpr bool asserted = pulse::assert_dedup<Filter>();
#endif
