// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

namespace pulse::inline v0_1::detail {

/// A lock for what takes less time than to put a thread to sleep: one atomic exchange to take, a plain store to give back, which is half of
/// what std::mutex does. A waiter looks, then lets others run, and at last sleeps in between, so that a holder that was preempted gets a
/// processor even from waiters of a higher priority.
class ShardLock {
 public:
  void lock() noexcept {
    if (held_.exchange(true, std::memory_order_acquire)) [[unlikely]] {
      wait();
    }
  }
  void unlock() noexcept { held_.store(false, std::memory_order_release); }

 private:
  [[gnu::cold, gnu::noinline]] void wait() noexcept {
    for (unsigned turn = 0;; ++turn) {
      if (!held_.load(std::memory_order_relaxed) && !held_.exchange(true, std::memory_order_acquire)) {
        return;
      }
      if (turn > 1000) {
        std::this_thread::sleep_for(std::chrono::microseconds{50});
      } else if (turn > 100) {
        std::this_thread::yield();
      }
    }
  }

  std::atomic<bool> held_{false};
};

}  // namespace pulse::inline v0_1::detail
