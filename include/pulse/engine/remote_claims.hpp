// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "pulse/concept/codec.hpp"
#include "pulse/concept/dedup.hpp"
#include "pulse/core/context.hpp"
#include "pulse/core/error.hpp"
#include "pulse/core/event_id.hpp"
#include "pulse/engine/stream_facts.hpp"

namespace pulse::inline v0_1::engine {

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
      envelopes_.resize(batch.size());
      results_.resize(batch.size());
    }
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const EventId salt = streams[batch[i].stream()].salt;
      const auto add = [&](const auto& envelope) {
        places_.push_back(static_cast<std::uint32_t>(ids_.size()));
        ids_.push_back(idempotency_key(envelope, batch[i].id(), batch[i].redriven()).within(salt));
      };
      if constexpr (bytes) {
        results_[i] = codec_.decode(batch[i].data(), envelopes_[i], ignored_);
        if (results_[i] == DecodeResult::malformed || results_[i] == DecodeResult::invalid) {
          places_.push_back(0);  // goes to the DLQ without a claim
          continue;
        }
        add(envelopes_[i]);
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
  [[nodiscard]] const Envelope& envelope(std::size_t index) const noexcept { return envelopes_[index]; }
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
  Dedup& dedup_;
  Codec& codec_;
  std::vector<Envelope> envelopes_;
  std::vector<DecodeResult> results_;
  std::vector<EventId> ids_;
  std::vector<Claim> claims_;
  std::vector<std::uint32_t> places_;  ///< of a delivery's id and claim
  DecodeError ignored_{};
};

}  // namespace pulse::inline v0_1::engine
