// SPDX-License-Identifier: MIT
#pragma once

#include <boost/hana/unpack.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "pulse/concept/codec.hpp"
#include "pulse/concept/dedup.hpp"
#include "pulse/core/context.hpp"
#include "pulse/core/describe.hpp"
#include "pulse/core/envelope.hpp"
#include "pulse/core/error.hpp"
#include "pulse/core/event_id.hpp"
#include "pulse/core/nullable.hpp"
#include "pulse/engine/stream_facts.hpp"

namespace pulse::inline v0_1::engine {

/// Whether a decoded value is known to look into nothing of the codec's: it stays when the codec decodes the next one.
template <class Value>
inline constexpr bool owned = std::is_arithmetic_v<Value> || std::is_enum_v<Value> || std::is_same_v<Value, std::string>;
template <class Value>
inline constexpr bool owned<Nullable<Value>> = owned<Value>;
template <Described Event>
inline constexpr bool owned<Event> =
    boost::hana::unpack(Describe<Event>::fields, [](auto... field) { return (owned<typename decltype(field)::value_type> && ...); });
template <class... Several>
inline constexpr bool owned<OneOf<Several...>> = (owned<Several> && ...);
template <class Payload, class Text>
inline constexpr bool owned<Envelope<Payload, Text>> = owned<Text> && owned<Payload>;

/// The claims of a batch with a strategy that answers from elsewhere: asked for in one call, then used one by one. What was taken and not
/// used is given back. Memory is taken for the largest batch there was. One thread.
template <class Dedup, class Codec, class Envelope>
class RemoteClaims {
 public:
  RemoteClaims(Dedup& dedup, Codec& codec) noexcept : dedup_(dedup), codec_(codec) {}

  /// Errors: the strategy's; then nothing was claimed, and the same batch may be claimed again.
  template <class Delivery>
  Status claim(std::span<const Delivery> batch, const StreamFacts* streams) {
    constexpr bool bytes = std::is_convertible_v<decltype(std::declval<const Delivery&>().data()), std::string_view>;
    ids_.clear();
    places_.clear();
    if constexpr (bytes) {
      envelopes_.resize(keeps ? batch.size() : 1);
      results_.resize(batch.size());
    }
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const EventId salt = streams[batch[i].stream()].salt;
      const auto add = [&](const auto& envelope) {
        places_.push_back(static_cast<std::uint32_t>(ids_.size()));
        ids_.push_back(idempotency_key(envelope, batch[i].id(), batch[i].redriven()).within(salt));
      };
      if constexpr (bytes) {
        Envelope& envelope = envelopes_[keeps ? i : 0];
        results_[i] = codec_.decode(batch[i].data(), envelope, ignored_);
        if (!decoded(i)) {
          places_.push_back(0);  // goes to the DLQ without a claim
          continue;
        }
        add(envelope);
      } else {
        add(batch[i].data());
      }
    }
    claims_.assign(ids_.size(), Claim::unavailable);
    if (ids_.empty()) {
      return {};
    }
    Status claimed = dedup_.claim(std::span<const EventId>{ids_}, std::span<Claim>{claims_});
    if (!claimed) {
      claims_.assign(ids_.size(), Claim::unavailable);
    }
    return claimed;
  }

  [[nodiscard]] DecodeResult result(std::size_t index) const noexcept { return results_[index]; }
  /// What a delivery was decoded as; nullptr where it has to be decoded once more: for the words of what is wrong with it, and where its text looks into
  /// the codec, which has decoded others since.
  [[nodiscard]] const Envelope* envelope(std::size_t index) const noexcept { return keeps && decoded(index) ? &envelopes_[index] : nullptr; }
  /// The claim of a delivery, once: who takes a fresh one ends it.
  Claim take(std::size_t index) noexcept { return std::exchange(claims_[places_[index]], Claim::unavailable); }

  /// Gives back what nobody took.
  void release_rest() noexcept {
    for (std::size_t i = 0; i < claims_.size(); ++i) {
      if (std::exchange(claims_[i], Claim::unavailable) == Claim::fresh) {
        dedup_.release(ids_[i]);
      }
    }
  }

 private:
  static constexpr bool keeps = owned<Envelope>;

  [[nodiscard]] bool decoded(std::size_t index) const noexcept {
    return results_[index] != DecodeResult::malformed && results_[index] != DecodeResult::invalid;
  }

  Dedup& dedup_;
  Codec& codec_;
  std::vector<Envelope> envelopes_;  ///< of the deliveries where they keep, else one
  std::vector<DecodeResult> results_;
  std::vector<EventId> ids_;
  std::vector<Claim> claims_;
  std::vector<std::uint32_t> places_;  ///< of a delivery's id and claim
  DecodeError ignored_{};
};

}  // namespace pulse::inline v0_1::engine
