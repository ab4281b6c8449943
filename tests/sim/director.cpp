// SPDX-License-Identifier: MIT
//
// What happens around the consumers: producers publish, operators operate, machines fail.
#include <algorithm>
#include <string>

#include "process.hpp"
#include "pulse/codec/json.hpp"
#include "world.hpp"

namespace pulse::sim {

namespace {

Faults draw_faults(detail::SplitMix64& random) {
  Faults faults;
  const std::uint64_t rarity = random.up_to(3);  // some schedules have few, some have nearly all
  for (std::size_t i = 0; i < fault_count; ++i) {
    faults[i] = random.up_to(rarity) == 0 && rarity != 3;
  }
  if (rarity == 3) {
    faults[random.up_to(fault_count - 1)] = true;
  }
  return faults;
}

}  // namespace

Plan make_plan(std::uint64_t seed) {
  detail::SplitMix64 random{seed};
  Plan plan;
  plan.seed = seed;
  plan.faults = draw_faults(random);
  plan.fault_odds = static_cast<std::uint32_t>(3 + random.up_to(20));
  plan.streams = random.up_to(3) == 0 ? 2 : 1;
  plan.groups = random.up_to(2) == 0 ? 2 : 1;
  plan.events = 4 + random.up_to(16);
  plan.backlog = random.up_to(2) == 0 ? random.up_to(plan.events) : 0;
  plan.steps = 60 + random.up_to(300);
  plan.max_deliveries = 2 + random.up_to(3);
  plan.recreate = random.up_to(1) == 0;
  const bool crowded = random.up_to(7) == 0;  // one member keeps a long batch, the others must see past it
  const std::size_t members = (crowded ? 3 : 1) + random.up_to(2);
  const bool fenced = random.up_to(1) == 0;
  for (std::size_t i = 0; i < members; ++i) {
    ProcessPlan process;
    process.group = plan.groups == 2 && i + 1 == members && members > 1 ? 1 : 0;
    process.batch = 1 + random.up_to(random.up_to(1) == 0 ? 0 : 7);
    process.heartbeat = random.up_to(1) == 0;
    process.keeps_name = random.up_to(3) != 0;
    process.defers = random.up_to(1) == 0;
    process.fenced = fenced;
    process.window = static_cast<Window>(random.up_to(2));
    process.capacity = random.up_to(1) == 0 ? 4 + random.up_to(12) : 64;
    if (crowded) {
      process.batch = i == 0 ? long_batch + 4 : 1;
      process.heartbeat = i == 0 || process.heartbeat;
      process.keeps_name = i == 0 || (process.keeps_name && i != 1);
    }
    plan.processes.push_back(process);
  }
  if (crowded) {
    plan.events += long_batch + 4;
    plan.backlog = long_batch + 4;
    plan.streams = 1;
  }
  if (plan.groups == 2 && plan.processes.back().group != 1) {
    plan.processes.push_back(plan.processes.back());
    plan.processes.back().group = 1;
  }
  return plan;
}

void World::publish() {
  const auto is = [&](Fault fault) { return plan_.faults[static_cast<std::size_t>(fault)]; };
  ++published_;
  Event event;
  event.stream = static_cast<std::uint8_t>(up_to(plan_.streams - 1));
  const std::uint64_t kind = up_to(11);
  event.fate = kind == 0 && is(Fault::poison)             ? Fate::poison
               : kind == 1 && is(Fault::poison)           ? Fate::refused
               : kind == 2 && is(Fault::undecodable)      ? Fate::malformed
               : kind == 3 && is(Fault::undecodable)      ? Fate::invalid
               : kind == 4 && is(Fault::throwing_handler) ? Fate::flaky
                                                          : Fate::good;
  const auto count = [&](Fault fault) { ++outcome_.injected[static_cast<std::size_t>(fault)]; };
  if (event.fate == Fate::poison || event.fate == Fate::refused) {
    count(Fault::poison);
  } else if (event.fate == Fate::malformed || event.fate == Fate::invalid) {
    count(Fault::undecodable);
  }
  event.flaky = static_cast<std::uint8_t>(1 + up_to(1));
  event.has_id = !one_in(4);
  event.coordinator = static_cast<std::uint8_t>(up_to(2));
  event.level = static_cast<BackpressureLevel>(up_to(2));
  event.ts = epoch_seconds(clock_.wall());
  if (is(Fault::disordered) && one_in(3)) {
    event.ts -= static_cast<double>(up_to(5000)) * 1e-3;
    count(Fault::disordered);
  }
  const auto number = static_cast<std::uint32_t>(oracle_.events.size());
  if (event.fate == Fate::malformed) {
    event.bytes = "{\"ts\": 1, \"payload\"";
  } else {
    Envelope<FeedbackEvent>& envelope = envelope_;
    envelope.ts = event.ts;
    if (event.has_id) {
      envelope.id = "ev-" + std::to_string(number);
    } else {
      envelope.id.reset();
    }
    envelope.meta.schema_id = "telemetry.FeedbackEvent";
    envelope.payload.coordinator_id = std::string(1, static_cast<char>('a' + event.coordinator));
    envelope.payload.queue_size = event.fate == Fate::invalid ? -1 : static_cast<std::int64_t>(number);
    envelope.payload.capacity = 100;
    envelope.payload.level = event.level;
    envelope.payload.ts = event.ts;
    JsonCodec{}.encode(envelope, event.bytes);
  }
  const std::uint8_t stream = event.stream;
  oracle_.events.push_back(std::move(event));
  append_entry(stream, number, false);
  if (is(Fault::duplicate) && one_in(4)) {
    count(Fault::duplicate);
    append_entry(stream, number, false);
  }
}

void World::append_entry(std::size_t stream, std::uint32_t event, bool redriven) {
  oracle_.appended(server_.append(stream, event, redriven, now_), event, redriven);
  say("published: ", redriven ? "again " : "", entry_name(server_.streams()[stream].last));
  wake_readers();
}

void World::direct() {
  director_at_ = now_ + static_cast<Time>(up_to(8000));
  if (published_ < plan_.events && (published_ == 0 || up_to(plan_.steps) < 2 * plan_.events)) {
    return publish();
  }
  operate();
}

void World::operate() {
  Process& process = *processes_[up_to(active_ - 1)];
  const auto stream = up_to(plan_.streams - 1);
  const auto group = up_to(plan_.groups - 1);
  Server::Stream& data = server_.streams()[stream];
  switch (up_to(14)) {
    case 0:
    case 1:
      if (process.running() && fault(Fault::crash)) {
        say("p", process.index, " dies");
        process.crash();
        process.restart_at = now_ + static_cast<Time>(up_to(2 * Times::claim_idle));
      }
      break;
    case 4:
      if (!server_down()) {
        if (fault(Fault::outage)) {
          down_until_ = now_ + static_cast<Time>(up_to(20 * Times::claim_idle));
        }
        break;
      }
      [[fallthrough]];  // what stops while the server is away
    case 2:
      if (process.running() && !process.stopping && fault(Fault::stop)) {
        say("p", process.index, " is asked to stop");
        process.ask_to_stop();
      }
      break;
    case 3:
      if (process.running() && fault(Fault::frozen)) {
        process.freeze(static_cast<Time>(up_to(3 * Times::claim_idle)));
      }
      break;
    case 5:
      if (fault(Fault::wall_jump)) {
        clock_.set_wall(clock_.wall() + std::chrono::seconds{static_cast<std::int64_t>(up_to(120)) - 60});
      }
      break;
    case 6:
      if (fault(Fault::server_clock_jump)) {
        server_.jump(static_cast<Time>(up_to(2000)) * ms - 1000 * ms);
      }
      break;
    case 7:
      if (fault(Fault::failover, 2)) {
        server_.fail_over();
        oracle_.disturbed = true;
        wake_readers();
      }
      break;
    case 8: server_.replicate(); break;
    case 9:
      if (!data.entries.empty() && fault(Fault::group_moved_back, 2)) {
        server_.move_back(stream, group, data.entries[up_to(data.entries.size() - 1)].id);
        oracle_.disturbed = true;
        wake_readers();
      }
      break;
    case 10:
      if (fault(Fault::group_destroyed, 4)) {
        server_.destroy(stream, group);
        oracle_.disturbed = true;
        wake_readers();
      }
      break;
    case 11:
      if (fault(Fault::trimmed, 2)) {
        server_.trim(stream, up_to(data.entries.size()));
      }
      break;
    case 12:
      if (auto& pending = data.groups[group].pending; !pending.empty() && fault(Fault::stolen)) {
        Server::Pending& one = pending[up_to(pending.size() - 1)];
        const Process& thief = *processes_[up_to(active_ - 1)];
        if (thief.plan().group == group) {
          one.consumer = thief.name;
          one.delivered = now_ + server_.skew();
          ++one.count;
          oracle_.earned(group, one.id);
          say(entry_name(one.id), " goes to c", thief.name);
        }
      }
      break;
    default:
      if (!data.letters.empty() && fault(Fault::redrive)) {
        const auto which = static_cast<std::ptrdiff_t>(up_to(data.letters.size() - 1));
        const Server::Letter letter = data.letters[static_cast<std::size_t>(which)];
        data.letters.erase(data.letters.begin() + which);
        oracle_.entry(letter.original).group[letter.group].redriven = true;
        append_entry(stream, letter.event, true);
      }
      break;
  }
}

}  // namespace pulse::sim
