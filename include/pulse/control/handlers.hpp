// SPDX-License-Identifier: MIT
#pragma once

#include <type_traits>
#include <utility>

#include "pulse/concept/controller.hpp"

/// Handlers made of callables, one per event type:
///
///     auto controller = pulse::handlers(
///         pulse::on<Tick>([](const Tick& tick) { store(tick); }),
///         pulse::on<Halt>([](const Halt& halt, const pulse::DeliveryContext& context) -> pulse::Verdict { ... }));
namespace pulse::inline v0_1 {

namespace detail {

template <class F, class Event>
concept CallableForEvent = requires(F& f, const Event& event) {
  { f(event) } -> requirement::HandlerReturn;
};
template <class F, class Event>
concept CallableWithContext = requires(F& f, const Event& event, const BasicDeliveryContext<text_type_t<Event>>& context) {
  { f(event, context) } -> requirement::HandlerReturn;
};

template <class... E>
inline constexpr bool all_different = true;
template <class First, class... Rest>
inline constexpr bool all_different<First, Rest...> = (!std::is_same_v<First, Rest> && ...) && all_different<Rest...>;

}  // namespace detail

/// A callable and the event it is for.
template <class Event, class F>
class On {
  static_assert(Described<Event>, "pulse: on<Event>: the event has no description: specialise pulse::Describe for it. See docs/reference/events.md");
  static_assert(detail::CallableForEvent<F, Event> || detail::CallableWithContext<F, Event>,
                "pulse: on<Event>(f): f takes neither (const Event&) nor (const Event&, const pulse::DeliveryContext&), or returns something else than "
                "void or pulse::Verdict. See docs/reference/controller.md");

 public:
  using event_type = Event;

  explicit On(F f) : f_(std::move(f)) {}

  auto handle(const Event& event, const BasicDeliveryContext<text_type_t<Event>>& context) {
    if constexpr (detail::CallableWithContext<F, Event>) {
      return f_(event, context);
    } else if constexpr (detail::CallableForEvent<F, Event>) {
      (void)context;
      return f_(event);
    }
  }

 private:
  [[no_unique_address]] F f_;
};

/// Handles `Event` by `f`, which takes the event, or the event and the delivery's context, and returns void or a Verdict.
template <class Event, class F>
[[nodiscard]] On<Event, std::decay_t<F>> on(F&& f) {
  return On<Event, std::decay_t<F>>{std::forward<F>(f)};
}

/// An EventHandler of callables. Which one is called is chosen at compile time, by the event's type.
template <class... O>
class Handlers : private O... {
 public:
  using events = Events<typename O::event_type...>;

  explicit Handlers(O... handlers) : O(std::move(handlers))... {}

  using O::handle...;
};

/// Requires: at least one, each for another type of event.
template <class... Event, class... F>
[[nodiscard]] auto handlers(On<Event, F>... on) {
  static_assert(sizeof...(Event) > 0, "pulse: handlers() needs at least one pulse::on<Event>(f). See docs/reference/controller.md");
  static_assert(detail::all_different<Event...>,
                "pulse: handlers() was given two handlers for the same event type: merge them into one. See docs/reference/controller.md");
  if constexpr (sizeof...(Event) > 0 && detail::all_different<Event...>) {
    return Handlers<On<Event, F>...>{std::move(on)...};
  }
}

}  // namespace pulse::inline v0_1
