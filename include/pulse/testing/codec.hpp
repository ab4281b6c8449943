// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pulse/concept/codec.hpp"
#include "pulse/core/envelope.hpp"

/// The laws of Codec, executable and bound to no test framework. In a test of one's own codec, with envelopes of one's own events:
///
///     CHECK(pulse::conformance::codec(MyCodec{}, samples) == "");
namespace pulse::inline v0_1::conformance {

namespace detail {
/// Decodes out of a block of exactly the bytes' size, so that a sanitizer sees whoever reads past them.
template <class C, class Env>
DecodeResult decode(C& codec, std::string_view bytes, Env& envelope, DecodeError& error) {
  const auto block = std::make_unique<char[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), block.get());
  return codec.decode(std::string_view{block.get(), bytes.size()}, envelope, error);
}

/// Whatever the bytes are: an answer, and a reason where they are refused.
template <class C, class Env>
std::string survives(C& codec, std::string_view bytes, Env& scratch) {
  DecodeError error;
  try {
    const DecodeResult result = decode(codec, bytes, scratch, error);
    if ((result == DecodeResult::malformed || result == DecodeResult::invalid) && error.text.empty()) {
      return "what is refused says why";
    }
  } catch (...) {
    return "decode does not throw";
  }
  return "";
}
}  // namespace detail

/// Returns "" or the first law that was broken. `samples`: envelopes that hold their schema and own their text; all kinds of values that matter, since nothing
/// else is known of the format. Complexity: some hundred decodes per byte of the samples.
template <class C, class Payload>
[[nodiscard]] std::string codec(C codec, const std::vector<Envelope<Payload>>& samples) {
  using Env = Envelope<Payload>;
  static_assert(Codec<C, Env>, "pulse: this is no Codec of that event: pulse::assert_codec<...>() tells what is missing. See docs/reference/codec.md");
  Env reused;
  Env scratch;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const std::string which = " (sample " + std::to_string(i) + ")";
    std::string bytes = "kept";
    codec.encode(samples[i], bytes);
    if (!bytes.starts_with("kept") || bytes.size() == 4) {
      return "encode appends" + which;
    }
    bytes.erase(0, 4);
    DecodeError error;
    for (int twice = 0; twice < 2; ++twice) {
      if (detail::decode(codec, bytes, reused, error) != DecodeResult::ok || !(reused == samples[i])) {
        return std::string("decode(encode(e)) == e") + (twice == 0 && i == 0 ? "" : ", into an envelope that held another before") + which;
      }
    }
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      if (const std::string law = detail::survives(codec, std::string_view{bytes}.substr(0, length), scratch); !law.empty()) {
        return law + which + ", cut after " + std::to_string(length) + " bytes";
      }
    }
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      for (const char put : {'\0', '"', '9', '-', '}', '\x7f', '\xff'}) {
        std::string damaged = bytes;
        damaged[at] = put;
        if (const std::string law = detail::survives(codec, damaged, scratch); !law.empty()) {
          return law + which + ", byte " + std::to_string(at) + " changed";
        }
      }
    }
    if (detail::decode(codec, bytes, scratch, error) != DecodeResult::ok || !(scratch == samples[i])) {
      return "what was refused before leaves no trace" + which;
    }
  }
  if (DecodeError error; detail::decode(codec, "", scratch, error) != DecodeResult::malformed || error.text.empty()) {
    return "no bytes are malformed, and say so";
  }
  return "";
}

}  // namespace pulse::inline v0_1::conformance
