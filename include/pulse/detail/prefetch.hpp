// SPDX-License-Identifier: MIT
#pragma once

namespace pulse::inline v0_1::detail {

/// Asks for the cache line at `at`, which is to be written soon.
inline void prefetch_line(const void* at) noexcept {
  __builtin_prefetch(at, 1);
  asm volatile("" : : "r"(at));  // g++ 12 takes a function that only does the line above for one without effect, and leaves out calls of it
}

}  // namespace pulse::inline v0_1::detail
