// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/concept/redis_client.hpp"
#include "pulse/redis/command.hpp"
#include "pulse/redis/errors.hpp"

namespace pulse::inline v0_1 {

/// What the server said of itself when the connection was made.
struct RedisServerFacts {
  std::string version;          ///< "7.0.15"; empty where INFO is not permitted
  std::string mode;             ///< standalone, cluster or sentinel
  std::int64_t client_id = -1;  ///< of this connection; -1 where CLIENT ID is not permitted
};

namespace detail {

/// A connection that logs in by itself: a client with user, database, name and scripts in place. One thread, but for `interrupt`.
template <class Client>
class RedisConnection {
  static_assert(assert_redis_client<Client>());

 public:
  struct Settings {
    RedisUrl url{};
    std::string name{};                           ///< shown by CLIENT LIST
    std::span<const std::string_view> scripts{};  ///< loaded at every log-in, called by their place here
    std::chrono::milliseconds connect_timeout{2000};
  };

  RedisConnection(Settings settings, std::unique_ptr<Client> client) : settings_(std::move(settings)), client_(std::move(client)) {}

  /// Connects and logs in where that is not done. Returns whether it was done now.
  Result<bool> ensure(SteadyTime deadline) {
    if (connected_) {
      return false;
    }
    deadline = std::min(deadline, now() + settings_.connect_timeout);
    if (Status made = client_->connect(deadline); !made) {
      return std::move(made).error();
    }
    if (Status in = log_in(deadline); !in) {
      close();
      return std::move(in).error();
    }
    connected_ = true;
    return true;
  }

  [[nodiscard]] bool connected() const noexcept { return connected_; }
  void close() noexcept {
    connected_ = false;
    client_->close();
  }
  void interrupt() noexcept { client_->interrupt(); }
  /// 0: it does not say.
  [[nodiscard]] std::size_t largest_reply() const noexcept {
    if constexpr (BoundedRedisClient<Client>) {
      return client_->largest_reply();
    } else {
      return 0;
    }
  }
  [[nodiscard]] int descriptor() const noexcept
    requires PollableRedisClient<Client>
  {
    return client_->descriptor();
  }

  /// A command to be filled in: words, then `end`.
  RedisCommand& begin(std::string_view name) {
    command_.clear();
    return command_(name);
  }
  /// The call of a script: keys, then words, then `end`.
  RedisCommand& begin_script(std::size_t which, std::size_t keys) {
    command_.clear();
    return command_("EVALSHA")(shas_[which])(keys);
  }
  void end() { client_->append(command_.words()); }

  Status flush(SteadyTime deadline) {
    Status written = client_->flush(deadline);
    if (!written) {
      close();
    }
    return written;
  }
  Result<bool> read(RedisReplies& into, SteadyTime deadline) {
    Result<bool> got = client_->read(into, deadline);
    if (!got) {
      close();
    }
    return got;
  }
  void release(RedisReplies& replies) noexcept {
    replies.clear();
    client_->release();
  }

  /// Writes what was ended, and reads the one reply. Interrupts are passed over. The reply's texts live until the next call.
  Result<ReplyReader> ask(SteadyTime deadline) {
    forget_answers();
    if (Status written = flush(deadline); !written) {
      return std::move(written).error();
    }
    return read_one(deadline);
  }
  /// The texts of the replies that `ask` and `read_one` gave are not needed any more.
  void forget_answers() noexcept { release(answer_); }
  /// The next reply of several that were asked for.
  Result<ReplyReader> read_one(SteadyTime deadline) {
    const std::size_t first = answer_.size();
    while (true) {
      Result<bool> got = read(answer_, deadline);
      if (!got) {
        return std::move(got).error();
      }
      if (*got) {
        return ReplyReader{std::as_const(answer_).nodes().subspan(first)};
      }
    }
  }

  /// An error reply as an Error; closes the connection where another one is needed.
  Error refused(std::string_view what, std::string_view text) {
    if (redis_error_kind(text).reconnect) {
      close();
    }
    return redis_error(std::string(what) + " at " + settings_.url.address(), text);
  }
  /// A reply that is not of the command's form.
  Error misshapen(std::string_view what) {
    close();
    return Error{ErrorCode::protocol, std::string(what) + " at " + settings_.url.address() + ": the reply has not the form it should have"};
  }

  [[nodiscard]] const RedisServerFacts& facts() const noexcept { return facts_; }
  [[nodiscard]] const RedisUrl& url() const noexcept { return settings_.url; }

