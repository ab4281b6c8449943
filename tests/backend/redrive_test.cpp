// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <pulse/backend/in_memory.hpp>

#include "../support/redrive_cases.hpp"

namespace redriving = pulse_test::redriving;
using Bus = pulse::InMemoryBackend<std::string>;

TEST_CASE("redrive: takes a range, and no more than asked for") {
  Bus bus;
  redriving::takes_a_range_and_no_more_than_asked_for(bus);
}
TEST_CASE("redrive: keeps to its rate") {
  Bus bus;
  redriving::keeps_to_its_rate(bus);
}
TEST_CASE("redrive: may be interrupted, and goes on") {
  Bus bus;
  redriving::may_be_interrupted_and_goes_on(bus);
}
TEST_CASE("redrive: leaves what comes back, and passes over what others take") {
  Bus bus;
  redriving::leaves_what_comes_back_and_passes_over_what_others_take(bus);
}
TEST_CASE("redrive: refuses options that make no sense") {
  Bus bus;
  redriving::refuses_options_that_make_no_sense(bus);
}
TEST_CASE("purge: a range") {
  Bus bus;
  redriving::purges_a_range(bus);
}
TEST_CASE("field bug 21: a redrive is never swallowed by dedup") {
  Bus bus;
  redriving::is_never_swallowed_by_dedup(bus);
}

namespace {
struct Flag {
  const std::atomic<bool>& raised;
  [[nodiscard]] bool stop_requested() const { return raised; }
};
}  // namespace

TEST_CASE("redrive: a stop ends the wait for a turn, of any token, on the real clock") {
  Bus bus;
  (void)redriving::bury(bus, 10);
  const pulse::RedriveOptions slow{.per_second = 0.001};  // the second turn is in 1000 seconds
  redriving::Watched<Bus> watched{bus};
  std::atomic<bool> first{false};

  pulse::StopSource source;
  std::thread stopper([&] {
    first.wait(false);
    source.request_stop();
  });
  watched.after = [&] {
    first = true;
    first.notify_all();
  };
  auto report = pulse::redrive(watched, "s", slow, source.token());
  stopper.join();
  CHECK(report.end == pulse::RedriveEnd::stopped);
  CHECK(report.redriven == 1);

  report = pulse::redrive(watched, "s", slow, Flag{first});
  CHECK(report.redriven == 0);
  std::atomic<bool> raised{false};
  watched.after = [&] { raised = true; };
  report = pulse::redrive(watched, "s", slow, Flag{raised});
  CHECK(report.end == pulse::RedriveEnd::stopped);
  CHECK(report.redriven == 1);
}

namespace {
/// A store that fails: `listings` and `purges` are how many go well before.
struct Failing : redriving::Watched<Bus> {
  int listings = 1'000'000;
  int purges = 1'000'000;
  pulse::Result<std::vector<pulse::DeadLetter>> dead_letters(std::string_view stream, pulse::EntryId from, std::size_t max) {
    return listings-- > 0 ? Watched::dead_letters(stream, from, max) : pulse::Error{pulse::ErrorCode::unavailable, "no listing"};
  }
  pulse::Status purge(std::string_view stream, pulse::EntryId id) {
    return purges-- > 0 ? Watched::purge(stream, id) : pulse::Error{pulse::ErrorCode::unavailable, "no purge"};
  }
};
static_assert(pulse::DeadLetterStore<Failing>);
}  // namespace

TEST_CASE("redrive, purge: a store that fails on the way ends them with its error, and what was done is told or stays done") {
  Bus bus;
  (void)redriving::bury(bus, 100);  // two listings of 64
  Failing failing{{bus}, 1};
  const auto report = pulse::redrive(failing, "s");
  CHECK(report.end == pulse::RedriveEnd::failed);
  CHECK(report.error.message == "no listing");
  CHECK(report.redriven == 64);
  CHECK(redriving::dead(bus) == 36);

  failing.listings = 0;
  const auto unlisted = pulse::purge(failing, "s", {});
  REQUIRE_FALSE(unlisted);
  CHECK(unlisted.error().message == "no listing");
  failing.listings = 10;
  failing.purges = 10;
  const auto stuck = pulse::purge(failing, "s", {});
  REQUIRE_FALSE(stuck);
  CHECK(stuck.error().message == "no purge");
  CHECK(redriving::dead(bus) == 26);
  CHECK(*pulse::purge(bus, "s", {}, Flag{true}) == 0);
  CHECK(redriving::dead(bus) == 26);
}

TEST_CASE("dead letters: a range that begins at the first id of a millisecond takes that one, and none before it") {
  pulse::ManualClock clock;
  pulse::InMemoryBackend<std::string, pulse::ManualClock> bus{{}, clock};
  std::vector<pulse::EntryId> ids;
  for (int i = 0; i < 3; ++i) {
    ids = redriving::bury(bus, 1);
    clock.advance(std::chrono::milliseconds{1});
  }
  REQUIRE(ids.size() == 3);
  REQUIRE(ids[1].seq == 0);
  std::vector<pulse::EntryId> met;
  REQUIRE(pulse::each_dead_letter(bus, "s", {ids[1], pulse::EntryId::max()}, [&](const pulse::DeadLetter& letter) {
    met.push_back(letter.id);
    return true;
  }));
  CHECK(met == std::vector<pulse::EntryId>(ids.begin() + 1, ids.end()));
}

TEST_CASE("redrive: two at once share the work") {
  Bus bus;
  constexpr int letters = 2000;
  (void)redriving::bury(bus, letters);
  pulse::RedriveReport reports[2];
  std::thread other([&] { reports[1] = pulse::redrive(bus, "s"); });
  reports[0] = pulse::redrive(bus, "s");
  other.join();
  CHECK(reports[0].redriven + reports[1].redriven == letters);
  CHECK(redriving::dead(bus) == 0);
  CHECK(bus.length("s") == 2 * letters);
}
