// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "plan.hpp"
#include "pulse/core/entry_id.hpp"
#include "pulse/core/error.hpp"

namespace pulse::sim {

/// A command as it travels: so that it can arrive later than its client waits.
struct Command {
  enum class Op : std::uint8_t { create, recover, retake, read, claim, ack, dead_letter, copy, extend };
  Op op = Op::read;
  std::uint8_t stream = 0;
  std::uint8_t group = 0;
  std::uint8_t consumer = 0;
  bool flag = false;      ///< create: at the end; ack: fenced; extend: steals; recover: counts
  std::size_t count = 0;  ///< at most so many entries
  Time min_idle = 0;
  EntryId after{};  ///< claim: the cursor; recover: greater ids only
  std::vector<EntryId> ids;
  std::uint32_t event = 0;  ///< dead_letter: what the copy holds
};

struct Row {
  EntryId id;
  std::uint64_t count = 0;  ///< 0: the entry is gone
  std::uint32_t event = 0;
  bool redriven = false;
};

struct Reply {
  bool no_group = false;
  std::vector<Row> rows;
  std::size_t vanished = 0;
  EntryId cursor{};
  std::vector<EntryId> lost;
};

/// Streams, groups and pending lists as redis-server keeps them: each command is executed whole, and nothing between two of them is.
class Server {
 public:
  struct Entry {
    EntryId id;
    std::uint32_t event = 0;
    bool redriven = false;
  };
  struct Pending {
    EntryId id;
    std::uint8_t consumer = 0;
    std::uint64_t count = 0;
    Time delivered = 0;
  };
  struct Group {
    bool exists = false;
    EntryId last{};
    std::vector<Pending> pending;  // by id
  };
  struct Letter {
    EntryId id;
    EntryId original;
    std::uint32_t event = 0;
    std::uint8_t group = 0;
  };
  struct Stream {
    std::vector<Entry> entries;  // by id
    std::vector<Group> groups;
    std::vector<Letter> letters;
    EntryId last{};
  };

  /// Told of what changes for an entry of a group.
  struct Watcher {
    virtual ~Watcher() = default;
    virtual void acked(std::size_t stream, std::size_t group, EntryId id, std::uint8_t consumer) = 0;
    virtual void taken(EntryId id, std::uint8_t by, std::uint8_t from) = 0;  ///< by a heartbeat
    virtual void earned(std::size_t group, EntryId id) = 0;                  ///< its delivery count goes up
    virtual void copied(std::size_t stream, std::size_t group, EntryId id, std::uint32_t event) = 0;
  };

  void reset(std::size_t streams, std::size_t groups) {
    streams_.assign(streams, Stream{});
    for (Stream& stream : streams_) {
      stream.groups.resize(groups);
    }
    skew_ = 0;
    newest_ms_ = 0;
  }

  void execute(const Command& command, Time now, Reply& reply, Watcher& watcher);

  EntryId append(std::size_t stream, std::uint32_t event, bool redriven, Time now);
  /// XTRIM MAXLEN.
  void trim(std::size_t stream, std::size_t most) {
    auto& entries = streams_[stream].entries;
    if (entries.size() > most) {
      entries.erase(entries.begin(), entries.end() - static_cast<std::ptrdiff_t>(most));
    }
  }
  void destroy(std::size_t stream, std::size_t group) { streams_[stream].groups[group] = {}; }
  void move_back(std::size_t stream, std::size_t group, EntryId to) {
    Group& moved = streams_[stream].groups[group];
    moved.last = std::min(moved.last, to);
  }
  void jump(Time by) { skew_ += by; }
  [[nodiscard]] Time skew() const noexcept { return skew_; }

  [[nodiscard]] const std::vector<Stream>& streams() const noexcept { return streams_; }
  [[nodiscard]] std::vector<Stream>& streams() noexcept { return streams_; }
  [[nodiscard]] const Entry* find(std::size_t stream, EntryId id) const noexcept;
  [[nodiscard]] Pending* pending(std::size_t stream, std::size_t group, EntryId id) noexcept;
  [[nodiscard]] bool unread(std::size_t stream, std::size_t group) const noexcept {
    const Stream& s = streams_[stream];
    return !s.entries.empty() && s.entries.back().id > s.groups[group].last;
  }

  /// A copy of the data falls behind from now on; failing over makes it the truth.
  void replicate() { replica_ = streams_; }
  void fail_over() { streams_ = replica_; }

 private:
  Row row(std::size_t stream, const Pending& pending) const;

  std::vector<Stream> streams_;
  std::vector<Stream> replica_;
  Time skew_ = 0;
  std::uint64_t newest_ms_ = 0;  // ids are never given twice, not by a copy that fell behind either: that limit is stated, not simulated
};

}  // namespace pulse::sim
