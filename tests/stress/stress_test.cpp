// SPDX-License-Identifier: MIT
//
// What any thread may call, called by many at once on the machine's clock: for the thread sanitizer, and for laws that hold whatever the order.
// Bounded by a number of calls, never by a time.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pulse/backend/in_memory.hpp"
#include "pulse/consumer.hpp"
#include "pulse/control/handlers.hpp"
#include "pulse/control/rate_coordinator.hpp"
#include "pulse/dedup/lru_window.hpp"
#include "pulse/dedup/sharded.hpp"
#include "pulse/detail/random.hpp"
#include "pulse/metrics/prometheus.hpp"
#include "pulse/metrics/prometheus_text.hpp"
#include "pulse/publisher.hpp"
#include "pulse/runtime.hpp"

using namespace std::chrono_literals;
using pulse::Claim;
using pulse::ErrorCode;

namespace {

/// Runs f(n) for n of 0 to count - 1, a thread each, to their ends.
template <class F>
void together(int count, F f) {
  std::vector<std::thread> threads;
  for (int n = 0; n < count; ++n) {
    threads.emplace_back([&f, n] { f(n); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

void until(const auto& condition) {
  while (!condition()) {
    std::this_thread::sleep_for(1ms);
  }
}

pulse::Envelope<pulse::FeedbackEvent> event(int n) {
  pulse::Envelope<pulse::FeedbackEvent> envelope;
  envelope.id = "event-" + std::to_string(n);
  envelope.ts = 1.7e9;
  envelope.meta.schema_id = pulse::schema_id_of<pulse::FeedbackEvent>;
  envelope.payload = {.coordinator_id = "c" + std::to_string(n % 4), .queue_size = n, .capacity = 100, .ts = 1.7e9 + n};
  return envelope;
}

}  // namespace

// guarantee 8
TEST_CASE("stress: a coordinator that is asked, told and stopped from all sides grants no more than its law") {
  pulse::RateCoordinator rates;
  constexpr double capacity = 50;
  constexpr double rate = 20'000;
  REQUIRE(rates.register_provider("p", {.capacity = capacity, .refill_rate = rate, .cooldown = 1ms, .breaker_threshold = 3, .breaker_timeout = 1ms}));
  std::atomic<std::uint64_t> granted{0};
  const auto begin = std::chrono::steady_clock::now();
  together(6, [&](int n) {
    pulse::detail::SplitMix64 random{static_cast<std::uint64_t>(n)};
    for (int i = 0; i < 400; ++i) {
      const auto tokens = static_cast<std::uint32_t>(1 + random.up_to(4));
      switch (n < 3 ? random.up_to(2) : 3 + random.up_to(4)) {
        case 0:
        case 1: {
          pulse::StopSource source;
          std::thread stopper;
          if (random.up_to(7) == 0) {
            stopper = std::thread([&source] { source.request_stop(); });
          }
          const pulse::Status got = rates.acquire("p", tokens, std::chrono::steady_clock::now() + 2ms, source.token());
          granted += got ? tokens : 0;
          CHECK((got || got.error().code != ErrorCode::not_found));
          if (stopper.joinable()) {
            stopper.join();
          }
          break;
        }
        case 2: granted += rates.try_acquire("p", tokens) ? tokens : 0; break;
        case 3: CHECK(rates.set_budget_scale("p", static_cast<double>(random.up_to(2)) / 2)); break;
        case 4: CHECK(rates.set_global_pressure(static_cast<pulse::BackpressureLevel>(random.up_to(1)))); break;
        case 5: CHECK((random.up_to(20) == 0 ? rates.trigger_cooldown("p") : rates.record_success("p"))); break;
        case 6: CHECK(rates.record_failure("p")); break;
        default: CHECK(rates.register_provider("p" + std::to_string(n) + "-" + std::to_string(i), {})); break;
      }
      CHECK(rates.provider_state("p"));
    }
  });
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  CHECK(static_cast<double>(granted.load()) <= capacity + rate * seconds);
  CHECK(rates.provider_state("p")->waiting == 0);
}

// guarantee 2
TEST_CASE("stress: of many threads that claim the same ids, with failures, one makes each done") {
  pulse::Sharded<pulse::LruWindow> window{4096};
  constexpr std::uint64_t ids = 1000;
  std::vector<std::atomic<int>> done(ids);
  together(4, [&](int n) {
    pulse::detail::SplitMix64 random{static_cast<std::uint64_t>(n)};
    for (int i = 0; i < 10'000; ++i) {
      const std::uint64_t which = random.up_to(ids - 1);
      const pulse::EventId id{which, which};
      if (window.claim(id) == Claim::fresh) {
        if (random.up_to(2) == 0) {
          window.release(id);
        } else {
          ++done[which];
          window.commit(id);
        }
      }
    }
  });
  std::size_t known = 0;
  for (std::uint64_t which = 0; which < ids; ++which) {
    REQUIRE(done[which] <= 1);
    known += static_cast<std::size_t>(done[which]);
  }
  CHECK(window.size() == known);
}

// guarantee 1, 2
TEST_CASE("stress: members of a group over one bus and one window, some of whose handlers fail, have one effect an event") {
  using Bus = pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>>;
  Bus bus;
  constexpr int events = 400;
  pulse::Sharded<pulse::LruWindow> window{4096};
  pulse::PrometheusMetrics metrics{{.streams = {"s"}}};
  std::vector<std::atomic<int>> effects(events);
  std::atomic<int> done{0};
  std::vector<std::atomic<bool>> failed(events);
  together(5, [&](int n) {
    if (n >= 3) {  // each event is published twice
      for (int i = 0; i < events; ++i) {
        CHECK(bus.publish("s", event(i)));
      }
      return;
    }
    auto handler = pulse::handlers(pulse::on<pulse::FeedbackEvent>([&](const pulse::FeedbackEvent& each) {
      const auto at = static_cast<std::size_t>(each.queue_size);
      if (at % 5 == 0 && !failed[at].exchange(true)) {
        return pulse::Verdict::retry(1ms);
      }
      ++effects[at];
      ++done;
      return pulse::Verdict::ack();
    }));
    pulse::ConsumerOptions options;
    options.subscribe.streams = {"s"};
    options.subscribe.consumer = "member-" + std::to_string(n);
    options.loop.batch = 7;
    options.loop.wait = 1ms;
    options.loop.claim_idle = 1000ms;
    options.loop.claim_interval = 1ms;
    options.heartbeat = 1ms;
    options.handler_deadline = 1ms;
    options.lease_wait = 1ms;
    pulse::Consumer consumer{bus, window, metrics, handler, options};
    REQUIRE(consumer.start());
    while (done < events) {
      CHECK(consumer.poll());
      (void)consumer.health();
      (void)pulse::prometheus_text(metrics);
    }
  });
  for (const auto& each : effects) {
    REQUIRE(each == 1);
  }
}

// guarantee 6
TEST_CASE("stress: a runtime that starts and stops while others publish and ask for its health loses nothing") {
  using Bus = pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>>;
  Bus bus;
  struct Rates {
    std::atomic<int> applied{0};
    void apply(const pulse::RateAdjustment&) { ++applied; }
  } rates;
  pulse::PrometheusMetrics metrics;
  pulse::PulseConfig config;
  config.backend = "inmem";
  pulse::RuntimeOptions options;
  options.consumer.loop.wait = 1ms;
  pulse::Runtime runtime{config, pulse::backends(pulse::backend<"inmem">(bus)), pulse::LruWindow{4096}, metrics, rates, options};
  const std::string stream = pulse::stream_key(pulse::feedback_stream);
  std::atomic<int> running{3};
  together(4, [&](int n) {
    if (n == 0) {
      do {
        CHECK(runtime.start());
        std::this_thread::yield();
        CHECK(runtime.stop());
      } while (running > 0);
      return;
    }
    for (int i = 0; i < 100; ++i) {
      if (n == 3) {
        (void)runtime.health();
        (void)pulse::prometheus_text(metrics);
      } else {
        CHECK(bus.publish(stream, event(n * 1000 + i)));
      }
      std::this_thread::yield();
    }
    --running;
  });
  REQUIRE(runtime.start());
  pulse::SubscribeOptions probe;
  probe.streams = {stream};
  probe.consumer = "probe";
  auto looks = bus.subscribe(probe);
  REQUIRE(looks);
  until([&] {
    const auto state = looks->state(0);
    return state && state->lag == 0 && state->pending == 0;
  });
  CHECK(runtime.stop());
  CHECK(bus.dead_letters(stream, {}, 1)->empty());
}
