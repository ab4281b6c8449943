// SPDX-License-Identifier: MIT
// expect-error: std::string_view members goes to a backend that keeps events as they are.*See docs/reference/publisher.md
#include <pulse/pulse.hpp>

struct Tick {
  std::string_view symbol;
};
template <>
struct pulse::Describe<Tick> {
  static constexpr auto schema_id = pulse::FixedString{"market.Tick"};
  static constexpr pulse::Track track = pulse::Track::v1;
  static constexpr auto fields = boost::hana::make_tuple(pulse::Field<"symbol", &Tick::symbol>{});
};

int main() {
#ifdef PULSE_TWIN
  pulse::InMemoryBackend<std::string> bus;
#else
  pulse::InMemoryBackend<pulse::Envelope<Tick>> bus;
#endif
  pulse::Publisher publisher{bus, "ticks"};
  return publisher.publish(Tick{"a"}) ? 0 : 1;
}
