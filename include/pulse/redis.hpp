// SPDX-License-Identifier: MIT
#pragma once

#include "pulse/version.hpp"  // first: it says what compiler is needed

#include <memory>
#include <utility>

#include "pulse/backend/redis.hpp"
#include "pulse/core/config.hpp"

/// Pulse on Redis Streams. Beside pulse.hpp, because who stays in memory pays for no sockets.
namespace pulse::inline v0_1 {

/// For `backend<"redis">` of a Runtime: makes the backend that a configuration describes. Nothing is connected before the runtime subscribes.
///
///     pulse::backends(pulse::backend<"inmem">(bus), pulse::backend<"redis">(pulse::redis_backend()))
template <class Client = SocketClient, class Clk = SystemClock>
[[nodiscard]] auto redis_backend(RedisOptions options = {}, Clk clock = {}) {
  return [options = std::move(options), clock = std::move(clock)](const PulseConfig& config) -> Result<std::unique_ptr<RedisBackend<Client, Clk>>> {
    Result<RedisUrl> url = RedisUrl::parse(config.redis_url);
    if (!url) {
      return Error{url.error().code, "REDIS_URL is " + url.error().message};
    }
    return std::make_unique<RedisBackend<Client, Clk>>(std::move(*url), options, clock);
  };
}

}  // namespace pulse::inline v0_1
