// SPDX-License-Identifier: MIT
#include "policies.hpp"

#include <algorithm>
#include <stdexcept>

namespace pulse::sim {

namespace {
FeedbackSettings settings() {
  FeedbackSettings made;
  made.provider = provider;
  return made;
}
FeedbackOptions options(const World& world) {
  FeedbackOptions made;
  made.expire_after =
      world.twin(Twin::silence_never_expires) ? std::chrono::nanoseconds{std::chrono::hours{24}} : std::chrono::microseconds{Times::expire_after};
  return made;
}
}  // namespace

SimRates::SimRates(Process& process)
    : process_(&process),
      world_(&process.world),
      rates_(world_->clock()),
      handler_(sink_, metrics_, settings(), world_->clock(), options(*world_)),
      refilled_(world_->now()) {
  ProviderOptions wanted;
  wanted.capacity = burst;
  wanted.refill_rate = per_second;
  (void)rates_.register_provider(provider, wanted);
}

void SimSink::apply(const RateAdjustment& adjustment) { rates->apply(adjustment); }

BackpressureLevel SimRates::worst() {
  BackpressureLevel level = BackpressureLevel::ok;
  for (Known& known : known_) {
    if (known.known) {
      known.expired = known.expired || world_->now() - known.heard >= Times::expire_after;
      level = std::max(level, known.expired ? BackpressureLevel::ok : known.level);
    }
  }
  return level;
}

Verdict SimRates::handle(const FeedbackEvent& event, std::uint8_t coordinator) {
  Known& known = known_[coordinator];
  const bool stale = known.known && event.ts < known.ts;
  if (!stale) {
    known = {event.ts, event.level, world_->now(), true, false};
  }
  const double before = scale_;
  Verdict verdict = [&] {
    if (world_->twin(Twin::no_stale_rule) || world_->twin(Twin::last_coordinator_wins)) {
      if (world_->twin(Twin::last_coordinator_wins) && stale) {
        return Verdict::stale();
      }
      apply({std::string(provider), settings().scale(event.level), event.level, event.ts});
      return Verdict::ack();
    }
    return handler_.handle(event);
  }();
  if ((verdict.kind() == Verdict::Kind::stale) != stale) {
    world_->oracle().broken(Law::newest_and_worst,
                            "p" + std::to_string(process_->index) + (stale ? " lets an old report count" : " takes a new report for an old one"));
  }
  if (!stale) {
    check();
  } else if (scale_ != before) {  // what expired meanwhile shows at the next tick
    world_->oracle().broken(Law::newest_and_worst, "p" + std::to_string(process_->index) + " changes its scale by an old report");
  }
  return verdict;
}

void SimRates::tick() {
  if (world_->twin(Twin::no_stale_rule) || world_->twin(Twin::last_coordinator_wins)) {
    return;
  }
  (void)handler_.tick();
  check();
}

void SimRates::check() {
  if (const BackpressureLevel level = worst(); !failed_ && scale_ != settings().scale(level)) {
    world_->oracle().broken(Law::newest_and_worst, "p" + std::to_string(process_->index) + " keeps scale " + std::to_string(scale_) +
                                                       " although the worst of the newest reports is " + std::string(name_of(level)));
  }
}

void SimRates::apply(const RateAdjustment& adjustment) {
  if (!process_->dead && world_->fault(Fault::throwing_handler, 2)) {
    world_->say("p", process_->index, " cannot apply the rate");
    failed_ = true;
    throw std::runtime_error("rate not applied");
  }
  refill();
  failed_ = false;
  scale_ = adjustment.scale;
  rates_.apply(adjustment);
}

void SimRates::refill() {
  allowance_ = std::min(burst, allowance_ + static_cast<double>(world_->now() - refilled_) * 1e-6 * per_second * scale_);
  refilled_ = world_->now();
}

void SimRates::draw() {
  refill();
  for (int i = 0; i < 7; ++i) {
    const bool granted = rates_.try_acquire(provider).has_value() || (world_->twin(Twin::pause_leaks) && scale_ == 0 && allowance_ >= 1);
    if (!granted) {
      break;
    }
    allowance_ -= 1;
    if (allowance_ < -1e-6 || scale_ == 0) {
      world_->oracle().broken(Law::rate_kept, "p" + std::to_string(process_->index) + " granted more than its rate at scale " + std::to_string(scale_));
      return;
    }
  }
}

Verdict SimHandler::handle(const FeedbackEvent& event, const DeliveryContext& context) {
  Process& process = *process_;
  World& world = process.world;
  if (process.dead) {
    return Verdict::ack();
  }
  Oracle& oracle = world.oracle();
  Oracle::EntryFacts& facts = oracle.entry(context.entry_id());
  Oracle::PerGroup& mine = facts.group[process.plan().group];
  const std::size_t group = process.plan().group;
  const Event& published = oracle.events[facts.event];
  const auto story = [&] {
    return "p" + std::to_string(process.index) + " handles " + oracle.name(facts.id) + ", delivery " + std::to_string(context.delivery_count());
  };

  if (published.fate == Fate::malformed || published.fate == Fate::invalid) {
    oracle.broken(Law::decodable_only, story() + ", which is undecodable");
  }
  if (context.delivery_count() > world.plan().max_deliveries) {
    oracle.broken(Law::deliveries_bounded, story() + ", allowed are " + std::to_string(world.plan().max_deliveries));
  }
  if (context.delivery_count() > mine.earned) {
    oracle.broken(Law::deliveries_earned, story() + ", but it was retried and claimed " + std::to_string(mine.earned - 1) + " times only");
  }
  if (mine.retry_by == process.incarnation && world.now() < mine.not_before && !oracle.disturbed) {
    oracle.broken(Law::retries_wait, story() + " " + std::to_string(mine.not_before - world.now()) + " us before its retry is due");
  }
  if (std::find(process.lost.begin(), process.lost.end(), facts.id) != process.lost.end()) {
    oracle.broken(Law::lost_not_begun, story() + ", of which it was told that another owns it");
  }
  const auto known = std::find_if(process.done.begin(), process.done.end(), [&](const Process::Done& done) { return done.key == facts.key; });
  if (known != process.done.end()) {
    if (process.plan().window == Window::seen_set || process.claims - known->claims + 2 <= process.plan().capacity) {
      oracle.broken(Law::once_within_window, story() + " a second time");
    }
    process.done.erase(known);
  }
  world.say("p", process.index, " begins ", world.entry_name(facts.id), ", delivery ", context.delivery_count());

  Time takes = world.calm() ? 0 : static_cast<Time>(world.up_to(1)) * static_cast<Time>(world.up_to(3000));
  if (process.plan().batch >= long_batch) {
    takes = 150 * ms;
  } else if (world.fault(Fault::hanging_handler, 4)) {
    takes = Times::claim_idle * static_cast<Time>(2 + world.up_to(3));
  } else if (world.fault(Fault::slow_handler)) {
    takes = static_cast<Time>(world.up_to(static_cast<std::uint64_t>(2 * Times::claim_idle)));
  }
  process.in_handler = true;
  process.handles = facts.id;
  process.beat_at = std::max(process.beat_at, process.beats_from + Times::heartbeat);
  if (takes > 0) {
    process.handler_until = world.now() + takes;
    world.sleep(process, process.handler_until);
  }
  const auto done = [&](Verdict verdict) {
    process.in_handler = false;
    return verdict;
  };
  const auto failed = [&] {
    ++mine.failures;
    process.in_handler = false;
  };
  if (process.dead) {
    return done(Verdict::ack());
  }
  if (context.stop_requested() && world.one_in(2)) {
    world.say("p", process.index, " gives up on ", world.entry_name(facts.id), ": it is to stop");
    process.in_handler = false;
    throw std::runtime_error("cancelled");
  }
  if (context.lease_lost() && world.one_in(2)) {
    return done(Verdict::retry());
  }
  if (!facts.redriven) {
    if (published.fate == Fate::poison || (published.fate == Fate::flaky && mine.failures < published.flaky)) {
      world.say("p", process.index, " fails on ", world.entry_name(facts.id));
      failed();
      if (facts.event % 2 == 0) {
        throw std::runtime_error("poison");
      }
      return Verdict::retry();
    }
    if (published.fate == Fate::refused) {
      return done(Verdict::dead_letter("refused"));
    }
  }
  if (world.fault(Fault::throwing_handler)) {
    world.say("p", process.index, " throws on ", world.entry_name(facts.id));
    failed();
    throw 42;
  }
  Verdict verdict = Verdict::ack();
  if (rates_) {
    try {
      verdict = rates_->handle(event, published.coordinator);
    } catch (...) {
      failed();
      throw;
    }
    rates_->draw();
  }
  oracle.effect(group, facts.key);
  process.done.push_back({facts.key, process.claims});
  world.say("p", process.index, " has handled ", world.entry_name(facts.id));
  if (!world.calm() && world.one_in(4)) {  // between the effect and the return
    process.handler_until = world.now();
    world.sleep(process, world.now());
  }
  return done(std::move(verdict));
}

}  // namespace pulse::sim
