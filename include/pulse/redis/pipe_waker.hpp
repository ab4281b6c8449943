// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "pulse/core/clock.hpp"

namespace pulse::inline v0_1::detail {

enum class Waited : unsigned char { ready, interrupted, timed_out };

/// Waits for a socket and for another thread's word at the same time. `interrupt` is any thread's, the rest is one's.
class PipeWaker {
 public:
  PipeWaker() noexcept {
    if (::pipe(ends_) != 0) {
      failure_ = errno;
      return;
    }
    for (const int end : ends_) {
      ::fcntl(end, F_SETFL, O_NONBLOCK);
      ::fcntl(end, F_SETFD, FD_CLOEXEC);
    }
  }
  PipeWaker(const PipeWaker&) = delete;
  PipeWaker& operator=(const PipeWaker&) = delete;
  ~PipeWaker() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }

  /// 0, or the error number of a pipe that could not be made: then nothing ends a wait but its deadline.
  [[nodiscard]] int failure() const noexcept { return failure_; }

  /// Ends the current wait, or the next.
  void interrupt() noexcept {
    const char byte = 0;
    while (::write(ends_[1], &byte, 1) < 0 && errno == EINTR) {  // full is as good as written
    }
  }

  /// Waits until `socket` is ready for `events` (or broken: the next call on it tells), the deadline passes, or somebody interrupts.
  /// After the deadline it waits for nothing: a peer that sends a byte now and then does not keep anybody.
  Waited wait(int socket, short events, SteadyTime deadline) noexcept {
    while (true) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyTime{std::chrono::steady_clock::now()}).count();
      if (left < 0) {
        return Waited::timed_out;
      }
      pollfd both[2] = {{socket, events, 0}, {ends_[0], POLLIN, 0}};
      const int found = ::poll(both, 2, static_cast<int>(std::clamp<long long>(left, 0, 1'000'000'000)));
      if (found < 0 && errno == EINTR) {
        continue;
      }
      if (both[0].revents != 0) {  // first: what has arrived is read before a word to stop is heeded
        return Waited::ready;
      }
      if (both[1].revents != 0) {
        char drained[64];
        while (::read(ends_[0], drained, sizeof drained) > 0) {
        }
        return Waited::interrupted;
      }
      if (found == 0 && left <= 0) {
        return Waited::timed_out;
      }
    }
  }

 private:
  int ends_[2] = {-1, -1};
  int failure_ = 0;
};

}  // namespace pulse::inline v0_1::detail
