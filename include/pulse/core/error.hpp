// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "pulse/core/describe.hpp"

namespace pulse::inline v0_1 {

/// What kind of failure an Error is, and so what one does about it.
enum class ErrorCode : std::uint8_t {
  config,       ///< a setting is wrong: nothing starts until somebody mends it
  unavailable,  ///< the transport cannot be reached or is busy: try again after a pause
  no_group,     ///< the stream or its group is gone: a policy decides
  denied,       ///< the transport refuses for good (no permission, wrong type): stop and say so
  protocol,     ///< the transport answered what it never should
  not_found,    ///< what was named does not exist
  capacity,     ///< a stated bound is reached
  stopped,      ///< asked after stop
};

/// The names of the codes.
template <>
struct DescribeEnum<ErrorCode> {
  static constexpr std::string_view names[] = {"config", "unavailable", "no_group", "denied", "protocol", "not_found", "capacity", "stopped"};
};

/// A failure: what kind, and one line that names what, where and what is allowed. Never holds a password.
struct Error {
  ErrorCode code = ErrorCode::unavailable;
  std::string message;
};

template <class T>
class Result;

namespace detail {
template <class T>
inline constexpr bool is_result = false;
template <class T>
inline constexpr bool is_result<Result<T>> = true;
}  // namespace detail

/// Either a value or an Error. (std::expected, which C++20 does not have, in the little that Pulse needs.)
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  // Not from another Result: what converts to bool would make a success of its error.
  template <class U = T>
    requires(std::is_constructible_v<T, U &&> && !detail::is_result<std::remove_cvref_t<U>> && !std::is_same_v<std::remove_cvref_t<U>, Error>)
  Result(U&& value) : ok_(true) {
    ::new (static_cast<void*>(&value_)) T(std::forward<U>(value));
  }
  Result(Error error) : ok_(false) { ::new (static_cast<void*>(&error_)) Error(std::move(error)); }

  Result(Result&& other) noexcept : ok_(other.ok_) {
    if (ok_) {
      ::new (static_cast<void*>(&value_)) T(std::move(other.value_));
    } else {
      ::new (static_cast<void*>(&error_)) Error(std::move(other.error_));
    }
  }
  Result(const Result&) = delete;
  Result& operator=(const Result&) = delete;
  Result& operator=(Result&&) = delete;
  ~Result() {
    if (ok_) {
      value_.~T();
    } else {
      error_.~Error();
    }
  }

  [[nodiscard]] bool has_value() const noexcept { return ok_; }
  [[nodiscard]] explicit operator bool() const noexcept { return ok_; }

  /// Requires: has_value().
  [[nodiscard]] T& operator*() & noexcept { return value_; }
  [[nodiscard]] const T& operator*() const& noexcept { return value_; }
  // By value, so that `for (auto& each : *ask())` looks at something that lives.
  [[nodiscard]] T operator*() && noexcept(std::is_nothrow_move_constructible_v<T>) { return std::move(value_); }
  [[nodiscard]] T* operator->() noexcept { return &value_; }
  [[nodiscard]] const T* operator->() const noexcept { return &value_; }

  /// Requires: !has_value().
  [[nodiscard]] const Error& error() const& noexcept { return error_; }
  [[nodiscard]] Error&& error() && noexcept { return std::move(error_); }

 private:
  union {
    T value_;
    Error error_;
  };
  bool ok_;
};

/// Success, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;

  Result() noexcept = default;
  Result(Error error) : error_(std::move(error)), ok_(false) {}

  [[nodiscard]] bool has_value() const noexcept { return ok_; }
  [[nodiscard]] explicit operator bool() const noexcept { return ok_; }
  [[nodiscard]] const Error& error() const& noexcept { return error_; }
  [[nodiscard]] Error&& error() && noexcept { return std::move(error_); }

 private:
  Error error_;
  bool ok_ = true;
};

using Status = Result<void>;

}  // namespace pulse::inline v0_1
