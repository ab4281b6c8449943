// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

namespace pulse::inline v0_1::detail {

/// A setting that a strategy cannot work with: who refuses, what it got, what is allowed.
[[noreturn]] inline void refuse(std::string_view who, std::string_view what, const std::string& got, const std::string& allowed) {
  throw std::invalid_argument(std::string(who) + ": the " + std::string(what) + " is " + got + ": allowed are " + allowed);
}

inline std::size_t checked_capacity(std::string_view who, std::size_t capacity, std::size_t max) {
  if (capacity < 1 || capacity > max) {
    refuse(who, "capacity", std::to_string(capacity), "1 to " + std::to_string(max));
  }
  return capacity;
}

}  // namespace pulse::inline v0_1::detail
