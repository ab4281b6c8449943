// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <pulse/concept/dedup.hpp>

/// Is told of no success. With PULSE_TWIN it is.
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

/// What a user asks of a wrapper around it.
template <class Wrapper>
int use(Wrapper& window) {
  pulse::Claim claims[1];
  const pulse::EventId ids[1]{};
  (void)window.claim(ids, claims);
  if (window.claim(ids[0]) == pulse::Claim::fresh) {
    window.commit(ids[0]);
  }
  return static_cast<int>(window.size());
}
