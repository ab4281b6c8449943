// SPDX-License-Identifier: MIT
// expect-error: the Dedup policy has no `void commit\(pulse::EventId\)`.*See docs/reference/dedup.md
#include <pulse/dedup/sharded.hpp>

#include "window_without_commit.hpp"

#ifndef PULSE_TWIN
static_assert(!pulse::Dedup<pulse::Sharded<Window>>);
#endif
constexpr bool asserted = pulse::assert_dedup<pulse::Sharded<Window>>();
