// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <span>
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
#include "pulse/concept/observer.hpp"
#include "pulse/core/clock.hpp"
#include "pulse/core/context.hpp"
#include "pulse/core/event_id.hpp"
#include "pulse/core/trace.hpp"
#include "pulse/detail/random.hpp"
#include "pulse/engine/hold.hpp"
#include "pulse/engine/ledger.hpp"
#include "pulse/engine/remote_claims.hpp"
#include "pulse/engine/retry.hpp"
#include "pulse/engine/stream_facts.hpp"

namespace pulse::inline v0_1::engine {

/// Takes one delivery through decode -> claim -> handle -> commit, and writes into the ledger what becomes of it. No I/O, no clock.
template <class Payload, class Dedup, class Metrics, class Handler, class Codec, class Retry>
class Processor {
 public:
  using envelope_type = Envelope<Payload>;
  using text_type = typename envelope_type::text_type;

  Processor(Dedup& dedup, Metrics& metrics, Handler& handler, Codec& codec, const Retry& retry, std::chrono::milliseconds lease_wait, std::uint64_t seed,
            const std::atomic<bool>& stop) noexcept
      : dedup_(dedup),
        metrics_(metrics),
        handler_(handler),
        codec_(codec),
        retry_(retry),
        max_deliveries_(retry.max_deliveries),
        lease_wait_(lease_wait),
        random_(seed),
        stop_(stop),
        remote_(dedup, codec) {}

  /// Up when somebody wants a look of the loop before the next event; any thread raises it.
  [[nodiscard]] std::atomic<bool>& attention() noexcept { return attention_; }

  /// Where the dedup is remote: claims the whole batch in one call, before its deliveries are processed. Errors: the strategy's; then nothing of the
  /// batch may be processed, and it may be claimed again.
  template <class Delivery>
  Status claim(std::span<const Delivery> batch, const StreamFacts* streams) {
    return remote_.claim(batch, streams);
  }
  /// Gives back what was claimed and is not processed.
  void release_rest() noexcept {
    if constexpr (RemoteDedup<Dedup>) {
      remote_.release_rest();
    }
  }

  /// `lost_flags[index]` says whether another consumer owns the entry by now; it counts while `attention` is up.
  /// Returns whether it is: one look at it an event.
  template <class Delivery>
  bool process(const Delivery& delivery, std::uint32_t index, const StreamFacts& stream, WallTime now, Ledger& ledger, const std::atomic<bool>* lost_flags) {
    if constexpr (std::is_convertible_v<decltype(delivery.data()), std::string_view>) {
      DecodeResult result{};
      const envelope_type* envelope = nullptr;
      if constexpr (RemoteDedup<Dedup>) {
        result = remote_.result(index);
        envelope = remote_.envelope(index);
      }
      if constexpr (PrefetchingDedup<Dedup>) {
        if (keyed_by_entry_) {  // while the event is decoded, the window's memory comes
          dedup_.prefetch(EventId::from_entry(delivery.id()).within(stream.salt));
        }
      }
      if (envelope == nullptr) {
        result = codec_.decode(delivery.data(), scratch_, decode_error_);
        envelope = &scratch_;
      }
      if (result == DecodeResult::malformed || result == DecodeResult::invalid) [[unlikely]] {
        std::string reason = std::string(result == DecodeResult::malformed ? "malformed: " : "invalid: ") + decode_error_.text;
        const About about = about_entry(delivery, stream);
        tell<notice::Undecodable>(about, reason);
        ledger.dead_letter(index, std::move(reason));
        count(stream, result == DecodeResult::malformed ? Track::v1 : scratch_.meta.track, Outcome::invalid);
        tell<notice::Handled>(about, Outcome::invalid);
        return attention_.load(std::memory_order_relaxed);
      }
      if (result == DecodeResult::warned) {
        metrics_.add(family::schema_warnings, 1, stream.slot, scratch_.meta.track);
      }
      return handle(*envelope, delivery, index, stream, now, ledger, lost_flags);
    } else {
      return handle(delivery.data(), delivery, index, stream, now, ledger, lost_flags);
    }
  }

  /// For a delivery that another consumer took over before its handler was called.
  template <class Delivery>
  void lost(const Delivery& delivery, const StreamFacts& stream) {
    lose(about_entry(delivery, stream), stream);
  }

 private:
  /// What a notice says of its delivery; nothing, and nothing is looked up for it, where no observer takes one.
  struct Nobody {};
  static constexpr bool observed = pulse::detail::observing<Metrics, notice::Undecodable> || pulse::detail::observing<Metrics, notice::HandlerFailed> ||
                                   pulse::detail::observing<Metrics, notice::Retried> || pulse::detail::observing<Metrics, notice::DeadLettered> ||
                                   pulse::detail::observing<Metrics, notice::LeaseLost> || pulse::detail::observing<Metrics, notice::Handling> ||
                                   pulse::detail::observing<Metrics, notice::Handled>;
  using About = std::conditional_t<observed, notice::OfDelivery, Nobody>;

