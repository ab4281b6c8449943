// SPDX-License-Identifier: MIT
//
// Reads envelopes from standard input, each as its length in bytes and a newline before it, and writes each again, one a line, or why it is
// refused: "malformed: ..." or "invalid: ...".
#include <iostream>
#include <string>

#include "pulse/codec/json.hpp"

int main() {
  pulse::JsonCodec codec;
  pulse::Envelope<pulse::OneOf<pulse::FeedbackEvent, pulse::RateAdjustment>> envelope;
  pulse::DecodeError error;
  std::size_t length = 0;
  while (std::cin >> length) {
    std::string wire(length, '\0');
    std::cin.get();
    std::cin.read(wire.data(), static_cast<std::streamsize>(length));
    std::string out;
    const pulse::DecodeResult result = codec.decode(wire, envelope, error);
    if (result == pulse::DecodeResult::ok) {
      codec.encode(envelope, out);
    } else {
      out = (result == pulse::DecodeResult::malformed ? "malformed: " : "invalid: ") + error.text;
    }
    std::cout << out << '\n';
  }
}
