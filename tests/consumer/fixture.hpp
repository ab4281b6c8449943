// SPDX-License-Identifier: MIT
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "pulse/consumer.hpp"
#include "scripted_backend.hpp"
#include "test_policies.hpp"

namespace pulse::testing {

/// A consumer over a script, whose handler writes what it saw.
template <class Window>
struct ConsumerFixture {
  ScriptedBackend backend;
  Window dedup;
  CountingMetrics metrics;
  pulse::ManualClock clock;
  std::string handled;
  NoteHandler handler{[this](const Note& note, const pulse::DeliveryContext&) {
    handled += note.text + ";";
    return Verdict::ack();
  }};
  pulse::ConsumerOptions options = [] {
    pulse::ConsumerOptions quick;
    quick.heartbeat = std::chrono::milliseconds{0};
    quick.loop.batch = 10;
    return quick;
  }();

  using Consumer = pulse::Consumer<ScriptedBackend&, Window&, CountingMetrics&, NoteHandler&, NoteTraits>;
  std::unique_ptr<Consumer> made;

  Consumer& consumer() {
    if (!made) {
      made = std::make_unique<Consumer>(backend, dedup, metrics, handler, options, clock);
    }
    return *made;
  }
  void push(std::vector<ScriptedBackend::Delivery> batch) { backend.script->batches.push_back(std::move(batch)); }
  /// Polls as often; skips the pauses.
  std::string polls(int count) {
    for (int i = 0; i < count; ++i) {
      const auto report = consumer().poll();
      REQUIRE(report);
      clock.advance(report->pause);
    }
    return backend.script->trace;
  }
  /// Polls until nothing is left to read; skips the pauses.
  std::string drain() {
    for (int i = 0; i < 50; ++i) {
      const auto report = consumer().poll();
      if (!report) {
        return backend.script->trace += "ended: " + report.error().message + ";";
      }
      clock.advance(report->pause);
      if (report->received == 0 && report->pause == std::chrono::milliseconds{0} && backend.script->batches.empty() && i > 2) {
        break;
      }
    }
    return backend.script->trace;
  }
};

}  // namespace pulse::testing