  template <class Delivery>
  static About about_entry(const Delivery& delivery, const StreamFacts& stream) noexcept {
    if constexpr (observed) {
      return {stream.key, delivery.id(), delivery.delivery_count(), {}};
    } else {
      return {};
    }
  }
  /// `For`: of a notice that most deliveries would have: the headers are searched only where an observer takes that one.
  template <class For = void, class Env, class Delivery>
  static About about(const Env& envelope, const Delivery& delivery, const StreamFacts& stream) noexcept {
    About about{};
    if constexpr (observed && (std::is_void_v<For> || pulse::detail::observing<Metrics, For>)) {
      about = about_entry(delivery, stream);
      if (const auto* const found = envelope.meta.headers.find(traceparent_header)) {
        about.traceparent = *found;
      }
    }
    return about;
  }
  template <class Notice, class... Rest>
  void tell(About about, const Rest&... rest) noexcept {
    if constexpr (pulse::detail::observing<Metrics, Notice>) {
      metrics_.tell(Notice{about, rest...});
    }
  }

  template <class Env, class Delivery>
  bool handle(const Env& envelope, const Delivery& delivery, std::uint32_t index, const StreamFacts& stream, WallTime now, Ledger& ledger,
              const std::atomic<bool>* lost_flags) {
    const Track track = envelope.meta.track;
    if constexpr (Metrics::enabled) {
      metrics_.set(family::lag_ms, (epoch_seconds(now) - envelope.ts) * 1e3, stream.slot);
    }
    EventId id{};
    if constexpr (!KeylessDedup<Dedup>) {
      keyed_by_entry_ = !envelope.id;
      id = idempotency_key(envelope, delivery.id(), delivery.redriven()).within(stream.salt);
    }
    LeaseOf<Dedup> lease{};
    Claim claim{};
    if constexpr (RemoteDedup<Dedup>) {
      claim = remote_.take(index);
      lease.id = id;
    } else {
      claim = LeaseOf<Dedup>::claim(dedup_, id, lease);
    }
    if (claim != Claim::fresh) [[unlikely]] {
      if (claim == Claim::done) {
        ledger.ack(index);
        count(stream, track, Outcome::duplicate);
        tell<notice::Handled>(about<notice::Handled>(envelope, delivery, stream), Outcome::duplicate);
      } else {
        ledger.wait(index, lease_wait_);
        const Outcome outcome = claim == Claim::leased ? Outcome::leased : Outcome::retry;
        count(stream, track, outcome);
        tell<notice::Handled>(about<notice::Handled>(envelope, delivery, stream), outcome);
      }
      return attention_.load(std::memory_order_relaxed);
    }
    Hold<Dedup> hold{dedup_, lease, ledger, index};
    const std::uint64_t deliveries = delivery.delivery_count();
    if (deliveries > max_deliveries_) [[unlikely]] {
      // Nobody lived to report the last allowed delivery: its handler takes the process down.
      undelivered(std::move(hold), deliveries, about(envelope, delivery, stream), stream, track);
      return attention_.load(std::memory_order_relaxed);
    }
    const std::atomic<bool>& lost = lost_flags[index];
    const BasicDeliveryContext<text_type> context{{&envelope, stream.key, delivery.id(), stream.salt, deliveries, delivery.redriven(), &stop_, &lost}};
    tell<notice::Handling>(about<notice::Handling>(envelope, delivery, stream));
    constexpr bool tells = !std::is_void_v<decltype(invoke(envelope.payload, context))>;
    [[maybe_unused]] std::conditional_t<tells, std::optional<Verdict>, std::nullptr_t> verdict{};
    try {
      if constexpr (tells) {
        verdict = invoke(envelope.payload, context);
      } else {
        invoke(envelope.payload, context);
      }
    } catch (const std::exception& exception) {
      settle_failure(std::move(hold), exception.what(), std::chrono::milliseconds{-1}, lost, about(envelope, delivery, stream), deliveries, stream, track,
                     Outcome::error);
      return attention_.load(std::memory_order_relaxed);
    } catch (...) {
      settle_failure(std::move(hold), "an exception that is no std::exception", std::chrono::milliseconds{-1}, lost, about(envelope, delivery, stream),
                     deliveries, stream, track, Outcome::error);
      return attention_.load(std::memory_order_relaxed);
    }
    Outcome outcome = Outcome::success;
    if constexpr (tells) {  // outside the try: what is decided here is decided once
      if (verdict->kind() != Verdict::Kind::ack && verdict->kind() != Verdict::Kind::stale) {
        settle_verdict(std::move(hold), *verdict, lost, about(envelope, delivery, stream), deliveries, stream, track);
        return attention_.load(std::memory_order_relaxed);
      }
      outcome = verdict->kind() == Verdict::Kind::ack ? Outcome::success : Outcome::stale;
    }
    if (attention_.load(std::memory_order_acquire)) [[unlikely]] {
      if (lost.load(std::memory_order_relaxed)) {
        std::move(hold).commit_only();
        lose(about(envelope, delivery, stream), stream);
      } else {
        std::move(hold).ack();
        count(stream, track, outcome);
        tell<notice::Handled>(about<notice::Handled>(envelope, delivery, stream), outcome);
      }
      return true;
    }
    std::move(hold).ack();
    count(stream, track, outcome);
    tell<notice::Handled>(about<notice::Handled>(envelope, delivery, stream), outcome);
    return false;
  }

