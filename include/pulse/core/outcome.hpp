// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "pulse/core/describe.hpp"

namespace pulse::inline v0_1 {

/// How a delivery ended. Every delivery that is settled is counted under exactly one of these.
enum class Outcome : std::uint8_t {
  success,      ///< handled, acknowledged
  error,        ///< the handler threw: will be retried
  duplicate,    ///< handled before, acknowledged without handling
  invalid,      ///< undecodable or against its schema: dead-lettered before any handler
  stale,        ///< older than what was already applied: acknowledged without effect
  dead_letter,  ///< out of deliveries, or the handler said so: moved to the DLQ
  retry,        ///< the handler asked for another delivery, or the dedup window could not tell now: will be retried
  leased,       ///< somebody else is handling the event: looked at again after ConsumerOptions.lease_wait, nothing has failed
};

/// The values of the label `outcome`.
template <>
struct DescribeEnum<Outcome> {
  static constexpr std::string_view names[] = {"success", "error", "duplicate", "invalid", "stale", "dead_letter", "retry", "leased"};
};

/// What a handler decides about a delivery. A handler that returns void means ack; one that throws means retry with backoff.
class [[nodiscard]] Verdict {
 public:
  enum class Kind : std::uint8_t { ack, stale, retry, dead_letter };

  /// Done: acknowledge, and remember the event as done.
  static Verdict ack() noexcept { return Verdict{Kind::ack}; }
  /// Nothing to do because a newer event was applied: acknowledge, counted as `stale`.
  static Verdict stale() noexcept { return Verdict{Kind::stale}; }
  /// Deliver again by the retry policy's backoff.
  static Verdict retry() noexcept { return Verdict{Kind::retry}; }
  /// Deliver again no earlier than after `delay`, a year at most: what is longer is one. A negative one leaves it to the retry policy.
  /// Counts towards the maximum of deliveries.
  static Verdict retry(std::chrono::milliseconds delay) noexcept {
    Verdict verdict{Kind::retry};
    verdict.delay_ = delay;
    return verdict;
  }
  /// Move it to the DLQ with this reason.
  static Verdict dead_letter(std::string reason) {
    Verdict verdict{Kind::dead_letter};
    verdict.reason_ = std::move(reason);
    return verdict;
  }

  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  /// The delay asked for; negative where the retry policy decides.
  [[nodiscard]] std::chrono::milliseconds delay() const noexcept { return delay_; }
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

 private:
  explicit Verdict(Kind kind) noexcept : kind_(kind) {}

  std::string reason_;
  std::chrono::milliseconds delay_{-1};
  Kind kind_;
};

}  // namespace pulse::inline v0_1
