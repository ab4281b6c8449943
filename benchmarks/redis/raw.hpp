// SPDX-License-Identifier: MIT
#pragma once

#include <sys/socket.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pulse/codec/json.hpp>
#include <pulse/core/entry_id.hpp>

#include "workload.hpp"

/// What a careful engineer writes on a bare socket, for this one stream and this one reply: no library, no errors but the end of the program.
namespace bench {

/// A blocking connection and the bytes that came by it.
class RawConnection {
 public:
  explicit RawConnection(const Workload& load) : socket_(pulse_test::connect_to(load.server.port())), buffer_(1 << 20) { require(bool(socket_), "no server"); }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t wrote = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      require(wrote > 0, "the connection is lost");
      bytes.remove_prefix(static_cast<std::size_t>(wrote));
    }
  }
  /// More bytes behind those that are there.
  void receive() {
    if (begin_ == end_) {
      begin_ = end_ = 0;
    } else if (buffer_.size() - end_ < 64 * 1024) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    const ssize_t got = ::recv(socket_.get(), buffer_.data() + end_, buffer_.size() - end_, 0);
    require(got > 0, "the connection is lost");
    end_ += static_cast<std::size_t>(got);
  }
  /// Passes over `bytes`, whatever they are.
  void discard(std::size_t bytes) {
    while (bytes > 0) {
      if (begin_ == end_) {
        receive();
      }
      const std::size_t now = std::min(bytes, end_ - begin_);
      begin_ += now;
      bytes -= now;
    }
  }
  [[nodiscard]] std::string_view bytes() const { return {buffer_.data() + begin_, end_ - begin_}; }
  void consume(std::size_t bytes) { begin_ += bytes; }

 private:
  pulse_test::Fd socket_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

inline std::string read_command(std::size_t count) {
  const std::string number = std::to_string(count);
  return pulse_test::encode(std::vector<std::string_view>{"XREADGROUP", "GROUP", group, member, "COUNT", number, "STREAMS", stream, ">"});
}

/// The server's limit: the same commands and bytes, two reads under way, acks written down beforehand; nothing is parsed and nothing handled.
inline std::uint64_t drain(Workload& load, std::size_t messages, std::size_t count, Meter& meter) {
  RawConnection connection{load};
  const std::string read = read_command(count);
  std::vector<std::string> acks;
  std::vector<std::size_t> sizes;
  for (std::size_t first = 0; first < messages; first += count) {
    const std::size_t last = std::min(messages, first + count);
    std::vector<std::string_view> words{"XACK", stream, group};
    std::size_t size = std::strlen("*1\r\n*2\r\n$\r\n\r\n*\r\n") + std::to_string(stream.size()).size() + stream.size() + std::to_string(last - first).size();
    for (std::size_t i = first; i < last; ++i) {
      words.push_back(load.ids[i]);
      size += std::strlen("*2\r\n$\r\n\r\n*2\r\n$4\r\ndata\r\n$332\r\n\r\n") + 332 + load.ids[i].size() + std::to_string(load.ids[i].size()).size();
    }
    acks.push_back(pulse_test::encode(words) + (first + 2 * count < messages ? read : ""));
    sizes.push_back(size);
  }
  std::uint64_t sum = 0;
  meter.start();
  connection.send(sizes.size() > 1 ? read + read : read);
  for (std::size_t batch = 0; batch < sizes.size(); ++batch) {
    connection.discard(sizes[batch] + (batch >= 2 ? std::strlen(":\r\n") + std::to_string(count).size() : 0));
    connection.send(acks[batch]);
  }
  for (std::size_t batch = sizes.size() - std::min<std::size_t>(sizes.size(), 2); batch < sizes.size(); ++batch) {
    connection.discard(std::strlen(":\r\n") + std::to_string(std::min(count, messages - batch * count)).size());
  }
  meter.stop();
  for (std::size_t i = 0; i < messages; ++i) {
    sum += queue_size(i);
  }
  return sum;
}

/// The last 65536 ids, in an open table of their own: one multiplication, linear probing, nothing allocated.
class FlatWindow {
 public:
  FlatWindow() : ring_(capacity), table_(capacity * 4, empty) {}

  /// Whether it is new.
  bool insert(pulse::EntryId id) {
    std::size_t slot = home(id);
    for (; table_[slot] != empty; slot = (slot + 1) % table_.size()) {
      if (ring_[table_[slot]] == id) {
        return false;
      }
    }
    if (size_ >= capacity) {
      erase(ring_[next_]);
      for (slot = home(id); table_[slot] != empty; slot = (slot + 1) % table_.size()) {
      }
    } else {
      ++size_;
    }
    ring_[next_] = id;
    table_[slot] = static_cast<std::uint32_t>(next_);
    next_ = (next_ + 1) % capacity;
    return true;
  }

 private:
  static constexpr std::size_t capacity = 65536;
  static constexpr std::uint32_t empty = ~std::uint32_t{0};

