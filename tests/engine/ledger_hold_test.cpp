// SPDX-License-Identifier: MIT
#include "pulse/engine/hold.hpp"
#include "pulse/engine/ledger.hpp"

#include <doctest/doctest.h>

#include <string>
#include <type_traits>
#include <utility>

using namespace std::chrono_literals;

namespace {

/// Writes down what it is told.
struct TraceDedup {
  std::string trace;
  void commit(pulse::EventId id) { trace += "commit " + std::to_string(id.low) + ";"; }
  void release(pulse::EventId id) { trace += "release " + std::to_string(id.low) + ";"; }
};

std::string text(pulse::engine::Ledger& ledger) {
  std::string out;
  const pulse::Settlement settlement = ledger.settlement();
  for (const auto index : settlement.acks) {
    out += "ack " + std::to_string(index) + ";";
  }
  for (const auto& retry : settlement.retries) {
    out += "retry " + std::to_string(retry.index) + " after " + std::to_string(retry.delay.count()) + ";";
  }
  for (const auto& dead : settlement.dead_letters) {
    out += "dead " + std::to_string(dead.index) + " " + std::string(dead.reason) + ";";
  }
  return out;
}

using Hold = pulse::engine::Hold<TraceDedup>;
static_assert(!std::is_copy_constructible_v<Hold> && !std::is_copy_assignable_v<Hold> && !std::is_move_assignable_v<Hold>);
static_assert(std::is_nothrow_move_constructible_v<Hold>);

}  // namespace

// guarantee 1
TEST_CASE("a hold that nobody decided gives the lease back and settles nothing") {
  TraceDedup dedup;
  pulse::engine::Ledger ledger{4};
  {
    const Hold hold{dedup, {0, 7}, ledger, 0};
  }
  CHECK(dedup.trace == "release 7;");
  CHECK(ledger.empty());

  dedup.trace.clear();
  try {
    const Hold hold{dedup, {0, 8}, ledger, 1};
    throw 1;
  } catch (int) {
  }
  CHECK(dedup.trace == "release 8;");
  CHECK(ledger.empty());
}

TEST_CASE("a moved hold decides once") {
  TraceDedup dedup;
  pulse::engine::Ledger ledger{4};
  {
    Hold first{dedup, {0, 7}, ledger, 2};
    Hold second{std::move(first)};
    std::move(second).ack();
  }
  CHECK(dedup.trace == "commit 7;");
  CHECK(text(ledger) == "ack 2;");
}

// guarantee 1
TEST_CASE("each decision tells dedup first and the ledger second") {
  TraceDedup dedup;
  pulse::engine::Ledger ledger{8};
  Hold{dedup, {0, 1}, ledger, 0}.ack();
  Hold{dedup, {0, 2}, ledger, 1}.retry(250ms);
  Hold{dedup, {0, 3}, ledger, 2}.dead_letter("poison");
  Hold{dedup, {0, 4}, ledger, 3}.commit_only();
  CHECK(dedup.trace == "commit 1;release 2;release 3;commit 4;");
  CHECK(text(ledger) == "ack 0;retry 1 after 250;dead 2 poison;");
  ledger.clear();
  CHECK(ledger.empty());
  CHECK(text(ledger).empty());
}

TEST_CASE("a retry after a failure counts as a delivery, one that nobody tried does not") {
  pulse::engine::Ledger ledger{4};
  ledger.retry(1, 250ms);
  ledger.wait(2, 10ms);
  CHECK(text(ledger) == "retry 1 after 250;retry 2 after 10;");
  const auto retries = ledger.settlement().retries;
  CHECK(retries[0].counts);
  CHECK_FALSE(retries[1].counts);
}

TEST_CASE("reasons stay readable however many dead letters follow") {
  pulse::engine::Ledger ledger{1};  // outgrown on purpose: short strings move when their vector grows
  for (std::uint32_t i = 0; i < 50; ++i) {
    ledger.dead_letter(i, "r" + std::to_string(i));
  }
  const pulse::Settlement settlement = ledger.settlement();
  for (std::uint32_t i = 0; i < 50; ++i) {
    CHECK(settlement.dead_letters[i].reason == "r" + std::to_string(i));
  }
}
