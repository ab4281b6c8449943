// SPDX-License-Identifier: MIT
#pragma once

#ifdef __linux__
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#endif

namespace pulse::inline v0_1 {

/// One descriptor that a host with an event loop waits for: readable once somebody rang, or once the socket that is watched is readable.
/// `Consumer::arm` sees to both; who stops the consumer from another thread than the loop's rings as well. Opt-in: nothing includes it.
///
/// The descriptor stays the same as long as the object lives, whatever is watched: a host registers it once. It is level-triggered, and for
/// waiting only: nothing is read from it. -1 on a system other than Linux, or where no descriptor is left: a host then waits by time alone.
///
/// Thread safety: `ring` is everybody's, the rest is one thread's. Complexity: each call is a system call or two.
class Readiness {
 public:
  Readiness(const Readiness&) = delete;
  Readiness& operator=(const Readiness&) = delete;

#ifdef __linux__
  Readiness() noexcept : set_(::epoll_create1(EPOLL_CLOEXEC)), bell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (set_ >= 0 && !add(bell_)) {
      ::close(set_);
      set_ = -1;
    }
  }
  ~Readiness() {
    if (set_ >= 0) {
      ::close(set_);
    }
    if (bell_ >= 0) {
      ::close(bell_);
    }
  }

  [[nodiscard]] int descriptor() const noexcept { return set_; }

  /// Makes the descriptor readable until `clear`.
  void ring() noexcept {
    const std::uint64_t one = 1;
    while (::write(bell_, &one, sizeof one) < 0 && errno == EINTR) {  // full is as good as written
    }
  }

  /// Forgets that somebody rang. What is watched is still watched.
  void clear() noexcept {
    std::uint64_t rung = 0;
    while (::read(bell_, &rung, sizeof rung) < 0 && errno == EINTR) {
    }
  }

  /// From now on also readable when this socket is, in place of the one before; -1: none. A socket that is closed is not watched any more.
  void watch(int socket) noexcept {
    if (watched_ >= 0 && watched_ != socket) {
      (void)::epoll_ctl(set_, EPOLL_CTL_DEL, watched_, nullptr);
    }
    watched_ = socket;
    if (socket >= 0) {  // it may be another socket of the same number
      (void)add(socket);
    }
  }

 private:
  bool add(int fd) const noexcept {
    epoll_event event{};
    event.events = EPOLLIN;
    return ::epoll_ctl(set_, EPOLL_CTL_ADD, fd, &event) == 0 || errno == EEXIST;
  }

  int set_;
  int bell_;
  int watched_ = -1;
#else
  Readiness() noexcept = default;
  [[nodiscard]] int descriptor() const noexcept { return -1; }
  void ring() noexcept {}
  void clear() noexcept {}
  void watch(int) noexcept {}
#endif
};

}  // namespace pulse::inline v0_1
