// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>

#include "pulse/core/clock.hpp"
#include "pulse/core/error.hpp"
#include "pulse/core/redis_reply.hpp"
#include "pulse/core/redis_url.hpp"

namespace pulse::inline v0_1 {

namespace requirement {
template <class C>
concept RedisClientMade = std::constructible_from<C, const RedisUrl&>;
template <class C>
concept RedisClientConnect = requires(C& client, SteadyTime deadline) {
  { client.connect(deadline) } -> std::same_as<Status>;
};
template <class C>
concept RedisClientAppend = requires(C& client, std::span<const std::string_view> words) { client.append(words); };
template <class C>
concept RedisClientFlush = requires(C& client, SteadyTime deadline) {
  { client.flush(deadline) } -> std::same_as<Status>;
};
template <class C>
concept RedisClientRead = requires(C& client, RedisReplies& replies, SteadyTime deadline) {
  { client.read(replies, deadline) } -> std::same_as<Result<bool>>;
};
template <class C>
concept RedisClientRelease = requires(C& client) { client.release(); };
template <class C>
concept RedisClientInterrupt = requires(C& client) { client.interrupt(); };
template <class C>
concept RedisClientClose = requires(C& client) { client.close(); };
}  // namespace requirement

/// One connection to a Redis server: commands go out in a pipeline, replies come back in their order. It knows nothing of streams,
/// logs in nobody and repeats nothing: all that is RedisBackend's. Contract page: docs/reference/redis-client.md
///
/// | expression | returns | meaning |
/// |---|---|---|
/// | `C client{url}` | | no connection yet; the URL's user, password and database are not its business |
/// | `client.connect(deadline)` | Status | makes the connection, in place of one that is there |
/// | `client.append(words)` | | queues a command; the words are copied or written before it returns |
/// | `client.flush(deadline)` | Status | writes what is queued |
/// | `client.read(replies, deadline)` | Result<bool> | true: the next reply was appended; false: interrupted, nothing was appended |
/// | `client.release()` | | the texts of the replies read so far are not needed any more; until then they stay where they are |
/// | `client.interrupt()` | | ends a waiting read, or the next that would wait. From any thread; nothing else is |
/// | `client.close()` | | no connection any more; what is queued is forgotten. Texts that were read stay until `release` |
///
/// `replies` is one and the same object from one release to the next. Deadlines are of the steady clock of the machine. A connection that failed, a deadline
/// that passed or a reply that is none leaves the client closed: a late reply must never be taken for another's. Errors: config for a URL it cannot serve
/// (TLS), unavailable for what may pass, protocol for what is no reply, capacity for a reply beyond its bound. Nothing throws. A client need not be movable.
///
/// The laws are executable: pulse/redis/client_conformance.hpp.
template <class C>
concept RedisClient =
    requirement::RedisClientMade<C> && requirement::RedisClientConnect<C> && requirement::RedisClientAppend<C> && requirement::RedisClientFlush<C> &&
    requirement::RedisClientRead<C> && requirement::RedisClientRelease<C> && requirement::RedisClientInterrupt<C> && requirement::RedisClientClose<C>;

/// A client whose socket a host can wait for: `client.descriptor()` is its number, -1 where there is no connection. A reply of which nothing was read
/// yet makes it readable; what was read ahead does not.
template <class C>
concept PollableRedisClient = RedisClient<C> && requires(const C& client) {
  { client.descriptor() } -> std::same_as<int>;
};

/// A client that says what it can read: `client.largest_reply()` is the most bytes of one reply, where nothing that was read waits for its release. An
/// entry that no such reply can hold is dead-lettered on the server; over a client that does not say, it would be asked for again and again.
template <class C>
concept BoundedRedisClient = RedisClient<C> && requires(const C& client) {
  { client.largest_reply() } -> std::same_as<std::size_t>;
};

/// Asserts each requirement of RedisClient on its own, with its message.
template <class C>
constexpr bool assert_redis_client() {
  static_assert(requirement::RedisClientMade<C>,
                "pulse: the RedisClient cannot be made from a `const pulse::RedisUrl&`: add that constructor. See docs/reference/redis-client.md");
  static_assert(requirement::RedisClientConnect<C>,
                "pulse: the RedisClient has no `pulse::Status connect(pulse::SteadyTime deadline)`: add it. See docs/reference/redis-client.md");
  static_assert(requirement::RedisClientAppend<C>,
                "pulse: the RedisClient has no `void append(std::span<const std::string_view> words)`: add it. See docs/reference/redis-client.md");
  static_assert(requirement::RedisClientFlush<C>,
                "pulse: the RedisClient has no `pulse::Status flush(pulse::SteadyTime deadline)`: add it. See docs/reference/redis-client.md");
  static_assert(requirement::RedisClientRead<C>,
                "pulse: the RedisClient has no `pulse::Result<bool> read(pulse::RedisReplies&, pulse::SteadyTime deadline)`: add it. See "
                "docs/reference/redis-client.md");
  static_assert(requirement::RedisClientRelease<C>, "pulse: the RedisClient has no `void release()`: add it. See docs/reference/redis-client.md");
  static_assert(requirement::RedisClientInterrupt<C>,
                "pulse: the RedisClient has no `void interrupt()`: add it, or stopping waits for a read to time out. See docs/reference/redis-client.md");
  static_assert(requirement::RedisClientClose<C>, "pulse: the RedisClient has no `void close()`: add it. See docs/reference/redis-client.md");
  constexpr bool named = requirement::RedisClientMade<C> && requirement::RedisClientConnect<C> && requirement::RedisClientAppend<C> &&
                         requirement::RedisClientFlush<C> && requirement::RedisClientRead<C> && requirement::RedisClientRelease<C> &&
                         requirement::RedisClientInterrupt<C> && requirement::RedisClientClose<C>;
  static_assert(RedisClient<C> || !named,
                "pulse: the RedisClient misses a requirement of pulse::RedisClient that has no message of its own: assert that concept to see which. See "
                "docs/reference/redis-client.md");
  return RedisClient<C>;
}

}  // namespace pulse::inline v0_1
