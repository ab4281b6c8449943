// SPDX-License-Identifier: MIT
#include "fiber.hpp"

#include <cassert>
#include <cstdint>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#define PULSE_SIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PULSE_SIM_ASAN 1
#endif
#endif
#if defined(PULSE_SIM_ASAN)
#include <sanitizer/common_interface_defs.h>
#endif
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace pulse::sim {

namespace {
thread_local Fiber* starting = nullptr;
}

#if defined(__x86_64__)

// Saves what a call must keep (System V ABI), swaps the stacks, restores. swapcontext does the same and asks the kernel for the signal
// mask each time, which is most of its cost.
extern "C" void pulse_sim_switch(void** save, void* load);
asm(R"(
.text
.globl pulse_sim_switch
.type pulse_sim_switch,@function
pulse_sim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size pulse_sim_switch,.-pulse_sim_switch
)");

struct Fiber::Context {
  void* own = nullptr;
  void* caller = nullptr;
  void prepare(char* stack, std::size_t size, void (*begin)()) {
    auto top = reinterpret_cast<std::uintptr_t>(stack + size) & ~std::uintptr_t{15};
    void** at = reinterpret_cast<void**>(top);
    *--at = nullptr;  // where begin would return to; keeps the stack aligned as a call does
    *--at = reinterpret_cast<void*>(begin);
    for (int i = 0; i < 6; ++i) {
      *--at = nullptr;
    }
    own = at;
  }
  void in() { pulse_sim_switch(&caller, own); }
  void out() { pulse_sim_switch(&own, caller); }
#else

struct Fiber::Context {
  ucontext_t own{};
  ucontext_t caller{};
  void prepare(char* stack, std::size_t size, void (*begin)()) {
    getcontext(&own);
    own.uc_stack.ss_sp = stack;
    own.uc_stack.ss_size = size;
    own.uc_link = nullptr;
    makecontext(&own, begin, 0);
  }
  void in() { swapcontext(&caller, &own); }
  void out() { swapcontext(&own, &caller); }
#endif

#if defined(PULSE_SIM_ASAN)
  void* fake_caller = nullptr;
  void* fake_own = nullptr;
  const void* caller_stack = nullptr;
  std::size_t caller_size = 0;
#endif
};

Fiber::Fiber() : stack_(std::make_unique_for_overwrite<char[]>(stack_size)), context_(std::make_unique<Context>()) {}
Fiber::~Fiber() { assert(done_); }

void Fiber::start(void (*entry)(void*), void* argument) {
  entry_ = entry;
  argument_ = argument;
  done_ = false;
  context_->prepare(stack_.get(), stack_size, &Fiber::begin);
}

void Fiber::begin() { starting->enter(); }

void Fiber::enter() {
#if defined(PULSE_SIM_ASAN)
  __sanitizer_finish_switch_fiber(nullptr, &context_->caller_stack, &context_->caller_size);
#endif
  entry_(argument_);
  done_ = true;
  leave(true);
}

void Fiber::resume() {
  starting = this;
#if defined(PULSE_SIM_ASAN)
  __sanitizer_start_switch_fiber(&context_->fake_caller, stack_.get(), stack_size);
#endif
  context_->in();
#if defined(PULSE_SIM_ASAN)
  __sanitizer_finish_switch_fiber(context_->fake_caller, nullptr, nullptr);
#endif
}

void Fiber::yield() { leave(false); }

void Fiber::leave([[maybe_unused]] bool for_good) {
#if defined(PULSE_SIM_ASAN)
  __sanitizer_start_switch_fiber(for_good ? nullptr : &context_->fake_own, context_->caller_stack, context_->caller_size);
#endif
  context_->out();
#if defined(PULSE_SIM_ASAN)
  __sanitizer_finish_switch_fiber(context_->fake_own, &context_->caller_stack, &context_->caller_size);
#endif
}

}  // namespace pulse::sim
