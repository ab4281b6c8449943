// SPDX-License-Identifier: MIT
//
// Runs schedules: the Consumer of include/pulse over a simulated server and a virtual clock. See docs/how-to/simulate.md
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "shrink.hpp"
#include "world.hpp"

namespace {

using namespace pulse::sim;

constexpr const char* usage =
    "usage: ./dev sim [--schedules N] [--from SEED]     runs N schedules (10000), from SEED (1) on\n"
    "       ./dev sim --seed SEED                       runs one, and prints what happens in it\n"
    "       --jobs N                                    in so many processes (as many as there are cores)\n"
    "options for both: --twin NAME, --without FAULT,..., --skip NUMBER,..., --steps N, --events N\n"
    "A violation is narrowed, printed step by step, and its exit code is 1.\n";

struct Arguments {
  std::uint64_t schedules = 10'000;
  std::uint64_t from = 1;
  std::uint64_t jobs = std::max(1U, std::thread::hardware_concurrency());
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
    } else if (name == "--jobs") {
      good = number(value, out.jobs) && out.jobs >= 1 && out.jobs <= 1024;
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

/// What one process has done, in memory that all see.
struct Tally {
  std::atomic<std::uint64_t> schedules{0};
  std::atomic<std::uint64_t> seed{0};  ///< of the schedule it runs
  std::uint64_t steps = 0;
  double seconds = 0;  ///< of this process's processor: others may be busy on the machine
  std::array<std::uint64_t, fault_count> injected{};
  bool broken = false;  ///< `seed` breaks a law
};

/// Every jobs-th schedule from the `which`-th on, until one breaks a law in any process.
void work(const Arguments& arguments, std::uint64_t which, Tally& mine, std::atomic<bool>& over) {
  World world;
  const std::clock_t begin = std::clock();
  for (std::uint64_t i = which; i < arguments.schedules && !over.load(std::memory_order_relaxed); i += arguments.jobs) {
    mine.seed.store(arguments.from + i, std::memory_order_relaxed);
    const Outcome outcome = world.run(arguments.from + i, arguments.options);
    mine.schedules.fetch_add(1, std::memory_order_relaxed);
    mine.steps += outcome.steps;
    for (std::size_t kind = 0; kind < fault_count; ++kind) {
      mine.injected[kind] += outcome.injected[kind];
    }
    if (outcome.law != Law::none) {
      mine.broken = true;
      over = true;
      break;
    }
  }
  mine.seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

/// Processes, not threads: one that crashes is a find, and which seed it was at stands in the shared memory.
struct Shared {
  std::atomic<bool> over{false};
  std::array<Tally, 1024> tallies{};
};

std::uint64_t sum(const Shared& shared, std::uint64_t jobs) {
  std::uint64_t schedules = 0;
  for (std::uint64_t i = 0; i < jobs; ++i) {
    schedules += shared.tallies[i].schedules.load(std::memory_order_relaxed);
  }
  return schedules;
}

/// Waits for the processes, and tells once a minute how far they are. Returns the number of one that did not end by itself, or jobs.
std::uint64_t wait_for(std::array<pid_t, 1024>& processes, const Arguments& arguments, Shared& shared) {
  std::uint64_t crashed = arguments.jobs;
  auto tell_at = std::chrono::steady_clock::now() + std::chrono::minutes{1};
  for (std::uint64_t left = arguments.jobs; left > 0; std::this_thread::sleep_for(std::chrono::milliseconds{20})) {
    for (std::uint64_t i = 0; i < arguments.jobs; ++i) {
      int status = 0;
      if (processes[i] == 0 || ::waitpid(processes[i], &status, WNOHANG) == 0) {
        continue;
      }
      processes[i] = 0;
      --left;
      if (status != 0) {
        crashed = i;
        shared.over = true;
      }
    }
    if (std::chrono::steady_clock::now() >= tell_at) {
      std::fprintf(stderr, "%llu schedules\n", static_cast<unsigned long long>(sum(shared, arguments.jobs)));
      tell_at += std::chrono::minutes{1};
    }
  }
  return crashed;
}

int run(const Arguments& arguments) {
  void* const memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("mmap");
    return 2;
  }
  Shared& shared = *::new (memory) Shared;
  const auto begin = std::chrono::steady_clock::now();
  std::array<pid_t, 1024> processes{};
  for (std::uint64_t i = 0; i < arguments.jobs; ++i) {
    processes[i] = ::fork();
    if (processes[i] == 0) {
      work(arguments, i, shared.tallies[i], shared.over);
      std::exit(0);  // a sanitizer looks for leaks here
    }
    if (processes[i] < 0) {
      std::perror("fork");
      return 2;
    }
  }
  if (const std::uint64_t crashed = wait_for(processes, arguments, shared); crashed < arguments.jobs) {
    std::printf("the process does not survive seed %llu, or ends badly after it: ./dev sim --seed %llu\n",
                static_cast<unsigned long long>(shared.tallies[crashed].seed), static_cast<unsigned long long>(shared.tallies[crashed].seed));
    return 1;
  }
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const std::uint64_t schedules = sum(shared, arguments.jobs);
  std::array<std::uint64_t, fault_count> injected{};
  std::uint64_t steps = 0;
  double seconds = 0;
  std::optional<std::uint64_t> broken;
  for (std::uint64_t i = 0; i < arguments.jobs; ++i) {
    const Tally& tally = shared.tallies[i];
    steps += tally.steps;
    seconds += tally.seconds;
    for (std::size_t kind = 0; kind < fault_count; ++kind) {
      injected[kind] += tally.injected[kind];
    }
    if (tally.broken) {
      broken = std::min<std::uint64_t>(broken.value_or(tally.seed), tally.seed);
    }
  }
  if (broken) {
    World world;
    const RunOptions narrow = shrink(world, *broken, arguments.options);
    (void)tell(world, *broken, narrow);
    std::printf("found after %llu schedules; the whole of it: ./dev sim %s\nnarrowed: ./dev sim %s\n", static_cast<unsigned long long>(schedules),
                replay_arguments(*broken, arguments.options).c_str(), replay_arguments(*broken, narrow).c_str());
    return 1;
  }
  const auto count = static_cast<double>(schedules);
  std::printf("%llu schedules of %.0f steps, 0 violations, %.0f schedules a second of one core, %.0f by %llu processes\nfaults injected:",
              static_cast<unsigned long long>(schedules), static_cast<double>(steps) / std::max(count, 1.0), count / seconds, count / wall,
              static_cast<unsigned long long>(arguments.jobs));
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
