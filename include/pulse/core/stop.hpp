// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <concepts>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace pulse::inline v0_1 {

/// What `run` needs of a stop token: std::stop_token fits, so does StopToken. With a StopToken a waiting loop is woken at once; with
/// another token it looks every 50 ms.
template <class T>
concept StopTokenLike = requires(const T& token) {
  { token.stop_requested() } -> std::convertible_to<bool>;
};

namespace detail {
struct StopState {
  using Callback = std::pair<void*, void (*)(void*)>;
  std::atomic<bool> requested{false};
  std::mutex mutex;
  std::vector<Callback> callbacks;
};
}  // namespace detail

/// Tells a loop to stop. (`<stop_token>` is not in every standard library that Pulse supports.) Copyable; a default one never stops.
class StopToken {
 public:
  StopToken() = default;
  [[nodiscard]] bool stop_requested() const noexcept { return state_ && state_->requested.load(std::memory_order_acquire); }

 private:
  friend class StopSource;
  template <class F>
  friend class StopCallback;
  explicit StopToken(std::shared_ptr<detail::StopState> state) : state_(std::move(state)) {}
  std::shared_ptr<detail::StopState> state_;
};

/// The side that says stop. Copies say it for the same tokens. Thread safety: all of it.
class StopSource {
 public:
  [[nodiscard]] StopToken token() const { return StopToken{state_}; }
  [[nodiscard]] bool stop_requested() const noexcept { return state_->requested.load(std::memory_order_acquire); }

  /// Effects: sets the flag, then runs the callbacks registered so far, on this thread.
  void request_stop() {
    state_->requested.store(true, std::memory_order_release);
    const std::lock_guard lock{state_->mutex};
    for (const auto& [object, call] : state_->callbacks) {
      call(object);
    }
  }

 private:
  std::shared_ptr<detail::StopState> state_ = std::make_shared<detail::StopState>();
};

/// Runs `f` when the token's source says stop (at once if it has already), for as long as this object lives. `f` runs under the
/// source's lock: it must be short and must not touch callbacks.
template <class F>
class StopCallback {
 public:
  StopCallback(const StopToken& token, F f) : f_(std::move(f)), state_(token.state_) {
    if (state_) {
      {
        const std::lock_guard lock{state_->mutex};
        state_->callbacks.emplace_back(this, [](void* self) { static_cast<StopCallback*>(self)->f_(); });
      }
      if (token.stop_requested()) {
        f_();
      }
    }
  }
  StopCallback(const StopCallback&) = delete;
  StopCallback& operator=(const StopCallback&) = delete;
  ~StopCallback() {
    if (state_) {
      const std::lock_guard lock{state_->mutex};
      std::erase_if(state_->callbacks, [this](const auto& callback) { return callback.first == this; });
    }
  }

 private:
  F f_;
  std::shared_ptr<detail::StopState> state_;
};

}  // namespace pulse::inline v0_1
