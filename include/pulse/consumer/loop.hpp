// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "pulse/consumer/options.hpp"
#include "pulse/consumer/parts.hpp"
#include "pulse/consumer/run.hpp"
#include "pulse/consumer/vitals.hpp"
#include "pulse/consumer/watch.hpp"
#include "pulse/core/stop.hpp"
#include "pulse/engine/lease_keeper.hpp"
#include "pulse/engine/processor.hpp"

namespace pulse::inline v0_1::detail {

/// The Consumer itself, of policies that are known to fit; documented at `Consumer`.
template <class B, class D, class M, class C, class T>
class ConsumerOf {
  using backend = std::remove_reference_t<B>;
  using dedup = std::remove_reference_t<D>;
  using metrics = std::remove_reference_t<M>;
  using controller = std::remove_reference_t<C>;
  using clock = typename T::clock;
  using subscription = typename backend::subscription_type;
  using delivery = typename subscription::delivery_type;
  using payload = typename payload_seen<delivery, controller, T>::type;
  using handler = handler_of<controller, metrics, clock>;
  using processor = engine::Processor<payload, dedup, metrics, std::remove_reference_t<typename handler::type>, typename T::codec, typename T::retry>;

 public:
  ConsumerOf(B&& backend_policy, D&& dedup_policy, M&& metrics_policy, C&& controller_policy, ConsumerOptions options = {}, clock time = {},
             typename T::retry retry = {}, typename T::codec codec = {})
      : backend_(std::forward<B>(backend_policy)),
        dedup_(std::forward<D>(dedup_policy)),
        metrics_(std::forward<M>(metrics_policy)),
        controller_(std::forward<C>(controller_policy)),
        options_(with_streams(std::move(options))),
        clock_(std::move(time)),
        retry_(std::move(retry)),
        codec_(std::move(codec)),
        handler_(handler::make(controller_, metrics_, clock_, options_.feedback)),
        loop_(options_.loop, seed_of(options_)),
        ledger_(std::min(options_.loop.batch, engine::largest_batch)),
        processor_(dedup_, metrics_, handler_, codec_, retry_, options_.lease_wait, seed_of(options_), stop_),
        leases_(options_.heartbeat, std::min(options_.loop.batch, engine::largest_batch), clock_, processor_.attention()) {}

  ConsumerOf(const ConsumerOf&) = delete;
  ConsumerOf& operator=(const ConsumerOf&) = delete;
  ~ConsumerOf() { leases_.stop(); }  // before the subscription that its thread uses goes

  /// Checks the options and subscribes. `poll` and `run` do it where it was not done.
  /// Errors: config, naming the option; whatever the backend says of the subscription.
  Status start() {
    if (subscription_) {
      return {};
    }
    if (Status checked = check_options<controller>(options_, retry_, dedup_); !checked) {
      return vitals_.note(std::move(checked).error());
    }
    name_owner(dedup_, options_.subscribe.consumer);
    streams_ = stream_facts(options_.subscribe.streams, metrics_);
    if (Status subscribed = subscribe(options_.subscribe); !subscribed) {
      return subscribed;
    }
    tell_time(metrics_, streams_, clock_, family::started);
    tell<notice::Started>(metrics_, [&] { return notice::Started{options_.subscribe.group, options_.subscribe.consumer}; });
    if (options_.heartbeat_thread) {
      leases_.start();
    }
    return {};
  }

  /// One bounded step, for hosts with a loop of their own: settles what is left, or reads and handles one batch, waiting for it at
  /// most `wait`. Errors: those that end the consumer; a passing one shows as `pause` in the report.
  Result<PollReport> poll(std::chrono::milliseconds wait = std::chrono::milliseconds{0}) {
    if (Status started = start(); !started) {
      return std::move(started).error();
    }
    const SteadyTime now = clock_.steady();
    progressed(now);
    tick(handler_);
    if (stop_.load(std::memory_order_acquire)) {
      loop_.request_stop(now);
    }
    Status settled;
    if (!ledger_.empty() && !loop_.stopped()) {  // the last settlement failed: its batch is still current
      settled = settle(loop_.stopping() ? loop_.peek(now).wait : options_.loop.drain_deadline);
      if (!settled && !loop_.stopping()) {
        return failed(settled.error());
      }
    }
    const engine::Action action = loop_.next(now);
    PollReport report;
    if constexpr (RemoteDedup<dedup>) {
      if (held_ && (action.step == engine::Step::receive || action.step == engine::Step::claim)) {
        return process(*std::exchange(held_, std::nullopt), report);
      }
    }
    if (action.step != engine::Step::pause) {
      leases_.close();  // of a batch that was held and is not handled any more: what follows moves the deliveries that a beat looks at
    }
    switch (action.step) {
      case engine::Step::receive: {
        auto batch = receive_resting(*subscription_, options_.loop.batch, std::min(wait, action.wait), now, clock_, vitals_);
        if (!batch) {
          return failed(batch.error());
        }
        loop_.received(batch->deliveries.size());
        return process(*batch, report);
      }
      case engine::Step::claim: {
        auto batch = subscription_->claim_stale(options_.loop.claim_idle, options_.loop.batch);
        if (!batch) {
          return failed(batch.error());
        }
        loop_.claimed(batch->deliveries.size(), batch->more, now);
        count_claimed(batch->deliveries, streams_, metrics_);
        watch_.look(backend_, *subscription_, streams_, metrics_, options_.loop.group_lost == engine::GroupLost::recreate_at_last_acked);
        return process(*batch, report);
      }
      case engine::Step::subscribe: {
        if (Status subscribed = subscribe(anew(options_, watch_)); !subscribed) {
          return failed(subscribed.error());
        }
        loop_.subscribed();
        tell<notice::GroupMade>(metrics_, [&] { return notice::GroupMade{options_.subscribe.group}; });
        return report;
      }
      case engine::Step::pause: report.pause = vitals_.rests(now, action.wait); return report;
      case engine::Step::drain: {
        const SteadyTime until = now + vitals_.rests(now, action.wait);
        return last_words_.say(std::move(settled), dedup_, *subscription_, clock_, until, loop_, vitals_, metrics_, options_.subscribe);
      }
      case engine::Step::stopped: break;
    }
    report.stopped = true;
    return report;
  }

