// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "pulse/core/error.hpp"
#include "pulse/core/redis_url.hpp"
#include "pulse/redis/pipe_waker.hpp"

namespace pulse::inline v0_1::detail {

/// A file descriptor that is closed when it goes.
class Socket {
 public:
  Socket() noexcept = default;
  explicit Socket(int fd) noexcept : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket() { reset(); }
  void reset() noexcept {
    if (fd_ >= 0) {
      ::close(fd_);
      fd_ = -1;
    }
  }
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// What the system says of an error number.
inline std::string system_error_text(int number) {
  char text[128] = "";
#if defined(__GLIBC__) && defined(_GNU_SOURCE)
  return ::strerror_r(number, text, sizeof text);
#else
  return ::strerror_r(number, text, sizeof text) == 0 ? text : "error " + std::to_string(number);
#endif
}

inline Error unreachable(const RedisUrl& url, const std::string& why) {
  return Error{ErrorCode::unavailable, "no connection to " + url.address() + ": " + why};
}

/// Tries one address. Returns 0, or the error number.
inline int dial(Socket& socket, int family, const sockaddr* address, socklen_t size, SteadyTime deadline, PipeWaker& waker) {
  socket = Socket{::socket(family, SOCK_STREAM, 0)};
  if (!socket) {
    return errno;
  }
  ::fcntl(socket.fd(), F_SETFD, FD_CLOEXEC);
  ::fcntl(socket.fd(), F_SETFL, O_NONBLOCK);
  if (family != AF_UNIX) {
    const int on = 1;
    const int idle_s = 15;  // a peer that vanished is noticed within a minute, whoever waits without a deadline of his own
    const int beat_s = 5;
    ::setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(socket.fd(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
#if defined(TCP_KEEPIDLE) && defined(TCP_KEEPINTVL)
    ::setsockopt(socket.fd(), IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    ::setsockopt(socket.fd(), IPPROTO_TCP, TCP_KEEPINTVL, &beat_s, sizeof beat_s);
#endif
  }
  if (::connect(socket.fd(), address, size) == 0) {
    return 0;
  }
  if (errno != EINPROGRESS && errno != EINTR) {
    return errno;
  }
  switch (waker.wait(socket.fd(), POLLOUT, deadline)) {
    case Waited::interrupted: return ECANCELED;
    case Waited::timed_out: return ETIMEDOUT;
    case Waited::ready: break;
  }
  int failure = 0;
  socklen_t length = sizeof failure;
  ::getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &failure, &length);
  return failure;
}

/// Tries the addresses of one name in turn. Each has an even share of the time that is left: one that swallows what is sent to it, as an address of
/// a network that is not there does, must not keep us from the next. Returns 0, or the error number of the last.
inline int dial_first(Socket& socket, const addrinfo* addresses, SteadyTime deadline, PipeWaker& waker) {
  std::chrono::nanoseconds::rep left = 0;
  for (const addrinfo* one = addresses; one != nullptr; one = one->ai_next) {
    ++left;
  }
  int failure = EHOSTUNREACH;
  for (const addrinfo* one = addresses; one != nullptr && failure != 0 && failure != ECANCELED; one = one->ai_next, --left) {
    const SteadyTime now{std::chrono::steady_clock::now()};
    failure = dial(socket, one->ai_family, one->ai_addr, one->ai_addrlen, now + (deadline - now) / left, waker);
  }
  return failure;
}

/// Connects to the server of `url`, by TCP or a Unix socket, without waiting beyond `deadline` or an interrupt; the system's look-up
/// of a host name alone is not bounded by either. Errors: unavailable.
inline Result<Socket> dial(const RedisUrl& url, SteadyTime deadline, PipeWaker& waker) {
  Socket socket;
  int failure = 0;
  if (!url.path.empty()) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (url.path.size() >= sizeof address.sun_path) {
      return Error{ErrorCode::config, "the path \"" + url.path + "\" is too long for a Unix socket"};
    }
    std::memcpy(address.sun_path, url.path.data(), url.path.size());
    failure = dial(socket, AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address, deadline, waker);
  } else {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int code = ::getaddrinfo(url.host.c_str(), std::to_string(url.port).c_str(), &hints, &found); code != 0) {
      return unreachable(url, ::gai_strerror(code));
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses{found, &::freeaddrinfo};
    failure = dial_first(socket, found, deadline, waker);
  }
  if (failure != 0) {
    return unreachable(url, failure == ECANCELED ? "interrupted" : system_error_text(failure));
  }
  return socket;
}

}  // namespace pulse::inline v0_1::detail
