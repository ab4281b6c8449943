// SPDX-License-Identifier: MIT
//
// The known-wrong as control: each twin breaks one guarantee, and the simulation must say so. `// guarantee N: what goes wrong` goes into
// docs/explanation/trust.md.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "world.hpp"

using namespace pulse::sim;

namespace {
/// The law that the twin breaks first, which must be one of those.
std::string caught(Twin twin, std::initializer_list<Law> as) {
  World world;
  RunOptions options;
  options.twin = twin;
  for (std::uint64_t seed = 1; seed <= 5000; ++seed) {
    if (const Outcome outcome = world.run(seed, options); outcome.law != Law::none) {
      return std::find(as.begin(), as.end(), outcome.law) != as.end() ? "caught"
                                                                      : std::string(law_names[static_cast<std::size_t>(outcome.law)]) + ": " + outcome.story;
    }
  }
  return "not caught in 5000 schedules";
}
}  // namespace

// guarantee 2: an event whose handler failed is dropped as a duplicate when it comes again
TEST_CASE("twin marks_before_handling is caught as acked_after_success") { CHECK(caught(Twin::marks_before_handling, {Law::acked_after_success}) == "caught"); }

// guarantee 2: a failure counts as done
TEST_CASE("twin release_marks_done is caught as acked_after_success") { CHECK(caught(Twin::release_marks_done, {Law::acked_after_success}) == "caught"); }

// guarantee 2: a failed event stays leased, and is put off for ever
TEST_CASE("twin release_forgets is caught as everything_settles") { CHECK(caught(Twin::release_forgets, {Law::everything_settles}) == "caught"); }

// guarantee 2: a handled event is handled again
TEST_CASE("twin commit_forgets is caught as once_within_window") { CHECK(caught(Twin::commit_forgets, {Law::once_within_window}) == "caught"); }

// guarantee 3: a new event is taken for a duplicate
TEST_CASE("twin false_duplicates is caught as acked_after_success") { CHECK(caught(Twin::false_duplicates, {Law::acked_after_success}) == "caught"); }

// guarantee 1: a crash or a failure after the ack loses the event
TEST_CASE("twin acks_before_handling is caught as acked_after_success") { CHECK(caught(Twin::acks_before_handling, {Law::acked_after_success}) == "caught"); }

// guarantee 1: what was published before the group was made is skipped
TEST_CASE("twin group_from_end is caught as backlog_seen") { CHECK(caught(Twin::group_from_end, {Law::backlog_seen}) == "caught"); }

// guarantee 1: abandoned entries behind many busy ones are never reached
TEST_CASE("twin cursor_thrown_away is caught as abandoned_found") { CHECK(caught(Twin::cursor_thrown_away, {Law::abandoned_found}) == "caught"); }

// guarantee 1: what a dead consumer had pending is nobody's
TEST_CASE("twin never_claims is caught as abandoned_found") { CHECK(caught(Twin::never_claims, {Law::abandoned_found}) == "caught"); }

// guarantee 4: garbage reaches the handler
TEST_CASE("twin decodes_anything is caught as decodable_only") { CHECK(caught(Twin::decodes_anything, {Law::decodable_only}) == "caught"); }

// guarantee 5: a poisoned event is retried for ever
TEST_CASE("twin retries_without_bound is caught as deliveries_bounded") { CHECK(caught(Twin::retries_without_bound, {Law::deliveries_bounded}) == "caught"); }

// guarantee 5: a retry does not wait
TEST_CASE("twin retries_at_once is caught as retries_wait") { CHECK(caught(Twin::retries_at_once, {Law::retries_wait}) == "caught"); }

// guarantee 5: the dead letter and the ack are two commands, and one of them happens alone
TEST_CASE("twin acks_failed_letters is caught as acked_after_success or letters_single") {
  CHECK(caught(Twin::acks_failed_letters, {Law::acked_after_success, Law::letters_single}) == "caught");
}

// guarantee 5: a dead letter without its data
TEST_CASE("twin letters_lose_data is caught as letters_whole") { CHECK(caught(Twin::letters_lose_data, {Law::letters_whole}) == "caught"); }

// guarantee 5: reading one's own history burns the retry budget
TEST_CASE("twin restart_counts is caught as deliveries_earned") { CHECK(caught(Twin::restart_counts, {Law::deliveries_earned}) == "caught"); }

// guarantee 5: an event that an operator brought back is taken for a duplicate
TEST_CASE("twin redrive_unmarked is caught as acked_after_success") { CHECK(caught(Twin::redrive_unmarked, {Law::acked_after_success}) == "caught"); }

// guarantee 6: a stop dead-letters what it leaves unfinished
TEST_CASE("twin stop_dead_letters is caught as letters_deserved") { CHECK(caught(Twin::stop_dead_letters, {Law::letters_deserved}) == "caught"); }

// guarantee 6: a stop waits for a server that is gone
TEST_CASE("twin stop_waits_for_server is caught as stop_bounded") { CHECK(caught(Twin::stop_waits_for_server, {Law::stop_bounded}) == "caught"); }

// guarantee 7: a heartbeat takes back what its new owner works on
TEST_CASE("twin heartbeat_steals is caught as beats_take_nothing") { CHECK(caught(Twin::heartbeat_steals, {Law::beats_take_nothing}) == "caught"); }

// guarantee 7: a consumer does not learn what it lost, and settles it
TEST_CASE("twin heartbeat_blind is caught as lost_not_begun or lost_not_settled") {
  CHECK(caught(Twin::heartbeat_blind, {Law::lost_not_begun, Law::lost_not_settled}) == "caught");
}

// guarantee 8: yesterday's report overrides today's
TEST_CASE("twin no_stale_rule is caught as newest_and_worst") { CHECK(caught(Twin::no_stale_rule, {Law::newest_and_worst}) == "caught"); }

// guarantee 8: a coordinator that is well hides one that is not
TEST_CASE("twin last_coordinator_wins is caught as newest_and_worst") { CHECK(caught(Twin::last_coordinator_wins, {Law::newest_and_worst}) == "caught"); }

// guarantee 8: a coordinator that is gone keeps its level for ever
TEST_CASE("twin silence_never_expires is caught as newest_and_worst") { CHECK(caught(Twin::silence_never_expires, {Law::newest_and_worst}) == "caught"); }

// guarantee 9: scale 0 lets something through
TEST_CASE("twin pause_leaks is caught as rate_kept") { CHECK(caught(Twin::pause_leaks, {Law::rate_kept}) == "caught"); }
