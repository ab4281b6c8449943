// SPDX-License-Identifier: MIT
#include "pulse/publisher.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>

#include "pulse/backend/in_memory.hpp"
#include "pulse/consumer.hpp"
#include "pulse/control/handlers.hpp"
#include "pulse/dedup/seen_set.hpp"
#include "pulse/metrics/prometheus.hpp"

namespace {
using Bus = pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>>;
using Bytes = pulse::InMemoryBackend<std::string>;

/// What a subscriber gets.
template <class B>
auto received(B& bus, const char* stream) {
  pulse::SubscribeOptions options;
  options.streams = {stream};
  return *bus.subscribe(options);
}

struct Any {
  using events = pulse::Events<pulse::FeedbackEvent, pulse::RateAdjustment>;
  std::string seen;
  template <class Event>
  void handle(const Event&, const pulse::DeliveryContext&) {
    if constexpr (std::is_same_v<Event, pulse::FeedbackEvent>) {
      seen += "feedback ";
    } else if constexpr (std::is_same_v<Event, pulse::RateAdjustment>) {
      seen += "rate ";
    } else {
      seen += "something else ";
    }
  }
};
}  // namespace

TEST_CASE("an event travels in an envelope with an id, a time, its schema and track") {
  Bus bus;
  pulse::Publisher publisher{bus, "s"};
  pulse::Headers headers;
  headers.set("reason", "queue_high");
  REQUIRE(publisher.publish(pulse::FeedbackEvent{.coordinator_id = "c"}, {.key = "c", .hash = "abc", .headers = &headers}));
  auto subscription = received(bus, "s");
  const auto batch = subscription.receive(10, std::chrono::milliseconds{0});
  REQUIRE(batch);
  REQUIRE(batch->deliveries.size() == 1);
  const auto& envelope = batch->deliveries[0].data();
  REQUIRE(envelope.id);
  CHECK(envelope.id->size() == 36);
  CHECK((pulse::EventId::from_text(*envelope.id).low >> 62) == 2);  // a UUID, kept exactly
  CHECK(envelope.ts > 1.7e9);
  CHECK(*envelope.key == "c");
  CHECK(*envelope.meta.hash == "abc");
  CHECK(envelope.meta.schema_id == "telemetry.FeedbackEvent");
  CHECK(envelope.meta.track == pulse::Track::v1);
  CHECK(*envelope.meta.headers.find("reason") == "queue_high");
  CHECK(envelope.payload.coordinator_id == "c");
}

TEST_CASE("every event gets an id of its own, and a given one is kept") {
  Bus bus;
  pulse::Publisher one{bus, "s"};
  pulse::Publisher two{bus, "s"};
  for (int i = 0; i < 500; ++i) {
    REQUIRE(one.publish(pulse::FeedbackEvent{}));
    REQUIRE(two.publish(pulse::FeedbackEvent{}));
  }
  REQUIRE(one.publish(pulse::FeedbackEvent{}, {.id = "mine"}));
  auto subscription = received(bus, "s");
  std::set<std::string> ids;
  const auto batch = subscription.receive(2000, std::chrono::milliseconds{0});
  for (const auto& delivery : batch->deliveries) {
    ids.insert(*delivery.data().id);
  }
  CHECK(ids.size() == 1001);
  CHECK(ids.count("mine") == 1);
}

TEST_CASE("a copy of a publisher makes ids of its own") {
  Bus bus;
  pulse::Publisher one{bus, "s"};
  auto two = one;
  auto moved = std::move(two);
  for (int i = 0; i < 3; ++i) {
    REQUIRE(one.publish(pulse::FeedbackEvent{}));
    REQUIRE(moved.publish(pulse::FeedbackEvent{}));
  }
  auto subscription = received(bus, "s");
  std::set<std::string> ids;
  const auto batch = subscription.receive(10, std::chrono::milliseconds{0});
  REQUIRE(batch);
  for (const auto& delivery : batch->deliveries) {
    ids.insert(*delivery.data().id);
  }
  CHECK(ids.size() == 6);
}

