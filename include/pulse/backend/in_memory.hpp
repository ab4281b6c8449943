// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "pulse/backend/in_memory/state.hpp"
#include "pulse/backend/in_memory/subscription.hpp"
#include "pulse/concept/backend.hpp"
#include "pulse/concept/clock.hpp"
#include "pulse/core/keys.hpp"

namespace pulse::inline v0_1 {

/// What an InMemoryBackend keeps.
struct InMemoryOptions {
  /// Frees entries once every group has acknowledged them. A group that is created later does not see them: that is what it may lose.
  bool trim_acked = false;
  /// The most entries a stream keeps; 0: no bound, as on Redis. The oldest go, delivered or not: what was not read yet is lost, and
  /// what was pending is reported as vanished. Dead letters that are brought back are kept beyond it, until the next publish.
  std::size_t max_length = 0;
  /// The most retries one subscription waits with; beyond, an entry stays pending and is claimed when it has idled.
  std::size_t max_retries = 65536;
};

/// Streams and consumer groups within the process, with the semantics of Redis Streams: for tests, for pipelines of one process, and as
/// the model of the real thing. Payload is std::string for bytes, or an Envelope that travels without serialization.
///
/// Complexity: publish, receive and acknowledge are constant per entry, whatever the stream's and the pending list's length.
/// Memory: an entry until it is trimmed; 32 bytes per pending entry and group. Thread safety: all of it; one lock.
/// Not movable: subscriptions refer to it and must not outlive it.
template <class Payload = std::string, class Clk = SystemClock>
class InMemoryBackend {
 public:
  using payload_type = Payload;
  using subscription_type = InMemorySubscription<Payload, Clk>;
  /// Makes the bytes of a dead letter of a typed payload, for operators; without it they are empty.
  using Encoder = std::function<std::string(const Payload&)>;

  static constexpr Capabilities capabilities{.typed = !std::is_same_v<Payload, std::string>, .durable = false, .shared = false, .fenced_acks = true};
  static_assert(assert_clock<Clk>());

  explicit InMemoryBackend(InMemoryOptions options = {}, Clk clock = {}, Encoder encode = {})
      : state_{options, std::move(clock), std::move(encode), {}, {}, {}, {}, {}} {}
  InMemoryBackend(const InMemoryBackend&) = delete;
  InMemoryBackend& operator=(const InMemoryBackend&) = delete;

  /// Errors: config, for no streams, one named twice, or an empty group or consumer.
  Result<subscription_type> subscribe(const SubscribeOptions& options) {
    if (Status checked = check(options); !checked) {
      return std::move(checked).error();
    }
    const std::lock_guard lock{state_.mutex};
    return subscription_type{state_, options};
  }

  /// Creates the stream where there is none. Errors: none but memory's.
  Result<EntryId> publish(std::string_view stream, Payload payload) {
    EntryId id;
    bool waiting;
    {
      const std::lock_guard lock{state_.mutex};
      id = state_.append(state_.stream(stream), std::move(payload), false);
      waiting = state_.waiting > 0;
    }
    if (waiting) {
      state_.arrived.notify_all();
    }
    return id;
  }

  [[nodiscard]] BackendHealth health() const { return {}; }

  /// Dead letters of `stream` with ids after `after`, oldest first, at most `max`.
  Result<std::vector<DeadLetter>> dead_letters(std::string_view stream, EntryId after, std::size_t max) {
    const std::lock_guard lock{state_.mutex};
    std::vector<DeadLetter> found;
    const auto& letters = state_.stream(stream).dead_letters;
    for (auto at = letters.upper_bound(after); at != letters.end() && found.size() < max; ++at) {
      found.push_back(at->second.facts);
    }
    return found;
  }

  /// Appends the dead letter's entry to its stream again, marked as redriven, and removes the dead letter. Errors: not_found.
  Result<EntryId> redrive(std::string_view stream, EntryId id) {
    EntryId again;
    {
      const std::lock_guard lock{state_.mutex};
      auto& source = state_.stream(stream);
      const auto at = source.dead_letters.find(id);
      if (at == source.dead_letters.end()) {
        return missing(stream, id);
      }
      again = state_.append(source, std::move(at->second.payload), true);
      source.dead_letters.erase(at);
    }
    state_.arrived.notify_all();
    return again;
  }

