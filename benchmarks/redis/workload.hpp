// SPDX-License-Identifier: MIT
#pragma once

#include <pthread.h>
#include <sched.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "../../tests/support/redis_server.hpp"
#include "../bench.hpp"

/// A server of the benchmark's own with a stream to consume, and what one consumption of it cost.
namespace bench {

inline double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}
inline double median(const std::vector<double>& values) { return quantile(values, 0.5); }

inline const std::string stream = "bench";
inline const std::string group = "pipeline";
inline const std::string member = "consumer-1";

/// Keeps a process, or with 0 this thread and those it starts, on one core. Where there is a single one, everything is on it.
inline void pin(pid_t process, int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(sysconf(_SC_NPROCESSORS_ONLN) > core ? core : 0), &set);
  ::sched_setaffinity(process, sizeof set, &set);
}
inline constexpr int server_core = 0;
inline constexpr int client_core = 1;

/// An envelope of 332 bytes, as a store's registry writes it. `number` is its queue size: up to 999 without a change in length.
inline std::string envelope(double ts, std::uint64_t number) {
  char text[512];
  const int size = std::snprintf(
      text, sizeof text,
      R"({"ts": %.7f, "key": "eth", "meta": {"schema_id": "telemetry.FeedbackEvent", "track": "v1", "headers": {}, "hash": "5727c57e3dd80f1142f7f932bd28e6b396608e857a45ec4eea46d7f6c6dee3de"}, "payload": {"coordinator_id": "eth", "queue_size": %llu, "capacity": 1000, "level": "soft", "source": "store", "ts": 1755093447.303985}})",
      ts, static_cast<unsigned long long>(number));
  return {text, static_cast<std::size_t>(size)};
}

inline std::uint64_t queue_size(std::size_t index) { return 100 + index % 900; }

/// A stream of `size` entries on a server.
class Workload {
 public:
  explicit Workload(std::size_t size) : cli_(server.connect()) {
    pin(server.pid(), server_core);
    for (std::size_t first = 0; first < size; first += 1000) {
      const std::size_t last = std::min(size, first + 1000);
      for (std::size_t i = first; i < last; ++i) {
        const std::string data = envelope(1755093447.3764217, queue_size(i));
        require(data.size() == 332, "an envelope is not of 332 bytes");
        cli_.send({"XADD", stream, "*", "data", data});
      }
      for (std::size_t i = first; i < last; ++i) {
        ids.push_back(cli_.read().text);
      }
    }
  }

  /// The group, at the stream's beginning, with nothing pending.
  void rewind() {
    (void)cli_({"XGROUP", "DESTROY", stream, group});
    require(cli_({"XGROUP", "CREATE", stream, group, "0"}) == "OK", "no group");
  }
  /// The stream without its entries, for those that are published while they are consumed.
  void empty() {
    (void)cli_({"DEL", stream});
    require(cli_({"XGROUP", "CREATE", stream, group, "0", "MKSTREAM"}) == "OK", "no group");
  }
  /// The first `handled` were handled once each, and everything that was read is acked.
  void check(std::size_t handled, std::uint64_t sum) {
    std::uint64_t wanted = 0;
    for (std::size_t i = 0; i < handled; ++i) {
      wanted += queue_size(i);
    }
    require(sum == wanted, "wrong sum");
    require(cli_({"XPENDING", stream, group})[0] == "0", "not everything was acked");
  }

  pulse_test::RedisServer server;
  std::vector<std::string> ids;

 private:
  pulse_test::Cli cli_;
};

/// What a contender spends between `start` and `stop`: setting up is outside. The whole process counts, a heartbeat's thread too.
class Meter {
 public:
  explicit Meter(pid_t server) { ::clock_getcpuclockid(server, &server_clock_); }
  void start() {
    wall_ = now(CLOCK_MONOTONIC);
    client_ = now(CLOCK_PROCESS_CPUTIME_ID);
    server_ = now(server_clock_);
  }
  void stop() {
    server_ = now(server_clock_) - server_;
    client_ = now(CLOCK_PROCESS_CPUTIME_ID) - client_;
    wall_ = now(CLOCK_MONOTONIC) - wall_;
  }
  [[nodiscard]] double wall_s() const { return wall_; }
  [[nodiscard]] double client_s() const { return client_; }
  [[nodiscard]] double server_s() const { return server_; }

 private:
  static double now(clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  }
  clockid_t server_clock_ = CLOCK_MONOTONIC;
  double wall_ = 0;
  double client_ = 0;
  double server_ = 0;
};

/// One way to consume. `run` handles `messages` of a rewound stream, up to `count` a read, and returns the sum of their queue sizes.
struct Contender {
  std::string name;
  std::size_t messages;
  std::function<std::uint64_t(Workload&, std::size_t messages, std::size_t count, Meter&)> run;
  // Of each round:
  std::vector<double> rate{};       ///< messages a second
  std::vector<double> client_us{};  ///< CPU a message
  std::vector<double> server_us{};
};

}  // namespace bench
