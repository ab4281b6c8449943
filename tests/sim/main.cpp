// SPDX-License-Identifier: MIT
//
// Runs schedules: the Consumer of include/pulse over a simulated server and a virtual clock. See docs/how-to/simulate.md
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include "shrink.hpp"
#include "world.hpp"

namespace {

using namespace pulse::sim;

constexpr const char* usage =
    "usage: ./dev sim [--schedules N] [--from SEED]     runs N schedules (10000), from SEED (1) on\n"
    "       ./dev sim --seed SEED                       runs one, and prints what happens in it\n"
    "options for both: --twin NAME, --without FAULT,..., --skip NUMBER,..., --steps N, --events N\n"
    "A violation is narrowed, printed step by step, and its exit code is 1.\n";

struct Arguments {
  std::uint64_t schedules = 10'000;
  std::uint64_t from = 1;
  std::optional<std::uint64_t> seed;
  RunOptions options;
};

template <class N>
bool number(std::string_view text, N& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

template <class F>
bool each(std::string_view list, F f) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (!f(list.substr(0, comma))) {
      return false;
    }
    list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
  }
  return true;
}

template <class Names>
std::optional<std::size_t> find(const Names& names, std::string_view name) {
  const auto at = std::find(names.begin(), names.end(), name);
  return at == names.end() ? std::nullopt : std::optional{static_cast<std::size_t>(at - names.begin())};
}

bool parse(int count, char** words, Arguments& out) {
  for (int i = 1; i < count; i += 2) {
    const std::string_view name = words[i];
    if (i + 1 == count) {
      return false;
    }
    const std::string_view value = words[i + 1];
    bool good = false;
    if (name == "--schedules") {
      good = number(value, out.schedules);
    } else if (name == "--from") {
      good = number(value, out.from);
    } else if (name == "--seed") {
      good = number(value, out.seed.emplace());
    } else if (name == "--steps") {
      good = number(value, out.options.max_steps);
    } else if (name == "--events") {
      good = number(value, out.options.max_events);
    } else if (name == "--twin") {
      const auto twin = find(twin_names, value);
      good = twin.has_value();
      out.options.twin = static_cast<Twin>(twin.value_or(0));
    } else if (name == "--without") {
      good = each(value, [&](std::string_view one) {
        const auto fault = find(fault_names, one);
        if (fault) {
          out.options.without[*fault] = true;
        }
        return fault.has_value();
      });
    } else if (name == "--skip") {
      good = each(value, [&](std::string_view one) { return number(one, out.options.skipped.emplace_back()); });
      std::sort(out.options.skipped.begin(), out.options.skipped.end());
    }
    if (!good) {
      std::fprintf(stderr, "what is \"%s %s\"?\n", words[i], words[i + 1]);
      return false;
    }
  }
  return true;
}

int tell(World& world, std::uint64_t seed, RunOptions options) {
  options.transcript = true;
  const Outcome outcome = world.run(seed, options);
  std::fputs(outcome.transcript.c_str(), stdout);
  if (outcome.law == Law::none) {
    std::printf("seed %llu: every law kept, %zu steps\n", static_cast<unsigned long long>(seed), outcome.steps);
    return 0;
  }
  std::printf("seed %llu breaks %s: %s\n", static_cast<unsigned long long>(seed), std::string(law_names[static_cast<std::size_t>(outcome.law)]).c_str(),
              outcome.story.c_str());
  return 1;
}

int run(const Arguments& arguments) {
  World world;
  std::array<std::uint64_t, fault_count> injected{};
  std::uint64_t steps = 0;
  const std::clock_t begin = std::clock();  // of this process's processor: others may be busy on the machine
  for (std::uint64_t i = 0; i < arguments.schedules; ++i) {
    const std::uint64_t seed = arguments.from + i;
    const Outcome outcome = world.run(seed, arguments.options);
    steps += outcome.steps;
    for (std::size_t kind = 0; kind < fault_count; ++kind) {
      injected[kind] += outcome.injected[kind];
    }
    if (outcome.law != Law::none) {
      const RunOptions narrow = shrink(world, seed, arguments.options);
      (void)tell(world, seed, narrow);
      std::printf("found in schedule %llu; the whole of it: ./dev sim %s\nnarrowed: ./dev sim %s\n", static_cast<unsigned long long>(i + 1),
                  replay_arguments(seed, arguments.options).c_str(), replay_arguments(seed, narrow).c_str());
      return 1;
    }
  }
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  std::printf(
      "%llu schedules of %.0f steps, 0 violations, %.0f schedules a second of one core\nfaults injected:", static_cast<unsigned long long>(arguments.schedules),
      static_cast<double>(steps) / static_cast<double>(std::max<std::uint64_t>(arguments.schedules, 1)), static_cast<double>(arguments.schedules) / seconds);
  for (std::size_t kind = 0; kind < fault_count; ++kind) {
    std::printf(" %s %llu%s", std::string(fault_names[kind]).c_str(), static_cast<unsigned long long>(injected[kind]), kind + 1 == fault_count ? "\n" : ",");
  }
  return 0;
}

}  // namespace

int main(int count, char** words) {
  Arguments arguments;
  if (!parse(count, words, arguments)) {
    std::fputs(usage, stderr);
    return 2;
  }
  World world;
  return arguments.seed ? tell(world, *arguments.seed, arguments.options) : run(arguments);
}
