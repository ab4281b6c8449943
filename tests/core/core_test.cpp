// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <algorithm>
#include <boost/hana/concept/struct.hpp>
#include <boost/hana/core/to.hpp>
#include <boost/hana/equal.hpp>
#include <boost/hana/first.hpp>
#include <boost/hana/for_each.hpp>
#include <boost/hana/keys.hpp>
#include <boost/hana/members.hpp>
#include <boost/hana/second.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/core/clock.hpp"
#include "pulse/core/delivery.hpp"
#include "pulse/core/envelope.hpp"
#include "pulse/core/error.hpp"
#include "pulse/core/feedback.hpp"
#include "pulse/core/keys.hpp"
#include "pulse/core/nullable.hpp"
#include "pulse/core/outcome.hpp"
#include "pulse/core/stop.hpp"

namespace hana = boost::hana;
using pulse::FeedbackEvent;

static_assert(hana::Struct<FeedbackEvent>::value && hana::Struct<pulse::v2::FeedbackEventView>::value && hana::Struct<pulse::RateAdjustment>::value);
static_assert(pulse::schema_id_of<FeedbackEvent> == "telemetry.FeedbackEvent");
static_assert(std::is_same_v<pulse::text_type_t<pulse::FeedbackEventView>, std::string_view> && std::is_same_v<pulse::text_type_t<int>, std::string>);
static_assert(std::max(pulse::BackpressureLevel::ok, pulse::BackpressureLevel::hard) == pulse::BackpressureLevel::hard);

TEST_CASE("keys: as the deployed bus has them") {
  CHECK(pulse::stream_key(pulse::feedback_stream) == "mdp:mdp.telemetry.feedback");
  CHECK(pulse::stream_key("telemetry.feedback", "prod", "bus") == "bus:prod.telemetry.feedback");
  CHECK(pulse::dlq_key("mdp:mdp.telemetry.feedback") == "mdp:mdp.telemetry.feedback.dlq");
  CHECK(pulse::default_group == "pipeline");
}

TEST_CASE("nullable: reset keeps the storage") {
  pulse::Nullable<std::string> value;
  CHECK(!value);
  value.emplace() = std::string(100, 'x');
  const char* const storage = value->data();
  value.reset();
  CHECK(value == nullptr);
  CHECK(value.value_or("other") == "other");
  value.emplace().assign("y");
  CHECK(value->data() == storage);
  CHECK(value == pulse::Nullable<std::string>{"y"});
  CHECK(value != pulse::Nullable<std::string>{});
}

TEST_CASE("headers: set, find, clear; storage is reused") {
  pulse::Headers headers;
  headers.set("a", "1");
  headers.set("b", std::string(100, 'x'));
  headers.set("a", "2");
  CHECK(headers.size() == 2);
  REQUIRE(headers.find("a"));
  CHECK(*headers.find("a") == "2");
  CHECK(headers.find("c") == nullptr);
  const pulse::Headers copy = headers;
  headers.clear();
  CHECK(headers.find("a") == nullptr);
  CHECK(headers == pulse::Headers{});  // what is kept for reuse is no part of the value
  headers.set("a", "2");
  CHECK(headers != copy);
  headers.set("b", std::string(100, 'x'));
  CHECK(headers == copy);
}

TEST_CASE("result: the value of one that nobody keeps lives as long as a loop over it") {
  const auto ask = [] { return pulse::Result<std::vector<std::string>>{{std::string(40, 'a'), std::string(40, 'b')}}; };
  std::string all;
  for (const std::string& each : *ask()) {
    all += each;
  }
  CHECK(all == std::string(40, 'a') + std::string(40, 'b'));
  static_assert(!std::is_reference_v<decltype(*ask())>);
}

TEST_CASE("headers: what is set may be a part of the headers themselves") {
  pulse::Headers headers;
  headers.set("a", "short");                       // within the string itself, which moves when the headers do
  for (const char* name : {"b", "c", "d", "e"}) {  // past every size at which they move
    headers.set(name, *headers.find("a"));
    CHECK(*headers.find(name) == "short");
  }
}

