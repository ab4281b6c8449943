// SPDX-License-Identifier: MIT
#pragma once

#include <sys/prctl.h>
#include <sys/wait.h>

#include <condition_variable>
#include <csignal>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "io.hpp"

extern char** environ;

namespace pulse_test {

/// How a process ended: by `signal`, or else with `code`.
struct Exit {
  int code = 0;
  int signal = 0;
  friend bool operator==(const Exit&, const Exit&) = default;
};

namespace detail {
/// Forks on a thread that lives as long as this process: the system ends a child with the thread that made it, so a child outlives neither
/// a crash of the tests nor their end, but does outlive the thread of the test that asked for it.
class Forker {
 public:
  static Forker& instance() {
    static Forker one;
    return one;
  }
  pid_t operator()(const std::function<pid_t()>& job) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return job_ == nullptr; });
    job_ = &job;
    done_ = false;
    changed_.notify_all();
    changed_.wait(lock, [&] { return done_; });
    const pid_t made = made_;
    job_ = nullptr;
    changed_.notify_all();
    return made;
  }
  ~Forker() {
    {
      const std::lock_guard lock{mutex_};
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

 private:
  Forker() : thread_([this] { run(); }) {}
  void run() {
    std::unique_lock lock{mutex_};
    while (true) {
      changed_.wait(lock, [&] { return stop_ || (job_ != nullptr && !done_); });
      if (stop_) {
        return;
      }
      made_ = (*job_)();
      done_ = true;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  const std::function<pid_t()>* job_ = nullptr;
  pid_t made_ = 0;
  bool done_ = false;
  bool stop_ = false;
  std::thread thread_;
};
}  // namespace detail

struct Command {
  std::vector<std::string> words;                                  ///< the program, looked for in PATH, and its arguments
  std::vector<std::pair<std::string, std::string>> environment{};  ///< on top of the own
  std::string log{};  ///< a file for its output; empty: `read_line` gives it, and what it says on stderr goes where ours goes
};

/// A program that runs, and is killed with this object. One thread, but for `signal`.
class Process {
 public:
  Process() = default;
  explicit Process(const Command& command) { start(command); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() { kill(); }

  /// Requires: it does not run.
  void start(const Command& command) {
    std::vector<std::string> variables;
    for (const auto& [name, value] : command.environment) {
      variables.push_back(name + '=' + value);
    }
    for (char** one = environ; *one != nullptr; ++one) {
      const std::string_view text{*one};
      const auto name = text.substr(0, text.find('='));
      if (std::none_of(command.environment.begin(), command.environment.end(), [&](const auto& set) { return set.first == name; })) {
        variables.emplace_back(text);
      }
    }
    std::vector<char*> arguments = pointers(command.words);
    std::vector<char*> environment = pointers(variables);
    Pipe alive;    // its end stays open in the child, and in its children, until the last of them is gone
    Pipe started;  // closed by a successful exec
    Pipe output;
    Fd log;
    if (!command.log.empty()) {
      log = Fd{::open(command.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)};
    }
    const int out = log ? log.get() : output.in.get();
    const int err = log ? log.get() : STDERR_FILENO;
    pid_ = detail::Forker::instance()([&] {
      const pid_t parent = ::getpid();
      const pid_t made = ::fork();
      if (made != 0) {
        return made;
      }
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) {
        ::_exit(127);
      }
      ::dup2(out, STDOUT_FILENO);
      ::dup2(err, STDERR_FILENO);
      ::fcntl(alive.in.get(), F_SETFD, 0);
      environ = environment.data();
      ::execvp(arguments[0], arguments.data());
      const int failure = errno;
      (void)!::write(started.in.get(), &failure, sizeof failure);
      ::_exit(127);
    });
    if (pid_ < 0) {
      fail_errno("fork");
    }
    started.in.reset();
    int failure = 0;
    if (::read(started.out.get(), &failure, sizeof failure) == sizeof failure) {
      ::waitpid(std::exchange(pid_, -1), nullptr, 0);
      fail("cannot run " + command.words[0] + ": " + std::strerror(failure));
    }
    alive_ = std::move(alive.out);
    output_ = std::move(output.out);
    text_.clear();
    exit_.reset();
  }

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// Whether it has not been seen to end, by `wait` or `kill`.
  [[nodiscard]] bool running() const noexcept { return pid_ > 0; }

  void signal(int number) const {
    if (pid_ > 0) {
      ::kill(pid_, number);
    }
  }

  /// Waits until it and its children are gone. Empty: they were not at the deadline.
  std::optional<Exit> wait(Deadline deadline = within(patience)) {
    if (pid_ > 0) {
      if (!ready(alive_.get(), POLLIN, deadline)) {
        return std::nullopt;
      }
      int status = 0;
      while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
      }
      pid_ = -1;
      exit_ = WIFSIGNALED(status) ? Exit{0, WTERMSIG(status)} : Exit{WEXITSTATUS(status), 0};
    }
    return exit_;
  }

  /// SIGKILL; returns when nothing of it is left.
  void kill() {
    signal(SIGKILL);
    (void)wait(within(std::chrono::minutes{1}));
  }

  /// SIGSTOP; returns when it has stopped.
  void pause() {
    signal(SIGSTOP);
    int status = 0;
    while (pid_ > 0 && ::waitpid(pid_, &status, WUNTRACED) < 0 && errno == EINTR) {
    }
    if (pid_ <= 0 || !WIFSTOPPED(status)) {
      fail("a process that ended cannot be paused");
    }
  }
  void resume() const { signal(SIGCONT); }

  /// The next line of its output without the line's end. Empty: there is none any more, or not before the deadline.
  std::optional<std::string> read_line(Deadline deadline = within(patience)) {
    while (true) {
      if (const auto end = text_.find('\n'); end != std::string::npos) {
        std::string line = text_.substr(0, end);
        text_.erase(0, end + 1);
        return line;
      }
      char bytes[4096];
      const ssize_t got = ready(output_.get(), POLLIN, deadline) ? ::read(output_.get(), bytes, sizeof bytes) : -1;
      if (got <= 0) {
        return std::nullopt;
      }
      text_.append(bytes, static_cast<std::size_t>(got));
    }
  }
  /// All output up to its end, or the deadline.
  std::string read_all(Deadline deadline = within(patience)) {
    std::string all;
    while (const auto line = read_line(deadline)) {
      all += *line + '\n';
    }
    return all + text_;
  }

 private:
  static std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (const std::string& text : texts) {
      all.push_back(const_cast<char*>(text.c_str()));  // exec's signature; it changes nothing
    }
    all.push_back(nullptr);
    return all;
  }

  pid_t pid_ = -1;
  Fd alive_;
  Fd output_;
  std::string text_;
  std::optional<Exit> exit_;
};

/// Whether a program is in PATH.
inline bool has_program(const std::string& name) {
  const char* const path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/bin:/bin" : path;
  while (!rest.empty()) {
    const auto colon = std::min(rest.find(':'), rest.size());
    if (::access((std::string(rest.substr(0, colon)) + '/' + name).c_str(), X_OK) == 0) {
      return true;
    }
    rest.remove_prefix(std::min(colon + 1, rest.size()));
  }
  return false;
}

}  // namespace pulse_test
