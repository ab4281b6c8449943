// SPDX-License-Identifier: MIT
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include <pulse/consumer.hpp>
#include <pulse/control/handlers.hpp>
#include <pulse/dedup/lru_window.hpp>
#include <pulse/metrics/no_metrics.hpp>
#include <pulse/publisher.hpp>
#include <pulse/redis.hpp>

#include "../support/redis_server.hpp"
#include "redis_world.hpp"

namespace pulse_test {

/// An envelope as a producer writes it; `id` may be empty, as of one that sends none.
inline std::string envelope(int event, const std::string& id) {
  return R"({"ts": 1.7e9, "key": null, "meta": {"schema_id": "telemetry.FeedbackEvent", "track": "v1", "headers": {}, "hash": null}, )" +
         (id.empty() ? "" : "\"id\": \"" + id + "\", ") + R"("payload": {"coordinator_id": "store-1", "queue_size": )" + std::to_string(event) +
         R"(, "capacity": 1000000, "level": "ok", "source": "store", "ts": 1.7e9}})";
}

/// Appends events number `from` to `to`, past the end, each under an id of its own.
inline void publish_events(pulse::RedisBackend<>& backend, int from, int to, const std::string& source = "store") {
  pulse::Publisher publisher{backend, "s"};
  for (int i = from; i < to; ++i) {
    const std::string id = "event-" + std::to_string(i);
    pulse::PublishOptions options;
    options.id = id;
    auto published = publisher.publish(pulse::FeedbackEvent{"store-1", i, 1'000'000, pulse::BackpressureLevel::ok, source, 1.7e9}, options);
    REQUIRE_MESSAGE(published, published.error().message);
  }
}

/// Settings under which what takes seconds in production takes milliseconds.
inline pulse::ConsumerOptions hurried() {
  pulse::ConsumerOptions options;
  options.subscribe = member("one");
  options.loop.batch = 10;
  options.loop.wait = std::chrono::milliseconds{50};
  options.loop.claim_interval = std::chrono::milliseconds{200};
  options.loop.error_base = std::chrono::milliseconds{2};
  options.loop.error_cap = std::chrono::milliseconds{50};
  return options;
}
inline pulse::RedisOptions hurried_redis() {
  pulse::RedisOptions options;
  options.connect_timeout = std::chrono::milliseconds{200};
  options.command_timeout = std::chrono::milliseconds{200};
  return options;
}

/// A consumer that runs on a thread of its own and notes how often it handled which event. What it handled twice was no duplicate to its window.
class Pipeline {
 public:
  explicit Pipeline(const std::string& url, pulse::ConsumerOptions options = hurried(), pulse::RedisOptions redis = hurried_redis())
      : backend_(url_of(url), std::move(redis)),
        consumer_(
            backend_, pulse::LruWindow{4096}, pulse::NoMetrics{},
            pulse::handlers(pulse::on<pulse::FeedbackEvent>(Note{[this](const pulse::FeedbackEvent& event) { note(static_cast<int>(event.queue_size)); }})),
            std::move(options)) {}
  ~Pipeline() {
    consumer_.stop();
    if (thread_.joinable()) {
      thread_.join();
    }
  }

  pulse::Status subscribe() { return consumer_.start(); }
  void start() {
    thread_ = std::thread{[this] {
      pulse::Status ended = consumer_.run();
      const std::lock_guard lock{mutex_};
      result_ = std::move(ended);
      over_ = true;
      changed_.notify_all();
    }};
  }

  /// Waits until `count` different events were handled. false: they were not in time, or it has ended.
  bool handled(std::size_t count) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, patience, [&] { return times_.size() >= count || over_; }) && times_.size() >= count;
  }
  std::size_t handled() {
    const std::lock_guard lock{mutex_};
    return times_.size();
  }
  /// How many events were handled more than once.
  int twice() {
    const std::lock_guard lock{mutex_};
    int count = 0;
    for (const auto& [event, times] : times_) {
      count += times > 1;
    }
    return count;
  }
  /// Waits for it to end by itself.
  pulse::Status ended() {
    std::unique_lock lock{mutex_};
    REQUIRE(changed_.wait_for(lock, patience, [&] { return over_; }));
    return std::move(result_);
  }
  pulse::Status stop() {
    ask_to_stop();
    return ended();
  }
  void ask_to_stop() { consumer_.stop(); }
  /// Called with each event before it is noted, on the consumer's thread.
  void on_event(std::function<void(int)> hook) { hook_ = std::move(hook); }

  [[nodiscard]] pulse::RedisBackend<>& backend() noexcept { return backend_; }
  [[nodiscard]] auto health() const { return consumer_.health(); }

 private:
  void note(int event) {
    if (hook_) {
      hook_(event);
    }
    const std::lock_guard lock{mutex_};
    ++times_[event];
    changed_.notify_all();
  }

  using Note = std::function<void(const pulse::FeedbackEvent&)>;

  pulse::RedisBackend<> backend_;
  std::function<void(int)> hook_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int, int> times_;
  bool over_ = false;
  pulse::Status result_;
  pulse::Consumer<pulse::RedisBackend<>&, pulse::LruWindow, pulse::NoMetrics, pulse::Handlers<pulse::On<pulse::FeedbackEvent, Note>>> consumer_;
  std::thread thread_;
};

/// Waits until nothing of the group is pending. false: it was not so in time.
inline bool settled(const RedisServer& server) {
  for (const auto deadline = within(patience); std::chrono::steady_clock::now() < deadline;) {
    if (cli(server, {"XPENDING", "s", "g"})[0] == "0") {
      return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
  return false;
}

}  // namespace pulse_test
