// SPDX-License-Identifier: MIT
#pragma once

// Before anything else is read, or a compiler of another standard has thousands of lines to say. #error alone does not end it: a file that is not there does.
#if __cplusplus < 202002L
#error "Pulse needs C++20: compile with -std=c++20 (g++ 12, clang 19, or later). See docs/how-to/add-to-a-project.md"
#include "pulse needs C++20"
#endif

/// The version, in its one place: major * 10000 + minor * 100 + patch. meson.build, CMakeLists.txt, CHANGELOG.md and the inline namespace of
/// every header follow it (a test compares them); what a change of each number means is in docs/explanation/versions.md.
#define PULSE_VERSION 100

/// PULSE_HAS_<NAME> is 1 where <pulse/ext/name.hpp> can be included, 0 where its library's headers are not found.
#if __has_include(<fmt/format.h>)
#define PULSE_HAS_FMT 1
#else
#define PULSE_HAS_FMT 0
#endif
#if __has_include(<hiredis/hiredis.h>)
#define PULSE_HAS_HIREDIS_CLIENT 1
#else
#define PULSE_HAS_HIREDIS_CLIENT 0
#endif
#if __has_include(<boost/beast/http.hpp>)
#define PULSE_HAS_HTTP_ENDPOINT 1
#else
#define PULSE_HAS_HTTP_ENDPOINT 0
#endif
#if __has_include(<prometheus/collectable.h>)
#define PULSE_HAS_PROMETHEUS_CPP 1
#else
#define PULSE_HAS_PROMETHEUS_CPP 0
#endif
#if __has_include(<spdlog/common.h>)
#define PULSE_HAS_SPDLOG_OBSERVER 1
#else
#define PULSE_HAS_SPDLOG_OBSERVER 0
#endif
/// The log of <pulse/ext/log_observer.hpp> needs the standard library only.
#define PULSE_HAS_LOG_OBSERVER 1
/// 1 where <pulse/redis.hpp> can be included: on systems with POSIX sockets.
#if __has_include(<sys/socket.h>) && __has_include(<poll.h>)
#define PULSE_HAS_REDIS 1
#else
#define PULSE_HAS_REDIS 0
#endif

namespace pulse::inline v0_1 {

/// The version of these headers, for code: a breaking change raises `major` (before 1.0: `minor`).
struct Version {
  int major;
  int minor;
  int patch;
};

inline constexpr Version version{PULSE_VERSION / 10000, PULSE_VERSION / 100 % 100, PULSE_VERSION % 100};

}  // namespace pulse::inline v0_1
