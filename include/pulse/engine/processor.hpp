// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "pulse/concept/backend.hpp"
#include "pulse/concept/codec.hpp"
#include "pulse/concept/controller.hpp"
#include "pulse/concept/dedup.hpp"
#include "pulse/concept/metrics.hpp"
#include "pulse/core/clock.hpp"
#include "pulse/core/context.hpp"
#include "pulse/core/event_id.hpp"
#include "pulse/detail/random.hpp"
#include "pulse/engine/hold.hpp"
#include "pulse/engine/ledger.hpp"
#include "pulse/engine/retry.hpp"

namespace pulse::engine {

/// What a Processor knows of a stream.
struct StreamFacts {
  std::string key;
  EventId salt{};  ///< zero where there is one stream only
  LabelSlot<StreamLabel> slot{};
};

/// Takes one delivery through decode -> claim -> handle -> commit, and writes into the ledger what becomes of it. No I/O, no clock.
template <class Payload, class Dedup, class Metrics, class Handler, class Codec, class Retry>
class Processor {
 public:
  using envelope_type = Envelope<Payload>;
  using text_type = typename envelope_type::text_type;

  Processor(Dedup& dedup, Metrics& metrics, Handler& handler, Codec& codec, const Retry& retry, std::chrono::milliseconds lease_wait, std::uint64_t seed,
            const std::atomic<bool>& stop) noexcept
      : dedup_(dedup), metrics_(metrics), handler_(handler), codec_(codec), retry_(retry), lease_wait_(lease_wait), random_(seed), stop_(stop) {}

  /// `lease_lost(index)` gives the flag that says whether another consumer owns the entry by now.
  template <class Delivery, class LeaseLost>
  void process(const Delivery& delivery, std::uint32_t index, const StreamFacts& stream, WallTime now, Ledger& ledger, LeaseLost&& lease_lost) {
    if constexpr (std::is_convertible_v<decltype(delivery.data()), std::string_view>) {
      const DecodeResult result = codec_.decode(delivery.data(), scratch_, decode_error_);
      if (result == DecodeResult::malformed || result == DecodeResult::invalid) [[unlikely]] {
        ledger.dead_letter(index, std::string(result == DecodeResult::malformed ? "malformed: " : "invalid: ") + decode_error_.text);
        count(stream, result == DecodeResult::malformed ? Track::v1 : scratch_.meta.track, Outcome::invalid);
        return;
      }
      if (result == DecodeResult::warned) {
        metrics_.add(family::schema_warnings, 1, stream.slot, scratch_.meta.track);
      }
      handle(scratch_, delivery, index, stream, now, ledger, lease_lost);
    } else {
      handle(delivery.data(), delivery, index, stream, now, ledger, lease_lost);
    }
  }

 private:
  template <class Env, class Delivery, class LeaseLost>
  void handle(const Env& envelope, const Delivery& delivery, std::uint32_t index, const StreamFacts& stream, WallTime now, Ledger& ledger,
              LeaseLost&& lease_lost) {
    const Track track = envelope.meta.track;
    if constexpr (Metrics::enabled) {
      metrics_.set(family::lag_ms, (epoch_seconds(now) - envelope.ts) * 1e3, stream.slot);
    }
    // A redriven entry goes by its own id: an operator brought it back to have it handled, whatever the window remembers.
    const bool own_id = !delivery.redriven() && envelope.id.has_value() && !envelope.id->empty();
    const EventId id = (own_id ? EventId::from_text(*envelope.id) : EventId::from_entry(delivery.id())).within(stream.salt);
    const Claim claim = dedup_.claim(id);
    if (claim != Claim::fresh) [[unlikely]] {
      if (claim == Claim::done) {
        ledger.ack(index);
        count(stream, track, Outcome::duplicate);
      } else {
        ledger.retry(index, lease_wait_);
        count(stream, track, Outcome::retry);
      }
      return;
    }
    Hold<Dedup> hold{dedup_, id, ledger, index};
    const std::uint64_t deliveries = delivery.delivery_count();
    if (deliveries > retry_.max_deliveries) [[unlikely]] {
      // Nobody lived to report the last allowed delivery: its handler takes the process down.
      std::move(hold).dead_letter("delivered " + std::to_string(deliveries) + " times, allowed are " + std::to_string(retry_.max_deliveries) +
                                  ": no consumer finished it");
      count(stream, track, Outcome::dead_letter);
      return;
    }
    const BasicDeliveryContext<text_type> context{
        {&envelope, stream.key, delivery.id(), stream.salt, own_id, deliveries, delivery.redriven(), &stop_, &lease_lost(index)}};
    try {
      if constexpr (std::is_void_v<decltype(invoke(envelope.payload, context))>) {
        invoke(envelope.payload, context);
        settle_success(std::move(hold), context, stream, track, Outcome::success);
      } else {
        const Verdict verdict = invoke(envelope.payload, context);  // before the hold moves: it may throw
        settle_verdict(std::move(hold), verdict, context, stream, track);
      }
    } catch (const std::exception& exception) {
      settle_failure(std::move(hold), exception.what(), std::chrono::milliseconds{-1}, context, stream, track, Outcome::error);
    } catch (...) {
      settle_failure(std::move(hold), "an exception that is no std::exception", std::chrono::milliseconds{-1}, context, stream, track, Outcome::error);
    }
  }

