// SPDX-License-Identifier: MIT
#include "pulse/engine/loop.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using pulse::ErrorCode;
using pulse::SteadyTime;
using pulse::engine::Loop;
using pulse::engine::LoopOptions;
using pulse::engine::Step;

namespace {

const char* name(Step step) {
  switch (step) {
    case Step::receive: return "receive";
    case Step::claim: return "claim";
    case Step::subscribe: return "subscribe";
    case Step::pause: return "pause";
    case Step::drain: return "drain";
    case Step::stopped: return "stopped";
  }
  return "?";
}

/// Runs a loop in virtual time against a scripted backend and writes down its steps.
struct Host {
  Loop loop;
  SteadyTime now{1h};
  std::string trace;

  explicit Host(const LoopOptions& options = {}, std::uint64_t seed = 1) : loop(options, seed) {}

  Step step() {
    const auto action = loop.next(now);
    trace += name(action.step);
    trace += ' ';
    return action.step;
  }
};

}  // namespace

TEST_CASE("starts by looking for abandoned entries, then reads") {
  Host host;
  CHECK(host.step() == Step::claim);
  host.loop.claimed(0, false, host.now);
  CHECK(host.step() == Step::receive);
  host.loop.received(10);
  CHECK(host.step() == Step::receive);
  CHECK(host.trace == "claim receive receive ");
}

TEST_CASE("a read never waits past the next claim") {
  LoopOptions options;
  options.wait = 60s;
  options.claim_interval = 5s;
  Host host{options};
  host.step();
  host.loop.claimed(0, false, host.now);
  const auto action = host.loop.next(host.now);
  CHECK(action.step == Step::receive);
  CHECK(action.wait >= 4s);
  CHECK(action.wait <= 6s);
}

TEST_CASE("a read that may not wait lets a host that waits by itself sleep until the next claim") {
  LoopOptions options;
  options.wait = 0ms;
  options.claim_interval = 5s;
  Host host{options};
  host.step();
  host.loop.claimed(0, false, host.now);
  const auto asleep = host.loop.peek(host.now);
  CHECK(asleep.step == Step::receive);
  CHECK(asleep.wait >= 4s);
  CHECK(asleep.wait <= 6s);
  CHECK(host.loop.next(host.now).wait == 0ms);

  options.wait = 1ms;  // one that may wait, however short, does
  Host brief{options};
  brief.step();
  brief.loop.claimed(0, false, brief.now);
  CHECK(brief.loop.peek(brief.now).wait == 1ms);
}

TEST_CASE("field bug 4: claiming and reading take turns while abandoned entries last") {
  Host host;
  for (int i = 0; i < 3; ++i) {
    CHECK(host.step() == Step::claim);
    host.loop.claimed(100, true, host.now);
    CHECK(host.step() == Step::receive);
    host.loop.received(100);
  }
  host.step();
  host.loop.claimed(1, false, host.now);
  CHECK(host.step() == Step::receive);
  CHECK(host.step() == Step::receive);
}

TEST_CASE("field bug 4: an idle group is asked for abandoned entries at a bounded rate") {
  LoopOptions options;
  options.claim_interval = 5s;
  Host host{options};
  int claims = 0;
  for (const SteadyTime end = host.now + 100s; host.now < end; host.now += 10ms) {
    const auto action = host.loop.next(host.now);
    if (action.step == Step::claim) {
      ++claims;
      host.loop.claimed(0, false, host.now);
    } else {
      host.loop.received(0);
    }
  }
  CHECK(claims >= 16);  // 100 s / 6 s
  CHECK(claims <= 26);  // 100 s / 4 s + 1
}

TEST_CASE("an empty page in the middle of a scan goes on soon, not at once") {
  Host host;
  host.step();
  host.loop.claimed(0, true, host.now);
  CHECK(host.step() == Step::receive);
  host.loop.received(0);
  CHECK(host.step() == Step::receive);
  host.now += 400ms;  // claim_interval / 20 and its jitter
  CHECK(host.step() == Step::claim);
}

TEST_CASE("where a page brought something, the next one is asked for after one read; where it did not, after a twentieth of the interval") {
  LoopOptions options;
  options.claim_interval = 40ms;
  Host host{options};
  host.step();
  host.loop.claimed(1, true, host.now);
  CHECK(host.step() == Step::receive);
  CHECK(host.step() == Step::claim);
  host.loop.claimed(0, true, host.now);
  CHECK(host.step() == Step::receive);
  CHECK(host.step() == Step::receive);
  host.now += 1ms;
  CHECK(host.step() == Step::receive);
  host.now += 1ms;
  CHECK(host.step() == Step::claim);

  options.claim_interval = 10ms;  // of which a twentieth is less than the least
  Host quick{options};
  quick.step();
  quick.loop.claimed(0, true, quick.now);
  CHECK(quick.step() == Step::receive);
  CHECK(quick.step() == Step::receive);
  quick.now += 1ms;
  CHECK(quick.step() == Step::claim);
}

