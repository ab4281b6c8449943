// SPDX-License-Identifier: MIT
//
// "Off" costs nothing: policies that are off take no room, neither by themselves nor in a Consumer.
#include <doctest/doctest.h>

#include <type_traits>

#include "pulse/dedup/no_dedup.hpp"
#include "pulse/metrics/no_metrics.hpp"
#include "scripted_backend.hpp"
#include "test_policies.hpp"

using namespace pulse::testing;

static_assert(std::is_empty_v<pulse::NoDedup> && std::is_empty_v<pulse::NoMetrics> && std::is_empty_v<pulse::SystemClock>);
static_assert(!std::is_polymorphic_v<pulse::Consumer<ScriptedBackend&, pulse::NoDedup, pulse::NoMetrics, NoteHandler&, NoteTraits>>);
static_assert(pulse::composable<ScriptedBackend, pulse::NoDedup, pulse::NoMetrics, NoteHandler, NoteTraits>);
static_assert(!pulse::composable<int, pulse::NoDedup, pulse::NoMetrics, NoteHandler, NoteTraits>);

// guarantee 10
TEST_CASE("a consumer with its policies off is smaller by what they would take") {
  using Off = pulse::Consumer<ScriptedBackend&, pulse::NoDedup, pulse::NoMetrics, NoteHandler&, NoteTraits>;
  using Referred = pulse::Consumer<ScriptedBackend&, MapDedup&, CountingMetrics&, NoteHandler&, NoteTraits>;
  CHECK(sizeof(Off) + 2 * sizeof(void*) == sizeof(Referred));  // two references more, and nothing for the two that are off
}

namespace {
struct HeavyNoDedup : pulse::NoDedup {
  char something = 0;
};
}  // namespace

// guarantee 10: a policy that is off and holds a byte all the same
TEST_CASE("a null policy that takes room is seen in the consumer's size") {
  using Off = pulse::Consumer<ScriptedBackend&, pulse::NoDedup, pulse::NoMetrics, NoteHandler&, NoteTraits>;
  using Heavy = pulse::Consumer<ScriptedBackend&, HeavyNoDedup, pulse::NoMetrics, NoteHandler&, NoteTraits>;
  CHECK(sizeof(Off) < sizeof(Heavy));
}
