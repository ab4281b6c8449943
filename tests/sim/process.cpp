// SPDX-License-Identifier: MIT
#include "process.hpp"

#include <algorithm>
#include <string>

#include "backend.hpp"
#include "policies.hpp"
#include "pulse/consumer.hpp"
#include "world.hpp"

namespace pulse::sim {

namespace {
constexpr std::chrono::milliseconds whole(Time time) { return std::chrono::milliseconds{time / ms}; }

struct SimTraits {
  using codec = SimCodec;
  using clock = ManualClock;
  using retry = ExponentialBackoff;
};

ConsumerOptions options(const Process& process) {
  const Plan& plan = process.world.plan();
  ConsumerOptions made;
  for (std::size_t i = 0; i < plan.streams; ++i) {
    made.subscribe.streams.push_back("s" + std::to_string(i));
  }
  made.loop.batch = process.plan().batch;
  made.loop.wait = whole(Times::wait);
  made.loop.claim_idle = whole(Times::claim_idle);
  made.loop.claim_interval = whole(Times::claim_interval);
  made.loop.error_base = std::chrono::milliseconds{1};
  made.loop.error_cap = std::chrono::milliseconds{20};
  made.loop.drain_deadline = whole(Times::drain_deadline);
  made.loop.group_lost = plan.recreate ? engine::GroupLost::recreate_at_beginning : engine::GroupLost::fail;
  made.heartbeat = process.plan().heartbeat ? whole(Times::heartbeat) : std::chrono::milliseconds{0};
  made.heartbeat_thread = false;
  made.handler_deadline = std::chrono::milliseconds{10};
  made.lease_wait = whole(Times::lease_wait);
  made.seed = plan.seed * 1000 + process.incarnation + 1;
  return made;
}

ExponentialBackoff retries(const World& world) {
  ExponentialBackoff made;
  made.base = whole(Times::retry_base);
  made.cap = whole(Times::retry_cap);
  made.max_deliveries = world.twin(Twin::retries_without_bound) ? ~std::uint64_t{0} : world.plan().max_deliveries;
  return made;
}
}  // namespace

/// The real thing, and the policies it is made of.
struct Machinery {
  explicit Machinery(Process& process)
      : backend(process),
        dedup(process),
        handler(process, process.plan().group == 1),
        consumer(backend, dedup, metrics, handler, options(process), process.world.clock(), retries(process.world), SimCodec{process.world}) {}

  SimBackend backend;
  SimDedup dedup;
  NoMetrics metrics;
  SimHandler handler;
  Consumer<SimBackend&, SimDedup&, NoMetrics&, SimHandler&, SimTraits> consumer;
};

Process::Process(World& its_world, std::uint8_t its_index) : world(its_world), index(its_index) {}
Process::~Process() { crash(); }

void Process::reset(const ProcessPlan& plan) {
  plan_ = plan;
  name = world.new_name();
  restart_at = 0;
}

void Process::start() {
  if (!plan_.keeps_name) {
    name = world.new_name();
  }
  dead = stopping = waits = in_handler = false;
  wake_at = world.now();
  frozen_until = beat_at = 0;
  lost.clear();
  done.clear();
  claims = 0;
  incarnation = world.new_incarnation();
  world.say("p", index, " starts as c", name);
  machinery_ = std::make_unique<Machinery>(*this);
  fiber_.start(&Process::run, this);
}

void Process::run(void* self) { static_cast<Process*>(self)->live(); }

void Process::live() {
  auto& consumer = machinery_->consumer;
  while (!dead) {
    const Result<PollReport> report = consumer.poll(whole(Times::wait));
    if (dead) {
      break;
    }
    if (!report) {
      world.say("p", index, " ends: ", report.error().message);
      break;
    }
    if (report->stopped) {
      world.say("p", index, " has stopped");
      if (world.now() > stop_by) {
        world.oracle().broken(Law::stop_bounded, "p" + std::to_string(index) + " stopped " + std::to_string(world.now() - stop_by) + " us after its bound");
      }
      break;
    }
    if (SimRates* rates = machinery_->handler.rates()) {
      rates->draw();
    }
    if (report->pause.count() > 0) {
      world.sleep(*this, world.now() + report->pause.count() * ms, true);
    }
  }
}

void Process::resume() {
  fiber_.resume();
  if (fiber_.done()) {
    machinery_.reset();
    restart_at = world.now() + static_cast<Time>(world.up_to(world.calm() ? 5 * ms : 2 * Times::claim_idle));
  }
}

void Process::crash() {
  dead = true;
  while (!fiber_.done()) {
    fiber_.resume();
  }
  machinery_.reset();
}

void Process::ask_to_stop() {
  stopping = true;
  const Time command = Times::command_timeout + 5 * ms;
  stop_by = std::max({world.now(), frozen_until, in_handler ? handler_until : 0}) + Times::drain_deadline + static_cast<Time>(plan_.batch + 4) * command;
  machinery_->consumer.stop();
  wake_at = in_handler || !sleeping_lightly ? wake_at : std::max(world.now(), frozen_until);
}

void Process::freeze(Time for_so_long) {
  world.say("p", index, " stands still for ", for_so_long / ms, " ms");
  frozen_until = std::max(frozen_until, world.now() + for_so_long);
  wake_at = std::max(wake_at, frozen_until);
  beat_at = std::max(beat_at, frozen_until);
  stop_by += for_so_long;
}

void Process::beat() {
  beat_at = world.now() + Times::heartbeat;
  machinery_->consumer.heartbeat();
}

}  // namespace pulse::sim