TEST_CASE("rounds of claiming are a claim_interval apart, a fifth more or less") {
  LoopOptions options;
  options.claim_interval = 1000ms;
  options.wait = 1h;
  Host host{options};
  std::vector<std::chrono::milliseconds> waits;
  for (int i = 0; i < 1000; ++i) {
    host.loop.claimed(0, false, host.now);
    waits.push_back(host.loop.next(host.now).wait);
  }
  const auto [least, most] = std::minmax_element(waits.begin(), waits.end());
  CHECK(*least >= 800ms);
  CHECK(*least < 810ms);
  CHECK(*most <= 1200ms);
  CHECK(*most > 1190ms);
}

TEST_CASE("a pause after a failure is 1 ms more than what is drawn from its ceiling") {
  LoopOptions options;
  options.error_base = options.error_cap = 1ms;
  std::vector<std::chrono::milliseconds> pauses;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Host host{options, seed};
    host.loop.failed(ErrorCode::unavailable, host.now);
    pauses.push_back(host.loop.next(host.now).wait);
  }
  CHECK(*std::min_element(pauses.begin(), pauses.end()) == 1ms);
  CHECK(*std::max_element(pauses.begin(), pauses.end()) == 2ms);
}

// guarantee 9
TEST_CASE("field bug 16: a backend that is down is asked ever more rarely, with jitter, at most every error_cap") {
  LoopOptions options;
  options.error_base = 50ms;
  options.error_cap = 5s;
  int calls = 0;
  Host host{options};
  const SteadyTime end = host.now + 60s;
  while (host.now < end) {
    const auto action = host.loop.next(host.now);
    if (action.step == Step::pause) {
      REQUIRE(action.wait > 0ms);
      REQUIRE(action.wait <= 5001ms);
      host.now += action.wait;
    } else {
      ++calls;
      CHECK(host.loop.failed(ErrorCode::unavailable, host.now));
    }
  }
  CHECK(calls >= 10);
  CHECK(calls <= 80);
}

TEST_CASE("field bug 16: a claim that asks nobody does not make the pauses of a failing read short again") {
  LoopOptions options;
  options.error_base = 50ms;
  options.claim_interval = 10ms;
  Host host{options};
  int reads = 0;
  for (const SteadyTime end = host.now + 60s; host.now < end;) {
    const auto action = host.loop.next(host.now);
    if (action.step == Step::pause) {
      host.now += action.wait;
    } else if (action.step == Step::claim) {
      host.loop.claimed(0, true, host.now);
    } else {
      ++reads;
      CHECK(host.loop.failed(ErrorCode::unavailable, host.now));
    }
  }
  CHECK(reads <= 80);
}

TEST_CASE("two consumers that lost the same server do not come back together") {
  std::vector<std::chrono::milliseconds> pauses;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    Host host{{}, seed};
    for (int i = 0; i < 6; ++i) {
      host.loop.failed(ErrorCode::unavailable, host.now);
    }
    pauses.push_back(host.loop.next(host.now).wait);
  }
  int different = 0;
  for (const auto pause : pauses) {
    different += pause != pauses.front() ? 1 : 0;
  }
  CHECK(different >= 5);
}

TEST_CASE("success ends the count of failures") {
  Host host;
  host.loop.failed(ErrorCode::unavailable, host.now);
  host.loop.failed(ErrorCode::unavailable, host.now);
  CHECK(host.loop.failures_in_a_row() == 2);
  host.loop.received(0);
  CHECK(host.loop.failures_in_a_row() == 0);
}

TEST_CASE("field bug 2: a lost group stops the loop by default") {
  Host host;
  CHECK_FALSE(host.loop.failed(ErrorCode::no_group, host.now));
  CHECK(host.step() == Step::stopped);
}

TEST_CASE("field bug 2: a lost group is made anew by policy, after a pause, never in a spin") {
  LoopOptions options;
  options.group_lost = pulse::engine::GroupLost::recreate_at_beginning;
  Host host{options};
  CHECK(host.loop.failed(ErrorCode::no_group, host.now));
  CHECK(host.step() == Step::pause);
  host.now += 10s;
  CHECK(host.step() == Step::subscribe);
  host.loop.subscribed();
  CHECK(host.step() == Step::claim);
}

TEST_CASE("errors that no patience mends end the loop") {
  for (const ErrorCode code : {ErrorCode::denied, ErrorCode::config, ErrorCode::stopped}) {
    Host host;
    CHECK_FALSE(host.loop.failed(code, host.now));
    CHECK(host.loop.stopped());
  }
}

TEST_CASE("stopping drains within its deadline and stays stopped") {
  LoopOptions options;
  options.drain_deadline = 2s;
  Host host{options};
  host.loop.request_stop(host.now);
  CHECK(host.loop.stopping());
  host.now += 500ms;
  const auto action = host.loop.next(host.now);
  CHECK(action.step == Step::drain);
  CHECK(action.wait == 1500ms);
  host.loop.request_stop(host.now);  // asking twice does not extend it
  host.now += 10s;
  CHECK(host.loop.next(host.now).wait == 0ms);
  host.loop.drained();
  CHECK(host.step() == Step::stopped);
}

