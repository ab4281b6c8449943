// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <string>

#include "shrink.hpp"
#include "world.hpp"

using namespace pulse::sim;

namespace {
std::string verdict(std::uint64_t seed, const Outcome& outcome) {
  return outcome.law == Law::none
             ? "every law kept"
             : "seed " + std::to_string(seed) + " breaks " + std::string(law_names[static_cast<std::size_t>(outcome.law)]) + ": " + outcome.story;
}
}  // namespace

// guarantee 1, 2, 4, 5, 6, 7, 8, 9
TEST_CASE("every schedule keeps every law, and every kind of fault is among them") {
  World world;
  std::array<std::uint64_t, fault_count> injected{};
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    const Outcome outcome = world.run(seed);
    REQUIRE(verdict(seed, outcome) == "every law kept");
    for (std::size_t i = 0; i < fault_count; ++i) {
      injected[i] += outcome.injected[i];
    }
  }
  for (std::size_t i = 0; i < fault_count; ++i) {
    INFO(fault_names[i]);
    CHECK(injected[i] > 20);
  }
}

TEST_CASE("a seed is a schedule: run again, in another world, or with its transcript, every step is the same") {
  World one;
  World other;
  RunOptions telling;
  telling.transcript = true;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const Outcome first = one.run(seed);
    const Outcome told = other.run(seed + 1);
    const Outcome again = other.run(seed, telling);
    CHECK(first.digest == again.digest);
    CHECK(first.steps == again.steps);
    CHECK(first.digest != told.digest);
    CHECK_FALSE(again.transcript.empty());
    CHECK(again.transcript == one.run(seed, telling).transcript);
  }
}

TEST_CASE("a violation is narrowed to a run that breaks the same law with fewer faults in fewer steps, and replays") {
  World world;
  RunOptions options;
  options.twin = Twin::heartbeat_steals;
  std::uint64_t seed = 1;
  while (world.run(seed, options).law == Law::none) {
    REQUIRE(++seed < 1000);
  }
  options.transcript = true;
  const Outcome whole = world.run(seed, options);
  options.transcript = false;
  RunOptions narrow = shrink(world, seed, options);
  narrow.transcript = true;
  const Outcome shrunk = world.run(seed, narrow);
  CHECK(shrunk.law == whole.law);
  CHECK(shrunk.taken.size() < whole.taken.size());
  CHECK(narrow.max_steps < make_plan(seed).steps);
  CHECK(shrunk.transcript == world.run(seed, narrow).transcript);
  CHECK(replay_arguments(seed, narrow).starts_with("--seed " + std::to_string(seed) + " --twin heartbeat_steals --without "));
}
