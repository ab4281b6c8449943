// SPDX-License-Identifier: MIT
#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <string>

#include "simulation.hpp"

namespace demo {

/// A live line in a terminal, plain lines elsewhere.
class View {
 public:
  explicit View(bool silent) : silent_(silent), terminal_(isatty(STDOUT_FILENO) != 0) {}
  ~View() {
    if (terminal_ && !silent_) {
      std::printf("\n");
    }
  }
  void show(const Sample& sample, std::uint64_t dropped, const char* note) {
    if (silent_ || sample.seconds < next_) {
      return;
    }
    next_ = sample.seconds + (terminal_ ? 0.05 : 0.5);
    const int width = static_cast<int>(sample.depth * 40 / queue_capacity);
    const std::string bar = std::string(static_cast<std::size_t>(width), '#') + std::string(static_cast<std::size_t>(40 - width), '.');
    std::printf("%s%4.1f s  queue [%s] %4lld  level %-4s  scale %.2f  dropped %llu%s%s", terminal_ ? "\r" : "", sample.seconds, bar.c_str(),
                static_cast<long long>(sample.depth), std::string(pulse::name_of(sample.level)).c_str(), sample.scale, static_cast<unsigned long long>(dropped),
                note, terminal_ ? "                " : "\n");
    std::fflush(stdout);
  }

 private:
  bool silent_;
  bool terminal_;
  double next_ = 0;
};

}  // namespace demo
