// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <pulse/backend/conformance.hpp>

#include "redis_world.hpp"

using namespace std::chrono_literals;
using namespace pulse_test;
using pulse::ManualClock;

TEST_SUITE_BEGIN("redis-server");

TEST_CASE("redis: keeps the laws of a backend") {
  for (const bool fenced : {false, true}) {
    CAPTURE(fenced);
    RedisServer server;
    pulse::RedisOptions options;
    options.fenced_acks = fenced;
    CHECK(pulse::conformance::backend(
              [&](ManualClock clock) {
                (void)cli(server, {"FLUSHALL"});
                return std::make_unique<Backend>(url_of(server.url()), options, clock);
              },
              [&](ManualClock& clock, std::chrono::milliseconds by) {
                clock.advance(by);
                for (const char* stream : {"s", "t", "u"}) {
                  age(server, stream, by);
                }
              }) == "");
  }
}

TEST_SUITE_END();
