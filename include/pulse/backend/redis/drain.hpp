// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <thread>
#include <utility>

#include "pulse/core/clock.hpp"
#include "pulse/core/error.hpp"

namespace pulse::inline v0_1::detail {

/// Ends a read that waits on the server, and says once what is owed to it.
template <class Exchange, class Side>
Status try_to_drain(Exchange& exchange, Side& side, std::size_t given, SteadyTime deadline) {
  if (exchange.blocked_until() != SteadyTime{} && !side.unblock(exchange.client_id(), deadline)) {
    exchange.disconnect();  // which ends the read, too
  }
  if (exchange.settling().empty() && exchange.expected() == 0) {
    return {};
  }
  if (Status up = exchange.connect(deadline, given); !up) {
    return up;
  }
  exchange.ask_settlement();
  if (Status written = exchange.write(deadline); !written) {
    return written;
  }
  Result<bool> all = exchange.take(0, false, deadline);
  return all ? Status{} : Status{std::move(all).error()};
}

/// Subscription::flush. What passes is tried again until the deadline: a connection that was lost during the last handler, a word to stop that met the
/// new one. A read that a wake left waiting on the server is ended where nothing is owed, too: what is published next would be handed to it, and nobody
/// would look. What it brings before is this consumer's, for the next receive. The first `given` deliveries are kept.
template <class Exchange, class Side>
Status drain(Exchange& exchange, Side& side, std::size_t given, SteadyTime deadline) {
  constexpr std::chrono::milliseconds pause{20};
  const auto now = [] { return SteadyTime{std::chrono::steady_clock::now()}; };
  std::optional<Error> why;
  while (!exchange.settling().empty() || exchange.blocked_until() != SteadyTime{}) {
    Status done = try_to_drain(exchange, side, given, deadline);
    if (done || exchange.settling().empty()) {
      break;  // a read that could not be ended has ended with its connection
    }
    if (!why || now() < deadline) {  // that the time was over in the middle of the last attempt says less than what failed the one before
      why = std::move(done).error();
    }
    if (why->code != ErrorCode::unavailable || now() + pause >= deadline) {
      return std::move(*why);
    }
    std::this_thread::sleep_for(pause);
  }
  return {};
}

}  // namespace pulse::inline v0_1::detail
