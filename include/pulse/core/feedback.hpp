// SPDX-License-Identifier: MIT
#pragma once

#include <boost/hana/concat.hpp>
#include <boost/hana/tuple.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "pulse/core/describe.hpp"
#include "pulse/core/nullable.hpp"

namespace pulse::inline v0_1 {

/// How loaded a store is. The order is the order of severity: `max` of two levels is the worse.
enum class BackpressureLevel : std::uint8_t { ok, soft, hard };

/// The levels as they are on the wire.
template <>
struct DescribeEnum<BackpressureLevel> {
  static constexpr std::string_view names[] = {"ok", "soft", "hard"};
};

/// The two tracks on which a schema evolves. v2 is a superset of v1.
enum class Track : std::uint8_t { v1, v2 };

/// The tracks as they are on the wire.
template <>
struct DescribeEnum<Track> {
  static constexpr std::string_view names[] = {"v1", "v2"};
};

namespace v1 {

/// Back-pressure from a store: how full the queue of one of its coordinators is.
/// `Text` is std::string for an event that owns its text, std::string_view for one that looks into the decoded bytes.
template <class Text>
struct BasicFeedbackEvent {
  Text coordinator_id{};        ///< who reports; the newest `ts` per coordinator counts
  std::int64_t queue_size = 0;  ///< entries queued, >= 0; may exceed the capacity
  std::int64_t capacity = 1;    ///< entries the queue is meant to hold, > 0
  BackpressureLevel level = BackpressureLevel::ok;
  Text source = "store";  ///< the component that reports
  double ts = 0;          ///< when it was measured, in seconds since the Unix epoch

  friend bool operator==(const BasicFeedbackEvent&, const BasicFeedbackEvent&) = default;
};

using FeedbackEvent = BasicFeedbackEvent<std::string>;
using FeedbackEventView = BasicFeedbackEvent<std::string_view>;

/// The rate a provider shall keep from now on, as a share of its full rate.
template <class Text>
struct BasicRateAdjustment {
  Text provider{};
  double scale = 1;                                  ///< 0 (paused) to 1 (full rate)
  BackpressureLevel reason = BackpressureLevel::ok;  ///< the level that led to it
  double ts = 0;                                     ///< in seconds since the Unix epoch

  friend bool operator==(const BasicRateAdjustment&, const BasicRateAdjustment&) = default;
};

using RateAdjustment = BasicRateAdjustment<std::string>;
using RateAdjustmentView = BasicRateAdjustment<std::string_view>;

}  // namespace v1

namespace v2 {

/// As v1, and why the level was chosen. In v1 these two travel as the headers `reason` and `utilization`.
template <class Text>
struct BasicFeedbackEvent : v1::BasicFeedbackEvent<Text> {
  Nullable<Text> reason{};
  Nullable<double> utilization{};  ///< 0 to 1

  friend bool operator==(const BasicFeedbackEvent&, const BasicFeedbackEvent&) = default;
};

using FeedbackEvent = BasicFeedbackEvent<std::string>;
using FeedbackEventView = BasicFeedbackEvent<std::string_view>;

using v1::RateAdjustment;  // the same on both tracks
using v1::RateAdjustmentView;

}  // namespace v2

using v1::FeedbackEvent;
using v1::FeedbackEventView;
using v1::RateAdjustment;
using v1::RateAdjustmentView;

namespace detail {
template <class E>
inline constexpr auto feedback_fields = boost::hana::make_tuple(
    Field<"coordinator_id", &E::coordinator_id, Doc<"ID of the coordinator that reports">>{},
    Field<"queue_size", &E::queue_size, AtLeast<0>, Doc<"Entries queued now">>{},
    Field<"capacity", &E::capacity, GreaterThan<0>, Doc<"Entries the queue is meant to hold">>{}, Field<"level", &E::level, Doc<"Back-pressure level">>{},
    Field<"source", &E::source, Defaulted, Doc<"Component that reports">>{}, Field<"ts", &E::ts, Doc<"Unix epoch seconds">>{});
}  // namespace detail

/// telemetry.FeedbackEvent on track v1.
template <class Text>
struct Describe<v1::BasicFeedbackEvent<Text>> {
  static constexpr auto schema_id = FixedString{"telemetry.FeedbackEvent"};
  static constexpr Track track = Track::v1;
  static constexpr auto fields = detail::feedback_fields<v1::BasicFeedbackEvent<Text>>;
};

/// telemetry.FeedbackEvent on track v2.
template <class Text>
struct Describe<v2::BasicFeedbackEvent<Text>> {
  using E = v2::BasicFeedbackEvent<Text>;
  static constexpr auto schema_id = FixedString{"telemetry.FeedbackEvent"};
  static constexpr Track track = Track::v2;
  static constexpr auto fields =
      boost::hana::concat(detail::feedback_fields<v1::BasicFeedbackEvent<Text>>,
                          boost::hana::make_tuple(Field<"reason", &E::reason, Doc<"Why the level was chosen">>{},
                                                  Field<"utilization", &E::utilization, AtLeast<0>, AtMost<1>, Doc<"Queue size over capacity">>{}));
};

/// telemetry.RateAdjustment.
template <class Text>
struct Describe<v1::BasicRateAdjustment<Text>> {
  using E = v1::BasicRateAdjustment<Text>;
  static constexpr auto schema_id = FixedString{"telemetry.RateAdjustment"};
  static constexpr Track track = Track::v1;
  static constexpr auto fields = boost::hana::make_tuple(
      Field<"provider", &E::provider, Doc<"Provider whose rate changes">>{}, Field<"scale", &E::scale, AtLeast<0>, AtMost<1>, Doc<"Share of the full rate">>{},
      Field<"reason", &E::reason, Doc<"Back-pressure level behind it">>{}, Field<"ts", &E::ts, Doc<"Unix epoch seconds">>{});
};

}  // namespace pulse::inline v0_1
