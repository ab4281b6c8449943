// SPDX-License-Identifier: MIT
// expect-error: a bound .* stands at a field that is no integer and no number.*See docs/reference/events.md
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
  static constexpr auto fields = boost::hana::make_tuple(pulse::Field<"symbol", &Tick::symbol>{}, pulse::Field<"price", &Tick::price, pulse::AtLeast<1>>{});
#else
  static constexpr auto fields = boost::hana::make_tuple(pulse::Field<"symbol", &Tick::symbol, pulse::AtLeast<1>>{}, pulse::Field<"price", &Tick::price>{});
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
