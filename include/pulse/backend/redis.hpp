// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/backend/redis/commands.hpp"
#include "pulse/backend/redis/dead_letters.hpp"
#include "pulse/backend/redis/info.hpp"
#include "pulse/backend/redis/options.hpp"
#include "pulse/backend/redis/scripts.hpp"
#include "pulse/backend/redis/subscription.hpp"
#include "pulse/concept/backend.hpp"
#include "pulse/concept/clock.hpp"
#include "pulse/concept/redis_client.hpp"
#include "pulse/core/keys.hpp"
#include "pulse/core/redis_url.hpp"
#include "pulse/redis/socket_client.hpp"

namespace pulse::inline v0_1 {

/// Consumer groups on a Redis server, 6.2 or newer, standalone or one node of a cluster. How it meets the guarantees, and what it cannot:
/// docs/reference/redis.md
///
///     pulse::RedisBackend<> bus{*pulse::RedisUrl::parse("redis://localhost:6379/0")};
///     pulse::Consumer consumer{bus, pulse::LruWindow{65536}, pulse::NoMetrics{}, rates};
///
/// Client is the connection, see docs/reference/redis-client.md: SocketClient needs no library, HiredisClient is in ext/. Connections: one, made when
/// something is published or administrated, and two for each subscription. Nothing is connected by the constructor.
///
/// Complexity: a batch is one write and one read, whatever was settled. Thread safety: all of it. Not movable; subscriptions may outlive it.
template <class Client = SocketClient, class Clk = SystemClock>
class RedisBackend {
  static_assert(assert_redis_client<Client>());
  static_assert(assert_clock<Clk>());
  using Connection = detail::RedisConnection<Client>;
  using Commands = detail::RedisCommands<Client>;
  using Script = detail::RedisScript;

 public:
  using payload_type = std::string;
  using subscription_type = RedisSubscription<Client, Clk>;
  /// Makes a client for each connection: for a client that takes more than the URL.
  using Maker = std::function<std::unique_ptr<Client>(const RedisUrl&)>;

  static constexpr Capabilities capabilities{.typed = false, .durable = true, .shared = true, .fenced_acks = false};

  explicit RedisBackend(
      RedisUrl url, RedisOptions options = {}, Clk clock = {}, Maker make = [](const RedisUrl& where) { return std::make_unique<Client>(where); })
      : url_(std::move(url)),
        options_(std::move(options)),
        clock_(std::move(clock)),
        make_(std::move(make)),
        status_(std::make_shared<detail::RedisStatus>()),
        commands_(commands()) {}
  RedisBackend(const RedisBackend&) = delete;
  RedisBackend& operator=(const RedisBackend&) = delete;

  /// Connects, and creates the streams and the group where they are missing. Errors: config, for the options, a URL the client cannot serve, or keys
  /// that a cluster cannot read together; denied, for a user or a password that is refused, what is no stream, what is no Redis; unavailable.
  Result<subscription_type> subscribe(const SubscribeOptions& wanted) {
    if (Status checked = check(wanted); !checked) {
      return std::move(checked).error();
    }
    if (Status checked = check(options_); !checked) {
      return std::move(checked).error();
    }
    auto main = std::make_unique<Connection>(settings(), make_(url_));
    Status ready = prepare(*main, wanted);
    if (!ready) {
      if (ready.error().code != ErrorCode::config) {
        status_->down(ready.error().message);
      }
      return std::move(ready).error();
    }
    status_->works();
    return subscription_type{wanted, options_, status_, clock_, std::move(main), std::make_unique<detail::RedisSideChannel<Client>>(commands())};
  }

  /// Appends an entry and creates the stream where there is none. One round trip. Errors: unavailable, denied, protocol; where the connection was lost
  /// the entry may have been appended all the same: publish it again under the same id.
  Result<EntryId> publish(std::string_view stream, std::string payload) {
    EntryId id;
    Status added = commands_->ask("XADD", [&](auto& c) { add(c, stream, payload); }, [&](ReplyReader& reply) { return detail::read_id(reply, id); });
    return added ? Result<EntryId>{id} : Result<EntryId>{std::move(added).error()};
  }

