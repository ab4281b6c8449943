// SPDX-License-Identifier: MIT
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>
#include <exception>
#include <initializer_list>
#include <thread>
#include <vector>

namespace pulse_test {

/// Runs `job` on a thread of its own, on which the kernel answers each of `calls` (SYS_...) with `error`: what a broken disk, a full table of
/// descriptors or an older kernel say, without one. What `job` throws is thrown here. False, and nothing is run: this system installs no filters.
template <class Job>
[[nodiscard]] bool refusing(std::initializer_list<long> calls, int error, Job&& job) {
  std::vector<sock_filter> program{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const long call : calls) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  bool filtered = false;
  std::exception_ptr thrown;
  std::thread{[&] {
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    filtered = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
    if (filtered) {
      try {
        job();
      } catch (...) {
        thrown = std::current_exception();
      }
    }
  }}.join();
  if (thrown) {
    std::rethrow_exception(thrown);
  }
  return filtered;
}

}  // namespace pulse_test
