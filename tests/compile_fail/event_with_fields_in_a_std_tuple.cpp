// SPDX-License-Identifier: MIT
// expect-error: are no boost::hana::tuple: make them with boost::hana::make_tuple.*See docs/reference/events.md
#include <tuple>

#include <pulse/codec/json.hpp>

struct Tick {
  std::string symbol;
  double price = 0;
};
template <>
struct pulse::Describe<Tick> {
  static constexpr auto schema_id = pulse::FixedString{"market.Tick"};
  static constexpr pulse::Track track = pulse::Track::v1;
#ifdef PULSE_TWIN
  static constexpr auto fields = boost::hana::make_tuple(pulse::Field<"symbol", &Tick::symbol>{});
#else
  static constexpr auto fields = std::make_tuple(pulse::Field<"symbol", &Tick::symbol>{});
#endif
};

int main() {
  pulse::Envelope<Tick> tick;
  pulse::DecodeError error;
  std::string bytes;
  pulse::JsonCodec codec;
  codec.encode(tick, bytes);
  return codec.decode(bytes, tick, error) == pulse::DecodeResult::ok ? 0 : 1;
}
