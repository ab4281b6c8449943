// SPDX-License-Identifier: MIT
// expect-error: the Observer has no `void on\(const pulse::notice::X&\)` for any notice X.*See docs/reference/observer.md
#include <pulse/metrics/no_metrics.hpp>
#include <pulse/metrics/observed.hpp>

struct Log {
#ifdef PULSE_TWIN
  void on(const pulse::notice::DeadLettered&) {}
#else
  void on_dead_letter(const pulse::notice::DeadLettered&) {}
#endif
};
pulse::Observed observed{pulse::NoMetrics{}, Log{}};
