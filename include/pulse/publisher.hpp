// SPDX-License-Identifier: MIT
#pragma once

#include <boost/hana/unpack.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "pulse/concept/observer.hpp"
#include "pulse/consumer/options.hpp"
#include "pulse/core/describe.hpp"
#include "pulse/core/envelope.hpp"
#include "pulse/core/nullable.hpp"
#include "pulse/core/trace.hpp"
#include "pulse/detail/uuid.hpp"
#include "pulse/metrics/no_metrics.hpp"

namespace pulse::inline v0_1 {

/// What goes with a published event. Views are read during the call.
struct PublishOptions {
  std::string_view key{};  ///< empty: null
  std::string_view id{};   ///< the idempotency key; empty: a new UUID. Publish again with the same id after a failure
  std::string_view hash{};
  const Headers* headers = nullptr;
  /// The trace that the event belongs to, see TraceParent: the header `traceparent`, in place of one in `headers`. Empty: none is set.
  std::string_view traceparent{};
};

/// Publishes events of any described type to one stream, each in an envelope with an idempotency key, so that a consumer knows a
/// repetition for what it is. The backend decides the form: envelopes as they are where it is typed, bytes by the codec elsewhere.
///
/// Thread safety: one thread an object. Several publishers may share a backend and a metrics sink.
template <class B, class M = NoMetrics, class T = DefaultTraits>
class Publisher {
  using backend = std::remove_reference_t<B>;
  using metrics = std::remove_reference_t<M>;
  static_assert(assert_backend<backend>());
  static_assert(assert_metrics<metrics>());

 public:
  /// `stream` is a whole key, see stream_key.
  Publisher(B&& backend_policy, std::string stream, M&& metrics_policy = M{}, typename T::clock time = {}, typename T::codec codec = {})
      : backend_(std::forward<B>(backend_policy)),
        metrics_(std::forward<M>(metrics_policy)),
        clock_(std::move(time)),
        codec_(std::move(codec)),
        stream_(std::move(stream)),
        slot_(metrics_.template slot<StreamLabel>(stream_)) {}

  /// Appends the event to the stream. Errors: those of the backend; the event is then not published, or its fate is unknown, and
  /// publishing it again under the same id is safe.
  template <Described Event>
  Result<EntryId> publish(Event event, const PublishOptions& options = {}) {
    Envelope<Event, std::string> envelope;
    if (options.id.empty()) {
      uuids_.next(envelope.id.emplace());
    } else {
      envelope.id = options.id;
    }
    envelope.ts = epoch_seconds(clock_.wall());
    if (!options.key.empty()) {
      envelope.key = options.key;
    }
    envelope.meta.schema_id = schema_id_of<Event>;
    envelope.meta.track = Describe<Event>::track;
    if (options.headers != nullptr) {
      envelope.meta.headers = *options.headers;
    }
    if (!options.traceparent.empty()) {
      envelope.meta.headers.set(traceparent_header, options.traceparent);
    }
    if (!options.hash.empty()) {
      envelope.meta.hash = options.hash;
    }
    envelope.payload = std::move(event);
    return publish_envelope(std::move(envelope));
  }

  /// Appends an envelope as it is: nothing is filled in.
  template <class Payload, class Text>
  Result<EntryId> publish_envelope(Envelope<Payload, Text> envelope) {
    const Track track = envelope.meta.track;
    Result<EntryId> entry = send(std::move(envelope));
    metrics_.add(family::publish, 1, slot_, track, entry ? Outcome::success : Outcome::error);
    if (!entry) {
      detail::tell<notice::PublishFailed>(metrics_, [&] { return notice::PublishFailed{stream_, entry.error().code, entry.error().message}; });
    }
    return entry;
  }

  [[nodiscard]] const std::string& stream() const noexcept { return stream_; }

 private:
  template <class Payload>
  static constexpr bool owns_its_text() {
    if constexpr (Described<Payload>) {
      return boost::hana::unpack(Describe<Payload>::fields, [](auto... field) {
        return !((std::is_same_v<typename decltype(field)::value_type, std::string_view> ||
                  std::is_same_v<typename decltype(field)::value_type, Nullable<std::string_view>>) ||
                 ...);
      });
    } else {
      return true;
    }
  }

  template <class Payload, class Text>
  Result<EntryId> send(Envelope<Payload, Text>&& envelope) {
    using wanted = typename backend::payload_type;
    static_assert(!backend::capabilities.typed || owns_its_text<Payload>(),
                  "pulse: an event with std::string_view members goes to a backend that keeps events as they are: the text would be gone when it is handled. "
                  "Publish one that owns its text (std::string). See docs/reference/publisher.md");
    if constexpr (std::is_same_v<wanted, Envelope<Payload, Text>>) {
      return backend_.publish(stream_, std::move(envelope));
    } else if constexpr (backend::capabilities.typed) {
      wanted several;  // an envelope of a OneOf that Payload is one of
      static_cast<BasicEnvelopeHeader<typename wanted::text_type>&>(several) = std::move(envelope);
      several.payload.template emplace<Payload>() = std::move(envelope.payload);
      return backend_.publish(stream_, std::move(several));
    } else {
      std::string bytes;
      codec_.encode(envelope, bytes);
      return backend_.publish(stream_, std::move(bytes));
    }
  }

  [[no_unique_address]] B backend_;
  [[no_unique_address]] M metrics_;
  [[no_unique_address]] typename T::clock clock_;
  [[no_unique_address]] typename T::codec codec_;
  std::string stream_;
  LabelSlot<StreamLabel> slot_;
  detail::UuidGenerator uuids_;
};

template <class B>
Publisher(B&&, std::string) -> Publisher<B>;
template <class B, class M, class... Rest>
Publisher(B&&, std::string, M&&, Rest&&...) -> Publisher<B, M>;

}  // namespace pulse::inline v0_1
