// SPDX-License-Identifier: MIT
// expect-error: a member of the event is of a type that JSON events do not have: allowed are bool, std::int64_t, double, std::string.*See
// docs/reference/events.md
#include <vector>

#include <pulse/pulse.hpp>

struct Book {
  std::string symbol;
#ifdef PULSE_TWIN
  double levels = 0;
#else
  std::vector<double> levels;
#endif
};
template <>
struct pulse::Describe<Book> {
  static constexpr auto schema_id = pulse::FixedString{"market.Book"};
  static constexpr pulse::Track track = pulse::Track::v1;
  static constexpr auto fields = boost::hana::make_tuple(pulse::Field<"symbol", &Book::symbol>{}, pulse::Field<"levels", &Book::levels>{});
};

int main() {
  pulse::InMemoryBackend<std::string> bus;
  auto handler = pulse::handlers(pulse::on<Book>([](const Book&) {}));
  pulse::Consumer consumer{bus, pulse::FifoWindow{64}, pulse::NoMetrics{}, handler};
  pulse::Publisher publisher{bus, "books"};
  return publisher.publish(Book{}) && consumer.poll() ? 0 : 1;
}