  template <class P, class Context>
  decltype(auto) invoke(const P& payload, const Context& context) {
    if constexpr (requires { handler_.handle(payload, context); }) {
      return handler_.handle(payload, context);
    } else {
      return payload.visit([&](const auto& event) -> Verdict {
        if constexpr (std::is_void_v<decltype(handler_.handle(event, context))>) {
          handler_.handle(event, context);
          return Verdict::ack();
        } else {
          return handler_.handle(event, context);
        }
      });
    }
  }

  template <class Context>
  void settle_success(Hold<Dedup>&& hold, const Context& context, const StreamFacts& stream, Track track, Outcome outcome) {
    if (context.lease_lost()) [[unlikely]] {
      std::move(hold).commit_only();
      metrics_.add(family::lease_lost, 1, stream.slot);
      return;
    }
    std::move(hold).ack();
    count(stream, track, outcome);
  }

  template <class Context>
  void settle_verdict(Hold<Dedup> hold, const Verdict& verdict, const Context& context, const StreamFacts& stream, Track track) {
    switch (verdict.kind()) {
      case Verdict::Kind::ack: return settle_success(std::move(hold), context, stream, track, Outcome::success);
      case Verdict::Kind::stale: return settle_success(std::move(hold), context, stream, track, Outcome::stale);
      case Verdict::Kind::retry:
        return settle_failure(std::move(hold), "the handler asked for a retry", verdict.delay(), context, stream, track, Outcome::retry);
      case Verdict::Kind::dead_letter:
        if (context.lease_lost()) [[unlikely]] {
          metrics_.add(family::lease_lost, 1, stream.slot);
          return;  // the hold releases: the new owner decides
        }
        std::move(hold).dead_letter(verdict.reason());
        return count(stream, track, Outcome::dead_letter);
    }
  }

  template <class Context>
  void settle_failure(Hold<Dedup>&& failed, std::string_view what, std::chrono::milliseconds delay, const Context& context, const StreamFacts& stream,
                      Track track, Outcome outcome) {
    Hold<Dedup> hold{std::move(failed)};
    if (stop_.load(std::memory_order_relaxed)) {
      return;  // a failure while stopping may be the stop's: stays pending, never dead-lettered
    }
    if (context.lease_lost()) [[unlikely]] {
      metrics_.add(family::lease_lost, 1, stream.slot);
      return;  // the new owner decides
    }
    const std::uint64_t deliveries = context.delivery_count();
    if (deliveries >= retry_.max_deliveries) {
      std::move(hold).dead_letter("failed " + std::to_string(deliveries) + " times, allowed are " + std::to_string(retry_.max_deliveries) +
                                  "; the last time: " + std::string(what));
      count(stream, track, Outcome::dead_letter);
      return;
    }
    std::move(hold).retry(delay.count() >= 0 ? delay : retry_.delay(deliveries, random_()));
    count(stream, track, outcome);
  }

  void count(const StreamFacts& stream, Track track, Outcome outcome) { metrics_.add(family::consume, 1, stream.slot, track, outcome); }

  Dedup& dedup_;
  Metrics& metrics_;
  Handler& handler_;
  Codec& codec_;
  const Retry& retry_;
  std::chrono::milliseconds lease_wait_;
  detail::SplitMix64 random_;
  const std::atomic<bool>& stop_;
  envelope_type scratch_{};
  DecodeError decode_error_{};
};

}  // namespace pulse::engine
