// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include "pulse/core/feedback.hpp"
#include "pulse/ext/fmt.hpp"

TEST_CASE("fmt: plain values as text") {
  CHECK(fmt::format("{}", pulse::EntryId{12, 3}) == "12-3");
  CHECK(fmt::format("{}", pulse::EventId{1, 0xab}) == "000000000000000100000000000000ab");
  CHECK(fmt::format("{}|{:>5}", pulse::BackpressureLevel::hard, pulse::Track::v2) == "hard|   v2");
  CHECK(fmt::format("{}", pulse::Error{pulse::ErrorCode::config, "x is 1"}) == "config: x is 1");
  CHECK(fmt::format("{}", pulse::Verdict::ack()) == "ack");
  CHECK(fmt::format("{}", pulse::Verdict::retry()) == "retry");
  CHECK(fmt::format("{}", pulse::Verdict::retry(std::chrono::milliseconds{5})) == "retry after 5 ms");
  CHECK(fmt::format("{}", pulse::Verdict::dead_letter("why")) == "dead_letter: why");
}