TEST_CASE("views are published as bytes") {
  Bytes bus;
  pulse::Publisher publisher{bus, "s"};
  const std::string name(40, 'c');
  pulse::FeedbackEventView event;
  event.coordinator_id = name;
  event.capacity = 1;
  REQUIRE(publisher.publish(event, {.key = name}));
  auto subscription = received(bus, "s");
  const auto batch = subscription.receive(1, std::chrono::milliseconds{0});
  CHECK(batch->deliveries[0].data().find("\"coordinator_id\":\"" + name) != std::string::npos);
}

TEST_CASE("a handler that takes any event is given each event of a OneOf as itself") {
  Bytes bus;
  pulse::Publisher publisher{bus, "s"};
  REQUIRE(publisher.publish(pulse::FeedbackEvent{.capacity = 1}));
  REQUIRE(publisher.publish(pulse::RateAdjustment{.provider = "p", .scale = 0.5}));
  Any any;
  pulse::ConsumerOptions options;
  options.subscribe.streams = {"s"};
  pulse::Consumer consumer{bus, pulse::SeenSet{}, pulse::NoMetrics{}, any, options};
  for (int i = 0; i < 3; ++i) {
    REQUIRE(consumer.poll());
  }
  CHECK(any.seen == "feedback rate ");
}

TEST_CASE("bytes go through the codec and come back; publishing is counted") {
  Bytes bus;
  pulse::PrometheusMetrics metrics{{.streams = {"s"}, .providers = {}, .sources = {}}};
  pulse::Publisher publisher{bus, "s", metrics};
  REQUIRE(publisher.publish(pulse::FeedbackEvent{.coordinator_id = "c", .queue_size = 5, .capacity = 10}));
  std::int64_t seen = 0;
  auto handle = pulse::handlers(pulse::on<pulse::FeedbackEvent>([&](const pulse::FeedbackEvent& event) { seen = event.queue_size; }));
  pulse::ConsumerOptions options;
  options.subscribe.streams = {"s"};
  pulse::Consumer consumer{bus, pulse::SeenSet{}, metrics, handle, options};
  for (int i = 0; i < 3; ++i) {
    REQUIRE(consumer.poll());
  }
  CHECK(seen == 5);
  const auto slot = metrics.slot<pulse::StreamLabel>("s");
  CHECK(metrics.value(pulse::family::publish, slot, pulse::Track::v1, pulse::Outcome::success) == 1);
  CHECK(metrics.value(pulse::family::consume, slot, pulse::Track::v1, pulse::Outcome::success) == 1);
}

TEST_CASE("fan-out: one consumer, several streams, a handler per event type; equal ids on two streams are two events") {
  using Both = pulse::OneOf<pulse::FeedbackEvent, pulse::RateAdjustment>;
  pulse::InMemoryBackend<pulse::Envelope<Both>> bus;
  pulse::Publisher feedback{bus, "feedback"};
  pulse::Publisher rates{bus, "rates"};
  REQUIRE(feedback.publish(pulse::FeedbackEvent{.coordinator_id = "c"}, {.id = "same"}));
  REQUIRE(rates.publish(pulse::RateAdjustment{.provider = "p", .scale = 0.5}, {.id = "same"}));
  REQUIRE(rates.publish(pulse::RateAdjustment{.provider = "p", .scale = 0.25}, {.id = "same"}));
  std::string seen;
  auto handle = pulse::handlers(pulse::on<pulse::FeedbackEvent>([&](const pulse::FeedbackEvent& event) { seen += event.coordinator_id + ";"; }),
                                pulse::on<pulse::RateAdjustment>([&](const pulse::RateAdjustment& adjustment, const pulse::DeliveryContext& delivery) {
                                  seen += adjustment.provider + " on " + std::string(delivery.stream()) + ";";
                                  return pulse::Verdict::ack();
                                }));
  pulse::ConsumerOptions options;
  options.subscribe.streams = {"feedback", "rates"};
  pulse::Consumer consumer{bus, pulse::SeenSet{}, pulse::NoMetrics{}, handle, options};
  for (int i = 0; i < 4; ++i) {
    REQUIRE(consumer.poll());
  }
  CHECK(seen == "c;p on rates;");
}
