// SPDX-License-Identifier: MIT
// expect-error: the Metrics policy has no `observe\(family, duration, labels...\)`.*See docs/reference/metrics.md
#include <pulse/concept/metrics.hpp>

struct Sink {
  static constexpr bool enabled = true;
  template <class Label>
  pulse::LabelSlot<Label> slot(std::string_view) const {
    return {};
  }
  template <class... A>
  void add(A...) {}
  template <class... A>
  void set(A...) {}
#ifdef PULSE_TWIN
  template <class... A>
  void observe(A...) {}
#endif
};
constexpr bool asserted = pulse::assert_metrics<Sink>();
