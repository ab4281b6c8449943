// SPDX-License-Identifier: MIT
// expect-error: a bound .* is no value of its field's type.*See docs/reference/events.md
#include <pulse/codec/json.hpp>

struct Tick {
  std::int64_t size = 1;
};
template <>
struct pulse::Describe<Tick> {
  static constexpr auto schema_id = pulse::FixedString{"market.Tick"};
  static constexpr pulse::Track track = pulse::Track::v1;
#ifdef PULSE_TWIN
  static constexpr auto fields = boost::hana::make_tuple(pulse::Field<"size", &Tick::size, pulse::AtLeast<1>>{});
#else
  static constexpr auto fields = boost::hana::make_tuple(pulse::Field<"size", &Tick::size, pulse::AtLeast<0.5>>{});
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
