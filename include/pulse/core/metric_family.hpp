// SPDX-License-Identifier: MIT
#pragma once

#include <boost/hana/tuple.hpp>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pulse/core/feedback.hpp"
#include "pulse/core/outcome.hpp"
#include "pulse/detail/fixed_string.hpp"

/// The metric families of Pulse as compile-time values. A family's name and labels are part of its type; the values of a label are
/// either those of a described enum, or a set of names that is fixed when the sink is constructed. The number of series is
/// therefore a constant, and recording computes an index and touches one cell.
namespace pulse::inline v0_1 {

enum class MetricKind : std::uint8_t { counter, gauge, histogram };

/// Labels whose values are names known at construction. A name that is not among them is recorded under "other".
struct StreamLabel {
  static constexpr std::string_view name = "stream";
};
/// The provider whose rate it is.
struct ProviderLabel {
  static constexpr std::string_view name = "provider";
};
/// Where a report of back-pressure comes from.
struct SourceLabel {
  static constexpr std::string_view name = "source";
};
/// Labels whose values are those of an enum.
struct TrackLabel {
  static constexpr std::string_view name = "track";
  using enum_type = Track;
};
/// What became of a delivery.
struct OutcomeLabel {
  static constexpr std::string_view name = "outcome";
  using enum_type = Outcome;
};

/// A label whose values are those of an enum; the others are names given at construction.
template <class Label>
concept EnumLabel = requires { typename Label::enum_type; };

/// The index of a name in a name label's set, as a sink's `slot<Label>(name)` gives it. 0 is "other".
template <class Label>
struct LabelSlot {
  std::uint32_t index = 0;
};

namespace detail {
template <class Label>
struct label_argument {
  using type = LabelSlot<Label>;
};
template <EnumLabel Label>
struct label_argument<Label> {
  using type = typename Label::enum_type;
};
}  // namespace detail

/// What one passes to record under a label: the enum's value, or the name's slot.
template <class Label>
using label_argument_t = typename detail::label_argument<Label>::type;

/// A family: its name, its help, its kind and its labels, all in its type. The families that Pulse records are in pulse::family.
template <FixedString Name, FixedString Help, MetricKind Kind, class... Labels>
struct MetricFamily {
  static constexpr std::string_view name = Name.view();
  static constexpr std::string_view help = Help.view();
  static constexpr MetricKind kind = Kind;
  static constexpr boost::hana::tuple<Labels...> labels{};
};

template <FixedString Name, FixedString Help, class... Labels>
using CounterFamily = MetricFamily<Name, Help, MetricKind::counter, Labels...>;
template <FixedString Name, FixedString Help, class... Labels>
using GaugeFamily = MetricFamily<Name, Help, MetricKind::gauge, Labels...>;
/// Histograms record durations; their bounds are those of `histogram_bounds_ns`, exposed in seconds.
template <FixedString Name, FixedString Help, class... Labels>
using HistogramFamily = MetricFamily<Name, Help, MetricKind::histogram, Labels...>;

namespace detail {
template <class... Families>
constexpr boost::hana::tuple<Families...> families(const Families&...) noexcept {
  return {};
}
}  // namespace detail

namespace family {

inline constexpr CounterFamily<"pulse_consume_total", "Deliveries settled, by outcome", StreamLabel, TrackLabel, OutcomeLabel> consume{};
inline constexpr CounterFamily<"pulse_publish_total", "Events published, by outcome", StreamLabel, TrackLabel, OutcomeLabel> publish{};
inline constexpr GaugeFamily<"pulse_lag_ms", "Now minus the ts of the last delivery's envelope", StreamLabel> lag_ms{};
inline constexpr HistogramFamily<"pulse_handler_seconds", "Time to decode, deduplicate and handle a delivery", StreamLabel> handler_time{};
inline constexpr CounterFamily<"pulse_schema_warnings_total", "Events against their schema that were let through", StreamLabel, TrackLabel> schema_warnings{};
inline constexpr CounterFamily<"pulse_claimed_total", "Abandoned entries taken over", StreamLabel> claimed{};
inline constexpr CounterFamily<"pulse_vanished_total", "Pending entries whose data was trimmed or deleted", StreamLabel> vanished{};
inline constexpr CounterFamily<"pulse_lease_lost_total", "Deliveries another consumer took over while they were handled", StreamLabel> lease_lost{};
inline constexpr GaugeFamily<"pulse_pending", "Entries delivered and not settled, of the group", StreamLabel> pending{};
inline constexpr GaugeFamily<"pulse_undelivered", "Entries of the stream that no member of the group was given yet", StreamLabel> undelivered{};
inline constexpr GaugeFamily<"pulse_dlq_depth", "Entries in the dead letter stream", StreamLabel> dlq_depth{};
inline constexpr CounterFamily<"pulse_trimmed_unread_total", "Entries trimmed before the group had read them, as far as seen", StreamLabel> trimmed_unread{};
inline constexpr CounterFamily<"pulse_unmatched_acks_total", "Acks of entries that were not pending any more"> unmatched_acks{};
inline constexpr GaugeFamily<"pulse_dedup_size", "Idempotency keys remembered"> dedup_size{};
inline constexpr CounterFamily<"pulse_reconnects_total", "Connections made anew after a failure"> reconnects{};
inline constexpr CounterFamily<"pulse_observer_errors_total", "Exceptions of an observer, swallowed"> observer_errors{};
inline constexpr CounterFamily<"pulse_backend_errors_total", "Calls to the backend that failed"> backend_errors{};
inline constexpr GaugeFamily<"pulse_start_timestamp_seconds", "When the consumer of the stream started, since the Unix epoch", StreamLabel> started{};
inline constexpr GaugeFamily<"pulse_progress_timestamp_seconds", "When the loop of the stream's consumer last came round, since the Unix epoch", StreamLabel>
    progress{};
inline constexpr GaugeFamily<"rate_scale_current", "Share of its full rate a provider is allowed", ProviderLabel> rate_scale{};
inline constexpr GaugeFamily<"pipeline_backpressure_state", "0 ok, 1 soft, 2 hard", ProviderLabel> backpressure_state{};
inline constexpr GaugeFamily<"pipeline_feedback_queue_depth", "Queue size as last reported", SourceLabel> queue_depth{};

/// All of them, in the order in which they are exposed.
inline constexpr auto all =
    detail::families(consume, publish, lag_ms, handler_time, schema_warnings, claimed, vanished, lease_lost, pending, undelivered, dlq_depth, trimmed_unread,
                     unmatched_acks, dedup_size, reconnects, backend_errors, observer_errors, started, progress, rate_scale, backpressure_state, queue_depth);

}  // namespace family

}  // namespace pulse::inline v0_1