  /// For hosts that wait for many things at once, on the thread that polls: makes `ready` readable once a poll is worth while. Returns within what time one
  /// is due in any case. Waits to connect, and to write where the peer does not read. `ready` is this consumer's alone and outlives it. Errors: as poll.
  template <class Ready = Readiness>
    requires ArmingSubscription<subscription>
  Result<std::chrono::milliseconds> arm(Ready& ready) {
    if (Status started = start(); !started) {
      return std::move(started).error();
    }
    ready.clear();  // before the look at stop_: who stops rings after it
    if (stop_.load(std::memory_order_acquire)) {
      return last_words_.due(clock_.steady());
    }
    const SteadyTime now = clock_.steady();
    const auto armed = arm_until(!ledger_.empty() || holds(held_), loop_.peek(now), *subscription_, options_.loop.batch, ready);
    return armed ? vitals_.rests(now, *armed) : pause_of(failed(armed.error()));
  }

  /// Consumes until the token or `stop` says so; then finishes the running handler, settles, and leaves the rest pending.
  /// Returns within drain_deadline of the end of the step that runs when the stop comes: the handler, as a rule. Errors: as poll.
  template <StopTokenLike Token = StopToken>
  Status run(const Token& token = {}) {
    const auto rest = [this](std::chrono::milliseconds pause) { rest_for(pause, clock_, wake_, mutex_, stop_); };
    return run_until(token, options_.loop.wait, [this](auto wait) { return poll(wait); }, [this] { stop(); }, [this] { raise_stop(); }, rest);
  }

  /// Asks the consumer to stop and wakes it. Returns at once. From any thread, a handler included.
  void stop() {
    const std::lock_guard lock{mutex_};
    raise_stop();
    if (subscription_) {
      subscription_->wake();
    }
    wake_.notify_all();
  }

  /// From any thread. `stuck_after`: how long one step may take beyond the wait or the pause that the loop was granted: a handler, a settlement.
  [[nodiscard]] ConsumerHealth health(std::chrono::milliseconds stuck_after = std::chrono::seconds{30}) const {
    ConsumerHealth health = vitals_.health(clock_.steady());
    const std::lock_guard lock{mutex_};
    health.live = subscription_.has_value() && health.since_progress < stuck_after;
    health.ready = health.live && health.failures_in_a_row == 0 && !stop_.load(std::memory_order_relaxed) && backend_.health().ready;
    return health;
  }

  /// Where ConsumerOptions.heartbeat_thread is false: extends the leases of the batch that is being handled. From any thread.
  void heartbeat() { leases_.beat(); }

  [[nodiscard]] dedup& dedup_policy() noexcept { return dedup_; }
  [[nodiscard]] const ConsumerOptions& options() const noexcept { return options_; }

 private:
  void raise_stop() noexcept {
    stop_.store(true, std::memory_order_release);
    processor_.attention().store(true, std::memory_order_release);
  }

  /// The loop came round: for health(), and for who watches the metrics from outside.
  void progressed(SteadyTime now) {
    vitals_.progressed(now);
    tell_time(metrics_, streams_, clock_, family::progress);
  }

  Status subscribe(const SubscribeOptions& wanted) {
    Result<subscription> made = backend_.subscribe(wanted);
    if (!made) {
      return vitals_.note(std::move(made).error());
    }
    if constexpr (RemoteDedup<dedup>) {
      held_.reset();
    }
    {
      const std::lock_guard lock{mutex_};  // not held where the observer is told: it may ask for the health, or stop
      subscription_.emplace(std::move(*made));
    }
    vitals_.progressed(clock_.steady());  // one that has only begun is not stuck
    vitals_.clear(metrics_);
    return {};
  }

