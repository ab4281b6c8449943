// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/backend/in_memory/stream.hpp"
#include "pulse/core/clock.hpp"

namespace pulse::inline v0_1 {

struct InMemoryOptions;

namespace detail {

/// What is rung for a subscription that is armed.
struct Bell {
  const void* owner;
  void* ready;
  void (*ring)(void*);
};

/// What a backend and its subscriptions share.
template <class Payload, class Clk, class Options = InMemoryOptions>
struct InMemoryState {
  Options options;
  Clk clock;
  std::function<std::string(const Payload&)> encode;
  std::mutex mutex;
  std::condition_variable arrived;
  int waiting = 0;            ///< subscriptions in a blocked receive
  std::vector<Bell> bells{};  ///< of armed subscriptions, whose hosts wait outside
  std::map<std::string, std::unique_ptr<Stream<Payload>>, std::less<>> streams;

  std::pair<const std::string, std::unique_ptr<Stream<Payload>>>* recent = nullptr;  ///< publishers mostly name the same stream again

  Stream<Payload>& stream(std::string_view name) {
    if (recent == nullptr || recent->first != name) {
      auto at = streams.find(name);
      if (at == streams.end()) {
        at = streams.emplace(std::string(name), std::make_unique<Stream<Payload>>()).first;
      }
      recent = &*at;  // nodes stay where they are, and no stream is ever removed
    }
    return *recent->second;
  }

  /// Requires: the lock is held. Each bell rings once: who waits looks, and is armed again.
  void ring() {
    for (const Bell& bell : bells) {
      bell.ring(bell.ready);
    }
    bells.clear();
  }

  EntryId append(Stream<Payload>& to, Payload&& payload, bool redriven) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(coarse_wall(clock).time_since_epoch()).count();
    const EntryId id = to.append(static_cast<std::uint64_t>(ms), std::move(payload), redriven);
    if (options.max_length > 0 && !redriven) {  // brought back at once, letters would push each other out; the next publish trims
      to.trim(options.max_length);
    }
    if (!bells.empty()) [[unlikely]] {
      ring();
    }
    return id;
  }
};

}  // namespace detail

}  // namespace pulse::inline v0_1
