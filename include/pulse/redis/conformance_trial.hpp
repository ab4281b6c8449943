// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "pulse/concept/redis_client.hpp"
#include "pulse/redis/conformance_peer.hpp"

namespace pulse::inline v0_1::conformance::detail {

/// One client, its replies, and the first law that it broke.
template <class Client>
class RedisClientTrial {
 public:
  explicit RedisClientTrial(const RedisUrl& url) : client_(url) {}

  [[nodiscard]] const std::string& broken() const noexcept { return broken_; }
  Client& client() noexcept { return client_; }
  RedisReplies& replies() noexcept { return replies_; }

  static SteadyTime in(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }
  static SteadyTime soon() { return in(std::chrono::seconds{10}); }

  bool law(bool kept, const std::string& what, const std::string& seen = {}) {
    if (!kept && broken_.empty()) {
      broken_ = what + (seen.empty() ? "" : "; seen: " + seen);
    }
    return kept;
  }
  bool connects() {
    const Status made = client_.connect(soon());
    return law(made.has_value(), "a client connects to a server that is there", made ? "" : made.error().message);
  }
  void append(const std::vector<std::string_view>& words) { client_.append(words); }
  bool flushes() {
    const Status written = client_.flush(soon());
    return law(written.has_value(), "what is queued is written", written ? "" : written.error().message);
  }
  /// Reads the next reply, which is to be this one.
  bool reads(const std::string& wanted, const std::string& what, SteadyTime deadline = soon()) {
    const std::size_t first = replies_.size();
    Result<bool> got = client_.read(replies_, deadline);
    const std::string seen = !got ? got.error().message : *got ? show(replies_, first) : "false, without an interrupt";
    return law(seen == wanted, what, seen.substr(0, 200));
  }
  /// Reads, and is to be told of an interrupt.
  bool reads_interrupt(const std::string& what) {
    const std::size_t first = replies_.size();
    Result<bool> got = client_.read(replies_, soon());
    return law(got && !*got && replies_.size() == first, what, !got ? got.error().message : *got ? "true" : "something was appended");
  }
  /// Reads, and is to fail with one of these codes, with nothing appended, and closed.
  bool read_fails(const std::vector<ErrorCode>& codes, const std::string& what, SteadyTime deadline = soon()) {
    const std::size_t first = replies_.size();
    Result<bool> got = client_.read(replies_, deadline);
    bool right = false;
    for (const ErrorCode code : codes) {
      right = right || (!got && got.error().code == code);
    }
    return law(right, what, got ? "no error" : "the error \"" + got.error().message + '"') && law(!got.error().message.empty(), what + ", and says why") &&
           law(replies_.size() == first, what + ", and appends nothing") && is_closed(what);
  }
  bool is_closed(const std::string& what) {
    append({"PING"});
    const Status written = client_.flush(soon());
    if (!law(!written && written.error().code == ErrorCode::unavailable, what + ", and leaves the client closed",
             written ? "a write without an error" : written.error().message)) {
      return false;
    }
    const Result<bool> got = client_.read(replies_, soon());
    return law(!got && got.error().code == ErrorCode::unavailable, what + ", and leaves the client closed",
               got ? "a read without an error" : got.error().message);
  }
  void release() {
    replies_.clear();
    client_.release();
  }

 private:
  Client client_;
  RedisReplies replies_;
  std::string broken_;
};

}  // namespace pulse::inline v0_1::conformance::detail
