// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>

#include "pulse/core/entry_id.hpp"
#include "pulse/core/envelope.hpp"
#include "pulse/core/event_id.hpp"
#include "pulse/core/trace.hpp"

namespace pulse::inline v0_1 {

/// The id by which duplicates of an event are known: the producer's where it gave one, else the entry's. A redriven entry always goes by
/// its own: an operator brought it back to have it handled, whatever the window remembers. A text of a producer that reads like an entry id
/// is hashed: it has no place in the order of the stream's entries, nor may it be the key of another event that has none but its entry's.
template <class Text>
[[nodiscard]] EventId idempotency_key(const BasicEnvelopeHeader<Text>& envelope, EntryId entry, bool redriven) noexcept {
  if (redriven || !envelope.id || envelope.id->empty()) {
    return EventId::from_entry(entry);
  }
  const EventId id = EventId::from_text(*envelope.id);
  return id.low >> 63 != 0 ? id : detail::hash_event_id(*envelope.id);
}

/// What a handler may know of the delivery it handles, besides the event. Valid during the call.
template <class Text>
class BasicDeliveryContext {
 public:
  /// What the consumer knows of a delivery.
  struct Facts {
    const BasicEnvelopeHeader<Text>* envelope = nullptr;
    std::string_view stream{};
    EntryId entry_id{};
    EventId salt{};  ///< of the stream, see EventId::within
    std::uint64_t delivery_count = 1;
    bool redriven = false;
    const std::atomic<bool>* stop = nullptr;
    const std::atomic<bool>* lease_lost = nullptr;
  };

  explicit BasicDeliveryContext(const Facts& facts) noexcept : facts_(facts) {}

  /// Everything in the envelope but the payload.
  [[nodiscard]] const BasicEnvelopeHeader<Text>& envelope() const noexcept { return *facts_.envelope; }
  /// The key of the stream it came on.
  [[nodiscard]] std::string_view stream() const noexcept { return facts_.stream; }
  [[nodiscard]] EntryId entry_id() const noexcept { return facts_.entry_id; }
  /// The idempotency key by which duplicates are known. Computed when asked for: a consumer without dedup never needs it.
  [[nodiscard]] EventId event_id() const noexcept { return idempotency_key(*facts_.envelope, facts_.entry_id, facts_.redriven).within(facts_.salt); }
  /// How often this entry was handed over, this time included: 1 at first. A lower bound after a failover.
  [[nodiscard]] std::uint64_t delivery_count() const noexcept { return facts_.delivery_count; }
  /// Whether an operator brought it back from the DLQ.
  [[nodiscard]] bool redriven() const noexcept { return facts_.redriven; }
  /// The trace that the event belongs to, as its publisher gave it; none where it gave none, or what is none.
  [[nodiscard]] std::optional<TraceParent> traceparent() const noexcept {
    const Text* const text = facts_.envelope->meta.headers.find(traceparent_header);
    return text == nullptr ? std::nullopt : TraceParent::parse(*text);
  }
  /// Whether the consumer is stopping: a long handler may return Verdict::retry() early.
  [[nodiscard]] bool stop_requested() const noexcept { return facts_.stop != nullptr && facts_.stop->load(std::memory_order_relaxed); }
  /// Whether another consumer took the entry over meanwhile: what this handler returns will not be settled.
  [[nodiscard]] bool lease_lost() const noexcept { return facts_.lease_lost != nullptr && facts_.lease_lost->load(std::memory_order_relaxed); }

 private:
  Facts facts_;
};

using DeliveryContext = BasicDeliveryContext<std::string>;

}  // namespace pulse::inline v0_1