  static SteadyTime now() noexcept { return std::chrono::steady_clock::now(); }

 private:
  Status log_in(SteadyTime deadline) {
    const RedisUrl& url = settings_.url;
    if (!url.password.empty() || !url.user.empty()) {
      begin("AUTH");
      if (!url.user.empty()) {
        command_(url.user);
      }
      command_(url.password);
      if (Status in = ask_ok("AUTH", deadline); !in) {
        return in;
      }
    }
    if (url.db != 0) {
      begin("SELECT")(static_cast<std::uint64_t>(url.db));
      if (Status in = ask_ok("SELECT", deadline); !in) {
        return in;
      }
    }
    // The rest in one round trip.
    release(answer_);
    begin("INFO")("server");
    end();
    begin("CLIENT")("ID");
    end();
    begin("CLIENT")("SETNAME")(settings_.name.empty() ? std::string_view{"pulse"} : std::string_view{settings_.name});
    end();
    for (const std::string_view script : settings_.scripts) {
      begin("SCRIPT")("LOAD")(script);
      end();
    }
    if (Status written = flush(deadline); !written) {
      return written;
    }
    if (Status known = learn(deadline); !known) {
      return known;
    }
    shas_.clear();
    for (std::size_t i = 0; i < settings_.scripts.size(); ++i) {
      Result<ReplyReader> reply = read_one(deadline);
      if (!reply) {
        return std::move(reply).error();
      }
      std::string_view text;
      if (reply->error(text)) {
        return refused("SCRIPT LOAD", text);
      }
      if (!reply->text(text)) {
        return misshapen("SCRIPT LOAD");
      }
      shas_.emplace_back(text);
    }
    forget_answers();  // they would count against what the client may hold
    return {};
  }

  /// The replies to INFO, CLIENT ID and CLIENT SETNAME. A user who may not ask goes without the answer.
  Status learn(SteadyTime deadline) {
    facts_ = {};
    std::string_view text;
    Result<ReplyReader> info = read_one(deadline);
    if (!info) {
      return std::move(info).error();
    }
    if (info->error(text)) {
      if (redis_error_kind(text).code != ErrorCode::denied || first_word(text) != "NOPERM") {
        return refused("INFO", text);
      }
    } else if (!info->text(text)) {
      return misshapen("INFO");
    } else {
      facts_.version = field(text, "redis_version:");
      facts_.mode = field(text, "redis_mode:");
      if (facts_.version.empty()) {
        return Error{ErrorCode::denied, url().address() + " answers INFO without a redis_version: it is no Redis server"};
      }
      if (!at_least(6, 2)) {
        return Error{ErrorCode::denied, "the server at " + url().address() + " is Redis " + facts_.version + ": needed is 6.2 or newer, for XAUTOCLAIM"};
      }
    }
    Result<ReplyReader> id = read_one(deadline);
    if (!id) {
      return std::move(id).error();
    }
    (void)id->integer(facts_.client_id);
    Result<ReplyReader> named = read_one(deadline);
    return named ? Status{} : Status{std::move(named).error()};
  }

  Status ask_ok(std::string_view what, SteadyTime deadline) {
    end();
    Result<ReplyReader> reply = ask(deadline);
    if (!reply) {
      return std::move(reply).error();
    }
    std::string_view text;
    if (reply->error(text)) {
      return refused(what, text);
    }
    return reply->text(text) ? Status{} : Status{misshapen(what)};
  }

  [[nodiscard]] bool at_least(unsigned major, unsigned minor) const noexcept {
    unsigned have[2] = {0, 0};
    const char* at = facts_.version.data();
    const char* const end = at + facts_.version.size();
    const auto first = std::from_chars(at, end, have[0]);
    if (first.ptr != end) {
      std::from_chars(first.ptr + 1, end, have[1]);
    }
    return have[0] > major || (have[0] == major && have[1] >= minor);
  }

  static std::string field(std::string_view info, std::string_view name) {
    const auto at = info.find(name);
    if (at == std::string_view::npos) {
      return {};
    }
    const std::string_view rest = info.substr(at + name.size());
    return std::string(rest.substr(0, std::min(rest.find_first_of("\r\n"), std::size_t{32})));
  }

  Settings settings_;
  std::unique_ptr<Client> client_;
  RedisCommand command_;
  RedisReplies answer_;
  std::vector<std::string> shas_;
  RedisServerFacts facts_;
  bool connected_ = false;
};

}  // namespace detail

}  // namespace pulse::inline v0_1