  Result<PollReport> process(const Batch<delivery>& batch, PollReport report) {
    if (const std::size_t given = batch.deliveries.size(); given > options_.loop.batch) [[unlikely]] {  // what keeps a batch's books has no room for more
      Result<PollReport> done = process({batch.deliveries.first(options_.loop.batch), batch.vanished, batch.more, batch.too_large, batch.missed}, report);
      return done && done->pause.count() == 0 ? failed(over_max(given, options_.loop.batch)) : std::move(done);
    }
    count_missed(batch, streams_, metrics_);
    if (batch.deliveries.empty()) {
      vitals_.clear(metrics_);
      return report;
    }
    report.received = batch.deliveries.size();
    leases_.open(*subscription_, report.received);
    if constexpr (RemoteDedup<dedup>) {
      if (Status claimed = processor_.claim(batch.deliveries, streams_.data()); !claimed) {
        held_.emplace(Batch<delivery>{batch.deliveries, 0, false});  // nobody was asked to handle anything: the same batch again, when the window can be asked
        return failed(std::move(claimed).error());
      }
    }
    const WallTime wall = metrics::enabled ? clock_.wall() : WallTime{};
    SteadyTime before = metrics::enabled ? clock_.steady() : SteadyTime{};
    std::uint32_t index = 0;
    const engine::StreamFacts* const streams = streams_.data();
    const std::atomic<bool>* const lost_flags = leases_.lost_flags();
    bool attention = processor_.attention().load(std::memory_order_acquire);
    for (const delivery* each = batch.deliveries.data(); index != report.received; ++index, ++each) {
      const delivery& taken = *each;
      vitals_.handling(index);
      if (attention) [[unlikely]] {
        if (!attend()) {
          break;  // the rest stays pending: it is delivered first after the restart, or claimed
        }
        if (lost_flags[index].load(std::memory_order_relaxed)) {
          processor_.lost(taken, streams[taken.stream()]);
          continue;  // its new owner handles it
        }
      }
      const engine::StreamFacts& stream = streams[taken.stream()];
      attention = processor_.process(taken, index, stream, wall, ledger_, lost_flags);
      if constexpr (metrics::enabled) {
        const SteadyTime after = clock_.steady();
        metrics_.observe(family::handler_time, after - before, stream.slot);
        before = after;
      }
    }
    processor_.release_rest();
    Status settled = settle(options_.loop.drain_deadline);
    leases_.close();
    if constexpr (metrics::enabled) {
      metrics_.set(family::dedup_size, static_cast<double>(dedup_.size()));
    }
    if (!settled) {
      return failed(settled.error());
    }
    report.settled = index;
    vitals_.clear(metrics_);
    return report;
  }

  /// What stop() and the lease keeper want of the loop between two events. False when it must not begin another.
  bool attend() {
    (void)processor_.attention().exchange(false, std::memory_order_acq_rel);  // before the looks below: what is raised after them stays up
    const bool stopping = stop_.load(std::memory_order_relaxed);
    if (stopping || leases_.any_lost()) {
      processor_.attention().store(true, std::memory_order_relaxed);
    }
    if (!stopping && leases_.settle_due()) {
      progressed(clock_.steady());
      (void)settle(options_.loop.drain_deadline);  // where it fails, the end of the batch says it again
    }
    return !stopping;
  }

  Status settle(std::chrono::milliseconds deadline) { return settle_batch(dedup_, *subscription_, ledger_, deadline); }

  Result<PollReport> failed(Error error) {
    metrics_.add(family::backend_errors, 1);
    const SteadyTime now = clock_.steady();
    if (error.code == ErrorCode::no_group) {
      ledger_.clear();  // it speaks of a pending list that is gone
      tell<notice::GroupLost>(metrics_, [&] { return notice::GroupLost{error.message}; });
    }
    if (!loop_.failed(error.code, now)) {
      leases_.close();  // of what was held: it is left to others
      return vitals_.ended(metrics_, std::move(error));
    }
    vitals_.failed(metrics_, std::move(error));
    const engine::Action action = loop_.next(now);
    return PollReport{.pause = vitals_.rests(now, action.step == engine::Step::pause ? action.wait : std::chrono::milliseconds{0})};
  }

  [[no_unique_address]] B backend_;
  [[no_unique_address]] D dedup_;
  [[no_unique_address]] M metrics_;
  [[no_unique_address]] C controller_;
  const ConsumerOptions options_;
  [[no_unique_address]] clock clock_;
  [[no_unique_address]] typename T::retry retry_;
  [[no_unique_address]] typename T::codec codec_;
  typename handler::type handler_;
  engine::Loop loop_;
  engine::Ledger ledger_;
  std::vector<engine::StreamFacts> streams_;
  std::optional<subscription> subscription_;
  [[no_unique_address]] std::conditional_t<RemoteDedup<dedup>, std::optional<Batch<delivery>>, std::type_identity<void>> held_;  ///< could not be claimed yet
  std::atomic<bool> stop_{false};
  processor processor_;
  engine::LeaseKeeper<subscription, clock> leases_;
  mutable std::mutex mutex_;  // guards subscription_ against stop(), and what health() reads
  std::condition_variable wake_;
  Vitals vitals_;
  BackendWatch watch_;
  LastWords last_words_;
};

}  // namespace pulse::inline v0_1::detail
