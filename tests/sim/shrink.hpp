// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

#include "world.hpp"

namespace pulse::sim {

/// Narrows a run that breaks a law: leaves out kinds of faults, then single ones, steps and events, as long as the same law still breaks.
/// Requires: world.run(seed, options) breaks one. Complexity: a few hundred runs.
[[nodiscard]] RunOptions shrink(World& world, std::uint64_t seed, RunOptions options);

/// What to say on the command line to see this run again.
[[nodiscard]] std::string replay_arguments(std::uint64_t seed, const RunOptions& options);

}  // namespace pulse::sim