TEST_CASE("result, nullable: a failure makes no success, and nothing makes no value, where all that converts is its truth") {
  static_assert(!std::is_constructible_v<pulse::Result<bool>, pulse::Status> && !std::is_constructible_v<pulse::Result<bool>, pulse::Result<int>>);
  static_assert(!std::is_constructible_v<pulse::Nullable<bool>, pulse::Nullable<double>> && std::is_constructible_v<pulse::Nullable<bool>, bool>);
  const pulse::Result<bool> no = false;
  REQUIRE(no);
  CHECK_FALSE(*no);
}

TEST_CASE("one of: one is active, the others keep their storage") {
  pulse::OneOf<FeedbackEvent, pulse::RateAdjustment> one;
  CHECK(one.index() == 0);
  one.emplace<pulse::RateAdjustment>().provider = "p";
  CHECK(one.index() == 1);
  CHECK(one.get_if<FeedbackEvent>() == nullptr);
  CHECK(one.get_if<pulse::RateAdjustment>()->provider == "p");
  CHECK(one.visit([](const auto& event) { return pulse::schema_id_of<std::remove_cvref_t<decltype(event)>>; }) == "telemetry.RateAdjustment");
  auto same = one;
  CHECK(same == one);
  same.emplace<FeedbackEvent>();
  CHECK(!(same == one));
  CHECK(same.emplace<pulse::RateAdjustment>().provider == "p");
}

TEST_CASE("describe: a described event is a Hana struct with its wire names in order") {
  std::string names;
  hana::for_each(hana::keys(pulse::v2::FeedbackEvent{}), [&](auto key) { names += std::string(hana::to<const char*>(key)) + ' '; });
  CHECK(names == "coordinator_id queue_size capacity level source ts reason utilization ");
  FeedbackEvent event;
  event.queue_size = 7;
  hana::for_each(event, [&](auto pair) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(hana::second(pair))>, std::int64_t>) {
      CHECK((hana::second(pair) == 7 || hana::second(pair) == 1));
    }
  });
  CHECK(pulse::AtLeast<0>::holds(0.0));
  CHECK(!pulse::AtLeast<0>::holds(-1));
  CHECK(!pulse::GreaterThan<0>::holds(std::int64_t{0}));
  CHECK(pulse::AtMost<1>::holds(1.0));
  CHECK(!pulse::AtMost<1>::holds(1.0001));
}

TEST_CASE("describe: enum names, exactly") {
  auto level = pulse::BackpressureLevel::ok;
  CHECK(pulse::value_of("hard", level));
  CHECK(level == pulse::BackpressureLevel::hard);
  for (const char* bad : {"", "Hard", "hard ", "HARD", "har"}) {
    CHECK(!pulse::value_of(bad, level));
  }
  CHECK(level == pulse::BackpressureLevel::hard);
  CHECK(pulse::name_of(static_cast<pulse::BackpressureLevel>(9)) == "?");
  CHECK(pulse::name_of(pulse::Outcome::dead_letter) == "dead_letter");
  CHECK(pulse::enum_size<pulse::Outcome> == 8);
}

