// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "pulse/concept/metrics.hpp"

/// The laws of Metrics, for a sink of one's own. Needs no test framework: the result names the laws that do not hold.
namespace pulse::inline v0_1::conformance {

/// `known`: a stream's name the sink was constructed with. `read(family, labels...)`: what the sink has recorded, as a double (a
/// histogram's number of observations); for a sink that cannot tell, return NaN and the laws that need it are left out.
/// Requires: a sink in which nothing was recorded.
template <Metrics M, class Read>
[[nodiscard]] std::vector<std::string> metrics_laws(M& metrics, std::string_view known, Read&& read) {
  std::vector<std::string> broken;
  const auto law = [&](bool holds, const char* text) {
    if (!holds) {
      broken.emplace_back(text);
    }
  };
  const auto is = [](double found, double expected) { return std::isnan(found) || found == expected; };

  const LabelSlot<StreamLabel> stream = metrics.template slot<StreamLabel>(known);
  const LabelSlot<StreamLabel> other = metrics.template slot<StreamLabel>("a name that was not given at construction");
  const LabelSlot<ProviderLabel> provider = metrics.template slot<ProviderLabel>("a name that was not given at construction");
  law(metrics.template slot<StreamLabel>(known).index == stream.index, "the slot of a name is always the same");
  law(other.index == 0 && provider.index == 0, "the slot of an unknown name is 0");
  law(!M::enabled || stream.index != other.index || std::isnan(read(family::claimed, stream)), "a known name has a slot of its own");

  metrics.add(family::consume, 2, stream, Track::v1, Outcome::success);
  metrics.add(family::consume, 3, stream, Track::v1, Outcome::success);
  metrics.add(family::consume, 1, stream, Track::v2, Outcome::success);
  metrics.add(family::consume, 1, stream, Track::v1, Outcome::retry);
  metrics.add(family::reconnects, 4);
  law(is(read(family::consume, stream, Track::v1, Outcome::success), 5), "counters add up");
  law(is(read(family::consume, stream, Track::v2, Outcome::success), 1) && is(read(family::consume, stream, Track::v1, Outcome::retry), 1) &&
          is(read(family::consume, other, Track::v1, Outcome::success), 0) && is(read(family::publish, stream, Track::v1, Outcome::success), 0),
      "a series is touched by its own labels only");
  law(is(read(family::reconnects), 4), "a family without labels counts");

  metrics.set(family::lag_ms, 7.5, stream);
  metrics.set(family::lag_ms, -2.5, stream);
  law(is(read(family::lag_ms, stream), -2.5), "a gauge holds the last value, a negative one too");

  metrics.observe(family::handler_time, std::chrono::nanoseconds{0}, stream);
  metrics.observe(family::handler_time, std::chrono::nanoseconds{-1}, stream);
  metrics.observe(family::handler_time, std::chrono::hours{24}, stream);
  law(is(read(family::handler_time, stream), 3), "a histogram counts every duration, 0, negative and huge ones too");
  law(is(read(family::handler_time, other), 0), "a histogram's series are separate");
  return broken;
}

}  // namespace pulse::inline v0_1::conformance
