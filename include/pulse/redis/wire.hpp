// SPDX-License-Identifier: MIT
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "pulse/core/clock.hpp"
#include "pulse/core/error.hpp"
#include "pulse/core/redis_url.hpp"
#include "pulse/redis/dial.hpp"
#include "pulse/redis/pipe_waker.hpp"

namespace pulse::inline v0_1::detail {

static_assert(EAGAIN == EWOULDBLOCK, "where the two differ, what a socket says that has nothing to give must be compared with both");

/// What clients over a plain socket have in common: the connection, the commands on their way out, deadlines and interrupts. How replies
/// are read is the client's own. `interrupt` is any thread's, the rest is one's.
class RedisWire {
 public:
  explicit RedisWire(const RedisUrl& url) : url_(url) {}

  /// `who`: the client's name, for the message where the URL asks for TLS.
  Status connect(SteadyTime deadline, std::string_view who) {
    close();
    if (url_.tls) {
      return Error{ErrorCode::config, "rediss://" + url_.address() + ": " + std::string(who) + " has no TLS: use redis://, or a client that has it"};
    }
    if (const int failure = waker_.failure(); failure != 0) {
      return unreachable(url_, "no pipe for wake-ups: " + system_error_text(failure));
    }
    Result<Socket> made = dial(url_, deadline, waker_);
    if (!made) {
      return std::move(made).error();
    }
    socket_ = std::move(*made);
    return {};
  }

  void append(std::span<const std::string_view> words) {
    std::size_t most = longest_line;
    for (const std::string_view word : words) {
      most += longest_line + word.size() + 2;
    }
    const std::size_t before = out_.size();
    out_.resize(before + most);  // once: an append a piece would cost more than what it appends
    char* at = line(out_.data() + before, '*', words.size());
    for (const std::string_view word : words) {
      at = line(at, '$', word.size());
      at = std::copy(word.begin(), word.end(), at);
      *at++ = '\r';
      *at++ = '\n';
    }
    out_.resize(static_cast<std::size_t>(at - out_.data()));
  }

  /// Closes the connection where it fails.
  Status flush(SteadyTime deadline) {
    std::size_t sent = 0;
    while (sent < out_.size()) {
      if (!socket_) {
        return closed();
      }
      // Not write(2): that raises SIGPIPE where the server is gone.
      const ssize_t wrote = ::send(socket_.fd(), out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL);
      if (wrote >= 0) {
        sent += static_cast<std::size_t>(wrote);
      } else if (errno == EAGAIN) {
        // An interrupt is for whoever waits for a reply: it is handed on to the next read.
        switch (waker_.wait(socket_.fd(), POLLOUT, deadline)) {
          case Waited::timed_out: return lost("the write timed out");
          case Waited::interrupted: interrupted_ = true; break;
          case Waited::ready: break;
        }
      } else if (errno != EINTR) {
        return lost(system_error_text(errno));
      }
    }
    out_.clear();
    return {};
  }

  /// Waits until there is something to read, or the end of it.
  Waited wait(SteadyTime deadline) noexcept { return std::exchange(interrupted_, false) ? Waited::interrupted : waker_.wait(socket_.fd(), POLLIN, deadline); }

  void interrupt() noexcept { waker_.interrupt(); }

  void close() noexcept {
    socket_.reset();
    out_.clear();
  }

  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(socket_); }
  [[nodiscard]] int fd() const noexcept { return socket_.fd(); }
  [[nodiscard]] const RedisUrl& url() const noexcept { return url_; }

  Error lost(const std::string& why) {
    close();
    return Error{ErrorCode::unavailable, "the connection to " + url_.address() + " is lost: " + why};
  }
  [[nodiscard]] Error closed() const { return Error{ErrorCode::unavailable, "there is no connection to " + url_.address()}; }
  [[nodiscard]] Error over_bound(std::size_t bytes) const {
    return Error{ErrorCode::capacity, "a reply of " + url_.address() + " is larger than the client's bound of " + std::to_string(bytes) + " bytes"};
  }
  /// `bytes`: where what is no reply begins; so much of it is shown that one sees what speaks there.
  [[nodiscard]] Error no_reply(std::string_view bytes) const {
    std::string text = url_.address() + " answers what is no Redis reply: \"";
    for (const char c : bytes.substr(0, 24)) {
      text += c >= 0x20 && c < 0x7f ? c : '?';
    }
    return Error{ErrorCode::protocol, text + '"'};
  }

 private:
  static constexpr std::size_t longest_line = 1 + 20 + 2;
  /// Writes a kind, a number and the end of the line; returns where that ends.
  static char* line(char* at, char kind, std::size_t number) noexcept {
    *at++ = kind;
    at = std::to_chars(at, at + 20, number).ptr;
    *at++ = '\r';
    *at++ = '\n';
    return at;
  }

  RedisUrl url_;
  PipeWaker waker_;
  Socket socket_;
  std::string out_;
  bool interrupted_ = false;
};

}  // namespace pulse::inline v0_1::detail
