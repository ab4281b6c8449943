// SPDX-License-Identifier: MIT
// expect-error: a member of the event is of a type that JSON events do not have.*What is nested or an array needs a codec of its own. See
// docs/reference/events.md
#include <pulse/codec/json.hpp>
#include <pulse/codec/json_schema.hpp>

#ifdef PULSE_TWIN
using Size = std::int64_t;
#else
using Size = int;
#endif
struct Tick {
  Size size = 0;
};
template <>
struct pulse::Describe<Tick> {
  static constexpr auto schema_id = pulse::FixedString{"market.Tick"};
  static constexpr pulse::Track track = pulse::Track::v1;
  static constexpr auto fields = boost::hana::make_tuple(pulse::Field<"size", &Tick::size, pulse::AtLeast<1>, pulse::Defaulted>{});
};

int main() {
  std::string bytes;
  pulse::JsonCodec{}.encode(pulse::Envelope<Tick>{}, bytes);
  return bytes == pulse::json_schema<Tick>() ? 1 : 0;
}
