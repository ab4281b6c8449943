// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/backend/redis/drain.hpp"
#include "pulse/backend/redis/exchange.hpp"
#include "pulse/backend/redis/options.hpp"
#include "pulse/backend/redis/side_channel.hpp"
#include "pulse/core/clock.hpp"
#include "pulse/core/delivery.hpp"
#include "pulse/redis/connection.hpp"

namespace pulse::inline v0_1 {

/// A member of a group on a Redis server; see concept/backend.hpp for the contract of each call.
///
/// Two connections: one for reading and settling, where what was settled goes out in one write with the next read; one for the heartbeat and for
/// ending a read that blocks. After a lost connection the next call makes it anew, says again what was settled and not confirmed, and reads
/// what is pending for this consumer, because a reply may have been lost with its entries: so an entry that is being handled may come twice, which
/// the dedup is for.
///
/// `settle` queues and returns: what it was told survives a lost connection, not the end of the process. What is owed to the server is bounded by
/// what was delivered: a batch, and one more where `prefetch` is on.
template <class Client, class Clk>
class RedisSubscription {
  using Connection = detail::RedisConnection<Client>;

 public:
  using delivery_type = RedisDelivery;

  /// Made by RedisBackend::subscribe, which has made the groups.
  RedisSubscription(const SubscribeOptions& wanted, const RedisOptions& options, std::shared_ptr<detail::RedisStatus> status, Clk clock,
                    std::unique_ptr<Connection> main, std::unique_ptr<detail::RedisSideChannel<Client>> side)
      : timeout_(options.command_timeout),
        prefetch_(wanted.prefetch),
        clock_(std::move(clock)),
        woken_(std::make_unique<std::atomic<bool>>(false)),
        side_(std::move(side)),
        exchange_(std::make_unique<detail::RedisExchange<Client>>(wanted, options, std::move(status), std::move(main))) {}

  Result<Batch<delivery_type>> receive(std::size_t max, std::chrono::milliseconds wait) {
    start_batch();
    if (left_ < ready().size()) {
      return deliver(max);
    }
    if (std::exchange(armed_, false) && wait.count() == 0 && exchange_->expected() > 0) {
      if (Result<bool> all = exchange_->take_arrived(Connection::now() >= overdue_); !all && ready().empty()) {
        return std::move(all).error();
      }
      armed_ = ready().empty() && exchange_->expected() > 0;  // what was asked for is still under way
      (void)woken_->exchange(false, std::memory_order_acquire);
      return deliver(max);
    }
    const SteadyTime deadline = Connection::now() + wait;
    if (Status up = exchange_->connect(SteadyTime::max(), 0); !up) {
      return std::move(up).error();
    }
    if (exchange_->blocked_until() > deadline) {  // left behind by a wake, and longer than this call may take
      if (Result<bool> all = take_all(soon()); !all) {
        return std::move(all).error();
      }
    }
    while (ready().empty()) {
      const bool last = Connection::now() >= deadline || woken_->load(std::memory_order_acquire);
      const Asked asked = ask(max, last ? std::chrono::milliseconds{0} : left(deadline));
      if (Status written = exchange_->write(soon()); !written) {
        return std::move(written).error();
      }
      Result<bool> all = take_unless_woken(asked.may_stay);
      if (!all && ready().empty()) {
        return std::move(all).error();
      }
      // What came before a failure is delivered; the failure shows again at the next call.
      if (!all || !*all || inbox().missed() || (asked.looked && (last || Connection::now() >= deadline))) {
        break;
      }
    }
    (void)woken_->exchange(false, std::memory_order_acquire);
    return deliver(max);
  }

  /// Asks, and watches the socket for the reply. Where a part of a batch is left, or its own entries from before are to be read, a receive is due.
  template <class Ready>
  Result<std::chrono::milliseconds> arm(std::size_t max, std::chrono::milliseconds wait, Ready& readable)
    requires PollableRedisClient<Client>
  {
    constexpr std::chrono::milliseconds now_due{0};
    start_batch();
    if (left_ < ready().size() || woken_->load(std::memory_order_acquire)) {
      return now_due;
    }
    if (Status up = exchange_->connect(SteadyTime::max(), 0); !up) {
      return std::move(up).error();
    }
    if (inbox().recovering()) {
      return now_due;
    }
    if (!armed_ && exchange_->expected() > 0) {  // reads ahead: their replies may lie here already, where no socket tells
      if (Result<bool> all = exchange_->take_arrived(false); !all && ready().empty()) {
        return std::move(all).error();
      }
      if (!ready().empty()) {
        return now_due;
      }
    }
    if (!armed_ || exchange_->expected() == 0) {
      (void)ask(max, wait);
      overdue_ = soon() + wait;
      if (Status written = exchange_->write(soon()); !written) {
        return std::move(written).error();
      }
      armed_ = true;
    }
    readable.watch(exchange_->descriptor());
    return wait;
  }

