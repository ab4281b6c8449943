// SPDX-License-Identifier: MIT
//
// Runs random sequences of commands on the in-memory backend's streams and on a redis-server that it starts, and compares every reply and the
// whole state after every step.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "../support/redis_server.hpp"
#include "compare.hpp"

int main(int argc, char** argv) {
  std::uint64_t sequences = 1000;
  std::uint64_t seed = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if ((word != "--sequences" && word != "--seed") || i + 1 == argc) {
      std::fprintf(stderr, "usage: differential [--sequences N] [--seed S]\n");
      return 2;
    }
    (word == "--seed" ? seed : sequences) = std::strtoull(argv[++i], nullptr, 10);
  }
  if (!pulse_test::RedisServer::available()) {
    std::puts("skipped: redis-server is not installed");
    return 0;
  }
  try {
    const pulse_test::RedisServer server;
    pulse_test::differential::Redis redis{server.unix_url()};
    const auto result = pulse_test::differential::run(redis, seed, sequences);
    if (!result.failure.empty()) {
      std::printf("%s", result.failure.c_str());
      return 1;
    }
    std::printf("%llu sequences of %llu steps agree, seeds from %llu on\n", static_cast<unsigned long long>(result.sequences),
                static_cast<unsigned long long>(result.steps), static_cast<unsigned long long>(seed));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "differential: %s\n", error.what());
    return 1;
  }
  return 0;
}
