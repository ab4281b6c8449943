// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "pulse/concept/dedup.hpp"
#include "pulse/core/clock.hpp"
#include "pulse/core/redis_url.hpp"
#include "pulse/redis/connection.hpp"
#include "pulse/redis/socket_client.hpp"

namespace pulse::inline v0_1 {

/// Whose window it is, how long it remembers, and how long it lends.
struct RedisDedupOptions {
  std::string prefix = "mdp:dedup:pipeline";  ///< of the keys: one for each group. In a cluster it holds a {hash tag}
  /// Who claims: what it had leased before it was started anew is its own to claim again at once, so no two members may have the same. Empty: a Consumer
  /// gives it its `subscribe.consumer`; where there is none, it must be said.
  std::string owner;
  std::chrono::milliseconds window{std::chrono::hours{24}};  ///< how long an id stays done
  /// How long a lease lasts that nobody ends or keeps: longer than heartbeat and handler_deadline of the consumer together (without a heartbeat: than
  /// batch x handler_deadline), which its start checks; and shorter than the claim_idle of the consumers, so that what a crashed member had leased is
  /// free by the time another one takes its entries over.
  std::chrono::milliseconds lease{20'000};
  std::chrono::milliseconds connect_timeout{2000};
  std::chrono::milliseconds command_timeout{2000};
  std::string client_name = "pulse-dedup";
};

namespace detail {

enum class DedupScript : std::size_t { claim, tell };

inline constexpr std::array<std::string_view, 2> dedup_scripts{
    // claim: KEYS ids; ARGV owner, number of this call, lease. For each key 0: leased now; 1: another's, or of this call; 2: done; 3: of an earlier call of
    // this
    // owner, renewed.
    R"(local out = {}
local mine = 'l' .. ARGV[1] .. ':'
for i, key in ipairs(KEYS) do
  local v = redis.call('GET', key)
  if not v then
    redis.call('SET', key, mine .. ARGV[2], 'PX', ARGV[3])
    out[i] = 0
  elseif v == 'd' then out[i] = 2
  elseif v ~= mine .. ARGV[2] and string.sub(v, 1, #mine) == mine then
    redis.call('PEXPIRE', key, ARGV[3])
    out[i] = 3
  else out[i] = 1 end
end
return out)",
    // tell: KEYS ids; ARGV owner, lease, window, then for each key d: done, r: released, k: keep the lease. The last two only for what is the owner's.
    R"(local mine = 'l' .. ARGV[1] .. ':'
for i, key in ipairs(KEYS) do
  local what = ARGV[i + 3]
  if what == 'd' then redis.call('SET', key, 'd', 'PX', ARGV[3])
  else
    local v = redis.call('GET', key)
    if v and string.sub(v, 1, #mine) == mine then
      if what == 'r' then redis.call('DEL', key) else redis.call('PEXPIRE', key, ARGV[2]) end
    end
  end
end
return #KEYS)"};

}  // namespace detail

/// A window that all members of a group share, on a Redis server: ids are leased, then done, and expire. A batch costs one round trip to claim and
/// one before its acks. Contract page: docs/reference/dedup/redis-dedup.md
///
/// Exact, as far as the server is: a failover may lose marks that it had confirmed, and then a duplicate is handled again (WAIT narrows that, and
/// does not close it). Where it cannot be reached nothing is handled: the batch waits. Memory: about 180 bytes of the server's an id; here what one
/// batch leases. One thread.
template <class Client = SocketClient>
class RedisDedup {
 public:
  static constexpr bool exact = true;
  static constexpr bool shared = true;
  static constexpr bool durable = true;

  /// Errors, of the first claim: config, for no owner, one with ':' or a time outside its bounds (1 ms to 3650 days; to a day, of the timeouts).
  explicit RedisDedup(const RedisUrl& url, RedisDedupOptions options = {}) : RedisDedup(url, std::move(options), std::make_unique<Client>(url)) {}
  RedisDedup(const RedisUrl& url, RedisDedupOptions options, std::unique_ptr<Client> client)
      : options_(std::move(options)),
        owner_(options_.owner),
        connection_({url, options_.client_name, detail::dedup_scripts, options_.connect_timeout}, std::move(client)) {}

  /// Who claims from now on, where the options do not say it. The consumer's name, at its start.
  void owner(std::string_view consumer) {
    if (options_.owner.empty()) {
      owner_ = consumer;
    }
  }

  /// One by one: a round trip each.
  Claim claim(EventId id) {
    Claim found = Claim::unavailable;
    (void)claim(std::span{&id, 1}, std::span{&found, 1});
    return found;
  }

  /// One round trip. An id that stands there twice is leased the second time. Errors: unavailable, denied, protocol; then nothing of the batch is known to
  /// be leased, and it may be claimed again.
  Status claim(std::span<const EventId> ids, std::span<Claim> claims) {
    if (Status checked = check(); !checked || ids.empty()) {
      return checked;
    }
    if (!told_.empty() || Connection::now() - renewed_ >= options_.lease / 3) {
      if (Status told = flush(options_.command_timeout); !told) {  // what was released here must not be found leased
        return told;
      }
    }
    const bool first = leases_.empty();
    ++call_;
    for (std::size_t from = 0; from < ids.size(); from += most) {
      const std::size_t size = std::min(most, ids.size() - from);
      if (Status claimed = claim_some(ids.subspan(from, size), claims.subspan(from, size)); !claimed) {
        for (std::size_t i = 0; i < from; ++i) {  // to be claimed again: then they are an earlier call's
          if (claims[i] == Claim::fresh) {
            leases_.erase(ids[i]);
          }
        }
        return claimed;
      }
    }
    if (first) {  // else it counts from the oldest lease
      renewed_ = Connection::now();
    }
    return {};
  }

  void commit(EventId id) { end(id, 'd'); }
  void release(EventId id) { end(id, 'r'); }

  /// Sends what was committed and released, and keeps the leases that last, in one round trip. So does a claim, where there is something to tell or a
  /// third of the leases' time is over.
  /// Errors: as above; then all of it is sent again by the next.
  Status flush(std::chrono::milliseconds wait) {
    if (told_.empty() && leases_.empty()) {
      return {};
    }
    const SteadyTime now = Connection::now();
    const std::size_t decided = told_.size();
    for (const EventId id : leases_) {
      told_.push_back({id, 'k'});
    }
    Status sent = send(std::min(wait, options_.command_timeout));
    told_.erase(sent ? told_.begin() : told_.begin() + static_cast<std::ptrdiff_t>(decided), told_.end());
    if (sent) {
      renewed_ = now;
    }
    return sent;
  }

  /// How long a lease lasts after its claim, and after each flush.
  [[nodiscard]] std::chrono::milliseconds lease() const noexcept { return options_.lease; }
  /// Ids that are leased here or wait for `flush`; how many the server remembers, it does not tell.
  [[nodiscard]] std::size_t size() const noexcept { return leases_.size() + told_.size(); }

 private:
  using Connection = detail::RedisConnection<Client>;
  static constexpr std::size_t most = 1000;  ///< ids in one script: it holds up everybody

  struct Told {
    EventId id;
    char what;
  };
  struct Hash {
    std::size_t operator()(EventId id) const noexcept { return id.high ^ (id.low * 0x9e3779b97f4a7c15U); }
  };

  Status check() const {
    if (owner_.empty() || owner_.find(':') != std::string::npos) {
      return Error{ErrorCode::config,
                   "RedisDedupOptions.owner, or the name of the consumer in its place, is \"" + owner_ + "\": it must not be empty nor hold a ':'"};
    }
    constexpr std::chrono::milliseconds day = std::chrono::hours{24};
    const struct {
      const char* name;
      std::chrono::milliseconds value;
      std::chrono::milliseconds most;  // what the server does not take as an expiry it would refuse of the mark: after the handler, for ever
      const char* said;
    } times[] = {{"lease", options_.lease, 3650 * day, "3650 days"},
                 {"window", options_.window, 3650 * day, "3650 days"},
                 {"connect_timeout", options_.connect_timeout, day, "a day"},
                 {"command_timeout", options_.command_timeout, day, "a day"}};
    for (const auto& time : times) {
      if (time.value.count() < 1 || time.value > time.most) {
        return Error{ErrorCode::config,
                     "RedisDedupOptions." + std::string(time.name) + " is " + std::to_string(time.value.count()) + " ms: allowed are 1 ms to " + time.said};
      }
    }
    return {};
  }

  Status claim_some(std::span<const EventId> ids, std::span<Claim> claims) {
    if (Status up = connect(); !up) {
      return up;
    }
    begin(detail::DedupScript::claim, ids)(owner_)(call_)(options_.lease);
    Result<ReplyReader> reply = ask("claiming ids", Connection::now() + options_.command_timeout);
    if (!reply) {
      return std::move(reply).error();
    }
    std::uint32_t count = 0;
    if (!reply->array(count) || count != ids.size()) {
      return connection_.misshapen("claiming ids");
    }
    std::vector<std::int64_t> states(ids.size());
    for (std::int64_t& state : states) {
      if (!reply->integer(state) || state < 0 || state > 3) {
        return connection_.misshapen("claiming ids");
      }
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {
      // A lease of an earlier call that is not held here is one whose reply was lost, or from before a restart: ours to use.
      const bool fresh = states[i] == 0 || (states[i] == 3 && !leases_.contains(ids[i]));
      claims[i] = fresh ? Claim::fresh : states[i] == 2 ? Claim::done : Claim::leased;
      if (fresh) {
        leases_.insert(ids[i]);
      }
    }
    return {};
  }

  void end(EventId id, char what) {
    if (leases_.erase(id) > 0) {
      told_.push_back({id, what});
    }
  }

  template <class Ids>
  detail::RedisCommand& begin(detail::DedupScript script, const Ids& ids) {
    keys_.clear();
    for (const auto& one : ids) {
      EventId id;
      if constexpr (requires { one.id; }) {
        id = one.id;
      } else {
        id = one;
      }
      keys_ += options_.prefix;
      keys_ += ':';
      for (const std::uint64_t half : {id.high, id.low}) {
        for (int shift = 60; shift >= 0; shift -= 4) {
          keys_ += "0123456789abcdef"[(half >> shift) & 15];
        }
      }
    }
    detail::RedisCommand& command = connection_.begin_script(static_cast<std::size_t>(script), ids.size());
    const std::size_t size = options_.prefix.size() + 33;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      command(std::string_view{keys_}.substr(i * size, size));
    }
    return command;
  }

  Status connect() {
    Result<bool> up = connection_.ensure(SteadyTime::max());
    return up ? Status{} : Status{std::move(up).error()};
  }

  Status send(std::chrono::milliseconds wait) {
    const SteadyTime deadline = Connection::now() + wait;
    if (Result<bool> up = connection_.ensure(deadline); !up) {
      return std::move(up).error();
    }
    for (std::span<const Told> rest{told_}; !rest.empty();) {
      const auto part = rest.first(std::min(most, rest.size()));
      rest = rest.subspan(part.size());
      detail::RedisCommand& command = begin(detail::DedupScript::tell, part)(owner_)(options_.lease)(options_.window);
      for (const Told& told : part) {
        command(std::string_view{&told.what, 1});
      }
      Result<ReplyReader> reply = ask("marking ids", deadline);
      if (!reply) {
        return std::move(reply).error();
      }
    }
    return {};
  }

  Result<ReplyReader> ask(std::string_view what, SteadyTime deadline) {
    connection_.end();
    Result<ReplyReader> reply = connection_.ask(deadline);
    std::string_view text;
    if (reply && reply->error(text)) {
      return connection_.refused(what, text);
    }
    return reply;
  }

  const RedisDedupOptions options_;
  std::string owner_;
  Connection connection_;
  std::string keys_;
  std::unordered_set<EventId, Hash> leases_;
  std::vector<Told> told_;                       ///< and not sent
  std::uint64_t call_ = std::random_device{}();  ///< anything: those of before a restart are other calls
  SteadyTime renewed_{};
};

}  // namespace pulse::inline v0_1
