// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

namespace pulse::inline v0_1 {

template <class T>
class Nullable;
template <class T>
inline constexpr bool is_nullable = false;
template <class T>
inline constexpr bool is_nullable<Nullable<T>> = true;

/// A value that may be null, as `std::optional`, except that `reset()` keeps the value's storage.
/// Decoding into a reused envelope therefore allocates nothing once its strings have grown.
///
/// Requires: T is default-constructible.
template <class T>
class Nullable {
 public:
  using value_type = T;

  constexpr Nullable() = default;
  constexpr Nullable(std::nullptr_t) noexcept(std::is_nothrow_default_constructible_v<T>) {}
  template <class U>
    requires(std::is_constructible_v<T, U &&> && !is_nullable<std::remove_cvref_t<U>> && !std::is_null_pointer_v<std::remove_cvref_t<U>>)
  constexpr Nullable(U&& value) : value_(std::forward<U>(value)), present_(true) {}

  [[nodiscard]] constexpr bool has_value() const noexcept { return present_; }
  [[nodiscard]] constexpr explicit operator bool() const noexcept { return present_; }

  /// Requires: has_value().
  [[nodiscard]] constexpr const T& operator*() const noexcept { return value_; }
  [[nodiscard]] constexpr T& operator*() noexcept { return value_; }
  [[nodiscard]] constexpr const T* operator->() const noexcept { return &value_; }
  [[nodiscard]] constexpr T* operator->() noexcept { return &value_; }

  template <class U>
  [[nodiscard]] constexpr T value_or(U&& other) const {
    return present_ ? value_ : static_cast<T>(std::forward<U>(other));
  }

  /// Null from now on; the storage stays for the next value.
  constexpr void reset() noexcept { present_ = false; }

  /// Not null from now on. Returns the stored value, which holds what was last there: assign to it.
  constexpr T& emplace() noexcept {
    present_ = true;
    return value_;
  }

  friend constexpr bool operator==(const Nullable& a, const Nullable& b) { return a.present_ == b.present_ && (!a.present_ || a.value_ == b.value_); }

 private:
  T value_{};
  bool present_ = false;
};

}  // namespace pulse::inline v0_1
