// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "pulse/core/envelope.hpp"

namespace pulse::inline v0_1 {

/// How a decode ended.
enum class DecodeResult : std::uint8_t {
  ok,
  warned,     ///< against the schema, but every field has a value; only under Enforcement::warn
  malformed,  ///< no envelope: not the format, or a field of the envelope itself is missing or of another type
  invalid,    ///< an envelope whose payload, schema id, track or headers break the schema
};

/// What becomes of an event that breaks its schema but can still be represented (a bound, say).
/// What cannot be represented (a missing field, a wrong type) is `invalid` under either.
enum class Enforcement : std::uint8_t {
  strict,  ///< it is invalid: dead-lettered
  warn,    ///< it is counted and handed to the handler
};

/// Why a decode failed. Owns nothing until it is written to; its text names the field, what was found and what is allowed.
struct DecodeError {
  DecodeResult result = DecodeResult::ok;
  std::string text;
};

namespace requirement {
template <class C, class Env>
concept CodecDecode = requires(C& codec, std::string_view data, Env& envelope, DecodeError& error) {
  { codec.decode(data, envelope, error) } -> std::same_as<DecodeResult>;
};
template <class C, class Env>
concept CodecEncode = requires(C& codec, const Env& envelope, std::string& out) { codec.encode(envelope, out); };
}  // namespace requirement

/// Turns envelopes into bytes and back. Contract page: docs/reference/codec.md
///
/// | expression | returns | meaning |
/// |---|---|---|
/// | `codec.decode(data, envelope, error)` | DecodeResult | fills the envelope |
/// | `codec.encode(envelope, out)` | | appends the bytes to the std::string `out` |
///
/// On malformed and invalid, and only then, `error` says why, and the envelope is unspecified but valid.
///
/// For every envelope e that holds its schema, with texts in UTF-8 and finite numbers, decode(encode(e)) == e. Decoding never reads outside `data`, never
/// throws but std::bad_alloc, takes linear time, and allocates nothing once a reused envelope has grown. An envelope of std::string_view looks into `data` and
/// into the codec, until the next call of `decode`. A codec object serves one thread.
template <class C, class Env>
concept Codec = requirement::CodecDecode<C, Env> && requirement::CodecEncode<C, Env>;

/// The codec of a backend whose deliveries are typed already.
struct NoCodec {};

/// Asserts each requirement of Codec on its own, with its message.
template <class C, class Env>
constexpr bool assert_codec() {
  static_assert(requirement::CodecDecode<C, Env>,
                "pulse: the codec cannot decode this event: it has no `pulse::DecodeResult decode(std::string_view, Envelope&, pulse::DecodeError&)` "
                "for it; is the event described (pulse::Describe<Event>)? See docs/reference/codec.md");
  static_assert(requirement::CodecEncode<C, Env>,
                "pulse: the codec cannot encode this event: it has no `void encode(const Envelope&, std::string&)` for it; is the event described "
                "(pulse::Describe<Event>)? See docs/reference/codec.md");
  static_assert(Codec<C, Env> || !(requirement::CodecDecode<C, Env> && requirement::CodecEncode<C, Env>),
                "pulse: the codec misses a requirement of pulse::Codec that has no message of its own: assert that concept to see which. See "
                "docs/reference/codec.md");
  return Codec<C, Env>;
}

}  // namespace pulse::inline v0_1