  /// Appends several entries in one round trip, in order. Errors: as above; any of them may have been appended then.
  Result<std::vector<EntryId>> publish(std::string_view stream, std::span<const std::string> payloads) {
    std::vector<EntryId> ids;
    ids.reserve(payloads.size());
    Status added = commands_->ask_all(
        "XADD", payloads.size(), [&](auto& c, std::size_t i) { add(c, stream, payloads[i]); },
        [&](ReplyReader& reply) { return detail::read_id(reply, ids.emplace_back()); });
    return added ? Result<std::vector<EntryId>>{std::move(ids)} : Result<std::vector<EntryId>>{std::move(added).error()};
  }

  /// The last that was seen of the server; asks nothing.
  [[nodiscard]] BackendHealth health() const { return status_->health(); }
  /// What was counted since the last call: for the consumers, each of which asks and counts in its metrics what it is told.
  [[nodiscard]] BackendCounts untold() const { return status_->untold(); }
  /// Version and mode of the server.
  Result<RedisServerFacts> server() { return commands_->facts(); }
  [[nodiscard]] const RedisUrl& url() const noexcept { return url_; }

  /// Dead letters of `stream` with ids after `after`, oldest first, at most `max`; fewer where the client cannot read so many in one reply. Of one that
  /// alone is larger than that, `data` is left out: see DeadLetter::left_out.
  Result<std::vector<DeadLetter>> dead_letters(std::string_view stream, EntryId after, std::size_t max) {
    std::vector<DeadLetter> letters;
    if (max == 0 || after == EntryId::max()) {
      return letters;
    }
    const std::string dlq = dlq_key(stream);
    max = std::min(max, static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max()));  // the server takes no more for a number
    const auto read = [&](ReplyReader& reply) { return detail::read_dead_letters(reply, letters); };
    Status asked = commands_->ask("XRANGE", [&](auto& c) { c.begin("XRANGE")(dlq)(after.next())("+")("COUNT")(max); }, read);
    if (!asked && asked.error().code == ErrorCode::capacity) {
      asked = commands_->ask(
          "reading dead letters",
          [&](auto& c) {
            c.begin_script(static_cast<std::size_t>(Script::letters), 1)(dlq)(after.next())(std::min<std::size_t>(max, 1000))(std::uint64_t{c.largest_reply()});
          },
          read);
    }
    return asked ? Result<std::vector<DeadLetter>>{std::move(letters)} : Result<std::vector<DeadLetter>>{std::move(asked).error()};
  }

  /// Appends the dead letter's entry to its stream again, marked as redriven, and removes the dead letter: one step. Errors: not_found.
  Result<EntryId> redrive(std::string_view stream, EntryId id) {
    std::vector<EntryId> ids;
    if (Status done = redrive_some(stream, id, id, 1, ids); !done) {
      return std::move(done).error();
    }
    return ids.empty() ? Result<EntryId>{missing(stream, id)} : Result<EntryId>{ids.front()};
  }

  /// The id of the newest dead letter of `stream`; 0-0 where there is none.
  Result<EntryId> newest_dead_letter(std::string_view stream) {
    const std::string dlq = dlq_key(stream);  // a command refers to its words until its end
    EntryId id;
    Status asked = commands_->ask(
        "XREVRANGE", [&](auto& c) { c.begin_script(static_cast<std::size_t>(Script::newest), 1)(dlq); },
        [&](ReplyReader& reply) { return detail::read_id(reply, id); });
    return asked ? Result<EntryId>{id} : Result<EntryId>{std::move(asked).error()};
  }

  /// Redrives the dead letters from `first` to `last`, both included, oldest first, at most `max`, of those that are there when it begins: a poison that fails
  /// again at once does not keep it busy. Returns how many: fewer than `max` means that none of them is left. A hundred are one step; an error leaves what
  /// was done done.
  Result<std::size_t> redrive(std::string_view stream, EntryId first, EntryId last, std::size_t max) {
    const Result<EntryId> newest = newest_dead_letter(stream);
    if (!newest) {
      return newest.error();
    }
    std::size_t count = 0;
    for (std::vector<EntryId> ids; count < max; ids.clear()) {
      const std::size_t page = std::min<std::size_t>(max - count, 100);
      if (Status done = redrive_some(stream, first, std::min(last, *newest), page, ids); !done) {
        return std::move(done).error();
      }
      count += ids.size();
      if (ids.size() < page) {
        break;
      }
    }
    return count;
  }
  /// All that are there now.
  Result<std::size_t> redrive_all(std::string_view stream) { return redrive(stream, EntryId::min(), EntryId::max(), ~std::size_t{0}); }

