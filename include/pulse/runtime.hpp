// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <boost/hana/at_key.hpp>
#include <boost/hana/for_each.hpp>
#include <boost/hana/keys.hpp>
#include <boost/hana/map.hpp>
#include <boost/hana/pair.hpp>
#include <boost/hana/string.hpp>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>

#include "pulse/consumer.hpp"
#include "pulse/control/feedback_bus.hpp"
#include "pulse/core/config.hpp"

namespace pulse::inline v0_1 {

/// A backend under the name by which EVENT_BUS_BACKEND picks it. `make(config)` returns Result<std::unique_ptr<Backend>>, and is
/// called only when the backend is picked: a transport that is not chosen is never connected to.
///
///     pulse::backend<"redis">([](const pulse::PulseConfig& config) { return connect(config); })
template <FixedString Name, class Make>
  requires std::is_invocable_v<Make&, const PulseConfig&>
[[nodiscard]] auto backend(Make make) {
  return boost::hana::make_pair(detail::hana_name<Name>(std::make_index_sequence<Name.size()>{}), std::move(make));
}

/// The same for a backend that exists already and outlives the runtime.
template <FixedString Name, Backend B>
[[nodiscard]] auto backend(B& existing) {
  return backend<Name>([&existing](const PulseConfig&) { return Result<B*>{&existing}; });
}

/// The backends compiled in: a Hana map from name to maker.
template <class... Named>
[[nodiscard]] auto backends(Named... named) {
  return boost::hana::make_map(std::move(named)...);
}

/// What the environment does not say.
struct RuntimeOptions {
  ConsumerOptions consumer{};
  /// Where the configured backend cannot be had at start: false, an error; true, the in-process FeedbackBus instead, and health says so.
  bool degrade_to_bus = false;
};

/// What the runtime runs on.
enum class RuntimeMode : std::uint8_t { stopped, consumer, bus };

/// How a runtime is doing, and on what.
struct RuntimeHealth {
  RuntimeMode mode = RuntimeMode::stopped;
  bool live = false;
  bool ready = false;
  bool degraded = false;  ///< on the bus although a backend was configured
  std::string backend;    ///< the backend's name; empty on the bus
  std::string detail;
};

/// Starts what the environment asks for and stops it within its deadline: with PULSE_ENABLED the consumer on a thread of its own, over
/// the backend that EVENT_BUS_BACKEND names; without it the in-process FeedbackBus, on which `bus().publish(event)` drives the same
/// handling. The choice is made once, at start; after it every call is static. SCHEMA_TRACK decides how a backend of bytes is read: on v2
/// what that track adds to a FeedbackEvent is checked, on v1 it is ignored. It can be started again after a stop; what is done stays done.
///
/// Dedup is owned; Metrics and Controller are referred to. Thread safety: start, stop and the destructor are one thread's; the rest is
/// everybody's.
template <class BackendMap, class D, class M, RateController C, class T = DefaultTraits>
class Runtime {
  static_assert(assert_dedup<D>() && assert_metrics<M>());
  using bus_type = std::enable_if_t<RateController<C>, FeedbackBus>;  // dependent, so that who has no runtime does not compile a bus

 public:
  Runtime(PulseConfig config, BackendMap made, D dedup, M& metrics, C& controller, RuntimeOptions options = {}, typename T::clock clock = {})
      : config_(std::move(config)),
        backends_(std::move(made)),
        dedup_(std::move(dedup)),
        metrics_(metrics),
        controller_(controller),
        options_(std::move(options)),
        clock_(std::move(clock)) {
    options_.consumer.feedback = config_.feedback;
    if (options_.consumer.subscribe.streams.empty()) {
      options_.consumer.subscribe.streams.push_back(stream_key(feedback_stream, config_.name_space));
    }
    const SubscribeOptions untouched;  // what the program has named stays
    if (options_.consumer.subscribe.group == untouched.group) {
      options_.consumer.subscribe.group = config_.group;
    }
    if (options_.consumer.subscribe.consumer == untouched.consumer) {
      options_.consumer.subscribe.consumer = config_.consumer;
    }
  }
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  ~Runtime() { finish(); }

  /// Errors: an unknown backend name, with the names there are; a backend that cannot be had; a subscription that is refused.
  Status start() {
    if (mode_ != RuntimeMode::stopped) {
      return Error{ErrorCode::config, "the runtime is started already"};
    }
    {
      const std::scoped_lock lock{mutex_, facts_mutex_};
      quit_ = done_ = false;
      result_ = {};
      degraded_.clear();
    }
    if (!config_.enabled) {
      return start_bus();
    }
    std::optional<Status> started;
    std::string names;
    boost::hana::for_each(boost::hana::keys(backends_), [&](auto name) {
      const std::string_view text{boost::hana::to<const char*>(name)};
      if (text == config_.backend) {
        started.emplace(start_on(text, boost::hana::at_key(backends_, name)));
      }
      names += (names.empty() ? "" : ", ") + std::string(text);
    });
    if (!started) {
      return Error{ErrorCode::config, "EVENT_BUS_BACKEND is \"" + config_.backend + "\": compiled in are " + names};
    }
    if (!*started && started->error().code == ErrorCode::unavailable && options_.degrade_to_bus) {
      {
        const std::lock_guard lock{facts_mutex_};
        degraded_ = started->error().message;
      }
      return start_bus();
    }
    return std::move(*started);
  }

