// SPDX-License-Identifier: MIT
// expect-error: the Dedup policy has no `void commit\(pulse::EventId\)`.*See docs/reference/dedup.md
#include <pulse/concept/dedup.hpp>

#include "window_without_commit.hpp"

constexpr bool asserted = pulse::assert_dedup<pulse::AllowLoss<Window>>();
