// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <new>
#include <string>
#include <thread>
#include <utility>

#include <pulse/core/clock.hpp>
#include <pulse/core/error.hpp>
#include <pulse/core/redis_url.hpp>
#include <pulse/redis/socket_client.hpp>

#include "simulation.hpp"

namespace demo {

/// An object that this process shares with those it forks.
template <class T>
class Shared {
 public:
  Shared() {
    void* const memory = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      throw std::bad_alloc{};
    }
    object_ = ::new (memory) T;
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() {
    object_->~T();
    ::munmap(static_cast<void*>(object_), sizeof(T));
  }
  T& operator*() const { return *object_; }
  T* operator->() const { return object_; }

 private:
  T* object_;
};

/// A child process, which ends with this object and with the process that made it.
class Child {
 public:
  Child() = default;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { kill(); }

  /// Runs `body` in a process of its own; what it returns is the exit code. Requires: none runs, and this process has one thread.
  template <class Body>
  void start(Body body) {
    std::fflush(nullptr);  // else the child would print it once more
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      std::signal(SIGINT, SIG_DFL);
      std::signal(SIGTERM, SIG_DFL);
      const int code = ::getppid() == parent ? body() : 1;
      std::fflush(nullptr);
      ::_exit(code);
    }
  }

  /// Whether it has ended; then `code` is its exit code, or -1 if a signal ended it.
  [[nodiscard]] bool ended(int& code) {
    int status = 0;
    if (pid_ > 0 && ::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    code = code_;
    return pid_ < 0;
  }

  /// SIGKILL: nothing of it runs any more.
  void kill() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(std::exchange(pid_, -1), nullptr, 0);
      code_ = -1;
    }
  }

 private:
  pid_t pid_ = -1;
  int code_ = -1;
};

/// A folder of its own that goes with everything in it.
class Folder {
 public:
  Folder() = default;
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    if (!path_.empty()) {
      std::filesystem::remove_all(path_, ignored);
    }
  }
  /// Errors: unavailable.
  pulse::Status make() {
    std::error_code ignored;
    std::string name = (std::filesystem::temp_directory_path(ignored) / "pulse-demo-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      return pulse::Error{pulse::ErrorCode::unavailable, "cannot make the folder " + name + ": " + std::strerror(errno)};
    }
    path_ = name;
    return {};
  }
  [[nodiscard]] std::string file(const char* name) const { return path_ + '/' + name; }

 private:
  std::string path_;
};

/// A redis-server of the demo's own, on a Unix socket in a folder, that keeps nothing.
class OwnServer {
 public:
  /// Returns its URL when it takes connections. Errors: unavailable.
  pulse::Result<std::string> start(const Folder& folder) {
    const std::string socket = folder.file("redis.sock");
    const std::string directory = folder.file(".");
    const std::string log = folder.file("log");
    const auto url = pulse::RedisUrl::parse("unix://" + socket);
    if (!url) {
      return url.error();
    }
    child_.start([&] {
      ::setpgid(0, 0);  // Ctrl-C is for the demo, which stops its server last
      const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
      ::dup2(out, STDOUT_FILENO);
      ::dup2(out, STDERR_FILENO);
      ::execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket.c_str(), "--dir", directory.c_str(), "--save", "", "--appendonly", "no",
               static_cast<char*>(nullptr));
      return 127;
    });
    pulse::SocketClient client{*url};
    const pulse::SteadyTime deadline = pulse::SystemClock::steady() + 10s;
    for (int code = 0; !client.connect(deadline);) {
      const bool ended = child_.ended(code);
      if (ended || pulse::SystemClock::steady() > deadline) {
        return pulse::Error{pulse::ErrorCode::unavailable, ended && code == 127 ? "redis-server is not installed: install it, or say in REDIS_URL where one is"
                                                                                : "redis-server does not start"};
      }
      std::this_thread::sleep_for(5ms);
    }
    return "unix://" + socket;
  }

 private:
  Child child_;
};

}  // namespace demo
