// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "command.hpp"
#include "pulse/backend/in_memory/stream.hpp"
#include "pulse/core/clock.hpp"

namespace pulse_test::differential {

/// What one side answers to a command, and its whole state after it, as text: the same text where the two sides agree.
struct Observation {
  std::string reply;
  std::string state;
  friend bool operator==(const Observation&, const Observation&) = default;
};

/// Runs commands on a Stream of the in-memory backend and answers as a Redis server does.
///
/// The differences by design from Redis, as docs/reference/backend.md lists them, and what is done about them here:
/// 1. The backend acknowledges for an owner: Kind::fenced_ack, which Redis does by a script. XACK asks for none: Kind::ack.
/// 2. A subscription's own entries from before are not counted again, and what is gone of them is acknowledged: Kind::recover, which Redis
///    does by a script. XREADGROUP with an id counts, and lists what is gone: Kind::history.
/// 3. A consumer is there from its subscription on; on Redis from its first command that gives it something. `Consumer` does the latter.
/// 4. The backend removes no consumer that has entries pending; DELCONSUMER drops them: Kind::remove_consumer, of the stream itself.
/// 5. The owner of a scheduled retry does not claim it early. Redis knows no schedule, and none is made here.
/// 6. There is no idle time of a consumer, so it is not compared.
/// 7. The lag in GroupState counts what can still be delivered. That of Redis, which this compares, is Stream::lag.
/// The backend extends what a batch holds, by position: Kind::extend, which Redis does by a script, by id.
/// One more is the harness's: time does not pass on the server for what is gone, `frozen_`.
template <class Stream = pulse::detail::Stream<std::string, 4>>
class Memory {
 public:
  Observation operator()(const Command& command) {
    std::string reply = run(command);
    return {std::move(reply), state()};
  }

 private:
  using Group = typename Stream::Group;

  /// Collects what a read finds as Redis writes it.
  struct Rows {
    Stream& stream;
    Group& group;
    bool just_id = false;
    bool with_count = false;
    std::string text{};
    std::string gone_ids{};
    std::vector<std::uint64_t> gone_positions{};

    void hold(const std::shared_ptr<typename Stream::Segment>&) {}
    void take(const typename Stream::Entry& entry, std::uint64_t, std::uint32_t count) {
      text += text.empty() ? "" : " ";
      text += just_id ? to_string(entry.id) : '[' + to_string(entry.id) + (with_count ? ' ' + std::to_string(count) : "") + " [data " + entry.payload + "]]";
    }
    void gone(std::uint64_t position) {
      const std::string id = to_string(stream.id_of(group, position));
      text += gone_in_line ? (text.empty() ? "[" : " [") + id + (with_count ? " 0]" : " nil]") : "";
      gone_ids += (gone_ids.empty() ? "" : " ") + id;
      gone_positions.push_back(position);
    }
    bool gone_in_line = false;
  };

  /// A consumer that is there afterwards if it was before, or got something.
  class Consumer {
   public:
    Consumer(Group& group, std::string_view name) : group_(group), name_(name), known_(group.consumers.contains(name)), number_(group.consumer(name)) {}
    [[nodiscard]] std::uint32_t number() const { return number_; }
    void settle(bool served) {
      if (!known_ && !served) {
        group_.consumers.erase(group_.consumers.find(name_));
      }
    }

   private:
    Group& group_;
    std::string_view name_;
    bool known_;
    std::uint32_t number_;
  };

  [[nodiscard]] std::int64_t now() const { return clock_.steady().time_since_epoch().count(); }
  static std::int64_t ns(std::uint64_t ms) { return static_cast<std::int64_t>(ms) * 1'000'000; }

