// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>
#include <string>

#include "pulse/core/delivery.hpp"
#include "pulse/core/error.hpp"

namespace pulse::inline v0_1 {

/// How a RedisBackend behaves. The defaults lose nothing and suit a server in the same data centre.
struct RedisOptions {
  /// Longest time to connect and log in. 1 ms to a day.
  std::chrono::milliseconds connect_timeout{2000};
  /// Longest wait for a reply, on top of the time a read was told to wait. Then the connection is closed: a late reply would be taken
  /// for another's. 1 ms to a day.
  std::chrono::milliseconds command_timeout{2000};
  /// false: XACK, which asks for no owner: the late ack of a former owner removes the entry from whoever owns it now. true: acks by a
  /// script that looks at the owner first, at about ten times the server's cost per entry.
  bool fenced_acks = false;
  /// Frees entries that every group of the stream has read and acked, once per round of claiming, whole nodes of 100 entries at a time: XACK
  /// itself frees no memory. At most a million entries at once, which hold the server up for a tenth of a second: only the first round on a long stream
  /// has so many. A group that is created later does not see them: that is what it may lose.
  bool trim_acked = false;
  /// The most entries, roughly, that a publish leaves in the stream (XADD MAXLEN ~), up to 2^63 - 1; 0: no bound. The oldest go, read or not: what was not
  /// read yet is lost, which `GroupState::trimmed_unread` shows.
  std::uint64_t max_length = 0;
  /// The most retries one subscription waits with; beyond, an entry stays pending and is claimed when it has idled.
  std::size_t max_retries = 65536;
  /// The name of the connections in CLIENT LIST.
  std::string client_name = "pulse";
};

/// Errors: config, naming the option.
[[nodiscard]] inline Status check(const RedisOptions& options) {
  constexpr auto day = std::chrono::hours{24};
  if (options.connect_timeout.count() < 1 || options.connect_timeout > day || options.command_timeout.count() < 1 || options.command_timeout > day) {
    return Error{ErrorCode::config, "RedisOptions.connect_timeout and command_timeout are " + std::to_string(options.connect_timeout.count()) + " ms and " +
                                        std::to_string(options.command_timeout.count()) + " ms: allowed are 1 ms to a day for each"};
  }
  if (options.max_length > std::numeric_limits<std::int64_t>::max()) {
    return Error{ErrorCode::config, "RedisOptions.max_length is " + std::to_string(options.max_length) + ": allowed are 1 to 2^63 - 1, or 0 for no bound"};
  }
  for (const char c : options.client_name) {
    if (c <= ' ' || c > '~') {
      return Error{ErrorCode::config, "RedisOptions.client_name may hold printable characters without spaces only"};
    }
  }
  return {};
}

namespace detail {

/// How the connections of one backend are doing; shared by all of them. Thread safety: all of it.
class RedisStatus {
 public:
  /// A connection was made in place of a lost one.
  void reconnected() noexcept {
    reconnects_.fetch_add(1, std::memory_order_relaxed);
    untold_reconnects_.fetch_add(1, std::memory_order_relaxed);
    works();
  }
  /// A call succeeded.
  void works() noexcept {
    if (down_.load(std::memory_order_relaxed)) [[unlikely]] {
      down_.store(false, std::memory_order_relaxed);
    }
  }
  void down(const std::string& why) {
    const std::lock_guard lock{mutex_};
    why_ = why;
    down_.store(true, std::memory_order_relaxed);
  }
  void unmatched(std::uint64_t acks) noexcept {
    unmatched_.fetch_add(acks, std::memory_order_relaxed);
    untold_unmatched_.fetch_add(acks, std::memory_order_relaxed);
  }
  BackendCounts untold() noexcept {
    return {untold_reconnects_.exchange(0, std::memory_order_relaxed), untold_unmatched_.exchange(0, std::memory_order_relaxed)};
  }
  [[nodiscard]] BackendHealth health() const {
    BackendHealth health;
    health.ready = !down_.load(std::memory_order_relaxed);
    health.reconnects = reconnects_.load(std::memory_order_relaxed);
    health.unmatched_acks = unmatched_.load(std::memory_order_relaxed);
    if (!health.ready) {
      const std::lock_guard lock{mutex_};
      health.detail = why_;
    }
    return health;
  }

 private:
  std::atomic<std::uint64_t> reconnects_{0};
  std::atomic<std::uint64_t> unmatched_{0};
  std::atomic<std::uint64_t> untold_reconnects_{0};  // since somebody counted them; so for the next
  std::atomic<std::uint64_t> untold_unmatched_{0};
  std::atomic<bool> down_{false};
  mutable std::mutex mutex_;
  std::string why_;
};

}  // namespace detail

}  // namespace pulse::inline v0_1