  Result<Batch<delivery_type>> claim_stale(std::chrono::milliseconds min_idle, std::size_t max) {
    start_batch();
    armed_ = false;
    if (Status up = exchange_->connect(SteadyTime::max(), 0); !up) {
      return std::move(up).error();
    }
    begin_ = end_ = left_ = std::min(left_, ready().size());
    exchange_->ask_settlement();
    if (inbox().recovering()) {
      exchange_->ask_history(share(max), clock_.wall());  // its own come first, are not counted again, and wait for the next receive
    }
    Result<bool> before = take_all(soon(), true);
    if (!before) {
      return std::move(before).error();
    }
    if (!*before || inbox().recovering()) {
      return inbox().batch({}, true);
    }
    claimed_ = true;
    begin_ = end_ = ready().size();  // before them lie those that the next receive gives
    exchange_->ask_abandoned(min_idle, max);
    if (Status written = exchange_->write(soon()); !written) {
      return std::move(written).error();
    }
    Result<bool> all = take_unless_woken(0);  // what a wake leaves on its way, the next receive gives
    if (!all && ready().size() == begin_) {
      return std::move(all).error();
    }
    end_ = ready().size();
    return inbox().batch({ready().data() + begin_, end_ - begin_}, exchange_->claims_left());
  }

  Status settle(const Settlement& settlement) {
    for (const std::uint32_t index : settlement.acks) {
      const delivery_type& delivery = ready()[begin_ + index];
      exchange_->settling().ack(static_cast<std::uint32_t>(delivery.stream()), delivery.id());
    }
    if (!settlement.retries.empty()) {
      const SteadyTime now = clock_.steady();
      retried_.resize(end_ - begin_);
      for (const RetryItem& retry : settlement.retries) {  // beyond the bound it stays pending all the same, and is claimed when it has idled
        if (retried_[retry.index]) {
          continue;  // said again
        }
        retried_[retry.index] = true;
        const delivery_type& delivery = ready()[begin_ + retry.index];
        (void)inbox().streams()[delivery.stream()].retries.add(now + retry.later(), {delivery.id(), retry.counts});
      }
    }
    for (const DeadLetterItem& letter : settlement.dead_letters) {
      exchange_->settling().dead_letter(ready()[begin_ + letter.index], letter.reason, clock_.wall());
    }
    settled_ += settlement.acks.size() + settlement.retries.size() + settlement.dead_letters.size();
    if (settled_ < end_ - begin_ && exchange_->connected() && exchange_->blocked_until() == SteadyTime{}) {
      // In the middle of a batch: what is finished should be out while its neighbours take long. A failure shows at the next receive.
      exchange_->ask_settlement();
      (void)exchange_->write(soon());
    }
    return {};
  }

  Status flush(std::chrono::milliseconds wait) {
    armed_ = false;
    return detail::drain(*exchange_, *side_, ready().size(), Connection::now() + wait);
  }

  template <class Lost>
  Status extend(std::size_t first, std::size_t last, Lost lost) {
    Status result;
    for (std::uint32_t i = 0; i < inbox().keys().size(); ++i) {
      const auto of_stream = [&](std::size_t from, std::size_t to, auto&& f) {
        for (std::size_t at = from; at < to; ++at) {
          if (ready()[at].stream() == i) {
            f(at);
          }
        }
      };
      Status kept = side_->extend(
          inbox().keys()[i], exchange_->group(), exchange_->consumer(), ahead_ ? inbox().streams()[i].newest : EntryId{},
          [&](auto&& id) {
            of_stream(begin_ + first, std::min(begin_ + last, end_), [&](std::size_t at) { id(ready()[at].id()); });
            of_stream(left_, claimed_ ? begin_ : ready().size(), [&](std::size_t at) { id(ready()[at].id()); });
          },
          [&](EntryId gone) {
            of_stream(begin_ + first, std::min(begin_ + last, end_), [&](std::size_t at) {
              if (ready()[at].id() == gone) {
                lost(at - begin_);
              }
            });
          });
      if (!kept) {
        result = Status{std::move(kept).error()};
      }
    }
    return result;
  }

  void wake() {
    woken_->store(true, std::memory_order_release);
    exchange_->interrupt();
  }

  Result<GroupState> state(std::size_t index) { return side_->state(inbox().keys()[index], exchange_->group()); }

