// SPDX-License-Identifier: MIT
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <pulse/backend/redis.hpp>
#include <pulse/core/clock.hpp>

#include "../support/fault_proxy.hpp"
#include "../support/redis_server.hpp"

namespace pulse_test {

using Backend = pulse::RedisBackend<pulse::SocketClient, pulse::ManualClock>;

inline pulse::RedisUrl url_of(const std::string& text) {
  auto url = pulse::RedisUrl::parse(text);
  REQUIRE(url);
  return std::move(*url);
}

inline pulse::SubscribeOptions member(std::string consumer, std::vector<std::string> streams = {"s"}) {
  pulse::SubscribeOptions options;
  options.streams = std::move(streams);
  options.group = "g";
  options.consumer = std::move(consumer);
  return options;
}

/// What a batch holds: "data:count ", an "r" behind the count of what was redriven, "!n" for what had vanished.
template <class Batch>
std::string text(const Batch& batch) {
  if (!batch) {
    return "error: " + batch.error().message;
  }
  std::string out;
  for (const auto& delivery : batch->deliveries) {
    out += std::string(delivery.data()) + ':' + std::to_string(delivery.delivery_count()) + (delivery.redriven() ? "r " : " ");
  }
  return batch->vanished > 0 ? out + '!' + std::to_string(batch->vanished) : out;
}

/// Makes what is pending in every group of a stream idle for `by` longer than it is, as if that time had passed on the server.
inline void age(const RedisServer& server, std::string_view stream, std::chrono::milliseconds by) {
  Cli redis = server.connect();
  const Reply groups = redis({"XINFO", "GROUPS", stream});
  for (const Reply& group : groups.items) {
    const std::string name = group[1].text;
    const Reply pending = redis({"XPENDING", stream, name, "-", "+", "100000"});
    for (const Reply& entry : pending.items) {
      const std::string idle = std::to_string(entry[2].integer + by.count());
      const std::string count = std::to_string(entry[3].integer);
      (void)redis({"XCLAIM", stream, name, entry[1].text, "0", entry[0].text, "IDLE", idle, "RETRYCOUNT", count, "JUSTID"});
    }
  }
}

/// Whether a read comes to wait at the server.
inline bool read_waits(const RedisServer& server) {
  Cli redis = server.connect();
  const Deadline deadline = within(patience);
  while (redis({"INFO", "clients"}).text.find("blocked_clients:1") == std::string::npos) {
    if (std::chrono::steady_clock::now() > deadline) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  return true;
}

/// Settles the whole batch: acks.
inline pulse::Settlement acks(std::size_t count) {
  static const std::vector<std::uint32_t> all = [] {
    std::vector<std::uint32_t> indexes(10000);
    for (std::uint32_t i = 0; i < indexes.size(); ++i) {
      indexes[i] = i;
    }
    return indexes;
  }();
  return {std::span{all}.first(count), {}, {}};
}

}  // namespace pulse_test