  template <class P, class Context>
  decltype(auto) invoke(const P& payload, const Context& context) {
    if constexpr (std::is_same_v<events_of_t<P>, Events<P>>) {  // not by what compiles: a generic handler would be given the OneOf itself
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

  void settle_verdict(Hold<Dedup> hold, const Verdict& verdict, const std::atomic<bool>& lost, About about, std::uint64_t deliveries, const StreamFacts& stream,
                      Track track) {
    if (verdict.kind() == Verdict::Kind::retry) {
      return settle_failure(std::move(hold), "the handler asked for a retry", verdict.delay(), lost, about, deliveries, stream, track, Outcome::retry);
    }
    if (lost.load(std::memory_order_relaxed)) [[unlikely]] {
      return lose(about, stream);  // the hold releases: the new owner decides
    }
    dead_letter(std::move(hold), verdict.reason(), about, stream, track);
  }

  // Holds are taken by value here, so that the one on the way of a success never leaves its registers.
  [[gnu::cold, gnu::noinline]] void settle_failure(Hold<Dedup> hold, std::string_view what, std::chrono::milliseconds delay, const std::atomic<bool>& lost,
                                                   About about, std::uint64_t deliveries, const StreamFacts& stream, Track track, Outcome outcome) {
    if (outcome == Outcome::error) {
      tell<notice::HandlerFailed>(about, what);
    }
    if (stop_.load(std::memory_order_relaxed)) {
      return;  // a failure while stopping may be the stop's: stays pending, never dead-lettered
    }
    if (lost.load(std::memory_order_relaxed)) [[unlikely]] {
      return lose(about, stream);  // the new owner decides
    }
    if (deliveries >= max_deliveries_) {
      return dead_letter(
          std::move(hold),
          "failed " + std::to_string(deliveries) + " times, allowed are " + std::to_string(max_deliveries_) + "; the last time: " + std::string(what), about,
          stream, track);
    }
    const std::chrono::milliseconds later = RetryItem::bounded(delay.count() >= 0 ? delay : retry_.delay(deliveries, random_()));
    std::move(hold).retry(later);
    count(stream, track, outcome);
    tell<notice::Retried>(about, later);
    tell<notice::Handled>(about, outcome);
  }

  [[gnu::cold, gnu::noinline]] void undelivered(Hold<Dedup> hold, std::uint64_t deliveries, About about, const StreamFacts& stream, Track track) {
    dead_letter(std::move(hold),
                "delivered " + std::to_string(deliveries) + " times, allowed are " + std::to_string(max_deliveries_) + ": no consumer finished it", about,
                stream, track);
  }

  [[gnu::cold, gnu::noinline]] void dead_letter(Hold<Dedup> hold, std::string reason, About about, const StreamFacts& stream, Track track) {
    tell<notice::DeadLettered>(about, reason);
    std::move(hold).dead_letter(std::move(reason));
    count(stream, track, Outcome::dead_letter);
    tell<notice::Handled>(about, Outcome::dead_letter);
  }

  void lose(About about, const StreamFacts& stream) {
    metrics_.add(family::lease_lost, 1, stream.slot);
    tell<notice::LeaseLost>(about);
  }

  void count(const StreamFacts& stream, Track track, Outcome outcome) { metrics_.add(family::consume, 1, stream.slot, track, outcome); }

  Dedup& dedup_;
  Metrics& metrics_;
  Handler& handler_;
  Codec& codec_;
  const Retry& retry_;
  const std::uint64_t max_deliveries_;
  std::chrono::milliseconds lease_wait_;
  detail::SplitMix64 random_;
  const std::atomic<bool>& stop_;
  std::atomic<bool> attention_{false};
  struct NoRemoteClaims {
    NoRemoteClaims(Dedup&, Codec&) noexcept {}
  };
  [[no_unique_address]] std::conditional_t<RemoteDedup<Dedup>, RemoteClaims<Dedup, Codec, envelope_type>, NoRemoteClaims> remote_;
  bool keyed_by_entry_ = true;  ///< the last event had no key of its own: nor will the next
  envelope_type scratch_{};
  DecodeError decode_error_{};
};

}  // namespace pulse::inline v0_1::engine
