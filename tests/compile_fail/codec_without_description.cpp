// SPDX-License-Identifier: MIT
// expect-error: the codec cannot decode this event.*is the event described
#include <pulse/concept/codec.hpp>

struct Codec {
#ifdef PULSE_TWIN
  pulse::DecodeResult decode(std::string_view, pulse::Envelope<pulse::FeedbackEvent>&, pulse::DecodeError&) { return pulse::DecodeResult::ok; }
#endif
  void encode(const pulse::Envelope<pulse::FeedbackEvent>&, std::string&) {}
};
constexpr bool asserted = pulse::assert_codec<Codec, pulse::Envelope<pulse::FeedbackEvent>>();
