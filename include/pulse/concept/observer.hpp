// SPDX-License-Identifier: MIT
#pragma once

#include <boost/hana/tuple.hpp>
#include <utility>

#include "pulse/core/notice.hpp"

namespace pulse::inline v0_1 {

namespace requirement {
template <class O, class Notice>
concept Takes = requires(O& observer, const Notice& notice) { observer.on(notice); };

template <class O, class... Notice>
consteval bool takes_any(const boost::hana::tuple<Notice...>&) {
  return (Takes<O, Notice> || ...);
}
}  // namespace requirement

/// Told of what an operator cares about. Contract page: docs/reference/observer.md
///
/// | expression | returns | meaning |
/// |---|---|---|
/// | `o.on(notice)` | | for each type of pulse::notice that it wants; at least one. What it does not take is not even made |
///
/// `on` is called on the thread where it happens, between two steps of the work: it must be quick. What it throws is counted, and changes nothing.
template <class O>
concept Observer = requirement::takes_any<O>(notice::all);

template <class O>
constexpr bool assert_observer() {
  static_assert(Observer<O>,
                "pulse: the Observer has no `void on(const pulse::notice::X&)` for any notice X: add one, or an `on(const auto&)` for all. See "
                "docs/reference/observer.md");
  return Observer<O>;
}

namespace detail {

/// Whether somebody who came with the metrics wants this notice.
template <class M, class Notice>
constexpr bool observing = requires { requires M::template observes<Notice>; };

/// Tells the observer that came with the metrics, where it wants this. `make` is not called, nor compiled, where nobody does.
template <class Notice, class M, class Make>
constexpr void tell(M& metrics, Make&& make) noexcept {
  if constexpr (observing<M, Notice>) {
    metrics.tell(static_cast<const Notice&>(make()));
  }
}

}  // namespace detail

}  // namespace pulse::inline v0_1
