// SPDX-License-Identifier: MIT
#include "world.hpp"

#include <algorithm>

#include "process.hpp"
#include "pulse/codec/json.hpp"

namespace pulse::sim {

World::World() = default;
World::~World() = default;

bool World::fault(Fault which, std::uint32_t rarer) {
  if (calm_ || !plan_.faults[static_cast<std::size_t>(which)] || luck_.up_to(std::uint64_t{plan_.fault_odds} * rarer - 1) != 0) {
    return false;
  }
  const std::uint32_t number = chances_++;
  if (std::binary_search(options_.skipped.begin(), options_.skipped.end(), number)) {
    return false;
  }
  ++outcome_.injected[static_cast<std::size_t>(which)];
  if (options_.transcript) {
    outcome_.taken.push_back(number);
    say("  fault ", number, ": ", fault_names[static_cast<std::size_t>(which)]);
  }
  return true;
}

void World::sleep(Process& process, Time until, bool wakeable) {
  if (process.dead) {
    return;
  }
  process.wake_at = until;
  process.sleeping_lightly = wakeable;
  process.yield();
  process.sleeping_lightly = false;
}

Status World::call(Process& process, const Command& command, Reply& reply) {
  const auto away = [](const char* what) { return Status{Error{ErrorCode::unavailable, what}}; };
  sleep(process, now_ + static_cast<Time>(up_to(1) * up_to(1000)));
  if (process.dead) {
    return away("dead");
  }
  if (server_down() || fault(Fault::refused)) {
    say("p", process.index, " ", command, ": refused");
    return away("refused");
  }
  if (fault(Fault::delayed)) {
    late_.push_back({now_ + static_cast<Time>(up_to(10 * Times::command_timeout)), command});
    say("p", process.index, " ", command, ": on its way");
    sleep(process, now_ + Times::command_timeout);
    return away("timed out, not there yet");
  }
  arrive(command, reply);
  say("p", process.index, " ", command, reply.no_group ? ": no group" : ": done");
  if (fault(Fault::reply_lost)) {
    sleep(process, now_ + Times::command_timeout);
    return away("timed out, the reply is lost");
  }
  if (fault(Fault::reply_late)) {
    sleep(process, now_ + static_cast<Time>(up_to(Times::command_timeout)));
  }
  if (process.dead) {
    return away("dead");
  }
  return reply.no_group ? Status{Error{ErrorCode::no_group, "no group"}} : Status{};
}

void World::arrive(const Command& command, Reply& reply) { server_.execute(command, now_, reply, oracle_); }

void World::wake_readers() {
  for (const auto& process : processes_) {
    if (process->running() && process->waits) {
      process->wake_at = std::max(now_, process->frozen_until);
    }
  }
}

void World::begin_line() { append(now_ / ms), append("."), append(now_ % ms / 100), append(" "); }

void World::append(const Command& command) {
  static constexpr std::string_view names[] = {"creates its group", "recovers", "retakes", "reads", "claims", "acks", "dead-letters", "copies", "extends"};
  append(names[static_cast<std::size_t>(command.op)]);
  for (const EntryId id : command.ids) {
    append(" ");
    append(oracle_.name(id));
  }
}

void World::set_up(std::uint64_t seed) {
  plan_ = make_plan(seed);
  plan_.faults &= ~options_.without;
  plan_.steps = std::min(plan_.steps, options_.max_steps);
  plan_.events = std::min(plan_.events, options_.max_events);
  random_ = detail::SplitMix64{seed * 2 + 1};
  luck_ = detail::SplitMix64{~seed};
  chances_ = 0;
  clock_ = ManualClock{};
  now_ = down_until_ = calm_at_ = 0;
  director_at_ = 0;
  published_ = steps_ = 0;
  names_ = 0;
  incarnations_ = 0;
  calm_ = false;
  outcome_ = {};
  late_.clear();
  server_.reset(plan_.streams, plan_.groups);
  server_.replicate();
  oracle_.reset(server_, plan_.groups);
  for (std::size_t i = 0; i < plan_.backlog; ++i) {
    publish();
  }
  while (processes_.size() < plan_.processes.size()) {
    processes_.push_back(std::make_unique<Process>(*this, static_cast<std::uint8_t>(processes_.size())));
  }
  active_ = plan_.processes.size();
  for (std::size_t i = 0; i < active_; ++i) {
    processes_[i]->reset(plan_.processes[i]);
  }
}

Outcome World::run(std::uint64_t seed, const RunOptions& options) {
  options_ = options;
  set_up(seed);
  constexpr Time patience = 20'000 * ms;
  constexpr std::size_t patience_steps = 50'000;
  while (oracle_.law == Law::none) {
    if (!calm_ && steps_ >= plan_.steps) {
      become_calm();
    }
    if (calm_ && settled()) {
      break;
    }
    if (calm_ && (now_ - calm_at_ > patience || steps_ > plan_.steps + patience_steps)) {
      oracle_.broken(Law::everything_settles, stuck());
      break;
    }
    step();
  }
  if (oracle_.law == Law::none) {
    finish();
  }
  for (std::size_t i = 0; i < active_; ++i) {
    processes_[i]->crash();
  }
  outcome_.law = oracle_.law;
  outcome_.story = oracle_.story;
  outcome_.steps = steps_;
  return std::move(outcome_);
}

void World::advance(Time to) {
  clock_.advance(std::chrono::microseconds{to - now_});
  now_ = to;
}

/// One of those who could go on does, by chance; where nobody can, time passes.
void World::step() {
  constexpr std::uint32_t beats = 1000;
  constexpr std::uint32_t lates = 2000;
  constexpr std::uint32_t director = 3000;
  Time next = now_ + 10'000 * ms;
  ready_.clear();
  const auto consider = [&](Time at, std::uint32_t who) {
    if (at <= now_) {
      ready_.push_back(who);
    } else {
      next = std::min(next, at);
    }
  };
  for (std::uint32_t i = 0; i < active_; ++i) {
    const Process& process = *processes_[i];
    if (!process.running()) {
      consider(process.restart_at, i);
      continue;
    }
    consider(process.wake_at, i);
    if (process.in_handler && process.plan().heartbeat) {
      consider(process.beat_at, beats + i);
    }
  }
  for (std::uint32_t i = 0; i < late_.size(); ++i) {
    consider(late_[i].at, lates + i);
  }
  if (!calm_) {
    consider(director_at_, director);
  }
  if (ready_.empty()) {
    advance(next);
    return;
  }
  const std::uint32_t who = ready_.size() == 1 ? ready_.front() : ready_[random_.up_to(ready_.size() - 1)];
  ++steps_;
  outcome_.digest = (outcome_.digest ^ (static_cast<std::uint64_t>(now_) << 12 | who)) * 0x9e3779b97f4a7c15ULL;
  if (who >= director) {
    direct();
  } else if (who >= lates) {
    const Command command = std::move(late_[who - lates].command);
    late_.erase(late_.begin() + (who - lates));
    Reply nobody;
    arrive(command, nobody);
    say("the server gets late: c", command.consumer, " ", command);
  } else if (who >= beats) {
    processes_[who - beats]->beat();
  } else if (processes_[who]->running()) {
    processes_[who]->resume();
  } else {
    processes_[who]->start();
  }
  if (calm_ && now_ - calm_at_ > abandoned_after) {
    look_for_abandoned();
  }
}

void World::become_calm() {
  while (published_ < plan_.events) {
    publish();
  }
  calm_ = true;
  down_until_ = std::min(down_until_, now_ + 400 * ms);
  calm_at_ = std::max(now_, down_until_);
  say("-- no faults from here on");
}

bool World::settled() const {
  if (!late_.empty()) {
    return false;
  }
  for (std::size_t s = 0; s < plan_.streams; ++s) {
    for (std::size_t g = 0; g < plan_.groups; ++g) {
      const Server::Group& group = server_.streams()[s].groups[g];
      if (!group.exists || !group.pending.empty() || server_.unread(s, g)) {
        return false;
      }
    }
  }
  return true;
}

std::string World::stuck() const {
  std::string text = "without faults for " + std::to_string((now_ - calm_at_) / ms) + " ms, and not settled:";
  for (std::size_t s = 0; s < plan_.streams; ++s) {
    for (std::size_t g = 0; g < plan_.groups; ++g) {
      const Server::Group& group = server_.streams()[s].groups[g];
      text +=
          " s" + std::to_string(s) + "/g" + std::to_string(g) + (group.exists ? "" : " does not exist") + (server_.unread(s, g) ? " has unread entries" : "");
      for (const Server::Pending& pending : group.pending) {
        text += " " + oracle_.name(pending.id) + " pending with c" + std::to_string(pending.consumer) + " (" + std::to_string(pending.count) + ")";
      }
    }
  }
  return text;
}

void World::look_for_abandoned() {
  for (std::size_t s = 0; s < plan_.streams; ++s) {
    for (std::size_t g = 0; g < plan_.groups; ++g) {
      for (const Server::Pending& pending : server_.streams()[s].groups[g].pending) {
        if (const Time idle = now_ + server_.skew() - pending.delivered; idle > Times::claim_idle + abandoned_after) {
          oracle_.broken(Law::abandoned_found, oracle_.name(pending.id) + " of g" + std::to_string(g) + " is pending with c" +
                                                   std::to_string(pending.consumer) + " for " + std::to_string(idle / ms) + " ms, and nobody takes it over");
        }
      }
    }
  }
}

/// Everything has settled: what else must hold now.
void World::finish() {
  oracle_.at_rest();
  if (plan_.groups < 2) {
    return;
  }
  say("-- the coordinators fall silent");
  advance(now_ + Times::expire_after);
  for (const auto& process : processes_) {
    process->stop_by += Times::expire_after;
  }
  for (const Time until = now_ + 2 * Times::wait; now_ < until && oracle_.law == Law::none;) {
    step();
  }
}

}  // namespace pulse::sim