TEST_CASE("stopping does not wait for a pause after errors") {
  Host host;
  host.loop.failed(ErrorCode::unavailable, host.now);
  host.loop.request_stop(host.now);
  CHECK(host.step() == Step::drain);
}

TEST_CASE("options out of bounds are refused by name") {
  const auto error = [](const LoopOptions& options, std::chrono::milliseconds deadline = 1ms, std::chrono::milliseconds heartbeat = 10s) {
    const pulse::Status status = check(options, deadline, heartbeat);
    return status ? std::string{} : status.error().message;
  };
  CHECK(error({}).empty());
  LoopOptions options;
  options.batch = 0;
  CHECK(error(options).find("batch is 0: allowed are 1 to 65536") != std::string::npos);
  options.batch = 65537;
  CHECK(error(options).find("batch is 65537") != std::string::npos);
  options.batch = 65536;
  CHECK(error(options).empty());
  options = {};
  options.wait = -1ms;
  CHECK(error(options).find("wait") != std::string::npos);
  options = {};
  options.claim_idle = 0ms;
  CHECK(error(options).find("claim_idle") != std::string::npos);
  options = {};
  CHECK(error(options, 1ms, 20s).find("half of claim_idle") != std::string::npos);
  CHECK(error(options, 1ms, 15s).empty());
  options.claim_idle = 1ms;
  CHECK(error(options, 0ms, 1ms).find("half of claim_idle") != std::string::npos);
}

TEST_CASE("each time may be its least and a day, and nothing outside") {
  struct Row {
    const char* name;
    std::chrono::milliseconds LoopOptions::* time;
    std::chrono::milliseconds least;
  };
  const Row rows[] = {{"loop.wait", &LoopOptions::wait, 0ms},
                      {"loop.claim_idle", &LoopOptions::claim_idle, 1ms},
                      {"loop.claim_interval", &LoopOptions::claim_interval, 1ms},
                      {"loop.error_base", &LoopOptions::error_base, 1ms},
                      {"loop.error_cap", &LoopOptions::error_cap, 1ms},
                      {"loop.drain_deadline", &LoopOptions::drain_deadline, 0ms}};
  const auto refused = [](const LoopOptions& options, std::chrono::milliseconds deadline, std::chrono::milliseconds heartbeat) {
    const pulse::Status status = check(options, deadline, heartbeat);
    return status ? std::string{} : status.error().message.substr(0, status.error().message.find(" is "));
  };
  LoopOptions options;
  for (const Row& row : rows) {
    for (const auto good : {row.least, std::chrono::milliseconds{24h}}) {
      options = {};
      options.*row.time = good;
      CHECK(refused(options, 0ms, 0ms).empty());
    }
    for (const auto bad : {row.least - 1ms, std::chrono::milliseconds{24h} + 1ms}) {
      options = {};
      options.*row.time = bad;
      CHECK(refused(options, 0ms, 0ms) == std::string("ConsumerOptions.") + row.name);
    }
  }
  options = {};
  options.batch = 1;
  options.claim_idle = 24h;
  CHECK(refused(options, 0ms, -1ms) == "ConsumerOptions.heartbeat");
  CHECK(refused(options, -1ms, 0ms) == "ConsumerOptions.handler_deadline");
  CHECK(refused(options, 24h - 1ms, 0ms).empty());
  CHECK(refused(options, 24h + 1ms, 0ms) == "ConsumerOptions.handler_deadline");
}

TEST_CASE("without a word of one's own, the times are those of the documentation") {
  const LoopOptions options;
  CHECK(options.batch == 100);
  CHECK(options.wait == 1s);
  CHECK(options.claim_idle == 30s);
  CHECK(options.claim_interval == 5s);
  CHECK(options.error_base == 50ms);
  CHECK(options.error_cap == 5s);
  CHECK(options.drain_deadline == 5s);
  CHECK(pulse::engine::Action{}.wait == 0ms);
}

// guarantee 7
TEST_CASE("field bug 6: entries that would age past claim_idle in the queue here are an error at start") {
  LoopOptions options;
  options.batch = 100;
  options.claim_idle = 30s;
  CHECK_FALSE(check(options, 300ms, 0ms));
  CHECK(check(options, 299ms, 0ms));
  CHECK(check(options, 10s, 10s));                // a heartbeat keeps them young
  CHECK_FALSE(check(options, 300ms, 10s, true));  // but not those that were read ahead
  CHECK(check(options, 299ms, 10s, true));
  CHECK_FALSE(check(options, 150ms, 0ms, true));
  CHECK(check(options, 149ms, 0ms, true));
  const auto says = [&](bool prefetch, const char* text) {
    const pulse::Status status = check(options, 300ms, 0ms, prefetch);
    return !status && status.error().message.find(text) != std::string::npos;
  };
  CHECK(says(false, "batch (100) x handler_deadline (300 ms) is not below claim_idle (30000 ms)"));
  CHECK(says(false, "or set a heartbeat"));
  CHECK(says(true, "batch (100, twice with prefetch) x"));
  CHECK(says(true, "or do without prefetch"));
  options.batch = 1;
  CHECK_FALSE(check(options, 30s, 0ms));
}
