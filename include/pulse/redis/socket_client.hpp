// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/concept/redis_client.hpp"
#include "pulse/redis/resp_parser.hpp"
#include "pulse/redis/wire.hpp"

namespace pulse::inline v0_1 {

/// Bounds and waiting of a SocketClient.
struct SocketClientOptions {
  /// The most bytes that replies may take between two releases; beyond, the connection is closed with a capacity error.
  std::size_t max_bytes = std::size_t{1} << 28;
  /// How long a read looks again and again before it sleeps: trades a core for the wake-up of the scheduler. 0: not at all.
  std::chrono::microseconds spin{0};
};

/// The Redis client that needs no library: POSIX sockets, RESP2, no TLS. Replies are read where the system put them: no copy, and
/// no allocation once its buffer has grown to the largest batch. Contract: concept/redis_client.hpp
///
/// Memory: a buffer of 64 KiB that doubles up to `max_bytes`. Thread safety: `interrupt` is any thread's, the rest is one's.
class SocketClient {
 public:
  explicit SocketClient(const RedisUrl& url, SocketClientOptions options = {}) : wire_(url), options_(options) { parser_.max_text = options.max_bytes; }

  Status connect(SteadyTime deadline) {
    close();
    return wire_.connect(deadline, "SocketClient");
  }
  void append(std::span<const std::string_view> words) { wire_.append(words); }
  Status flush(SteadyTime deadline) {
    Status written = wire_.flush(deadline);
    if (!written) {
      filled_ = parsed_;
    }
    return written;
  }

  Result<bool> read(RedisReplies& replies, SteadyTime deadline) {
    const std::size_t first = replies.size();
    std::size_t begin = parsed_;
    SteadyTime spin_until{};
    // What has come of a reply is read again from its first byte, or, where the connection ends, never.
    const auto forget = [&] {
      replies.truncate(first);
      parsed_ = begin;
    };
    parser_.reset();
    while (true) {
      const char* at = buffer_.get() + parsed_;
      const detail::Parsed found = filled_ == parsed_ ? detail::Parsed::incomplete : parser_.parse(at, buffer_.get() + filled_, replies);
      parsed_ = static_cast<std::size_t>(at - buffer_.get());
      if (found == detail::Parsed::reply) {
        return true;
      }
      if (found == detail::Parsed::refused) {
        Error error = parser_.too_large() ? wire_.over_bound(options_.max_bytes) : wire_.no_reply({buffer_.get() + parsed_, filled_ - parsed_});
        forget();
        close();
        return error;
      }
      if (!wire_) {
        forget();
        return wire_.closed();
      }
      if (!make_room(filled_ == parsed_ ? 1 : parser_.missing(), begin, replies.nodes().subspan(first))) {
        forget();
        close();
        return wire_.over_bound(options_.max_bytes);
      }
      const ssize_t got = ::recv(wire_.fd(), buffer_.get() + filled_, capacity_ - filled_, 0);
      if (got > 0) {
        filled_ += static_cast<std::size_t>(got);
        continue;
      }
      if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        forget();
        return lost(got == 0 ? "the server closed the connection" : detail::system_error_text(errno));
      }
      if (errno == EINTR || spins(spin_until)) {
        continue;
      }
      const detail::Waited waited = wire_.wait(deadline);
      if (waited != detail::Waited::ready) {
        forget();
        if (waited == detail::Waited::timed_out) {
          return lost("no reply in time");
        }
        return false;
      }
    }
  }

  void release() noexcept {
    retired_.clear();
    if (parsed_ == filled_) {
      parsed_ = filled_ = 0;
    } else if (parsed_ > 0) {
      std::memmove(buffer_.get(), buffer_.get() + parsed_, filled_ - parsed_);
      filled_ -= parsed_;
      parsed_ = 0;
    }
  }

  void interrupt() noexcept { wire_.interrupt(); }
  [[nodiscard]] std::size_t largest_reply() const noexcept { return options_.max_bytes; }
  [[nodiscard]] int descriptor() const noexcept { return wire_ ? wire_.fd() : -1; }

  void close() noexcept {
    wire_.close();
    filled_ = parsed_;  // the rest of a reply will never come
  }

 private:
  /// Room for `missing` bytes behind what was parsed, and for a good read. Where there is none, the reply that begins at `begin` moves to
  /// a larger buffer, its values with it; the replies before it stay where they are until `release`.
  bool make_room(std::size_t missing, std::size_t& begin, std::span<ReplyNode> values) {
    const std::size_t wanted = std::max(parsed_ + missing, filled_ + 1);
    if (wanted <= capacity_) {
      return true;
    }
    if (wanted > options_.max_bytes) {
      return false;
    }
    const std::size_t larger = std::min(std::max({wanted, capacity_ * 2, std::size_t{64} * 1024}), options_.max_bytes);
    std::unique_ptr<char[]> grown{new char[larger]};  // not make_unique: it would write zeros first
    if (filled_ > begin) {
      std::memcpy(grown.get(), buffer_.get() + begin, filled_ - begin);
    }
    for (ReplyNode& value : values) {
      if (value.kind == ReplyKind::text || value.kind == ReplyKind::error) {
        value.text = grown.get() + (value.text - (buffer_.get() + begin));
      }
    }
    if (begin > 0) {
      retired_.push_back(std::move(buffer_));
    }
    buffer_ = std::move(grown);
    capacity_ = larger;
    parsed_ -= begin;
    filled_ -= begin;
    begin = 0;
    return true;
  }

  bool spins(SteadyTime& until) const noexcept {
    if (options_.spin.count() == 0) {
      return false;
    }
    const SteadyTime now = std::chrono::steady_clock::now();
    until = until == SteadyTime{} ? now + options_.spin : until;
    return now < until;
  }

  Error lost(const std::string& why) {
    close();
    return wire_.lost(why);
  }

  detail::RedisWire wire_;
  SocketClientOptions options_;
  detail::RespParser parser_;
  std::vector<std::unique_ptr<char[]>> retired_;  ///< outgrown, but looked at until the next release
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t parsed_ = 0;  ///< bytes of the buffer that are replies already
  std::size_t filled_ = 0;  ///< bytes of the buffer that have come
};

}  // namespace pulse::inline v0_1
