// SPDX-License-Identifier: MIT
#pragma once

#include <poll.h>

#include <chrono>

#include <pulse/core/readiness.hpp>

namespace pulse_test {

/// Whether the descriptor is readable, or becomes so within `wait`.
inline bool readable(const pulse::Readiness& ready, std::chrono::milliseconds wait = std::chrono::milliseconds{0}) {
  pollfd one{ready.descriptor(), POLLIN, 0};
  return ::poll(&one, 1, static_cast<int>(wait.count())) == 1;
}

}  // namespace pulse_test
