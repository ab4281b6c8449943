// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "pulse/codec/json/reader.hpp"
#include "pulse/codec/json/writer.hpp"
#include "pulse/concept/codec.hpp"
#include "pulse/core/upcast.hpp"

namespace pulse {

/// What a document may be at most; beyond, it is malformed.
struct JsonLimits {
  std::size_t max_bytes = std::size_t{1} << 20;
  int max_depth = 64;  ///< levels of objects and arrays
  std::size_t max_headers = 64;
};

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
    const bool whole = data.size() <= options_.limits.max_bytes ? document(in, data, envelope, error, warned) : in.fail("longer than allowed");
    if (!whole) {
      error.result = DecodeResult::malformed;
      error.text = std::string(in.problem) + " (at byte " + std::to_string(in.offset()) + " of " + std::to_string(data.size()) + ")";
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
  enum Member : unsigned { ts = 1, key = 2, meta = 4, payload = 8, id = 16 };
  enum MetaMember : unsigned { schema_id = 1, track = 2, headers = 4, hash = 8 };

  template <class Payload, class Text>
  bool document(detail::JsonScanner& in, std::string_view data, Envelope<Payload, Text>& envelope, DecodeError& error, bool& warned) {
    unsigned seen = 0;
    const char* later = nullptr;  // a payload met before its schema was known
    envelope.key.reset();
    envelope.id.reset();
    in.space();
    if (!in.take('{', "an envelope is an object")) {
      return false;
    }
    const auto once = [&](Member member) { return (seen & member) == 0 ? (seen |= member, true) : in.fail("a member that decides meaning appears twice"); };
    while (in.peek() != '}') {
      std::string_view name;
      if (in.peek() != '"') {
        return in.fail(in.done() ? "the text ends too early" : "a member's name was expected");
      }
      if (!in.string(name, buffer_) || !in.take(':', "':' was expected")) {
        return false;
      }
      bool ok;
      if (name == "ts") {
        ok = once(ts) && number(in, envelope.ts);
      } else if (name == "key") {
        ok = once(key) && text_or_null(in, envelope.key, "key must be a string or null");
      } else if (name == "id") {
        ok = once(id) && text_or_null(in, envelope.id, "id must be a string or null");
      } else if (name == "meta") {
        ok = once(meta) && read_meta(in, envelope.meta, error);
      } else if (name == "payload") {
        ok = once(payload);
        if (ok && (std::is_same_v<events_of_t<Payload>, Events<Payload>> || (seen & meta) != 0)) {
          ok = read_payload(in, envelope, error, warned);
        } else if (ok) {
          later = in.at;
          ok = in.skip(buffer_, 1);
        }
      } else {
        ok = in.skip(buffer_, 1);
      }
      if (!ok) {
        return false;
      }
      in.space();
      if (in.peek() == '}') {
        break;
      }
      if (!in.take(',', "',' or '}' was expected") || in.peek() == '}') {
        return in.problem != nullptr ? false : in.fail("a member's name was expected");
      }
    }
    ++in.at;
    in.space();
    if (!in.done()) {
      return in.fail("bytes after the envelope");
    }
    if ((seen & (ts | meta | payload)) != (ts | meta | payload)) {
      return in.fail((seen & ts) == 0 ? "ts is missing" : (seen & meta) == 0 ? "meta is missing" : "payload is missing");
    }
    if (later != nullptr) {
      detail::JsonScanner again{data, options_.limits.max_depth};
      again.at = later;
      (void)read_payload(again, envelope, error, warned);  // its grammar was checked when it was skipped
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
  bool read_payload(detail::JsonScanner& in, Envelope<Payload, Text>& envelope, DecodeError& error, bool& warned) {
    return read_one_of(in, envelope, error, warned, events_of_t<Payload>{});
  }

  template <class Env, class E>
  bool read_one_of(detail::JsonScanner& in, Env& envelope, DecodeError& error, bool& warned, Events<E>) {
    return read_event(in, envelope.payload, error, warned);
  }
  template <class Env, class... E>
  bool read_one_of(detail::JsonScanner& in, Env& envelope, DecodeError& error, bool& warned, Events<E...>) {
    bool ok = true;
    const bool known = ((envelope.meta.schema_id == schema_id_of<E> && (ok = read_event(in, envelope.payload.template emplace<E>(), error, warned),
                                                                        upcast_v1(envelope.meta, envelope.payload.template emplace<E>()), true)) ||
                        ...);
    return known ? ok : in.skip(buffer_, 1);
  }

  template <class Event>
  bool read_event(detail::JsonScanner& in, Event& event, DecodeError& error, bool& warned) {
    return detail::EventReader<Event>{in, buffer_, error, warned, options_.enforcement == Enforcement::strict}.read(event);
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
      error.text = "meta.schema_id: found \"" + std::string(std::string_view{envelope.meta.schema_id}.substr(0, 64)) + "\", allowed: " + allowed;
    }
  }

  bool number(detail::JsonScanner& in, double& out) {
    detail::JsonNumber number;
    const char* const past = detail::scan_number(in.at, in.end(), number);
    if (past == nullptr || !detail::to_double(number, out)) {
      return in.fail("ts must be a number");
    }
    in.at = past;
    return true;
  }

  template <class Text>
  bool text(detail::JsonScanner& in, Text& out, const char* otherwise) {
    if (in.peek() != '"') {
      return in.fail(otherwise);
    }
    std::string_view read;
    if (!in.string(read, buffer_)) {
      return false;
    }
    out = read;
    return true;
  }
  template <class Text>
  bool text_or_null(detail::JsonScanner& in, Nullable<Text>& out, const char* otherwise) {
    return in.peek() == 'n' ? (out.reset(), in.literal("null")) : text(in, out.emplace(), otherwise);
  }

  template <class Text>
  bool read_meta(detail::JsonScanner& in, BasicEventMeta<Text>& out, DecodeError& error) {
    unsigned seen = 0;
    out.track = Track::v1;
    out.headers.clear();
    out.hash.reset();
    if (!in.take('{', "meta must be an object")) {
      return false;
    }
    const auto once = [&](MetaMember member) { return (seen & member) == 0 ? (seen |= member, true) : in.fail("a member that decides meaning appears twice"); };
    while (in.peek() != '}') {
      std::string_view name;
      if (in.peek() != '"') {
        return in.fail("a member's name was expected");
      }
      if (!in.string(name, buffer_) || !in.take(':', "':' was expected")) {
        return false;
      }
      bool ok;
      if (name == "schema_id") {
        ok = once(schema_id) && text(in, out.schema_id, "meta.schema_id must be a string");
      } else if (name == "track") {
        ok = once(track) && read_track(in, out.track, error);
      } else if (name == "headers") {
        ok = once(headers) && read_headers(in, out.headers, error);
      } else if (name == "hash") {
        ok = once(hash) && text_or_null(in, out.hash, "meta.hash must be a string or null");
      } else {
        ok = in.skip(buffer_, 2);
      }
      if (!ok) {
        return false;
      }
      in.space();
      if (in.peek() == '}') {
        break;
      }
      if (!in.take(',', "',' or '}' was expected") || in.peek() == '}') {
        return in.problem != nullptr ? false : in.fail("a member's name was expected");
      }
    }
    ++in.at;
    return (seen & schema_id) != 0 || in.fail("meta.schema_id is missing");
  }

  static void invalid(DecodeError& error, const char* text) {
    if (error.result == DecodeResult::ok) {
      error.result = DecodeResult::invalid;
      error.text = text;
    }
  }

  bool read_track(detail::JsonScanner& in, Track& out, DecodeError& error) {
    std::string_view name;
    if (in.peek() != '"') {
      invalid(error, "meta.track: found no string, allowed: v1, v2");
      return in.skip(buffer_, 2);
    }
    if (!in.string(name, buffer_)) {
      return false;
    }
    if (!value_of(name, out)) {
      invalid(error, "meta.track: found an unknown track, allowed: v1, v2");
    }
    return true;
  }

  template <class Text>
  bool read_headers(detail::JsonScanner& in, BasicHeaders<Text>& out, DecodeError& error) {
    if (in.peek() != '{') {
      invalid(error, "meta.headers: found no object, allowed: an object of strings");
      return in.skip(buffer_, 2);
    }
    ++in.at;
    in.space();
    while (in.peek() != '}') {
      std::string_view name;
      std::string_view value;
      if (in.peek() != '"') {
        return in.fail("a member's name was expected");
      }
      if (!in.string(name, buffer_) || !in.take(':', "':' was expected")) {
        return false;
      }
      if (in.peek() != '"') {
        invalid(error, "meta.headers: found a value that is no string, allowed: an object of strings");
        if (!in.skip(buffer_, 3)) {
          return false;
        }
      } else {
        if (!in.string(value, buffer_)) {
          return false;
        }
        if (out.size() >= options_.limits.max_headers) {
          return in.fail("more headers than allowed");
        }
        if (out.find(name) != nullptr) {
          out.set(name, value);  // as other readers of the bus do: the last one counts
        } else {
          auto& slot = out.append();
          slot.first = name;
          slot.second = value;
        }
      }
      in.space();
      if (in.peek() == '}') {
        break;
      }
      if (!in.take(',', "',' or '}' was expected") || in.peek() == '}') {
        return in.problem != nullptr ? false : in.fail("a member's name was expected");
      }
    }
    ++in.at;
    return true;
  }

  JsonOptions options_{};
  std::string buffer_;  // unescaped text of the document at hand: what views look into
};

}  // namespace pulse
