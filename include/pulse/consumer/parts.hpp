// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "pulse/consumer/options.hpp"
#include "pulse/control/feedback_handler.hpp"
#include "pulse/engine/loop.hpp"
#include "pulse/engine/stream_facts.hpp"

/// What a Consumer derives from its policies.
namespace pulse::inline v0_1::detail {

/// The payload a consumer sees: that of a typed backend's envelopes, else what the controller handles.
template <class Delivery, class Controller, class Traits>
struct payload_seen {
  using data_type = std::remove_cvref_t<decltype(std::declval<const Delivery&>().data())>;
  static auto pick() {
    if constexpr (requires { typename data_type::payload_type; }) {
      return std::type_identity<typename data_type::payload_type>{};
    } else if constexpr (requires { typename Controller::events; }) {
      return std::type_identity<typename Controller::events::payload_type>{};
    } else {
      return std::type_identity<typename Traits::feedback>{};
    }
  }
  using type = typename decltype(pick())::type;
};

/// A RateController is driven through a FeedbackHandler; an EventHandler is called as it is.
template <class C, class M, class Clk>
struct handler_of {
  using type = FeedbackHandler<C, M, Clk>;
  static type make(C& controller, M& metrics, const Clk& clock, const FeedbackSettings& settings) { return type{controller, metrics, settings, clock}; }
};
template <EventHandler C, class M, class Clk>
struct handler_of<C, M, Clk> {
  using type = C&;
  static type make(C& controller, M&, const Clk&, const FeedbackSettings&) { return controller; }
};

/// Gives a handler that keeps time of its own (FeedbackHandler: silent coordinators expire) its chance between events.
template <class Handler>
void tick(Handler& handler) {
  if constexpr (requires { handler.tick(); }) {
    (void)handler.tick();
  }
}

/// No streams means the feedback stream.
inline ConsumerOptions with_streams(ConsumerOptions options) {
  if (options.subscribe.streams.empty()) {
    options.subscribe.streams.push_back(stream_key(feedback_stream));
  }
  return options;
}

/// Who claims, to a strategy that wants to know it.
template <class Dedup>
void name_owner(Dedup& dedup, const std::string& consumer) {
  if constexpr (OwnedDedup<Dedup>) {
    dedup.owner(consumer);
  }
}

inline std::uint64_t seed_of(const ConsumerOptions& options) { return options.seed != 0 ? options.seed : std::random_device{}(); }

/// The salt tells equal entry ids of two streams apart. A hash in any case: names that read like entry ids are as near to each other as these.
template <class M>
std::vector<engine::StreamFacts> stream_facts(const std::vector<std::string>& keys, const M& metrics) {
  std::vector<engine::StreamFacts> facts;
  for (const std::string& key : keys) {
    facts.push_back({key, keys.size() == 1 ? EventId{} : hash_event_id(key), metrics.template slot<StreamLabel>(key)});
  }
  return facts;
}

/// What is leased is kept by the flushes of each beat, which wait for the running handler; where there are none, it has to last for the batch.
template <LendingDedup Dedup>
Status check_lease(const Dedup& dedup, const ConsumerOptions& options) {
  const auto ms = [](std::chrono::milliseconds value) { return std::to_string(value.count()) + " ms"; };
  const bool beats = options.heartbeat.count() > 0;
  const std::chrono::milliseconds lease = dedup.lease();
  if (lease > (beats ? options.heartbeat + options.handler_deadline : options.handler_deadline * static_cast<std::int64_t>(options.loop.batch))) {
    return {};
  }
  return Error{ErrorCode::config, "the Dedup policy leases ids for " + ms(lease) + ", which is not longer than " +
                                      (beats ? "heartbeat (" + ms(options.heartbeat) + ") and handler_deadline (" + ms(options.handler_deadline) + ") together"
                                             : "batch (" + std::to_string(options.loop.batch) + ") x handler_deadline (" + ms(options.handler_deadline) + ")") +
                                      ": another member would handle what still waits here; make the lease longer, or the " +
                                      (beats ? "heartbeat shorter" : "batch smaller")};
}

template <class Controller, class Retry, class Dedup>
Status check_options(const ConsumerOptions& options, const Retry& retry, const Dedup& dedup) {
  if (static_cast<std::uint64_t>(retry.max_deliveries) < 1) {
    return Error{ErrorCode::config, "Traits::retry.max_deliveries is 0: it is at least 1, or every event would be a dead letter before it is handled"};
  }
  if (Status checked = engine::check(options.loop, options.handler_deadline, options.heartbeat, options.subscribe.prefetch); !checked) {
    return checked;
  }
  if (options.lease_wait.count() < 1 || options.lease_wait > std::chrono::hours{24}) {
    return Error{ErrorCode::config, "ConsumerOptions.lease_wait is " + std::to_string(options.lease_wait.count()) + " ms: allowed are 1 ms to a day"};
  }
  if constexpr (LendingDedup<Dedup>) {
    if (Status checked = check_lease(dedup, options); !checked) {
      return checked;
    }
  }
  return RateController<Controller> ? check(options.feedback) : Status{};
}

}  // namespace pulse::inline v0_1::detail
