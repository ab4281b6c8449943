// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <string>
#include <type_traits>

#include "pulse/control/handlers.hpp"

using pulse::FeedbackEvent;
using pulse::RateAdjustment;
using pulse::Verdict;

namespace {

pulse::DeliveryContext context_of(const pulse::EnvelopeHeader& header, std::uint64_t deliveries) {
  return pulse::DeliveryContext{{.envelope = &header, .stream = "stream", .delivery_count = deliveries}};
}

}  // namespace

TEST_CASE("handlers: the event's type picks the callable; the context is there for who wants it") {
  std::string calls;
  auto controller = pulse::handlers(pulse::on<FeedbackEvent>([&](const FeedbackEvent& event) { calls += event.coordinator_id; }),
                                    pulse::on<RateAdjustment>([&](const RateAdjustment& event, const pulse::DeliveryContext& context) {
                                      calls += event.provider + std::to_string(context.delivery_count());
                                      return context.delivery_count() > 2 ? Verdict::dead_letter("enough") : Verdict::retry();
                                    }));
  using Controller = decltype(controller);
  static_assert(pulse::EventHandler<Controller> && !pulse::RateController<Controller>);
  static_assert(std::is_same_v<Controller::events, pulse::Events<FeedbackEvent, RateAdjustment>>);
  const pulse::EnvelopeHeader header;
  FeedbackEvent feedback;
  feedback.coordinator_id = "a";
  RateAdjustment rate;
  rate.provider = "p";
  static_assert(std::is_void_v<decltype(controller.handle(feedback, context_of(header, 1)))>);
  controller.handle(feedback, context_of(header, 1));
  CHECK(controller.handle(rate, context_of(header, 2)).kind() == Verdict::Kind::retry);
  CHECK(controller.handle(rate, context_of(header, 3)).reason() == "enough");
  CHECK(calls == "ap2p3");
}

TEST_CASE("handlers: one event, a mutable callable, generic callables, views") {
  auto one = pulse::handlers(pulse::on<FeedbackEvent>([n = 0](const FeedbackEvent&) mutable { return ++n > 1 ? Verdict::stale() : Verdict::ack(); }));
  static_assert(pulse::EventHandler<decltype(one)>);
  const pulse::EnvelopeHeader header;
  CHECK(one.handle({}, context_of(header, 1)).kind() == Verdict::Kind::ack);
  CHECK(one.handle({}, context_of(header, 1)).kind() == Verdict::Kind::stale);
  auto generic = pulse::handlers(pulse::on<pulse::FeedbackEventView>([](const auto&, const auto&) {}), pulse::on<RateAdjustment>([](const auto&) {}));
  static_assert(pulse::EventHandler<decltype(generic)>);
}
