// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "pulse/codec/json/members.hpp"
#include "pulse/codec/json/reader.hpp"
#include "pulse/codec/json/writer.hpp"
#include "pulse/concept/codec.hpp"
#include "pulse/core/printable.hpp"
#include "pulse/core/upcast.hpp"

namespace pulse::inline v0_1 {

/// What a document may be at most; beyond, it is malformed.
struct JsonLimits {
  std::size_t max_bytes = std::size_t{1} << 20;
  int max_depth = 64;  ///< levels of objects and arrays
  std::size_t max_headers = 64;
};

/// How strict a codec is, and how much of a message it looks at.
struct JsonOptions {
  Enforcement enforcement = Enforcement::strict;
  JsonLimits limits{};
};

/// Envelopes as JSON, the wire of the deployed bus: {"ts", "key", "meta": {"schema_id", "track", "headers", "hash"}, "payload", "id"},
/// members in any order, unknown ones checked and ignored. One strict pass straight into the event, without a document in between.
///
/// Payload: a described event or a OneOf of several, told apart by schema_id. With std::string_view text the envelope looks into the
/// bytes and into this codec, until its next decode.
///
/// Complexity: linear; no allocation into a reused envelope whose strings have grown. Thread safety: one thread an object.
class JsonCodec {
 public:
  JsonCodec() = default;
  explicit JsonCodec(const JsonOptions& options) : options_(options) {}

  template <class Payload, class Text>
  DecodeResult decode(std::string_view data, Envelope<Payload, Text>& envelope, DecodeError& error) {
    error.result = DecodeResult::ok;
    detail::JsonScanner in{data, options_.limits.max_depth};
    buffer_.clear();
    if (buffer_.capacity() < 2 * data.size() && data.size() <= options_.limits.max_bytes) {
      buffer_.reserve(2 * data.size());  // views look into it, so it must not move: a payload before its meta is read twice
    }
    bool warned = false;
    const bool whole = data.size() <= options_.limits.max_bytes ? document(in, envelope, error, warned)
                                                                : in.fail(data.data() + options_.limits.max_bytes, "longer than allowed") != nullptr;
    if (!whole) [[unlikely]] {
      error.result = DecodeResult::malformed;
      error.text = std::string(in.problem) + " (at byte " + std::to_string(in.offset(in.where)) + " of " + std::to_string(data.size()) + ")";
    } else if (error.result == DecodeResult::ok && warned) {
      error.result = DecodeResult::warned;
    }
    return error.result;
  }

  template <class Payload, class Text>
  void encode(const Envelope<Payload, Text>& envelope, std::string& out) const {
    detail::append_envelope(out, envelope);
  }

 private:
  enum Member : unsigned { ts = 1, meta = 4, payload = 8 };  // bits of what `document` has seen
  template <FixedString Name>
  struct Called {
    static constexpr std::string_view name = Name.view();
  };

  template <class Payload, class Text>
  bool document(detail::JsonScanner& in, Envelope<Payload, Text>& envelope, DecodeError& error, bool& warned) {
    std::uint64_t seen = 0;
    const char* later = nullptr;  // a payload met before its schema was known
    envelope.key.reset();
    envelope.id.reset();
    const char* at = in.open();
    if (at == nullptr) {
      return false;
    }
    const auto read_or_keep = [&](const char* value) {
      if (std::is_same_v<events_of_t<Payload>, Events<Payload>> || (seen & meta) != 0) {
        return read_payload(in, value, envelope, error, warned);
      }
      later = value;
      return in.skip(value, buffer_, 1);
    };
    at = in.members(
        at, buffer_, seen, [&](const char* value, std::string_view) { return in.skip(value, buffer_, 1); },
        detail::JsonMember{Called<"ts">{}, [&](const char* value) { return number(in, value, envelope.ts); }},
        detail::JsonMember{Called<"key">{}, [&](const char* value) { return text_or_null(in, value, envelope.key, "key must be a string or null"); }},
        detail::JsonMember{Called<"meta">{}, [&](const char* value) { return read_meta(in, value, envelope.meta, error); }},
        detail::JsonMember{Called<"payload">{}, read_or_keep},
        detail::JsonMember{Called<"id">{}, [&](const char* value) { return text_or_null(in, value, envelope.id, "id must be a string or null"); }});
    if (at == nullptr || in.close(at) == nullptr) {
      return false;
    }
    if ((seen & (ts | meta | payload)) != (ts | meta | payload)) {
      return in.fail(at, (seen & ts) == 0 ? "ts is missing" : (seen & meta) == 0 ? "meta is missing" : "payload is missing") != nullptr;
    }
    if (later != nullptr && read_payload(in, later, envelope, error, warned) == nullptr) {
      return false;  // what skips it checks its grammar alone, and not that its members come once
    }
    if (error.result == DecodeResult::ok || std::is_same_v<events_of_t<Payload>, Events<Payload>>) {
      check_schema(envelope, error);
    }
    if constexpr (std::is_same_v<Payload, v2::BasicFeedbackEvent<Text>>) {
      upcast_v1(envelope.meta, envelope.payload);
    }
    return true;
  }