  /// Removes the dead letter for good. Errors: not_found.
  Status purge(std::string_view stream, EntryId id) { return remove(stream, dlq_key(stream), id); }

  /// Forgets a consumer of a group, so that names of processes that are gone do not gather. Refused while it has entries pending: Redis would drop
  /// them from the list with the name, and nobody would ever get them. Claim them first.
  /// Errors: no_group; not_found, for the consumer; capacity, with the number that is pending.
  Status remove_consumer(std::string_view stream, std::string_view group, std::string_view consumer) {
    std::int64_t pending = 0;
    if (Status asked = commands_->ask(
            "XGROUP DELCONSUMER", [&](auto& c) { c.begin_script(static_cast<std::size_t>(Script::remove_consumer), 1)(stream)(group)(consumer); },
            [&](ReplyReader& reply) { return reply.integer(pending); });
        !asked) {
      return asked;
    }
    if (pending < 0) {
      return Error{ErrorCode::not_found, "the group \"" + std::string(group) + "\" has no consumer \"" + std::string(consumer) + "\""};
    }
    if (pending > 0) {
      return Error{ErrorCode::capacity, "the consumer \"" + std::string(consumer) + "\" has " + std::to_string(pending) + " entries pending: claim them first"};
    }
    return {};
  }

  /// The names of a group's consumers, sorted. Errors: no_group.
  Result<std::vector<std::string>> consumers(std::string_view stream, std::string_view group) {
    std::vector<std::string> names;
    Status asked = commands_->ask(
        "XINFO CONSUMERS", [&](auto& c) { c.begin("XINFO")("CONSUMERS")(stream)(group); },
        [&](ReplyReader& reply) { return detail::read_names(reply, names); });
    std::sort(names.begin(), names.end());
    return asked ? Result<std::vector<std::string>>{std::move(names)} : Result<std::vector<std::string>>{std::move(asked).error()};
  }

  /// Deletes an entry, as XDEL. What is pending of it will be reported as vanished. Errors: not_found.
  Status erase(std::string_view stream, EntryId id) { return remove(stream, std::string(stream), id); }

  /// Keeps the newest `most` entries of a stream, as XTRIM MAXLEN.
  Status trim(std::string_view stream, std::uint64_t most) {
    return commands_->ask(
        "XTRIM", [&](auto& c) { c.begin("XTRIM")(stream)("MAXLEN")(std::min(most, std::uint64_t{std::numeric_limits<std::int64_t>::max()})); },
        [](ReplyReader& reply) {
          std::int64_t removed = 0;
          return reply.integer(removed);
        });
  }

  /// Whether anything is stored under the key, were it an empty stream. Errors: denied, for a user without TYPE.
  Result<bool> exists(std::string_view key) {
    bool there = false;
    Status asked = commands_->ask(
        "TYPE", [&](auto& c) { c.begin("TYPE")(key); },
        [&](ReplyReader& reply) {
          std::string_view type;
          const bool read = reply.text(type);
          there = type != "none";
          return read;
        });
    return asked ? Result<bool>{there} : Result<bool>{std::move(asked).error()};
  }

  /// Entries in a stream.
  Result<std::uint64_t> length(std::string_view stream) {
    std::int64_t entries = 0;
    Status asked = commands_->ask("XLEN", [&](auto& c) { c.begin("XLEN")(stream); }, [&](ReplyReader& reply) { return reply.integer(entries); });
    return asked ? Result<std::uint64_t>{static_cast<std::uint64_t>(entries)} : Result<std::uint64_t>{std::move(asked).error()};
  }

 private:
  typename Connection::Settings settings() const { return {url_, options_.client_name, detail::redis_scripts, options_.connect_timeout}; }
  std::unique_ptr<Commands> commands() const { return std::make_unique<Commands>(settings(), make_(url_), status_, options_.command_timeout); }