  std::string run(const Command& c) {
    switch (c.kind) {
      case Kind::add: {
        std::string replies;
        for (const EntryId id : c.ids) {
          replies += (replies.empty() ? "" : " ") + (stream_.append(id, 'd' + to_string(id)) ? to_string(id) : "ERR");
        }
        return replies;
      }
      case Kind::trim: return std::to_string(stream_.trim(c.count));
      case Kind::trim_before: return std::to_string(stream_.trim_before(c.ids[0]));
      case Kind::remove: {
        int removed = 0;
        for (const EntryId id : c.ids) {
          removed += stream_.erase(id) ? 1 : 0;
        }
        return std::to_string(removed);
      }
      case Kind::create_group: return stream_.create_group(c.group, c.ids.empty() ? stream_.last_id() : c.ids[0]) != nullptr ? "OK" : "BUSYGROUP";
      case Kind::destroy_group: return stream_.groups.erase(std::string(c.group)) > 0 ? "1" : "0";
      case Kind::pass:
        clock_.advance(std::chrono::milliseconds{c.count * unit_ms});
        freeze(c.count);
        return "OK";
      default: break;
    }
    Group* const group = stream_.find_group(c.group);
    if (group == nullptr) {
      return c.kind == Kind::ack ? "0" : "NOGROUP";
    }
    return run(c, *group);
  }

  std::string run(const Command& c, Group& group) {
    switch (c.kind) {
      case Kind::read: {
        if (!stream_.has_new(group)) {
          return "nil";
        }
        Rows rows{stream_, group};
        (void)stream_.read_new(group, group.consumer(c.consumer), c.count, now(), rows);
        return "[[s [" + rows.text + "]]]";
      }
      case Kind::history: {
        Rows rows{stream_, group};
        rows.gone_in_line = true;
        (void)stream_.read_history(group, group.consumer(c.consumer), stream_.position(group, c.ids[0].next()), ~std::uint64_t{0}, c.count, now(), true, rows);
        return "[[s [" + rows.text + "]]]";
      }
      case Kind::recover: {
        const auto known = group.consumers.find(c.consumer);
        if (known == group.consumers.end()) {
          return "[]";
        }
        Rows rows{stream_, group};
        rows.with_count = rows.gone_in_line = true;
        (void)stream_.read_history(group, known->second, stream_.position(group, c.ids[0]), ~std::uint64_t{0}, c.count, now(), c.counted, rows);
        for (const std::uint64_t position : rows.gone_positions) {
          (void)group.acknowledge(position);
        }
        return '[' + rows.text + ']';
      }
      case Kind::ack:
      case Kind::fenced_ack: {
        const auto owner = group.consumers.find(c.consumer);
        int acknowledged = 0;
        for (const EntryId id : c.ids) {
          const std::uint64_t position = stream_.position(group, id);
          if (group.find(position) != nullptr && stream_.id_of(group, position) == id) {
            acknowledged += c.kind == Kind::ack ? group.acknowledge(position) : owner != group.consumers.end() && group.acknowledge(position, owner->second);
          }
        }
        return std::to_string(acknowledged);
      }
      case Kind::extend: {
        const auto owner = group.consumers.find(c.consumer);
        std::string lost;
        for (const EntryId id : c.ids) {
          const std::uint64_t position = stream_.position(group, id);
          pulse::detail::PendingRecord* const record = group.find(position);
          if (record != nullptr && stream_.id_of(group, position) == id) {
            if (owner == group.consumers.end() || record->owner != owner->second) {
              lost += (lost.empty() ? "" : " ") + to_string(id);
            } else if (stream_.find(position) != nullptr) {  // what is gone stays pending; no time passes for it here
              record->delivered_ns = now();
            }
          }
        }
        return '[' + lost + ']';
      }
      case Kind::claim: {
        Consumer consumer{group, c.consumer};
        Rows rows{stream_, group, c.just_id};
        for (const EntryId id : c.ids) {
          const pulse::detail::ClaimOptions options{ns(least_ms(c.min_idle)), ns(c.idle.value_or(0) * unit_ms), c.retry_count, c.just_id, c.force};
          if (stream_.claim(group, consumer.number(), id, now(), options) == pulse::detail::Claimed::yes) {
            rows.take(*stream_.find(stream_.position(group, id)), 0, 0);
          }
        }
        consumer.settle(!rows.text.empty());
        return '[' + rows.text + ']';
      }
      case Kind::auto_claim: {
        Consumer consumer{group, c.consumer};
        Rows rows{stream_, group, c.just_id};
        const std::uint64_t next = stream_.auto_claim(group, consumer.number(), ns(least_ms(c.min_idle)), stream_.position(group, c.ids[0]),
                                                      static_cast<std::size_t>(c.count), c.just_id, now(), rows);
        consumer.settle(!rows.text.empty());
        return '[' + to_string(next < stream_.end() ? stream_.id_of(group, next) : EntryId{}) + " [" + rows.text + "] [" + rows.gone_ids + "]]";
      }
      case Kind::set_position: stream_.set_position(group, c.ids.empty() ? stream_.last_id() : c.ids[0]); return "OK";
      case Kind::create_consumer: {
        const bool known = group.consumers.contains(c.consumer);
        (void)group.consumer(c.consumer);
        return known ? "0" : "1";
      }
      case Kind::remove_consumer: return std::to_string(stream_.remove_consumer(group, c.consumer));
      default: return "unknown";
    }
  }