  /// The id of the newest dead letter of `stream`; 0-0 where there is none.
  Result<EntryId> newest_dead_letter(std::string_view stream) {
    const std::lock_guard lock{state_.mutex};
    const auto& letters = state_.stream(stream).dead_letters;
    return letters.empty() ? EntryId{} : letters.rbegin()->first;
  }

  /// Redrives the dead letters from `first` to `last`, both included, oldest first, at most `max`. Returns how many: fewer than `max` means
  /// that none is left in the range.
  Result<std::size_t> redrive(std::string_view stream, EntryId first, EntryId last, std::size_t max) {
    std::size_t count = 0;
    {
      const std::lock_guard lock{state_.mutex};
      auto& source = state_.stream(stream);
      auto at = source.dead_letters.lower_bound(first);
      for (; at != source.dead_letters.end() && at->first <= last && count < max; ++count) {
        (void)state_.append(source, std::move(at->second.payload), true);
        at = source.dead_letters.erase(at);
      }
    }
    state_.arrived.notify_all();
    return count;
  }
  /// All that are there now.
  Result<std::size_t> redrive_all(std::string_view stream) { return redrive(stream, EntryId::min(), EntryId::max(), ~std::size_t{0}); }

  /// Removes the dead letter for good. Errors: not_found.
  Status purge(std::string_view stream, EntryId id) {
    const std::lock_guard lock{state_.mutex};
    return state_.stream(stream).dead_letters.erase(id) > 0 ? Status{} : Status{missing(stream, id)};
  }

  /// Forgets a consumer of a group, so that names of processes that are gone do not gather. Refused while it has entries pending: with
  /// the name, Redis would drop them from the list, and nobody would ever get them. Claim them first.
  /// Errors: not_found, for the group or the consumer; capacity, with the number that is pending.
  Status remove_consumer(std::string_view stream, std::string_view group, std::string_view consumer) {
    const std::lock_guard lock{state_.mutex};
    auto& groups = state_.stream(stream).groups;
    const auto found = groups.find(group);
    if (found == groups.end()) {
      return Error{ErrorCode::not_found, "\"" + std::string(stream) + "\" has no group \"" + std::string(group) + "\""};
    }
    auto& consumers = found->second.consumers;
    const auto at = consumers.find(consumer);
    if (at == consumers.end()) {
      return Error{ErrorCode::not_found, "the group \"" + std::string(group) + "\" has no consumer \"" + std::string(consumer) + "\""};
    }
    if (const std::uint64_t pending = found->second.pending_of(at->second); pending > 0) {
      return Error{ErrorCode::capacity, "the consumer \"" + std::string(consumer) + "\" has " + std::to_string(pending) + " entries pending: claim them first"};
    }
    consumers.erase(at);
    return {};
  }

  /// The names of a group's consumers, sorted; none where there is no such group.
  [[nodiscard]] std::vector<std::string> consumers(std::string_view stream, std::string_view group) {
    const std::lock_guard lock{state_.mutex};
    std::vector<std::string> names;
    const auto& groups = state_.stream(stream).groups;
    if (const auto found = groups.find(group); found != groups.end()) {
      for (const auto& [name, number] : found->second.consumers) {
        names.push_back(name);
      }
    }
    return names;
  }

  /// Deletes an entry, as XDEL. What is pending of it will be reported as vanished. Errors: not_found.
  Status erase(std::string_view stream, EntryId id) {
    const std::lock_guard lock{state_.mutex};
    return state_.stream(stream).erase(id) ? Status{} : Status{missing(stream, id)};
  }

  /// Keeps the newest `most` entries of a stream, as XTRIM MAXLEN.
  void trim(std::string_view stream, std::uint64_t most) {
    const std::lock_guard lock{state_.mutex};
    state_.stream(stream).trim(most);
  }

  /// Entries in a stream.
  [[nodiscard]] std::uint64_t length(std::string_view stream) {
    const std::lock_guard lock{state_.mutex};
    return state_.stream(stream).length();
  }

 private:
  static Error missing(std::string_view stream, EntryId id) {
    return Error{ErrorCode::not_found, "there is no " + to_string(id) + " in \"" + std::string(stream) + "\" or its dead letters"};
  }

  detail::InMemoryState<Payload, Clk> state_;
};

}  // namespace pulse::inline v0_1
