// SPDX-License-Identifier: MIT
#pragma once

namespace pulse {

/// The version of these headers: a breaking change raises `major` (before 1.0: `minor`).
struct Version {
  int major;
  int minor;
  int patch;
};

inline constexpr Version version{0, 1, 0};

}  // namespace pulse