  void freeze(std::uint64_t units) {
    for (auto& [name, group] : stream_.groups) {
      group.for_each_pending(0, stream_.end(), [&](std::uint64_t position, const pulse::detail::PendingRecord&) {
        if (stream_.find(position) == nullptr) {
          frozen_[{name, stream_.id_of(group, position)}] += units;
        }
        return true;
      });
    }
  }

  std::string state() {
    std::string out = "stream: length " + std::to_string(stream_.length()) + ", last " + to_string(stream_.last_id()) + ", deleted " +
                      to_string(stream_.last_deleted_id()) + ", added " + std::to_string(stream_.end()) + ", first " + to_string(stream_.first_id()) +
                      "\nentries:";
    stream_.for_each(EntryId::min(), EntryId::max(), [&](const auto& entry) { out += ' ' + to_string(entry.id) + '=' + entry.payload; });
    for (auto& [name, group] : stream_.groups) {
      const auto lag = stream_.lag(group);
      out += "\ngroup " + name + ": " + std::to_string(group.consumers.size()) + " consumers, pending " + std::to_string(group.pending) + ", last " +
             to_string(group.last_delivered) + ", read " + (group.entries_read < 0 ? "nil" : std::to_string(group.entries_read)) + ", lag " +
             (lag ? std::to_string(*lag) : "nil");
    }
    for (const std::string_view name : groups) {
      if (Group* const group = stream_.find_group(name)) {
        out += "\npending " + std::string(name) + ':';
        group->for_each_pending(0, ~std::uint64_t{0}, [&](std::uint64_t position, const pulse::detail::PendingRecord& record) {
          const EntryId id = stream_.id_of(*group, position);
          const auto frozen = frozen_.find({std::string(name), id});
          const std::uint64_t idle = static_cast<std::uint64_t>(now() - record.delivered_ns) / (unit_ms * 1'000'000);
          out += ' ' + to_string(id) + '/' + name_of(*group, record.owner) + "/idle" +
                 std::to_string(idle - (frozen != frozen_.end() && stream_.find(position) == nullptr ? frozen->second : 0)) + "/x" +
                 std::to_string(record.count);
          return true;
        });
        out += "\nconsumers " + std::string(name) + ':';
        for (const auto& [consumer, number] : group->consumers) {
          out += ' ' + consumer + '/' + std::to_string(group->pending_of(number));
        }
      }
    }
    return out;
  }

  static std::string name_of(const Group& group, std::uint32_t number) {
    for (const auto& [name, each] : group.consumers) {
      if (each == number) {
        return name;
      }
    }
    return "?";
  }

  pulse::ManualClock clock_;
  Stream stream_;
  std::map<std::pair<std::string, EntryId>, std::uint64_t> frozen_;  ///< units
};

}  // namespace pulse_test::differential