  template <class Payload, class Text>
  const char* read_payload(detail::JsonScanner& in, const char* at, Envelope<Payload, Text>& envelope, DecodeError& error, bool& warned) {
    return read_one_of(in, at, envelope, error, warned, events_of_t<Payload>{});
  }

  template <class Env, class E>
  const char* read_one_of(detail::JsonScanner& in, const char* at, Env& envelope, DecodeError& error, bool& warned, Events<E>) {
    return read_event(in, at, envelope.payload, error, warned);
  }
  template <class Env, class... E>
  const char* read_one_of(detail::JsonScanner& in, const char* at, Env& envelope, DecodeError& error, bool& warned, Events<E...>) {
    static_assert(detail::all_differ({schema_id_of<E>...}),
                  "pulse: two of the events that a consumer handles have the same schema_id, by which they are told apart: the second would never be read. "
                  "Handle one of them (pulse::v2::FeedbackEvent reads both tracks), or name the other's schema differently. See docs/reference/events.md");
    const char* past = nullptr;
    const auto read = [&](auto& event) {
      past = read_event(in, at, event, error, warned);
      upcast_v1(envelope.meta, event);
      return true;
    };
    const bool known = ((envelope.meta.schema_id == schema_id_of<E> && read(envelope.payload.template emplace<E>())) || ...);
    return known ? past : in.skip(at, buffer_, 1);
  }

  template <class Event>
  const char* read_event(detail::JsonScanner& in, const char* at, Event& event, DecodeError& error, bool& warned) {
    if constexpr (detail::assert_json_event<Event>()) {
      return detail::EventReader<Event>{in, buffer_, error, warned, options_.enforcement == Enforcement::strict}.read(at, event);
    } else {
      return at;
    }
  }

  template <class Meta, class Event>
  static void upcast_v1(const Meta&, Event&) noexcept {}
  template <class Text>
  static void upcast_v1(const BasicEventMeta<Text>& from, v2::BasicFeedbackEvent<Text>& event) {
    if (from.track == Track::v1) {
      upcast(from.headers, event, [](std::string_view text, double& out) {
        detail::JsonNumber number;
        const char* const end = text.data() + text.size();
        return detail::scan_number(text.data(), end, number) == end && detail::to_double(number, out);
      });
    }
  }

  /// An unknown schema outranks what was found wrong in a payload that was read as another event.
  template <class Payload, class Text>
  static void check_schema(const Envelope<Payload, Text>& envelope, DecodeError& error) {
    const auto known = [&]<class... E>(Events<E...>) { return ((envelope.meta.schema_id == schema_id_of<E>) || ...); };
    if (!known(events_of_t<Payload>{})) {
      std::string allowed;
      const auto list = [&]<class... E>(Events<E...>) { ((((allowed += allowed.empty() ? "" : ", ") += schema_id_of<E>)), ...); };
      list(events_of_t<Payload>{});
      error.result = DecodeResult::invalid;
      error.text = "meta.schema_id: found " + detail::shown(envelope.meta.schema_id) + ", allowed: " + allowed;
    }
  }

