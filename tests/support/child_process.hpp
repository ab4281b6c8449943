// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "process.hpp"

namespace pulse_test {

/// This test program once more, with one test case only, that is marked with doctest::skip() so that it is not run otherwise. It is told
/// where to be killed, "name" or "name:n" for the n-th time, and what else it needs, by its environment.
class ChildProcess : public Process {
 public:
  explicit ChildProcess(const std::string& test_case, const std::string& failpoint = {}, std::vector<std::pair<std::string, std::string>> environment = {})
      : Process(Command{{"/proc/self/exe", "--test-case=" + test_case, "--no-skip", "--no-intro", "--minimal"}, with(std::move(environment), failpoint)}) {}

 private:
  static std::vector<std::pair<std::string, std::string>> with(std::vector<std::pair<std::string, std::string>> environment, const std::string& failpoint) {
    environment.emplace_back("PULSE_FAILPOINT", failpoint);
    return environment;
  }
};

/// SIGKILL for this process where its environment names this point: nothing after it happens, no destructor, no flush. Any thread.
inline void failpoint(std::string_view name) {
  static const std::string_view wanted = [] {
    const char* const set = std::getenv("PULSE_FAILPOINT");
    return std::string_view{set == nullptr ? "" : set};
  }();
  static std::atomic<int> passes{0};
  const auto colon = std::min(wanted.find(':'), wanted.size());
  if (!wanted.empty() && wanted.substr(0, colon) == name) {
    const int which = colon < wanted.size() ? std::atoi(wanted.data() + colon + 1) : 1;
    if (passes.fetch_add(1) + 1 == which) {
      std::raise(SIGKILL);
    }
  }
}

/// A variable of the environment; empty where it is not set.
inline std::string variable(const char* name) {
  const char* const set = std::getenv(name);
  return set == nullptr ? "" : set;
}

}  // namespace pulse_test
