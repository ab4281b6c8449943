// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <type_traits>

#include "pulse/core/context.hpp"
#include "pulse/core/envelope.hpp"
#include "pulse/core/feedback.hpp"
#include "pulse/core/outcome.hpp"

namespace pulse::inline v0_1 {

/// Does what a RateAdjustment says. The consumer maps each FeedbackEvent to one by the feedback policy. May throw: the event is retried.
template <class C>
concept RateController = requires(C& controller, const RateAdjustment& adjustment) { controller.apply(adjustment); };

namespace requirement {
template <class R>
concept HandlerReturn = std::is_void_v<R> || std::same_as<std::remove_cvref_t<R>, Verdict>;

/// `handle(event, context)` for one event type, returning void or a Verdict.
template <class C, class Event>
concept HandlesEvent = requires(C& controller, const Event& event, const BasicDeliveryContext<text_type_t<Event>>& context) {
  { controller.handle(event, context) } -> HandlerReturn;
};

template <class C>
concept NamesEvents = requires { typename C::events; };

template <class C, class E>
inline constexpr bool handles_all = false;
template <class C, class... E>
inline constexpr bool handles_all<C, Events<E...>> = (HandlesEvent<C, E> && ...);
}  // namespace requirement

/// Handles one or more types of event itself. `pulse::handlers(pulse::on<Event>(callable), ...)` makes one of callables.
template <class C>
concept EventHandler = requirement::NamesEvents<C> && requirement::handles_all<C, typename C::events>;

/// What is done with an event: the fourth policy. Contract page: docs/reference/controller.md
///
/// Either a RateController:
///
/// | expression | meaning |
/// |---|---|
/// | `c.apply(adjustment)` | the provider named in the RateAdjustment keeps its scale from now on |
///
/// or an EventHandler:
///
/// | expression | returns | meaning |
/// |---|---|---|
/// | `C::events` | Events<E...> | the event types it handles, described ones |
/// | `c.handle(event, context)` | void or Verdict | for each of them; void means ack, an exception means retry with backoff |
///
/// Called from the consumer's thread only, one event at a time, and again for the same event after a failure.
template <class C>
concept Controller = RateController<C> || EventHandler<C>;

/// Asserts the requirements of Controller, with one message.
template <class C>
constexpr bool assert_controller() {
  static_assert(RateController<C> || requirement::NamesEvents<C>,
                "pulse: the Controller has neither `apply(const pulse::RateAdjustment&)` nor `using events = pulse::Events<...>` with handle(event, "
                "context): add one of the two, or use pulse::handlers(pulse::on<Event>(f)). See docs/reference/controller.md");
  if constexpr (!RateController<C> && requirement::NamesEvents<C>) {
    static_assert(Controller<C> || !requirement::handles_all<C, typename C::events>,
                  "pulse: the Controller misses a requirement of pulse::Controller that has no message of its own: assert that concept to see which. See "
                  "docs/reference/controller.md");
    static_assert(requirement::handles_all<C, typename C::events>,
                  "pulse: the Controller names an event in `events` for which it has no `handle(const Event&, const pulse::DeliveryContext&)` that "
                  "returns void or pulse::Verdict: add it. See docs/reference/controller.md");
  }
  return Controller<C>;
}

}  // namespace pulse::inline v0_1
