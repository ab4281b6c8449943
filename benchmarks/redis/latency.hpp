// SPDX-License-Identifier: MIT
#pragma once

#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#ifdef PULSE_BENCH_HIREDIS
#include "hiredis_peers.hpp"
#endif
#include "ours.hpp"

/// How long an event takes from just before its XADD is written to its handler, and a consumer from the request to stop to its end.
namespace bench {

inline std::int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

/// Publishes `events` at a constant rate on the server's core, by a schedule that waits for nobody, and takes the time of each until it is
/// handled. An event's queue size is its number.
class LatencyRun {
 public:
  LatencyRun(const Workload& load, std::size_t events, std::chrono::nanoseconds period)
      : port_(load.server.port()), events_(events), period_(period), sent_(events), left_(events) {
    us_.reserve(events);
  }
  ~LatencyRun() {
    if (publisher_.joinable()) {
      publisher_.join();
    }
  }
  /// The consumer is ready.
  void start() {
    publisher_ = std::thread{[this] { publish(); }};
  }
  void handled(std::int64_t event) {
    us_.push_back(static_cast<double>(now_ns() - sent_[static_cast<std::size_t>(event)].load(std::memory_order_relaxed)) * 1e-3);
    --left_;
  }
  [[nodiscard]] bool done() const { return left_ == 0; }
  [[nodiscard]] double us(double q) const { return quantile(us_, q); }

 private:
  void publish() {
    pin(0, server_core);
    ::prctl(PR_SET_TIMERSLACK, 1UL);
    const pulse_test::Fd socket = pulse_test::connect_to(port_);
    std::size_t replies = 0;
    char ids[4096];
    auto due = std::chrono::steady_clock::now() + std::chrono::milliseconds{10};
    for (std::size_t i = 0; i < events_; ++i, due += period_) {
      const std::string command = pulse_test::encode(std::vector<std::string_view>{"XADD", stream, "*", "data", envelope(1755093447.3764217, i)});
      std::this_thread::sleep_until(due);
      sent_[i].store(now_ns(), std::memory_order_relaxed);
      pulse_test::write_all(socket.get(), command, pulse_test::within(pulse_test::patience));
      for (ssize_t got = 0; (got = ::recv(socket.get(), ids, sizeof ids, MSG_DONTWAIT)) > 0;) {
        replies += static_cast<std::size_t>(std::count(ids, ids + got, '$'));
      }
    }
    while (replies < events_) {
      const ssize_t got = ::recv(socket.get(), ids, sizeof ids, 0);
      require(got > 0, "the connection is lost");
      replies += static_cast<std::size_t>(std::count(ids, ids + got, '$'));
    }
  }

  int port_;
  std::size_t events_;
  std::chrono::nanoseconds period_;
  std::vector<std::atomic<std::int64_t>> sent_;
  std::vector<double> us_;
  std::size_t left_;
  std::thread publisher_;
};

struct LatencyHandler {
  using events = pulse::Events<pulse::FeedbackEvent>;
  LatencyRun* run;
  void handle(const pulse::FeedbackEvent& event, const pulse::DeliveryContext&) { run->handled(event.queue_size); }
};

inline void our_latency(Workload& load, LatencyRun& run, std::chrono::microseconds spin) {
  pulse::RedisBackend<> backend{*pulse::RedisUrl::parse(load.server.url()), {}, {}, [spin](const pulse::RedisUrl& url) {
                                  return std::make_unique<pulse::SocketClient>(url, pulse::SocketClientOptions{.spin = spin});
                                }};
  pulse::LruWindow window = full_window();
  pulse::PrometheusMetrics metrics{{.streams = {stream}, .providers = {}, .sources = {}}};
  LatencyHandler handler{&run};
  pulse::Consumer consumer{backend, window, metrics, handler, consumer_options(100, false)};
  require(consumer.start().has_value() && consumer.poll()->received == 0, "the first step of a consumer looks for abandoned entries");
  run.start();
  while (!run.done()) {
    require(consumer.poll(std::chrono::seconds{1}).has_value(), "the consumer fails");
  }
  consumer.stop();
  require(consumer.poll()->stopped, "the consumer does not stop");
}

#ifdef PULSE_BENCH_HIREDIS
template <class Decoder>
void hiredis_latency(Workload& load, LatencyRun& run) {
  Hiredis redis{load.server.port()};
  Decoder decode;
  Event event;
  std::unordered_set<std::string> seen;
  run.start();
  while (!run.done()) {
    const HiredisReply reply = redis(read_words("100"));
    std::vector<std::string_view> ack{"XACK", stream, group};
    (void)each_entry(*reply, [&](std::string_view id, std::string_view data) {
      decode(data, event);
      if (seen.emplace(id).second) {
        run.handled(event.payload.queue_size);
      }
      ack.push_back(id);
    });
    if (ack.size() > 3) {
      (void)redis(ack);
    }
  }
}
#endif

/// Milliseconds from `stop()` to the end of `run`, of a consumer that waits for events or, where the stream is not read to its end, has plenty.
inline double time_to_stop(Workload& load, std::chrono::microseconds after) {
  pulse::RedisBackend<> backend{*pulse::RedisUrl::parse(load.server.url())};
  pulse::PrometheusMetrics metrics{{.streams = {stream}, .providers = {}, .sources = {}}};
  Sum sum;
  pulse::Consumer consumer{backend, pulse::LruWindow{65536}, metrics, sum, consumer_options(100, true)};
  require(consumer.start().has_value(), "the consumer does not start");
  std::atomic<bool> ended_well{false};
  std::thread thread{[&] { ended_well = consumer.run().has_value(); }};
  std::this_thread::sleep_for(after);
  const std::int64_t before = now_ns();
  consumer.stop();
  thread.join();
  const double ms = static_cast<double>(now_ns() - before) * 1e-6;
  require(ended_well, "the consumer did not end well");
  return ms;
}

}  // namespace bench
