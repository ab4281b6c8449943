// SPDX-License-Identifier: MIT
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

/// What the tests' servers, proxies and child processes have in common: descriptors, deadlines, loopback sockets. What fails throws.
namespace pulse_test {

using Deadline = std::chrono::steady_clock::time_point;

/// How long anything may take that should be done at once: only a test that hangs meets it.
inline constexpr std::chrono::seconds patience{30};

inline Deadline within(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

[[noreturn]] inline void fail(const std::string& what) { throw std::runtime_error(what); }
[[noreturn]] inline void fail_errno(const std::string& what) { fail(what + ": " + std::strerror(errno)); }

/// A file descriptor that is closed when it goes.
class Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() { reset(); }
  void reset() noexcept {
    if (fd_ >= 0) {
      ::close(std::exchange(fd_, -1));
    }
  }
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// Two ends of a pipe, closed in programs that are executed: what is written to `in` is read from `out`.
struct Pipe {
  Fd out;
  Fd in;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
      fail_errno("pipe");
    }
    out = Fd{ends[0]};
    in = Fd{ends[1]};
  }
};

/// Milliseconds for poll(2), rounded up, so that nobody spins through the last one.
inline int left(Deadline deadline) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
  return static_cast<int>(std::clamp<long long>(ms, 0, 1'000'000));
}

/// Waits until `fd` is ready for `events`, or broken. false: the deadline passed.
inline bool ready(int fd, short events, Deadline deadline) {
  while (true) {
    pollfd one{fd, events, 0};
    const int found = ::poll(&one, 1, left(deadline));
    if (found > 0) {
      return true;
    }
    if (found < 0 && errno != EINTR) {
      fail_errno("poll");
    }
    if (found == 0) {
      return false;
    }
  }
}

/// Writes all of it to a socket.
inline void write_all(int fd, std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (wrote >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(wrote));
    } else if (errno == EAGAIN) {
      if (!ready(fd, POLLOUT, deadline)) {
        fail("a write did not end in time");
      }
    } else if (errno != EINTR) {
      fail_errno("write");
    }
  }
}

inline sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

/// Connects to a loopback port. Empty where nobody listens.
inline Fd connect_to(int port) {
  Fd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const sockaddr_in address = loopback(port);
  return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? std::move(socket) : Fd{};
}

/// Connects to a Unix socket. Empty where nobody listens.
inline Fd connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    fail("the path of a Unix socket is too long: " + path);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  Fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? std::move(socket) : Fd{};
}

/// Binds a loopback port; empty where it is taken.
inline Fd bind_to(int port) {
  Fd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = loopback(port);
  return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? std::move(socket) : Fd{};
}

/// A loopback port that nobody has. Not one that the system gives to outgoing connections: those would take it while a server is down,
/// and a client that redials it could even be connected to itself.
inline int free_port() {
  static std::atomic<unsigned> next{static_cast<unsigned>(::getpid()) * 37U};
  for (int tries = 0; tries < 12'000; ++tries) {
    const int port = 20'000 + static_cast<int>(next.fetch_add(1) % 12'000U);
    if (bind_to(port)) {
      return port;
    }
  }
  fail("there is no free port");
}

/// A directory of its own that goes with everything in it.
class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "pulse-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      fail_errno("mkdtemp " + name);
    }
    path_ = name;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace pulse_test
