// SPDX-License-Identifier: MIT
// A dedup strategy of one's own: the ids that were handled are kept with the effects, so that both are there or neither is. The laws that every
// strategy keeps are run on it first; then a producer repeats itself.
// Prints: every law is kept; 3 published, 2 booked
#include <pulse/dedup/conformance.hpp>
#include <pulse/pulse.hpp>

#include <cstddef>
#include <cstdio>
#include <map>
#include <string>

/// Stands for a table of the database that the handler writes to: `commit` would belong to the same transaction as the effect.
class Handled {
 public:
  static constexpr bool exact = true;    // never takes a new id for a known one
  static constexpr bool shared = false;  // true where every member of the group asks the same table

  pulse::Claim claim(pulse::EventId id) {
    const auto [at, absent] = rows_.try_emplace(id, State::leased);
    return absent ? pulse::Claim::fresh : at->second == State::leased ? pulse::Claim::leased : pulse::Claim::done;
  }
  void commit(pulse::EventId id) {  // the handler succeeded
    if (const auto at = rows_.find(id); at != rows_.end()) {
      at->second = State::done;
    }
  }
  void release(pulse::EventId id) {  // it failed: the redelivery is to be handled
    if (const auto at = rows_.find(id); at != rows_.end() && at->second == State::leased) {
      rows_.erase(at);
    }
  }
  [[nodiscard]] std::size_t size() const { return rows_.size(); }

 private:
  enum class State { leased, done };
  std::map<pulse::EventId, State> rows_;
};
static_assert(pulse::Dedup<Handled>);

int main() {
  const std::string broken = pulse::conformance::dedup([] { return Handled{}; }, {.window = 1000});
  if (!broken.empty()) {
    std::printf("%s\n", broken.c_str());
    return 1;
  }

  pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>> bus;
  int booked = 0;
  auto handle = pulse::handlers(pulse::on<pulse::FeedbackEvent>([&](const pulse::FeedbackEvent&) { ++booked; }));
  pulse::Consumer consumer{bus, Handled{}, pulse::NoMetrics{}, handle};

  pulse::Envelope<pulse::FeedbackEvent> envelope;
  envelope.meta.schema_id = pulse::schema_id_of<pulse::FeedbackEvent>;
  envelope.payload = {.coordinator_id = "bars", .queue_size = 1, .capacity = 1000};
  for (const char* id : {"order-1", "order-2", "order-1"}) {  // the producer did not hear that order-1 had arrived
    envelope.id = id;
    (void)bus.publish(pulse::stream_key(pulse::feedback_stream), envelope);
  }
  for (int i = 0; i < 3; ++i) {
    (void)consumer.poll();
  }
  std::printf("every law is kept; 3 published, %d booked\n", booked);
  return booked == 2 ? 0 : 1;
}
