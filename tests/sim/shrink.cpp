// SPDX-License-Identifier: MIT
#include "shrink.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace pulse::sim {

namespace {

/// The smallest value from 0 on, by halves, that `fails` accepts; `from` where none does.
template <class Fails>
std::size_t least(std::size_t from, Fails fails) {
  std::size_t low = 0;
  while (low < from) {
    const std::size_t middle = low + (from - low) / 2;
    if (fails(middle)) {
      from = middle;
    } else {
      low = middle + 1;
    }
  }
  return from;
}

}  // namespace

RunOptions shrink(World& world, std::uint64_t seed, RunOptions options) {
  const Law law = world.run(seed, options).law;
  const auto fails = [&](const RunOptions& tried) { return world.run(seed, tried).law == law; };
  const auto keep_if = [&](auto change) {
    RunOptions tried = options;
    change(tried);
    if (fails(tried)) {
      options = std::move(tried);
      return true;
    }
    return false;
  };
  for (std::size_t kind = 0; kind < fault_count; ++kind) {
    keep_if([&](RunOptions& tried) { tried.without[kind] = true; });
  }
  const Plan plan = make_plan(seed);
  options.max_steps = least(std::min(options.max_steps, plan.steps), [&](std::size_t steps) {
    RunOptions tried = options;
    tried.max_steps = steps;
    return fails(tried);
  });
  for (std::size_t events = std::min(options.max_events, plan.events); events > 1; --events) {
    if (!keep_if([&](RunOptions& tried) { tried.max_events = events - 1; })) {
      break;
    }
  }
  // Single faults: halves of what is left, then quarters, down to one by one.
  RunOptions telling = options;
  telling.transcript = true;
  std::vector<std::uint32_t> taken = world.run(seed, telling).taken;
  for (std::size_t width = std::max<std::size_t>(taken.size() / 2, 1); !taken.empty(); width /= 2) {
    for (std::size_t at = 0; at < taken.size();) {
      const std::size_t end = std::min(at + width, taken.size());
      const bool gone = keep_if([&](RunOptions& tried) {
        tried.skipped.insert(tried.skipped.end(), taken.begin() + static_cast<std::ptrdiff_t>(at), taken.begin() + static_cast<std::ptrdiff_t>(end));
        std::sort(tried.skipped.begin(), tried.skipped.end());
      });
      if (gone) {
        taken.erase(taken.begin() + static_cast<std::ptrdiff_t>(at), taken.begin() + static_cast<std::ptrdiff_t>(end));
      } else {
        at = end;
      }
    }
    if (width <= 1) {
      break;
    }
  }
  return options;
}

std::string replay_arguments(std::uint64_t seed, const RunOptions& options) {
  std::string text = "--seed " + std::to_string(seed);
  const auto list = [&](const char* name, auto&& fill) {
    std::string items;
    fill([&](std::string_view item) { items.append(items.empty() ? 0 : 1, ',').append(item); });
    text += items.empty() ? "" : std::string(" ") + name + " " + items;
  };
  if (options.twin != Twin::none) {
    text.append(" --twin ").append(twin_names[static_cast<std::size_t>(options.twin)]);
  }
  list("--without", [&](auto item) {
    for (std::size_t i = 0; i < fault_count; ++i) {
      if (options.without[i]) {
        item(fault_names[i]);
      }
    }
  });
  list("--skip", [&](auto item) {
    for (const std::uint32_t number : options.skipped) {
      item(std::to_string(number));
    }
  });
  if (options.max_steps != ~std::size_t{0}) {
    text += " --steps " + std::to_string(options.max_steps);
  }
  if (options.max_events != ~std::size_t{0}) {
    text += " --events " + std::to_string(options.max_events);
  }
  return text;
}

}  // namespace pulse::sim