 private:
  detail::RedisInbox& inbox() noexcept { return exchange_->inbox(); }
  std::vector<RedisDelivery>& ready() noexcept { return inbox().ready(); }
  SteadyTime soon() const noexcept { return Connection::now() + timeout_; }
  static std::chrono::milliseconds left(SteadyTime deadline) noexcept {
    return std::max(std::chrono::ceil<std::chrono::milliseconds>(deadline - Connection::now()), std::chrono::milliseconds{0});
  }
  /// Redis counts for each stream.
  std::size_t share(std::size_t max) noexcept { return std::max<std::size_t>(1, max / inbox().keys().size()); }

  /// The batch before is over: its memory is free unless something that nobody was given yet lies there too.
  void start_batch() {
    if (std::exchange(claimed_, false)) {
      inbox().cut(begin_);
    }
    if (left_ >= ready().size()) {
      exchange_->release();
      left_ = 0;
    }
    begin_ = end_ = left_;
    settled_ = 0;
    retried_.clear();
    ahead_ = false;
  }

  Batch<delivery_type> deliver(std::size_t max) {
    begin_ = left_;
    end_ = left_ = std::min(ready().size(), begin_ + max);
    full_ = end_ - begin_ >= share(max);
    ahead_ = exchange_->reads() > 0;
    return inbox().batch({ready().data() + begin_, end_ - begin_}, false);
  }

  /// As take, but ended by a wake only: take_arrived may leave a word behind, where all that was to come had arrived.
  Result<bool> take_unless_woken(std::size_t leave, SteadyTime deadline = SteadyTime::max()) {
    while (true) {
      Result<bool> all = exchange_->take(leave, true, deadline);
      if (!all || *all || woken_->load(std::memory_order_acquire)) {
        return all;
      }
    }
  }

  struct Asked {
    bool looked;           ///< for new entries
    std::size_t may_stay;  ///< replies that may stay on their way while the batch is handled
  };

  /// Asks for what comes next: its own from before, else retries that are due and new ones, with `block` where there is nothing else to wait for.
  Asked ask(std::size_t max, std::chrono::milliseconds block) {
    const bool under_way = exchange_->reads() > 0;
    const std::size_t before = exchange_->expected();
    exchange_->ask_settlement();
    if (inbox().recovering()) {
      exchange_->ask_history(share(max), clock_.wall());
      return {false, 0};
    }
    const SteadyTime now = clock_.steady();
    const std::size_t retries = exchange_->ask_retries(max, now);
    const bool ahead = prefetch_ && full_;
    if (exchange_->reads() == 0 && retries < max) {
      SteadyTime next = now + block;
      for (const auto& stream : inbox().streams()) {
        next = stream.retries.next(next);
      }
      const auto until_due = std::max(std::chrono::ceil<std::chrono::milliseconds>(next - now), std::chrono::milliseconds{0});
      exchange_->ask_new(share(max - retries), retries > 0 || ahead ? std::chrono::milliseconds{0} : until_due);
    }
    if (ahead) {
      exchange_->ask_new(share(max), std::chrono::milliseconds{0});
    }
    full_ = false;
    // Where a read is under way already, nothing of this write is waited for: neither the next read nor the confirmation of the acks before it.
    return {true, !ahead ? 0 : under_way ? exchange_->expected() - before : 1};
  }

  /// Writes what was asked and takes all replies; a read that blocks is ended through the side channel. False: a wake came first, where one is heeded.
  Result<bool> take_all(SteadyTime deadline, bool heed_wake = false) {
    if (exchange_->blocked_until() != SteadyTime{}) {
      (void)side_->unblock(exchange_->client_id(), deadline);  // failing that, it ends by itself or with the deadline
    }
    if (Status written = exchange_->write(deadline); !written) {
      return std::move(written).error();
    }
    return heed_wake ? take_unless_woken(0, deadline) : exchange_->take(0, false, deadline);
  }

  std::chrono::milliseconds timeout_;
  bool prefetch_;
  bool ahead_ = false;    ///< a read is under way while the batch is handled: what it brings is pending, too
  bool full_ = false;     ///< the last batch was as large as it could be: there is probably more
  bool armed_ = false;    ///< what was asked for is waited for by the host
  bool claimed_ = false;  ///< the batch was claimed: what the next receive gives lies before it
  [[no_unique_address]] Clk clock_;
  std::unique_ptr<std::atomic<bool>> woken_;
  std::unique_ptr<detail::RedisSideChannel<Client>> side_;
  std::unique_ptr<detail::RedisExchange<Client>> exchange_;
  std::size_t left_ = 0;   ///< the first delivery that nobody was given
  std::size_t begin_ = 0;  ///< of the batch
  std::size_t end_ = 0;
  std::size_t settled_ = 0;    ///< of the batch
  std::vector<bool> retried_;  ///< of the batch, where any was
  SteadyTime overdue_{};       ///< then what an armed subscription asked for is lost
};

}  // namespace pulse::inline v0_1
