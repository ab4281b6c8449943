// SPDX-License-Identifier: MIT
#pragma once

#include <type_traits>

#include "pulse/consumer/loop.hpp"
#include "pulse/consumer/options.hpp"

namespace pulse::inline v0_1 {

namespace detail {

template <class B, class D, class M, class C, class T>
using consumer_base =
    typename std::conditional_t<assert_composable<B, D, M, C, T>(), std::type_identity<ConsumerOf<B, D, M, C, T>>, std::type_identity<NoConsumer>>::type;

}  // namespace detail

/// Consumes events at least once. Contract page: docs/reference/consumer.md
///
///     pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>> bus;
///     pulse::RateCoordinator rates;
///     pulse::Consumer consumer{bus, pulse::LruWindow{65536}, pulse::NoMetrics{}, rates};
///     consumer.run(stop.token());
///
/// A policy given as an lvalue is referred to and must outlive the consumer (its type parameter is then a reference); one given as an
/// rvalue is owned. Requires: `composable<Backend, Dedup, Metrics, Controller, Traits>`; what is missing is named by one error.
///
/// Thread safety: start, poll and run are one thread's; stop and health are everybody's. Not movable: it hands out its address.
template <class Backend, class Dedup, class Metrics, class Controller, class Traits = DefaultTraits>
class Consumer : public detail::consumer_base<Backend, Dedup, Metrics, Controller, Traits> {
 public:
  using detail::consumer_base<Backend, Dedup, Metrics, Controller, Traits>::consumer_base;
};

template <class B, class D, class M, class C, class... Rest>
Consumer(B&&, D&&, M&&, C&&, Rest&&...) -> Consumer<B, D, M, C>;

/// Fewer arguments than policies: one error says so.
template <class... A>
  requires(sizeof...(A) < 4)
Consumer(A&&...) -> Consumer<detail::MissingPolicy, detail::MissingPolicy, detail::MissingPolicy, detail::MissingPolicy>;

}  // namespace pulse::inline v0_1
