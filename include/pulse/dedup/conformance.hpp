// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "pulse/concept/dedup.hpp"
#include "pulse/dedup/conformance/batches.hpp"
#include "pulse/dedup/conformance/laws.hpp"
#include "pulse/dedup/conformance/model.hpp"
#include "pulse/dedup/conformance/threads.hpp"

/// The laws of Dedup, executable and bound to no test framework. In a test of one's own strategy:
///
///     CHECK(pulse::conformance::dedup([] { return MyWindow{1000}; }, {.window = 1000}) == "");
///
/// One that outlives its process is also held to pulse/dedup/conformance/recovery.hpp.
namespace pulse::inline v0_1::conformance {

/// Returns "" or the first law that was broken, with the seed that shows it again. `make()` gives a new strategy that knows nothing; one
/// that is not exact gets the same seed each time, so that its batches can be compared with one by one.
///
/// Batches are tried where the strategy has them, flushes where it is remote, threads where it says `concurrent`.
template <class Make>
[[nodiscard]] std::string dedup(Make make, const DedupLaws& laws) {
  using D = decltype(make());
  static_assert(Dedup<D>, "pulse: make() gives no Dedup: pulse::assert_dedup<...>() tells what is missing. See docs/reference/dedup.md");
  std::string law;
  const auto check = [&](const std::string& found) {
    law = found.empty() ? "" : detail::broken(laws, found);
    return law.empty();
  };
  if (laws.window > 0 && !(check(detail::three_states(make, laws)) && check(detail::memory(make, laws)))) {
    return law;
  }
  auto modelled = make();
  if (!check(detail::Model<D>{modelled, laws}.run())) {
    return law;
  }
  if constexpr (BatchedDedup<D>) {
    if (!check(detail::batches(make, laws))) {
      return law;
    }
  }
  if constexpr (RemoteDedup<D>) {
    if (laws.window > 1 && !check(detail::remote(make, laws))) {
      return law;
    }
  }
  if constexpr (ConcurrentDedup<D>) {
    if (laws.window > 0 && !check(detail::threads(make, laws))) {
      return law;
    }
  }
  return law;
}

}  // namespace pulse::inline v0_1::conformance