  /// The groups are there, and nothing that would fail only later: a DLQ of another type, streams that a cluster keeps apart.
  Status prepare(Connection& connection, const SubscribeOptions& wanted) {
    const auto soon = [&] { return Connection::now() + options_.command_timeout; };
    if (Result<bool> up = connection.ensure(SteadyTime::max()); !up) {
      return std::move(up).error();
    }
    if (connection.facts().mode == "cluster") {
      if (Status together = detail::share_a_slot(wanted.streams); !together) {
        return together;
      }
    }
    for (std::size_t i = 0; i < wanted.streams.size(); ++i) {
      const std::string& key = wanted.streams[i];
      std::string_view text;
      StartAt start = wanted.start;
      if (!wanted.resume_after.empty()) {
        connection.begin("XINFO")("STREAM")(key);
        connection.end();
        Result<ReplyReader> told = connection.ask(soon());
        if (!told) {
          return std::move(told).error();
        }
        StreamMark ever;  // none where there is no stream; what is no stream is said below
        if (!told->error(text) && !detail::read_stream(*told, ever)) {
          return connection.misshapen("XINFO STREAM");
        }
        const bool same = wanted.resume_after[i] <= ever.last && (wanted.resume_marks.empty() || may_be_same(wanted.resume_marks[i], ever));
        start = {same ? wanted.resume_after[i] : EntryId{}};
      }
      RedisCommand& command = connection.begin("XGROUP")("CREATE")(key)(wanted.group);
      start.newest ? command("$") : command(start.after);
      command("MKSTREAM");
      connection.end();
      Result<ReplyReader> made = connection.ask(soon());
      if (!made) {
        return std::move(made).error();
      }
      if (made->error(text) && detail::first_word(text) != "BUSYGROUP") {
        return connection.refused("the group \"" + wanted.group + "\" of \"" + key + "\"", text);
      }
      const std::string dlq = dlq_key(key);
      connection.begin("TYPE")(dlq);
      connection.end();
      Result<ReplyReader> type = connection.ask(soon());
      if (!type) {
        return std::move(type).error();
      }
      if (type->text(text) && text != "stream" && text != "none") {
        return Error{ErrorCode::denied, "\"" + dlq + "\" at " + url_.address() + " is a " + std::string(text) +
                                            ": dead letters need a stream there; move it, or name the stream otherwise"};
      }
    }
    return {};
  }

  template <class C>
  void add(C& connection, std::string_view stream, std::string_view payload) const {
    RedisCommand& command = connection.begin("XADD")(stream);
    if (options_.max_length > 0) {
      command("MAXLEN")("~")(options_.max_length);
    }
    command("*")("data")(payload);
  }

  Status redrive_some(std::string_view stream, EntryId first, EntryId last, std::size_t max, std::vector<EntryId>& ids) {
    const std::string dlq = dlq_key(stream);
    return commands_->ask(
        "redriving", [&](auto& c) { c.begin_script(static_cast<std::size_t>(Script::redrive), 2)(dlq)(stream)(first)(last)(max); },
        [&](ReplyReader& reply) { return detail::read_ids(reply, ids); });
  }

  Status remove(std::string_view stream, std::string_view key, EntryId id) {
    std::int64_t removed = 0;
    Status asked = commands_->ask("XDEL", [&](auto& c) { c.begin("XDEL")(key)(id); }, [&](ReplyReader& reply) { return reply.integer(removed); });
    return !asked || removed > 0 ? std::move(asked) : Status{missing(stream, id)};
  }
  static Error missing(std::string_view stream, EntryId id) {
    return Error{ErrorCode::not_found, "there is no " + to_string(id) + " in \"" + std::string(stream) + "\" or its dead letters"};
  }

  using RedisCommand = detail::RedisCommand;

  const RedisUrl url_;
  const RedisOptions options_;
  [[no_unique_address]] const Clk clock_;
  const Maker make_;
  std::shared_ptr<detail::RedisStatus> status_;
  std::unique_ptr<Commands> commands_;
};

}  // namespace pulse::inline v0_1