TEST_CASE("a stream is known again by what never goes back: what was added to it, what has left it, its last id and its first") {
  using pulse::may_be_same;
  using Mark = pulse::StreamMark;
  constexpr Mark before{10, 6, {5, 0}, {10, 0}};  // 1 to 10, of which four have left it
  CHECK(may_be_same(before, before));
  CHECK(may_be_same(before, {12, 8, {5, 0}, {12, 0}}));        // has grown
  CHECK(may_be_same(before, {12, 5, {5, 0}, {12, 0}}));        // and lost some from the middle
  CHECK(may_be_same(before, {12, 7, {6, 0}, {12, 0}}));        // or the first
  CHECK(may_be_same(before, {12, 0, {}, {12, 0}}));            // or all
  CHECK_FALSE(may_be_same(before, {9, 5, {5, 0}, {12, 0}}));   // fewer were added
  CHECK_FALSE(may_be_same(before, {12, 8, {5, 0}, {9, 9}}));   // the last id went back
  CHECK_FALSE(may_be_same(before, {12, 9, {5, 0}, {12, 0}}));  // fewer have left it
  CHECK_FALSE(may_be_same(before, {12, 7, {4, 0}, {12, 0}}));  // the first went back
  CHECK_FALSE(may_be_same(before, {12, 8, {6, 0}, {12, 0}}));  // the first has left it, and none has
  CHECK_FALSE(may_be_same({}, before));                        // not told, as by Redis 6.2
  CHECK_FALSE(may_be_same(before, {}));
  CHECK_FALSE(may_be_same(before, {12, 13, {6, 0}, {12, 0}}));  // nonsense
  CHECK_FALSE(may_be_same({10, 11, {6, 0}, {10, 0}}, {12, 13, {6, 0}, {12, 0}}));
  constexpr Mark emptied{10, 0, {}, {10, 0}};
  CHECK(may_be_same(emptied, emptied));
  CHECK(may_be_same(emptied, {12, 2, {11, 0}, {12, 0}}));
  CHECK_FALSE(may_be_same(emptied, {12, 2, {10, 0}, {12, 0}}));  // the first was there before
  CHECK_FALSE(may_be_same(emptied, {12, 3, {11, 0}, {12, 0}}));
}

TEST_CASE("result: a value or an error, move-only values too") {
  pulse::Result<std::unique_ptr<int>> value{std::make_unique<int>(5)};
  REQUIRE(value);
  auto moved = std::move(value);
  CHECK(**moved == 5);
  pulse::Result<std::string> error{pulse::Error{pulse::ErrorCode::denied, "no"}};
  REQUIRE(!error);
  auto moved_error = std::move(error);
  CHECK(moved_error.error().message == "no");
  CHECK(pulse::Status{}.has_value());
  CHECK(!pulse::Status{pulse::Error{}}.has_value());
}

TEST_CASE("verdict: what a handler may decide") {
  CHECK(pulse::Verdict::ack().kind() == pulse::Verdict::Kind::ack);
  CHECK(pulse::Verdict::retry().delay() < std::chrono::milliseconds{0});
  CHECK(pulse::Verdict::retry(std::chrono::seconds{1}).delay() == std::chrono::milliseconds{1000});
  CHECK(pulse::Verdict::dead_letter("why").reason() == "why");
}

TEST_CASE("manual clock: stands still, moves for all its copies; the wall clock may jump alone") {
  pulse::ManualClock clock;
  const pulse::ManualClock copy = clock;
  const auto steady = copy.steady();
  CHECK(pulse::epoch_seconds(copy.wall()) == 1'700'000'000);
  clock.advance(std::chrono::seconds{2});
  CHECK(copy.steady() - steady == std::chrono::seconds{2});
  clock.set_wall(pulse::WallTime{std::chrono::seconds{5}});
  CHECK(pulse::epoch_seconds(copy.wall()) == 5);
  CHECK(copy.steady() - steady == std::chrono::seconds{2});
}

TEST_CASE("stop: the token follows its source; a callback runs once, now or at once, and not after its end") {
  CHECK(!pulse::StopToken{}.stop_requested());
  pulse::StopSource source;
  int calls = 0;
  {
    const pulse::StopCallback gone{source.token(), [&] { calls += 100; }};
  }
  const pulse::StopCallback before{source.token(), [&] { ++calls; }};
  source.request_stop();
  CHECK(calls == 1);
  CHECK(source.token().stop_requested());
  const pulse::StopCallback after{source.token(), [&] { calls += 10; }};
  CHECK(calls == 11);
}
