// SPDX-License-Identifier: MIT
#include "backend.hpp"

#include <algorithm>
#include <utility>

#include "process.hpp"

namespace pulse::sim {

using Op = Command::Op;

SimSubscription::SimSubscription(Process& process, std::size_t streams) : process_(&process), world_(&process.world), streams_(streams) {}

Time SimSubscription::now() const { return world_->now(); }

Command SimSubscription::command(Op op, std::size_t stream) const {
  Command made;
  made.op = op;
  made.stream = static_cast<std::uint8_t>(stream);
  made.group = process_->plan().group;
  made.consumer = process_->name;
  return made;
}

Status SimSubscription::fails(Status failed) {
  connected_ = false;
  for (Stream& stream : streams_) {
    stream.recovering = true;
    stream.recovered = {};
  }
  return failed;
}

Status SimSubscription::call(Command& command) {
  reply_.no_group = false;
  reply_.rows.clear();
  reply_.lost.clear();
  reply_.vanished = 0;
  if (Status called = world_->call(*process_, command, reply_); !called) {
    return called.error().code == ErrorCode::no_group ? std::move(called) : fails(std::move(called));
  }
  vanished_ += reply_.vanished;
  return {};
}

void SimSubscription::begin_batch() {
  if (!process_->stopping && !process_->dead) {
    for (std::size_t i = 0; i < batch_.size(); ++i) {
      if (fortunes_[i] == Fortune::undecided) {
        world_->oracle().broken(Law::batch_decided,
                                world_->oracle().name(batch_[i].id()) + " was neither settled nor lost when p" + std::to_string(process_->index) + " read on");
      }
    }
  }
  batch_.clear();
  fortunes_.clear();
  process_->lost.clear();
  process_->beats_from = now();
}

/// The reply's rows into the batch.
void SimSubscription::take(std::size_t stream, bool claimed) {
  for (const Row& row : reply_.rows) {
    if (row.count == 0) {
      ++vanished_;
    } else if (!(claimed && streams_[stream].retries.contains(row.id))) {
      batch_.emplace_back(row, world_->oracle().events[row.event].bytes, static_cast<std::uint8_t>(stream),
                          row.redriven && !world_->twin(Twin::redrive_unmarked));
      fortunes_.push_back(Fortune::undecided);
      if (world_->twin(Twin::acks_before_handling)) {
        Command ack = command(Op::ack, stream);
        ack.ids.push_back(row.id);
        Reply ignored;
        world_->arrive(ack, ignored);
      }
    }
  }
}

Status SimSubscription::letter(const Letter& letter) {
  Command copy = command(Op::dead_letter, letter.stream);
  copy.ids.push_back(letter.id);
  copy.event = world_->twin(Twin::letters_lose_data) ? letter.event + 1 : letter.event;
  if (!world_->twin(Twin::acks_failed_letters)) {
    return call(copy);
  }
  copy.op = Op::copy;
  (void)call(copy);
  copy.op = Op::ack;
  return call(copy);
}

/// Says what was settled and is not confirmed.
Status SimSubscription::say_settled(Time deadline) {
  while (!acks_.empty()) {
    const std::uint8_t stream = acks_.front().stream;
    Command ack = command(Op::ack, stream);
    ack.flag = process_->plan().fenced;
    for (const Ack& one : acks_) {
      if (one.stream == stream) {
        ack.ids.push_back(one.id);
      }
    }
    if (Status acked = call(ack); !acked) {
      return acked;
    }
    std::erase_if(acks_, [&](const Ack& one) { return one.stream == stream; });
    if (now() >= deadline) {
      break;
    }
  }
  while (!letters_.empty() && now() < deadline) {
    const Letter next = letters_.front();
    if (Status copied = letter(next); !copied) {
      return copied;
    }
    letters_.erase(letters_.begin());
  }
  return acks_.empty() && letters_.empty() ? Status{} : Status{Error{ErrorCode::unavailable, "out of time"}};
}

Result<Batch<SimDelivery>> SimSubscription::receive(std::size_t max, std::chrono::milliseconds wait) {
  begin_batch();
  const Time deadline = now() + wait.count() * ms;
  connected_ = true;
  if (Status said = say_settled(now() + 3600'000 * ms); !said) {
    return std::move(said).error();
  }
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    Stream& stream = streams_[i];
    while (stream.recovering && batch_.size() < max) {
      Command recover = command(Op::recover, i);
      recover.after = stream.recovered;
      recover.count = max - batch_.size();
      recover.flag = world_->twin(Twin::restart_counts);
      if (Status got = call(recover); !got) {
        if (!batch_.empty()) {
          break;
        }
        return std::move(got).error();
      }
      stream.recovering = reply_.rows.size() == recover.count;
      if (!reply_.rows.empty()) {
        stream.recovered = reply_.rows.back().id;
      }
      take(i, true);
    }
  }
  for (std::size_t i = 0; i < streams_.size() && batch_.empty(); ++i) {
    Command retake = command(Op::retake, i);
    while (streams_[i].retries.due(world_->clock().steady()) && retake.ids.size() < max) {
      const EntryId id = streams_[i].retries.take();
      if (std::find(retake.ids.begin(), retake.ids.end(), id) == retake.ids.end()) {
        retake.ids.push_back(id);
      }
    }
    if (!retake.ids.empty()) {
      if (Status got = call(retake); !got) {
        return std::move(got).error();  // recovery finds them
      }
      take(i, false);
    }
  }
  while (batch_.empty() && vanished_ == 0) {
    bool any = false;
    for (std::size_t n = 0; n < streams_.size(); ++n) {
      const std::size_t i = (turn_ + n) % streams_.size();
      const auto& group = world_->server().streams()[i].groups[process_->plan().group];
      if (batch_.size() < max && (world_->server().unread(i, process_->plan().group) || !group.exists)) {
        any = true;
        Command read = command(Op::read, i);
        read.count = max - batch_.size();
        if (Status got = call(read); !got) {
          if (batch_.empty()) {
            return std::move(got).error();
          }
          break;
        }
        take(i, false);
      }
    }
    turn_ = (turn_ + 1) % streams_.size();
    if (!batch_.empty() || process_->dead || now() >= deadline || std::exchange(woken_, false)) {
      break;
    }
    if (!any) {
      const SteadyTime steady = world_->clock().steady();
      SteadyTime until = steady + std::chrono::microseconds{deadline - now()};
      for (const Stream& stream : streams_) {
        until = stream.retries.next(until);
      }
      process_->waits = true;
      world_->sleep(*process_, now() + std::max<Time>(0, std::chrono::duration_cast<std::chrono::microseconds>(until - steady).count()) + 1, true);
      process_->waits = false;
      for (const Stream& stream : streams_) {
        if (stream.retries.due(world_->clock().steady())) {
          return Batch<SimDelivery>{batch_, std::exchange(vanished_, 0), false};
        }
      }
    }
  }
  return Batch<SimDelivery>{batch_, std::exchange(vanished_, 0), false};
}

Result<Batch<SimDelivery>> SimSubscription::claim_stale(std::chrono::milliseconds min_idle, std::size_t max) {
  begin_batch();
  connected_ = true;
  for (const Stream& stream : streams_) {
    if (stream.recovering) {
      return Batch<SimDelivery>{batch_, std::exchange(vanished_, 0), true};  // its own come first, and are not counted again
    }
  }
  if (world_->twin(Twin::never_claims)) {
    return Batch<SimDelivery>{batch_, 0, false};
  }
  if (Status said = say_settled(now() + 3600'000 * ms); !said) {
    return std::move(said).error();
  }
  bool more = false;
  for (std::size_t i = 0; i < streams_.size() && batch_.size() < max; ++i) {
    if (streams_[i].retries.size() > 0) {  // what waits for a retry is nobody's to claim
      Command extend = command(Op::extend, i);
      streams_[i].retries.for_each([&](EntryId id) { extend.ids.push_back(id); });
      if (Status kept = call(extend); !kept) {
        if (batch_.empty()) {
          return std::move(kept).error();
        }
        break;
      }
    }
    Command claim = command(Op::claim, i);
    claim.min_idle = min_idle.count() * ms;
    claim.after = streams_[i].cursor;
    claim.count = max - batch_.size();
    if (Status got = call(claim); !got) {
      if (batch_.empty()) {
        return std::move(got).error();
      }
      break;
    }
    streams_[i].cursor = world_->twin(Twin::cursor_thrown_away) ? EntryId{} : reply_.cursor;
    more = more || reply_.cursor != EntryId{};
    take(i, true);
  }
  return Batch<SimDelivery>{batch_, std::exchange(vanished_, 0), more};
}

/// Whether the entry deserves a dead letter, as far as its reason tells.
void SimSubscription::judge(const SimDelivery& delivery, std::string_view reason) const {
  Oracle& oracle = world_->oracle();
  const Fate fate = oracle.events[delivery.event()].fate;
  const std::string story = oracle.name(delivery.id()) + " is dead-lettered by p" + std::to_string(process_->index) + " as \"" + std::string(reason) + "\"";
  if (reason.empty()) {
    return oracle.broken(Law::letters_whole, story);
  }
  bool deserved = false;
  if (reason.starts_with("malformed")) {
    deserved = fate == Fate::malformed;
  } else if (reason.starts_with("invalid")) {
    deserved = fate == Fate::invalid;
  } else if (reason.starts_with("delivered")) {
    deserved = delivery.delivery_count() > world_->plan().max_deliveries;
  } else if (reason.starts_with("failed")) {
    deserved = delivery.delivery_count() >= world_->plan().max_deliveries && oracle.entry(delivery.id()).group[process_->plan().group].failures > 0;
  } else {
    deserved = reason == "refused" && fate == Fate::refused;
  }
  if (!deserved) {
    oracle.broken(Law::letters_deserved, story + ", delivery " + std::to_string(delivery.delivery_count()) + ", and did not deserve it");
  }
}

void SimSubscription::decide(std::uint32_t index) {
  if (fortunes_[index] == Fortune::lost) {
    world_->oracle().broken(Law::lost_not_settled, "p" + std::to_string(process_->index) + " settles " + world_->oracle().name(batch_[index].id()) +
                                                       ", of which it was told that another owns it");
  }
  fortunes_[index] = Fortune::decided;
}

Status SimSubscription::settle(const Settlement& settlement) {
  if (process_->dead) {
    return Error{ErrorCode::unavailable, "dead"};
  }
  const bool defers = process_->plan().defers;
  std::vector<Ack> acks;
  for (const std::uint32_t index : settlement.acks) {
    decide(index);
    acks.push_back({static_cast<std::uint8_t>(batch_[index].stream()), batch_[index].id()});
  }
  for (const DeadLetterItem& item : settlement.dead_letters) {
    judge(batch_[item.index], item.reason);
    decide(item.index);
  }
  acks_.insert(acks_.end(), acks.begin(), acks.end());
  for (const DeadLetterItem& item : settlement.dead_letters) {
    const SimDelivery& delivery = batch_[item.index];
    letters_.push_back({static_cast<std::uint8_t>(delivery.stream()), delivery.id(), delivery.event()});
  }
  if (!defers) {
    if (Status said = say_settled(now() + 3600'000 * ms); !said) {
      acks_.clear();  // the consumer says it again
      letters_.clear();
      return said;
    }
  }
  const SteadyTime steady = world_->clock().steady();
  for (const RetryItem& item : settlement.retries) {
    decide(item.index);
    const SimDelivery& delivery = batch_[item.index];
    const auto delay = world_->twin(Twin::retries_at_once) ? std::chrono::milliseconds{0} : item.delay;
    (void)streams_[delivery.stream()].retries.add(steady + delay, delivery.id());
    auto& facts = world_->oracle().entry(delivery.id()).group[process_->plan().group];
    facts.not_before = now() + item.delay.count() * ms;
    facts.retry_by = process_->incarnation;
  }
  return {};
}

Status SimSubscription::flush(std::chrono::milliseconds wait) {
  const Time deadline = now() + wait.count() * ms;
  if (world_->twin(Twin::stop_dead_letters)) {
    for (std::size_t i = 0; i < batch_.size(); ++i) {
      if (fortunes_[i] == Fortune::undecided) {
        judge(batch_[i], "failed: the consumer stops");
        (void)letter({static_cast<std::uint8_t>(batch_[i].stream()), batch_[i].id(), batch_[i].event()});
      }
    }
  }
  if (world_->twin(Twin::stop_waits_for_server)) {
    Command ping = command(Op::ack, 0);
    while (!process_->dead && !call(ping)) {
    }
  }
  return say_settled(deadline);
}

Status SimSubscription::extend_range(std::size_t first, std::size_t last, std::vector<std::size_t>& gone) {
  if (process_->dead || world_->server_down() || world_->fault(Fault::heartbeat_lost)) {
    return Error{ErrorCode::unavailable, "no heartbeat"};
  }
  const auto running = static_cast<std::size_t>(
      std::find_if(batch_.begin(), batch_.end(), [&](const SimDelivery& delivery) { return delivery.id() == process_->handles; }) - batch_.begin());
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    Command extend = command(Op::extend, i);
    extend.flag = world_->twin(Twin::heartbeat_steals);
    for (std::size_t at = first; at < last && at < batch_.size(); ++at) {
      if (batch_[at].stream() == i) {
        extend.ids.push_back(batch_[at].id());
      }
    }
    Reply reply;
    world_->arrive(extend, reply);
    for (const EntryId id : reply.lost) {
      for (std::size_t at = first; at < last && at < batch_.size(); ++at) {
        if (batch_[at].id() == id && batch_[at].stream() == i) {
          if (at >= running && fortunes_[at] == Fortune::undecided) {
            fortunes_[at] = Fortune::lost;
            process_->lost.push_back(id);
          }
          if (!world_->twin(Twin::heartbeat_blind)) {
            world_->say("p", process_->index, " lost ", world_->entry_name(id));
            gone.push_back(at);
          }
        }
      }
    }
  }
  return {};
}

void SimSubscription::wake() {
  woken_ = true;
  if (process_->waits) {
    process_->wake_at = now();
  }
}

Result<GroupState> SimSubscription::state(std::size_t) { return GroupState{}; }

Result<SimSubscription> SimBackend::subscribe(const SubscribeOptions& options) {
  World& world = process_->world;
  for (std::size_t i = 0; i < options.streams.size(); ++i) {
    Command create;
    create.op = Op::create;
    create.stream = static_cast<std::uint8_t>(i);
    create.group = process_->plan().group;
    create.consumer = process_->name;
    create.flag = options.start.newest || world.twin(Twin::group_from_end);
    Reply reply;
    if (Status made = world.call(*process_, create, reply); !made) {
      return std::move(made).error();
    }
  }
  return SimSubscription{*process_, options.streams.size()};
}

}  // namespace pulse::sim
