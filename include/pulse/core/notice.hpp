// SPDX-License-Identifier: MIT
#pragma once

#include <boost/hana/tuple.hpp>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "pulse/core/describe.hpp"
#include "pulse/core/entry_id.hpp"
#include "pulse/core/error.hpp"
#include "pulse/core/outcome.hpp"

/// What an observer is told: the events in the life of a consumer that an operator cares about. Each is a plain value with a name, a severity and
/// described fields, out of which its text follows; views in it hold during the call.
namespace pulse::inline v0_1 {

enum class Severity : std::uint8_t { debug, info, warning, error };

/// The names of the severities.
template <>
struct DescribeEnum<Severity> {
  static constexpr std::string_view names[] = {"debug", "info", "warning", "error"};
};

namespace notice {

/// Of a notice about a delivery.
struct OfDelivery {
  std::string_view stream;       ///< its key
  EntryId entry;                 ///< in the stream
  std::uint64_t deliveries = 1;  ///< how often it was handed over, this time included
  std::string_view traceparent;  ///< of its envelope, as it came; empty where there is none, or it could not be decoded
};

namespace detail {
template <class... More>
constexpr auto of_delivery(More... more) {
  return boost::hana::make_tuple(Field<"stream", &OfDelivery::stream>{}, Field<"entry", &OfDelivery::entry>{}, Field<"deliveries", &OfDelivery::deliveries>{},
                                 more..., Field<"traceparent", &OfDelivery::traceparent>{});
}
}  // namespace detail

/// The consumer has subscribed.
struct Started {
  static constexpr std::string_view name = "started";
  static constexpr Severity severity = Severity::info;
  std::string_view group;
  std::string_view consumer;
  static constexpr auto fields() { return boost::hana::make_tuple(Field<"group", &Started::group>{}, Field<"consumer", &Started::consumer>{}); }
};

/// The consumer has stopped as it was asked to; what was settled is done, and the rest stays pending.
struct Stopped {
  static constexpr std::string_view name = "stopped";
  static constexpr Severity severity = Severity::info;
  std::string_view group;
  std::string_view consumer;
  static constexpr auto fields() { return boost::hana::make_tuple(Field<"group", &Stopped::group>{}, Field<"consumer", &Stopped::consumer>{}); }
};

/// The consumer has ended with an error: nothing is read any more until somebody starts it again.
struct Ended {
  static constexpr std::string_view name = "ended";
  static constexpr Severity severity = Severity::error;
  ErrorCode code{};
  std::string_view error;
  static constexpr auto fields() { return boost::hana::make_tuple(Field<"code", &Ended::code>{}, Field<"error", &Ended::error>{}); }
};

/// A call to the backend, or to a remote dedup window, failed; it is tried again after a pause.
struct BackendFailed {
  static constexpr std::string_view name = "backend_failed";
  static constexpr Severity severity = Severity::warning;
  ErrorCode code{};
  std::string_view error;
  std::uint64_t failures = 0;  ///< in a row
  static constexpr auto fields() {
    return boost::hana::make_tuple(Field<"code", &BackendFailed::code>{}, Field<"error", &BackendFailed::error>{},
                                   Field<"failures", &BackendFailed::failures>{});
  }
};

/// The first call that worked after failures.
struct BackendRecovered {
  static constexpr std::string_view name = "backend_recovered";
  static constexpr Severity severity = Severity::info;
  std::uint64_t failures = 0;  ///< there were in a row
  static constexpr auto fields() { return boost::hana::make_tuple(Field<"failures", &BackendRecovered::failures>{}); }
};

/// The backend has made connections anew. Noticed with the next look for abandoned entries.
struct Reconnected {
  static constexpr std::string_view name = "reconnected";
  static constexpr Severity severity = Severity::warning;
  std::uint64_t times = 0;
  static constexpr auto fields() { return boost::hana::make_tuple(Field<"times", &Reconnected::times>{}); }
};

/// The stream or its group is gone; `loop.group_lost` says what is done.
struct GroupLost {
  static constexpr std::string_view name = "group_lost";
  static constexpr Severity severity = Severity::error;
  std::string_view error;
  static constexpr auto fields() { return boost::hana::make_tuple(Field<"error", &GroupLost::error>{}); }
};

/// The group that was lost was made anew.
struct GroupMade {
  static constexpr std::string_view name = "group_made";
  static constexpr Severity severity = Severity::warning;
  std::string_view group;
  static constexpr auto fields() { return boost::hana::make_tuple(Field<"group", &GroupMade::group>{}); }
};

/// Abandoned entries of other members were taken over.
struct Claimed {
  static constexpr std::string_view name = "claimed";
  static constexpr Severity severity = Severity::info;
  std::uint64_t entries = 0;
  static constexpr auto fields() { return boost::hana::make_tuple(Field<"entries", &Claimed::entries>{}); }
};

/// Pending entries were met whose data had been trimmed or deleted: lost.
struct Vanished {
  static constexpr std::string_view name = "vanished";
  static constexpr Severity severity = Severity::error;
  std::uint64_t entries = 0;
  static constexpr auto fields() { return boost::hana::make_tuple(Field<"entries", &Vanished::entries>{}); }
};

/// A handler is about to be called: where a span begins.
struct Handling : OfDelivery {
  static constexpr std::string_view name = "handling";
  static constexpr Severity severity = Severity::debug;
  static constexpr auto fields() { return detail::of_delivery(); }
};

/// What became of a delivery, each once: where a span ends.
struct Handled : OfDelivery {
  static constexpr std::string_view name = "handled";
  static constexpr Severity severity = Severity::debug;
  Outcome outcome{};
  static constexpr auto fields() { return detail::of_delivery(Field<"outcome", &Handled::outcome>{}); }
};

/// A handler threw; Retried or DeadLettered follows, but while the consumer stops: then the entry stays pending.
struct HandlerFailed : OfDelivery {
  static constexpr std::string_view name = "handler_failed";
  static constexpr Severity severity = Severity::warning;
  std::string_view error;
  static constexpr auto fields() { return detail::of_delivery(Field<"error", &HandlerFailed::error>{}); }
};

/// It will be delivered again.
struct Retried : OfDelivery {
  static constexpr std::string_view name = "retried";
  static constexpr Severity severity = Severity::info;
  std::chrono::milliseconds delay{};
  static constexpr auto fields() { return detail::of_delivery(Field<"delay_ms", &Retried::delay>{}); }
};

/// It goes to the dead letters, before any handler: it could not be decoded, or breaks its schema.
struct Undecodable : OfDelivery {
  static constexpr std::string_view name = "undecodable";
  static constexpr Severity severity = Severity::error;
  std::string_view reason;
  static constexpr auto fields() { return detail::of_delivery(Field<"reason", &Undecodable::reason>{}); }
};

/// It goes to the dead letters: out of deliveries, or its handler said so.
struct DeadLettered : OfDelivery {
  static constexpr std::string_view name = "dead_lettered";
  static constexpr Severity severity = Severity::error;
  std::string_view reason;
  static constexpr auto fields() { return detail::of_delivery(Field<"reason", &DeadLettered::reason>{}); }
};

/// Another member took it over; what was decided here is not settled.
struct LeaseLost : OfDelivery {
  static constexpr std::string_view name = "lease_lost";
  static constexpr Severity severity = Severity::warning;
  static constexpr auto fields() { return detail::of_delivery(); }
};

/// The scale of a provider came down to 0.
struct ProviderPaused {
  static constexpr std::string_view name = "provider_paused";
  static constexpr Severity severity = Severity::warning;
  std::string_view provider;
  static constexpr auto fields() { return boost::hana::make_tuple(Field<"provider", &ProviderPaused::provider>{}); }
};

/// The scale of a paused provider came up again.
struct ProviderResumed {
  static constexpr std::string_view name = "provider_resumed";
  static constexpr Severity severity = Severity::info;
  std::string_view provider;
  double scale = 0;
  static constexpr auto fields() { return boost::hana::make_tuple(Field<"provider", &ProviderResumed::provider>{}, Field<"scale", &ProviderResumed::scale>{}); }
};

/// A publisher's event was refused, or its fate is unknown.
struct PublishFailed {
  static constexpr std::string_view name = "publish_failed";
  static constexpr Severity severity = Severity::warning;
  std::string_view stream;
  ErrorCode code{};
  std::string_view error;
  static constexpr auto fields() {
    return boost::hana::make_tuple(Field<"stream", &PublishFailed::stream>{}, Field<"code", &PublishFailed::code>{}, Field<"error", &PublishFailed::error>{});
  }
};

/// All of them.
inline constexpr boost::hana::tuple<Started, Stopped, Ended, BackendFailed, BackendRecovered, Reconnected, GroupLost, GroupMade, Claimed, Vanished, Handling,
                                    Handled, HandlerFailed, Retried, Undecodable, DeadLettered, LeaseLost, ProviderPaused, ProviderResumed, PublishFailed>
    all{};

}  // namespace notice

}  // namespace pulse::inline v0_1
