// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <utility>

#include "pulse/backend/redis/options.hpp"
#include "pulse/core/clock.hpp"
#include "pulse/detail/random.hpp"
#include "pulse/redis/connection.hpp"

namespace pulse::inline v0_1::detail {

/// A connection for commands that are answered at once, made when the first is asked for. While the server cannot be reached the attempts
/// keep a distance that doubles, with full jitter: whoever asks in between gets the last failure without another attempt. Thread safety: all of it.
template <class Client>
class RedisCommands {
 public:
  using Connection = RedisConnection<Client>;

  RedisCommands(typename Connection::Settings settings, std::unique_ptr<Client> client, std::shared_ptr<RedisStatus> status, std::chrono::milliseconds timeout)
      : connection_(std::move(settings), std::move(client)), status_(std::move(status)), timeout_(timeout), random_(std::random_device{}()) {}

  [[nodiscard]] SteadyTime soon() const noexcept { return Connection::now() + timeout_; }

  /// Asks the command that `fill(connection)` puts together, unended; `read(reader)` takes its reply, an error apart, and says whether it has the
  /// form it should have.
  template <class Fill, class Read>
  Status ask(std::string_view what, SteadyTime deadline, Fill fill, Read read) {
    const std::lock_guard lock{mutex_};
    if (Status up = connect(deadline); !up) {
      return up;
    }
    fill(connection_);
    connection_.end();
    Result<ReplyReader> reply = connection_.ask(deadline);
    if (!reply) {
      return down(std::move(reply).error());
    }
    return take(what, *reply, read);
  }
  template <class Fill, class Read>
  Status ask(std::string_view what, Fill fill, Read read) {
    return ask(what, soon(), std::move(fill), std::move(read));
  }

  /// `count` commands in one round trip: `fill(connection, i)` ends each. At the first error the rest is not looked at.
  template <class Fill, class Read>
  Status ask_all(std::string_view what, std::size_t count, Fill fill, Read read) {
    const std::lock_guard lock{mutex_};
    if (Status up = connect(soon()); !up) {
      return up;
    }
    for (std::size_t i = 0; i < count; ++i) {
      fill(connection_, i);
      connection_.end();
    }
    connection_.forget_answers();
    if (Status written = connection_.flush(soon()); !written) {
      return down(std::move(written).error());
    }
    Status result;
    for (std::size_t i = 0; i < count && result; ++i) {
      Result<ReplyReader> reply = connection_.read_one(soon());
      if (!reply) {
        return down(std::move(reply).error());
      }
      if (Status taken = take(what, *reply, read); !taken) {
        if (i + 1 < count) {
          connection_.close();  // the replies that follow are nobody's
        }
        return taken;
      }
    }
    return result;
  }

  /// What the server said of itself; connects for it where need be.
  Result<RedisServerFacts> facts() {
    const std::lock_guard lock{mutex_};
    if (Status up = connect(soon()); !up) {
      return std::move(up).error();
    }
    return connection_.facts();
  }

 private:
  Status connect(SteadyTime deadline) {
    if (connection_.connected()) {
      return {};
    }
    if (const SteadyTime now = Connection::now(); now < next_attempt_) {
      return Error{last_.code, last_.message + " (tried again in " + std::to_string(std::chrono::ceil<std::chrono::milliseconds>(next_attempt_ - now).count()) +
                                   " ms at the earliest)"};
    }
    Result<bool> made = connection_.ensure(deadline);
    if (!made) {
      return down(std::move(made).error());
    }
    if (std::exchange(had_one_, true)) {
      status_->reconnected();
    }
    pause_ = std::chrono::milliseconds{0};
    return {};
  }

  template <class Read>
  Status take(std::string_view what, ReplyReader& reader, Read& read) {
    std::string_view text;
    if (reader.error(text)) {
      Error error = connection_.refused(what, text);
      if (error.code == ErrorCode::unavailable) {  // else the server works: what it refuses is this command's matter, and who asked is told
        status_->down(error.message);
      }
      return error;
    }
    if (!read(reader)) {
      return connection_.misshapen(what);
    }
    status_->works();
    return {};
  }

  /// The connection is lost, or there is none.
  Error down(Error error) {
    constexpr std::chrono::milliseconds least{50};
    constexpr std::chrono::milliseconds most{5000};
    if (error.code == ErrorCode::capacity) {
      return error;  // the server is well: only this reply was too large
    }
    pause_ = std::clamp(pause_ * 2, least, most);
    next_attempt_ = Connection::now() + std::chrono::milliseconds{random_.up_to(static_cast<std::uint64_t>(pause_.count()))};
    last_ = error;
    status_->down(error.message);
    return error;
  }

  std::mutex mutex_;
  Connection connection_;
  std::shared_ptr<RedisStatus> status_;
  const std::chrono::milliseconds timeout_;
  SplitMix64 random_;
  std::chrono::milliseconds pause_{0};
  SteadyTime next_attempt_{};
  Error last_;
  bool had_one_ = false;
};

}  // namespace pulse::inline v0_1::detail
