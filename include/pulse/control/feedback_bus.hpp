// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "pulse/core/feedback.hpp"

namespace pulse::inline v0_1 {

/// What became of an event on the bus.
struct BusReport {
  std::size_t delivered = 0;  ///< subscribers that returned
  std::size_t failed = 0;     ///< subscribers that threw
};

/// Back-pressure within a process, without a transport: who subscribed is called on the publisher's thread, in the order of
/// subscription. At most once: nothing is kept for later. One that throws is counted, and the others are called all the same.
///
/// Thread safety: all of it. A subscriber is called by one thread at a time. A callback may subscribe, and may end its own subscription;
/// it must not publish on the same bus. Bound: as many subscribers as subscribe.
template <class Event = FeedbackEvent>
class BasicFeedbackBus {
  struct Subscriber {
    explicit Subscriber(std::function<void(const Event&)> f) : call(std::move(f)) {}
    std::recursive_mutex mutex;  // recursive: a callback may end its own subscription
    std::function<void(const Event&)> call;
    bool active = true;
  };
  using List = std::vector<std::shared_ptr<Subscriber>>;
  struct State {
    std::mutex mutex;
    std::shared_ptr<const List> list = std::make_shared<const List>();

    std::shared_ptr<const List> get() {
      const std::lock_guard lock{mutex};
      return list;
    }
  };

 public:
  /// Keeps a subscription alive. After its end (which waits for a call that runs on another thread) the callback is not called again.
  /// May outlive the bus.
  class [[nodiscard]] Subscription {
   public:
    Subscription() = default;
    Subscription(Subscription&&) noexcept = default;
    Subscription& operator=(Subscription&& other) noexcept {
      if (this != &other) {
        reset();
        state_ = std::move(other.state_);
        subscriber_ = std::move(other.subscriber_);
      }
      return *this;
    }
    ~Subscription() { reset(); }

    /// Ends it now.
    void reset() noexcept {
      if (!subscriber_) {
        return;
      }
      const auto state = std::move(state_);
      const auto subscriber = std::move(subscriber_);
      {
        const std::lock_guard lock{subscriber->mutex};
        subscriber->active = false;
      }
      const std::lock_guard lock{state->mutex};
      auto list = std::make_shared<List>(*state->list);
      std::erase(*list, subscriber);
      state->list = std::move(list);
    }

   private:
    friend class BasicFeedbackBus;
    Subscription(std::shared_ptr<State> state, std::shared_ptr<Subscriber> subscriber) : state_(std::move(state)), subscriber_(std::move(subscriber)) {}

    std::shared_ptr<State> state_;
    std::shared_ptr<Subscriber> subscriber_;
  };

  /// Calls `callback(event)` for each event published from now on, for as long as the subscription lives.
  Subscription subscribe(std::function<void(const Event&)> callback) {
    auto subscriber = std::make_shared<Subscriber>(std::move(callback));
    const std::lock_guard lock{state_->mutex};
    auto list = std::make_shared<List>(*state_->list);
    list->push_back(subscriber);
    state_->list = std::move(list);
    return Subscription{state_, std::move(subscriber)};
  }

  /// Effects: calls every subscriber. Errors: none are thrown; failures are counted in the report.
  BusReport publish(const Event& event) {
    BusReport report;
    const auto list = state_->get();
    for (const auto& subscriber : *list) {
      const std::lock_guard lock{subscriber->mutex};
      if (!subscriber->active) {
        continue;
      }
      try {
        subscriber->call(event);
        ++report.delivered;
      } catch (...) {
        ++report.failed;  // the publisher is not the one to mend it: the report says how many
      }
    }
    return report;
  }

  [[nodiscard]] std::size_t subscribers() const { return state_->get()->size(); }

 private:
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

using FeedbackBus = BasicFeedbackBus<>;

}  // namespace pulse::inline v0_1
