// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>

#include "pulse/core/clock.hpp"

namespace pulse::inline v0_1::engine {

/// Keeps the leases of a batch while its handlers run: a thread that extends all of its deliveries every interval, takes note of
/// those that another consumer owns meanwhile, and asks the consumer to settle what is finished, so that done work is not handed out
/// again because its neighbours take long. An interval of 0 means no thread and no cost. Without `start` there is no thread either: then
/// somebody else calls `beat`.
///
/// Thread safety: open, close, any_lost, lost_flags and settle_due are the consumer's thread's; beat is everybody's.
template <class Subscription, class Clock>
class LeaseKeeper {
 public:
  /// `attention` is raised when there is something to ask of this object: one flag to look at between two events.
  LeaseKeeper(std::chrono::milliseconds interval, std::size_t max_batch, const Clock& clock, std::atomic<bool>& attention)
      : interval_(interval), clock_(clock), attention_(attention), lost_(std::make_unique<std::atomic<bool>[]>(max_batch)) {}
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;
  ~LeaseKeeper() { stop(); }

  void start() {
    if (interval_.count() > 0 && !thread_.joinable()) {
      thread_ = std::thread([this] { loop(); });
    }
  }

  void stop() {
    {
      const std::lock_guard lock{mutex_};
      quit_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) {
      thread_.join();
    }
  }

  /// A batch of `size` begins.
  void open(Subscription& subscription, std::size_t size) {
    if (any_lost_.load(std::memory_order_relaxed)) {
      for (std::size_t i = 0; i < size_; ++i) {
        lost_[i].store(false, std::memory_order_relaxed);
      }
      any_lost_.store(false, std::memory_order_relaxed);
    }
    if (interval_.count() > 0) {
      const std::lock_guard lock{mutex_};
      subscription_ = &subscription;
      size_ = size;
      beat_at_ = clock_.steady() + interval_;
    }
  }

  /// The batch is over: when this returns, nothing touches its deliveries any more.
  void close() {
    if (interval_.count() > 0) {
      const std::lock_guard lock{mutex_};
      subscription_ = nullptr;
    }
  }

  /// Extends the batch that is open, if one is, whether or not it is time.
  void beat() {
    const std::lock_guard lock{mutex_};
    if (subscription_ != nullptr) {
      beat(clock_.steady());
    }
  }

  [[nodiscard]] bool any_lost() const noexcept { return any_lost_.load(std::memory_order_relaxed); }
  /// One for each delivery of the batch.
  [[nodiscard]] const std::atomic<bool>* lost_flags() const noexcept { return lost_.get(); }

  /// Whether a beat passed since the last time this said yes.
  [[nodiscard]] bool settle_due() noexcept { return settle_due_.load(std::memory_order_relaxed) && settle_due_.exchange(false, std::memory_order_relaxed); }

 private:
  // Under the lock, so that close() waits for it. A failed beat is repeated at the next; the lease outlasts two.
  void beat(SteadyTime now) {
    (void)subscription_->extend(std::size_t{0}, size_, [this](std::size_t index) {
      if (index >= size_) {
        return;  // no delivery of this batch: a backend is not trusted with memory
      }
      lost_[index].store(true, std::memory_order_relaxed);
      any_lost_.store(true, std::memory_order_relaxed);
    });
    settle_due_.store(true, std::memory_order_relaxed);
    attention_.store(true, std::memory_order_release);
    beat_at_ = now + interval_;
  }

  void loop() {
    std::unique_lock lock{mutex_};
    while (!quit_) {
      const auto now = clock_.steady();
      if (subscription_ != nullptr && now >= beat_at_) {
        beat(now);
      }
      clock_.wait_until(wake_, lock, subscription_ != nullptr ? beat_at_ : now + interval_);
    }
  }

  const std::chrono::milliseconds interval_;
  Clock clock_;
  std::atomic<bool>& attention_;
  std::unique_ptr<std::atomic<bool>[]> lost_;
  std::atomic<bool> any_lost_{false};
  std::atomic<bool> settle_due_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  Subscription* subscription_ = nullptr;
  std::size_t size_ = 0;
  SteadyTime beat_at_{};
  bool quit_ = false;
  std::thread thread_;
};

}  // namespace pulse::inline v0_1::engine