  static const char* number(detail::JsonScanner& in, const char* at, double& out) {
    const char* past = detail::scan_fast(at, in.end(), out);
    if (past == nullptr) [[unlikely]] {
      detail::JsonNumber number;
      past = detail::scan_number(at, in.end(), number);
      if (past == nullptr || !detail::to_double(number, out)) {
        return in.fail(at, "ts must be a number");
      }
    }
    return past;
  }

  template <class Text>
  const char* text(detail::JsonScanner& in, const char* at, Text& out, const char* otherwise) {
    if (*at != '"') {
      return in.fail(at, otherwise);
    }
    std::string_view read;
    at = in.string(at, read, buffer_);
    if (at != nullptr) {
      detail::assign_text(out, read);
    }
    return at;
  }
  template <class Text>
  const char* text_or_null(detail::JsonScanner& in, const char* at, Nullable<Text>& out, const char* otherwise) {
    return *at == 'n' ? (out.reset(), in.literal(at, "null")) : text(in, at, out.emplace(), otherwise);
  }

  template <class Text>
  const char* read_meta(detail::JsonScanner& in, const char* at, BasicEventMeta<Text>& out, DecodeError& error) {
    std::uint64_t seen = 0;
    out.track = Track::v1;
    out.headers.clear();
    out.hash.reset();
    if (*at != '{') {
      return in.fail(at, "meta must be an object");
    }
    at = in.members(
        at, buffer_, seen, [&](const char* value, std::string_view) { return in.skip(value, buffer_, 2); },
        detail::JsonMember{Called<"schema_id">{}, [&](const char* value) { return text(in, value, out.schema_id, "meta.schema_id must be a string"); }},
        detail::JsonMember{Called<"track">{}, [&](const char* value) { return read_track(in, value, out.track, error); }},
        detail::JsonMember{Called<"headers">{}, [&](const char* value) { return read_headers(in, value, out.headers, error); }},
        detail::JsonMember{Called<"hash">{}, [&](const char* value) { return text_or_null(in, value, out.hash, "meta.hash must be a string or null"); }});
    return at == nullptr || (seen & 1) != 0 ? at : in.fail(at, "meta.schema_id is missing");
  }

  [[gnu::cold]] static void invalid(DecodeError& error, const char* text) {
    if (error.result == DecodeResult::ok) {
      error.result = DecodeResult::invalid;
      error.text = text;
    }
  }

  const char* read_track(detail::JsonScanner& in, const char* at, Track& out, DecodeError& error) {
    if (*at != '"') {
      invalid(error, "meta.track: found no string, allowed: v1, v2");
      return in.skip(at, buffer_, 2);
    }
    std::string_view name;
    at = in.string(at, name, buffer_);
    if (at != nullptr && !value_of(name, out)) {
      invalid(error, "meta.track: found an unknown track, allowed: v1, v2");
    }
    return at;
  }

  template <class Text>
  const char* read_headers(detail::JsonScanner& in, const char* at, BasicHeaders<Text>& out, DecodeError& error) {
    if (*at != '{') {
      invalid(error, "meta.headers: found no object, allowed: an object of strings");
      return in.skip(at, buffer_, 2);
    }
    std::uint64_t none = 0;
    return in.members(at, buffer_, none, [&](const char* from, std::string_view name) {
      if (*from != '"') {
        invalid(error, "meta.headers: found a value that is no string, allowed: an object of strings");
        return in.skip(from, buffer_, 3);
      }
      std::string_view value;
      const char* const past = in.string(from, value, buffer_);
      if (past == nullptr || out.find(name) != nullptr) {
        if (past != nullptr) {
          out.set(name, value);  // as other readers of the bus do: the last one counts
        }
        return past;
      }
      if (out.size() >= options_.limits.max_headers) {
        return in.fail(from, "more headers than allowed");
      }
      auto& slot = out.append();
      slot.first = name;
      slot.second = value;
      return past;
    });
  }

  JsonOptions options_{};
  std::string buffer_;  // unescaped text of the document at hand: what views look into
};

}  // namespace pulse::inline v0_1
