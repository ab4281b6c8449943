// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>

namespace pulse::sim {

/// A call stack of its own on the caller's thread: what runs on it can stop in the middle of a call and go on later, so that the steps of
/// several consumers interleave in every order without a second thread. Not movable.
class Fiber {
 public:
  Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  ~Fiber();

  /// Requires: done(). `entry(argument)` begins at the next resume; it must not throw.
  void start(void (*entry)(void*), void* argument);
  /// Runs it until it yields or returns. Requires: !done(); not called from a fiber.
  void resume();
  /// Back to who resumed it. Requires: called on this fiber, and not while an exception is handled: those are the thread's.
  void yield();

  [[nodiscard]] bool done() const noexcept { return done_; }

 private:
  static void begin();
  void enter();
  void leave(bool for_good);

  static constexpr std::size_t stack_size = std::size_t{256} << 10;
  struct Context;

  std::unique_ptr<char[]> stack_;
  std::unique_ptr<Context> context_;
  void (*entry_)(void*) = nullptr;
  void* argument_ = nullptr;
  bool done_ = true;
};

}  // namespace pulse::sim
