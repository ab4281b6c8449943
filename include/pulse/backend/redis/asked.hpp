// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pulse/backend/redis/settling.hpp"

namespace pulse::inline v0_1::detail {

/// A command whose reply is to come.
struct RedisAsked {
  enum class Kind : std::uint8_t { settled, fresh, history, retaken, claimed, ignored };

  Kind kind;
  std::uint32_t stream;
  RedisSettling::Sent sent;

  static std::string_view name(Kind kind) noexcept {
    switch (kind) {
      case Kind::settled: return "settling (XACK, dead letters)";
      case Kind::fresh: return "XREADGROUP";
      case Kind::history: return "reading what was pending";
      case Kind::retaken: return "reading retries";
      case Kind::claimed: return "XAUTOCLAIM";
      case Kind::ignored: break;
    }
    return "renewing leases and trimming";
  }
};

/// How many entries are asked for at once. A server cuts whoever lets too much output gather (client-output-buffer-limit), a client has a bound of its
/// own: after two cuts in a row half is asked for, and then one more each time it goes well.
class RedisPageLimit {
 public:
  [[nodiscard]] std::uint64_t of(std::size_t count) noexcept {
    asked_ = std::min(count, limit_);
    return asked_;
  }
  void went_well() noexcept {
    cuts_ = 0;
    limit_ += limit_ < unlimited ? 1 : 0;
  }
  /// A connection was lost with a reply under way.
  void cut() noexcept {
    if (++cuts_ > 1) {
      limit_ = std::max<std::size_t>(asked_ / 2, 1);
    }
  }
  /// A reply was larger than the client's bound.
  void too_large() noexcept { limit_ = 1; }
  [[nodiscard]] bool least() const noexcept { return limit_ == 1; }

 private:
  static constexpr std::size_t unlimited = 65536;
  std::size_t limit_ = unlimited;
  std::size_t asked_ = 0;   ///< the last time
  std::uint32_t cuts_ = 0;  ///< in a row
};

}  // namespace pulse::inline v0_1::detail
