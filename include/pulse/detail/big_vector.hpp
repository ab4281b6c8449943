// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>
#include <vector>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace pulse::inline v0_1::detail {

/// Memory for arrays that are read here and there. Large ones begin at a boundary of 2 MB and ask Linux for pages of that size, so that a
/// look at a random place does not also miss the table of pages; where the system has none, nothing changes. Small ones begin on a cache line of
/// their own, so that what belongs to another thread does not share it.
template <class T>
struct BigAllocator {
  using value_type = T;

  BigAllocator() = default;
  template <class U>
  constexpr BigAllocator(const BigAllocator<U>&) noexcept {}

  [[nodiscard]] T* allocate(std::size_t count) {
    const std::size_t bytes = count * sizeof(T);
    void* const memory = ::operator new(bytes, alignment(bytes));
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (bytes >= huge) {
      madvise(memory, bytes / huge * huge, MADV_HUGEPAGE);
    }
#endif
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t count) noexcept { ::operator delete(memory, alignment(count * sizeof(T))); }

  friend bool operator==(const BigAllocator&, const BigAllocator&) noexcept { return true; }

 private:
  static constexpr std::size_t huge = std::size_t{2} << 20;
  static constexpr std::align_val_t alignment(std::size_t bytes) noexcept {
    return std::align_val_t{bytes >= huge ? huge : std::max<std::size_t>(alignof(T), 64)};
  }
};

template <class T>
using BigVector = std::vector<T, BigAllocator<T>>;

}  // namespace pulse::inline v0_1::detail
