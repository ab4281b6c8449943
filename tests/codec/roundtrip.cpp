// SPDX-License-Identifier: MIT
//
// Reads envelopes from standard input, each as its length in bytes and a newline before it, and writes each again, one a line, or "refused".
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
    std::string out = "refused";
    if (codec.decode(wire, envelope, error) == pulse::DecodeResult::ok) {
      out.clear();
      codec.encode(envelope, out);
    }
    std::cout << out << '\n';
  }
}
