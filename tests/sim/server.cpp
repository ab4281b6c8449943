// SPDX-License-Identifier: MIT
#include "server.hpp"

#include <algorithm>

namespace pulse::sim {

namespace {
template <class List>
auto place(List& list, EntryId id) {
  return std::lower_bound(list.begin(), list.end(), id, [](const auto& item, EntryId wanted) { return item.id < wanted; });
}
}  // namespace

const Server::Entry* Server::find(std::size_t stream, EntryId id) const noexcept {
  const auto& entries = streams_[stream].entries;
  const auto at = place(entries, id);
  return at != entries.end() && at->id == id ? &*at : nullptr;
}

Server::Pending* Server::pending(std::size_t stream, std::size_t group, EntryId id) noexcept {
  auto& list = streams_[stream].groups[group].pending;
  const auto at = place(list, id);
  return at != list.end() && at->id == id ? &*at : nullptr;
}

EntryId Server::append(std::size_t stream, std::uint32_t event, bool redriven, Time now) {
  newest_ms_ = std::max(newest_ms_ + 1, static_cast<std::uint64_t>(now / ms) + 1);
  const EntryId id{newest_ms_, 0};
  streams_[stream].entries.push_back({id, event, redriven});
  streams_[stream].last = id;
  return id;
}

Row Server::row(std::size_t stream, const Pending& pending) const {
  const Entry* entry = find(stream, pending.id);
  return entry == nullptr ? Row{pending.id, 0, 0, false} : Row{pending.id, pending.count, entry->event, entry->redriven};
}

void Server::execute(const Command& command, Time now, Reply& reply, Watcher& watcher) {
  using Op = Command::Op;
  now += skew_;
  Stream& stream = streams_[command.stream];
  Group& group = stream.groups[command.group];
  if (command.op == Op::create) {
    if (!group.exists) {
      group.exists = true;
      group.last = command.flag ? stream.last : EntryId{};
    }
    return;
  }
  if (command.op == Op::copy) {
    watcher.copied(command.stream, command.group, command.ids.front(), command.event);
    stream.letters.push_back({{++newest_ms_, 0}, command.ids.front(), command.event, command.group});
    return;
  }
  if (!group.exists) {
    reply.no_group = command.op != Op::ack || command.flag;  // XACK of nothing is no error; a script that looks first is
    return;
  }
  auto& list = group.pending;
  switch (command.op) {
    case Op::recover: {
      for (auto at = place(list, command.after.next()); at != list.end() && reply.rows.size() < command.count;) {
        if (at->consumer != command.consumer) {
          ++at;
          continue;
        }
        at->count += command.flag ? 1 : 0;
        at->delivered = now;
        reply.rows.push_back(row(command.stream, *at));
        if (reply.rows.back().count == 0) {
          at = list.erase(at);
        } else {
          ++at;
        }
      }
      break;
    }
    case Op::retake:
      for (const EntryId id : command.ids) {
        Pending* found = pending(command.stream, command.group, id);
        if (found == nullptr || found->consumer != command.consumer) {
          continue;
        }
        ++found->count;
        watcher.earned(command.group, id);
        found->delivered = now;
        reply.rows.push_back(row(command.stream, *found));
        if (reply.rows.back().count == 0) {
          list.erase(place(list, id));
        }
      }
      break;
    case Op::read: {
      for (auto at = place(stream.entries, group.last.next()); at != stream.entries.end() && reply.rows.size() < command.count; ++at) {
        const auto where = place(list, at->id);
        const Pending fresh{at->id, command.consumer, 1, now};
        if (where != list.end() && where->id == at->id) {
          *where = fresh;  // after SETID: what was somebody's is the reader's now
        } else {
          list.insert(where, fresh);
        }
        group.last = at->id;
        reply.rows.push_back({at->id, 1, at->event, at->redriven});
      }
      break;
    }
    case Op::claim: {
      std::size_t looks = command.count * 10;  // as XAUTOCLAIM
      auto at = place(list, command.after);
      while (at != list.end() && looks > 0 && reply.rows.size() < command.count) {
        --looks;
        if (find(command.stream, at->id) == nullptr) {
          ++reply.vanished;
          at = list.erase(at);
          continue;
        }
        if (now - at->delivered >= command.min_idle) {
          at->consumer = command.consumer;
          at->delivered = now;
          ++at->count;
          watcher.earned(command.group, at->id);
          reply.rows.push_back(row(command.stream, *at));
        }
        ++at;
      }
      reply.cursor = at == list.end() ? EntryId{} : at->id;
      break;
    }
    case Op::ack:
    case Op::dead_letter:
      for (const EntryId id : command.ids) {
        Pending* found = pending(command.stream, command.group, id);
        if (found == nullptr || ((command.flag || command.op == Op::dead_letter) && found->consumer != command.consumer)) {
          continue;
        }
        if (command.op == Op::dead_letter) {
          watcher.copied(command.stream, command.group, id, command.event);
          stream.letters.push_back({{++newest_ms_, 0}, id, command.event, command.group});
        }
        watcher.acked(command.stream, command.group, id, command.consumer);
        list.erase(place(list, id));
      }
      break;
    case Op::extend:
      for (const EntryId id : command.ids) {
        Pending* found = pending(command.stream, command.group, id);
        if (found == nullptr) {
          continue;
        }
        if (found->consumer == command.consumer || command.flag) {
          if (found->consumer != command.consumer) {
            watcher.taken(id, command.consumer, found->consumer);
          }
          found->consumer = command.consumer;
          found->delivered = now;
        } else {
          reply.lost.push_back(id);
        }
      }
      break;
    default: break;
  }
}

}  // namespace pulse::sim