  [[nodiscard]] std::size_t home(pulse::EntryId id) const { return ((id.ms << 20 ^ id.seq) * 0x9e3779b97f4a7c15U >> 32) % table_.size(); }
  void erase(pulse::EntryId id) {
    std::size_t hole = home(id);
    while (table_[hole] == empty || ring_[table_[hole]] != id) {
      hole = (hole + 1) % table_.size();
    }
    for (std::size_t at = (hole + 1) % table_.size(); table_[at] != empty; at = (at + 1) % table_.size()) {
      const std::size_t wanted = home(ring_[table_[at]]);
      if ((at - wanted) % table_.size() >= (at - hole) % table_.size()) {  // it may move closer to its home
        table_[hole] = table_[at];
        hole = at;
      }
    }
    table_[hole] = empty;
  }

  std::vector<pulse::EntryId> ring_;
  std::vector<std::uint32_t> table_;
  std::size_t next_ = 0;
  std::size_t size_ = 0;
};

/// Entries out of a reply, each handled where it lies as soon as it is there.
class RawReader {
 public:
  explicit RawReader(RawConnection& connection) : connection_(connection) {}

  /// Calls `entry(id text, data)` for each of a read's entries; returns how many.
  template <class Entry>
  std::size_t entries(Entry entry) {
    std::size_t count = 0;
    if (number('*') < 0) {
      return 0;
    }
    (void)number('*');
    (void)text();
    const std::int64_t entries = number('*');
    for (std::int64_t i = 0; i < entries; ++i, ++count) {
      while (!one(entry)) {
        connection_.receive();
      }
    }
    return count;
  }
  std::int64_t number(char kind) {
    std::string_view bytes;
    std::size_t end = 0;
    while (bytes = connection_.bytes(), (end = bytes.find('\n')) == std::string_view::npos) {
      connection_.receive();
    }
    require(bytes[0] == kind, "not the reply that was asked for");
    std::int64_t value = 0;
    std::from_chars(bytes.data() + 1, bytes.data() + end - 1, value);
    connection_.consume(end + 1);
    return value;
  }

 private:
  void text() {
    const auto size = static_cast<std::size_t>(number('$'));
    connection_.discard(size + 2);
  }
  static bool text(const char*& at, const char* end, std::string_view& out) {
    if (end - at < 4 || *at != '$') {
      return false;
    }
    std::size_t size = 0;
    for (++at; at < end && *at != '\r'; ++at) {
      size = size * 10 + static_cast<std::size_t>(*at - '0');
    }
    if (static_cast<std::size_t>(end - at) < size + 4) {
      return false;
    }
    out = {at + 2, size};
    at += size + 4;
    return true;
  }
  template <class Entry>
  bool one(Entry& entry) {
    const std::string_view bytes = connection_.bytes();
    const char* at = bytes.data();
    const char* const end = at + bytes.size();
    std::string_view id;
    std::string_view name;
    std::string_view data;
    if (bytes.size() < 4 || !text(at += 4, end, id) || end - at < 4 || !text(at += 4, end, name) || !text(at, end, data)) {
      return false;
    }
    require(name == "data", "an entry of another form");
    entry(id, data);
    connection_.consume(static_cast<std::size_t>(at - bytes.data()));
    return true;
  }

  RawConnection& connection_;
};

/// The best by hand: a bare socket, one pass over each payload, a flat table, the acks of a batch in one write with a read, two reads under way.
inline std::uint64_t by_hand(Workload& load, std::size_t messages, std::size_t count, Meter& meter) {
  RawConnection connection{load};
  RawReader reader{connection};
  FlatWindow seen;
  for (std::uint64_t i = 0; i < 65536; ++i) {
    seen.insert({i, 0});
  }
  pulse::JsonCodec codec;
  pulse::DecodeError error;
  pulse::Envelope<pulse::FeedbackEvent> envelope;
  const std::string read = read_command(count);
  std::string ids;
  std::string out;
  std::uint64_t sum = 0;
  std::size_t handled = 0;
  std::size_t batches = 0;
  meter.start();
  connection.send(read + read);
  for (; handled < messages; ++batches) {
    if (batches >= 2) {
      require(reader.number(':') >= 0);
    }
    ids.clear();
    const std::size_t got = reader.entries([&](std::string_view id_text, std::string_view data) {
      pulse::EntryId id;
      require(parse_entry_id(id_text, id) && codec.decode(data, envelope, error) == pulse::DecodeResult::ok);
      if (seen.insert(id)) {
        sum += static_cast<std::uint64_t>(envelope.payload.queue_size);
      }
      char size[4];
      const auto end = std::to_chars(size, size + sizeof size, id_text.size()).ptr;
      ids.append(1, '$').append(size, end).append("\r\n", 2).append(id_text).append("\r\n", 2);
    });
    handled += got;
    out.assign("*").append(std::to_string(3 + got)).append("\r\n$4\r\nXACK\r\n$").append(std::to_string(stream.size())).append("\r\n").append(stream);
    out.append("\r\n$").append(std::to_string(group.size())).append("\r\n").append(group).append("\r\n").append(ids).append(read);
    connection.send(out);
  }
  // Still to come: the ack and the empty read of each of the last two batches.
  for (std::size_t left = std::min<std::size_t>(batches, 2); left > 0; --left) {
    if (batches == 1 && left == 1) {
      require(reader.entries([](auto, auto) {}) == 0);
    }
    require(reader.number(':') >= 0);
    require(reader.entries([](auto, auto) {}) == 0);
  }
  meter.stop();
  return sum;
}

}  // namespace bench