  /// Stops reading, lets the running handler finish, settles, and joins the thread, all within drain_deadline and `grace`.
  /// Errors: unavailable, when a handler has not returned by then; the destructor waits for it. What ended the consumer, however often it is asked for,
  /// until the next start.
  Status stop(std::chrono::milliseconds grace = std::chrono::milliseconds{1000}) {
    ask_to_stop();
    if (thread_.joinable()) {
      std::unique_lock lock{mutex_};
      if (!ended_.wait_for(lock, options_.consumer.loop.drain_deadline + grace, [this] { return done_; })) {
        return Error{ErrorCode::unavailable, "a handler has not returned within the deadline to stop: the thread is left to finish"};
      }
    }
    finish();
    return result_;
  }

  /// The in-process bus: on it when PULSE_ENABLED is false; otherwise what is published here reaches nobody but its own subscribers.
  [[nodiscard]] bus_type& bus() noexcept { return bus_; }
  [[nodiscard]] RuntimeMode mode() const noexcept { return mode_; }

  [[nodiscard]] RuntimeHealth health(std::chrono::milliseconds stuck_after = std::chrono::seconds{30}) const {
    RuntimeHealth health;
    const std::lock_guard facts{facts_mutex_};
    health.mode = mode_;
    health.degraded = !degraded_.empty();
    health.detail = degraded_;
    if (mode_ == RuntimeMode::bus) {
      health.live = true;
      health.ready = true;
    } else if (ask_health_) {
      const ConsumerHealth consumer = ask_health_(stuck_after);
      const std::lock_guard lock{mutex_};
      health.live = consumer.live && !done_;
      health.ready = consumer.ready && !done_;
      health.backend = config_.backend;
      health.detail = consumer.detail;
    }
    return health;
  }

 private:
  template <class Make>
  Status start_on(std::string_view name, Make& make) {
    auto made = make(config_);
    if (!made) {
      return std::move(made).error();
    }
    using pointer = std::remove_cvref_t<decltype(*made)>;
    using backend_type = std::remove_reference_t<decltype(**made)>;
    if constexpr (!backend_type::capabilities.typed) {
      if (config_.track == Track::v2) {
        return start_consumer<Consumer<backend_type&, D&, M&, C&, OnTrackV2<T>>>(name, pointer{std::move(*made)});
      }
    }
    return start_consumer<Consumer<backend_type&, D&, M&, C&, T>>(name, pointer{std::move(*made)});
  }

  template <class consumer_type, class pointer>
  Status start_consumer(std::string_view name, pointer made) {
    // A shared owner of both: the consumer's thread and this object let go in either order.
    struct Running {
      pointer backend;
      consumer_type consumer;
      Running(pointer b, D& dedup, M& metrics, C& controller, const ConsumerOptions& options, const typename T::clock& clock)
          : backend(std::move(b)), consumer(*backend, dedup, metrics, controller, options, clock) {}
    };
    auto running = std::make_shared<Running>(std::move(made), dedup_, metrics_, controller_, options_.consumer, clock_);
    if (Status subscribed = running->consumer.start(); !subscribed) {
      return Error{subscribed.error().code, std::string(name) + ": " + subscribed.error().message};
    }
    ask_stop_ = [running] { running->consumer.stop(); };
    const std::lock_guard facts{facts_mutex_};
    ask_health_ = [running](std::chrono::milliseconds stuck_after) { return running->consumer.health(stuck_after); };
    mode_ = RuntimeMode::consumer;
    thread_ = std::thread([this, running] {
      Status ended = running->consumer.run();
      const std::lock_guard lock{mutex_};
      result_ = std::move(ended);
      done_ = true;
      ended_.notify_all();
    });
    return {};
  }

  Status start_bus() {
    if (Status checked = check(config_.feedback); !checked) {
      return checked;
    }
    handler_.emplace(controller_, metrics_, config_.feedback, clock_);
    subscribed_.emplace(bus_.subscribe([this](const FeedbackEvent& event) {
      const std::lock_guard lock{mutex_};  // publishers may be many, the handler is one thread's
      (void)handler_->handle(event);
    }));
    ask_stop_ = [this] {
      const std::lock_guard lock{mutex_};
      quit_ = true;
      ended_.notify_all();
    };
    thread_ = std::thread([this] {  // nobody polls here, and a coordinator that falls silent must expire all the same
      std::unique_lock lock{mutex_};
      while (!quit_) {
        (void)handler_->tick();  // what could not be applied is tried again at the next
        clock_.wait_until(ended_, lock, clock_.steady() + std::chrono::seconds{1});
      }
      done_ = true;
      ended_.notify_all();
    });
    mode_ = RuntimeMode::bus;
    return {};
  }

  void ask_to_stop() {
    subscribed_.reset();
    if (ask_stop_) {
      ask_stop_();
    }
  }

  void finish() {
    ask_to_stop();
    if (thread_.joinable()) {
      thread_.join();
    }
    mode_ = RuntimeMode::stopped;
  }

  PulseConfig config_;
  BackendMap backends_;
  D dedup_;
  M& metrics_;
  C& controller_;
  RuntimeOptions options_;
  typename T::clock clock_;
  bus_type bus_;
  std::optional<FeedbackHandler<C, M, typename T::clock>> handler_;
  std::optional<typename bus_type::Subscription> subscribed_;
  std::function<void()> ask_stop_;
  std::function<ConsumerHealth(std::chrono::milliseconds)> ask_health_;
  mutable std::mutex mutex_;        // guards what the thread says, and on the bus the handler
  mutable std::mutex facts_mutex_;  // guards what start() found out: degraded_, ask_health_
  std::condition_variable ended_;
  bool quit_ = false;  // of the bus's thread
  bool done_ = false;
  Status result_;
  std::string degraded_;
  std::atomic<RuntimeMode> mode_{RuntimeMode::stopped};
  std::thread thread_;
};

}  // namespace pulse::inline v0_1
