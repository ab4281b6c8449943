// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io.hpp"

namespace pulse_test {

/// A reply, as a tree. Made by a reader that shares nothing with the library's, so that one can be held against the other.
struct Reply {
  enum class Kind { nil, integer, text, error, array };
  Kind kind = Kind::nil;
  std::int64_t integer = 0;
  std::string text;
  std::vector<Reply> items;

  /// On one line: text and integers as they are (what does not print as \xNN), "nil", "-" before an error, arrays as [a, b, [c]].
  [[nodiscard]] std::string str() const {
    switch (kind) {
      case Kind::nil: return "nil";
      case Kind::integer: return std::to_string(integer);
      case Kind::text: return printable(text);
      case Kind::error: return '-' + printable(text);
      case Kind::array: break;
    }
    std::string out = "[";
    for (const Reply& item : items) {
      out += (out.size() == 1 ? "" : ", ") + item.str();
    }
    return out + ']';
  }
  /// An element; an empty reply where there is none.
  [[nodiscard]] const Reply& operator[](std::size_t index) const {
    static const Reply none;
    return index < items.size() ? items[index] : none;
  }
  [[nodiscard]] std::size_t size() const noexcept { return items.size(); }

  friend bool operator==(const Reply& reply, std::string_view line) { return reply.str() == line; }
  friend bool operator==(const Reply& a, const Reply& b) { return a.kind == b.kind && a.integer == b.integer && a.text == b.text && a.items == b.items; }
  friend std::ostream& operator<<(std::ostream& out, const Reply& reply) { return out << reply.str(); }

  static std::string printable(std::string_view bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    for (const char c : bytes) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte >= 0x20 && byte < 0x7f) {
        out += c;
      } else {
        out += "\\x";
        out += digits[byte >> 4];
        out += digits[byte & 15];
      }
    }
    return out;
  }
};

/// A command as it goes over the wire.
template <class Words>
std::string encode(const Words& words) {
  std::string out = '*' + std::to_string(words.size()) + "\r\n";
  for (const std::string_view word : words) {
    out += '$' + std::to_string(word.size()) + "\r\n";
    out += word;
    out += "\r\n";
  }
  return out;
}

/// Reads one value of a server's bytes from `at` on. false: it has not all come. Throws where it is none.
inline bool decode(std::string_view bytes, std::size_t& at, Reply& out) {
  const auto end = bytes.find("\r\n", at);
  if (end == std::string_view::npos) {
    return false;
  }
  const std::string line{bytes.substr(at + 1, end - at - 1)};
  const char kind = bytes[at];
  std::size_t next = end + 2;
  const long long number = std::strtoll(line.c_str(), nullptr, 10);
  out = {};
  if (kind == '+' || kind == '-') {
    out.kind = kind == '+' ? Reply::Kind::text : Reply::Kind::error;
    out.text = line;
  } else if (kind == ':') {
    out.kind = Reply::Kind::integer;
    out.integer = number;
  } else if (kind != '$' && kind != '*') {
    fail("no RESP: " + Reply::printable(bytes.substr(at, 60)));
  } else if (number >= 0 && kind == '$') {
    const auto size = static_cast<std::size_t>(number);
    if (bytes.size() < next + size + 2) {
      return false;
    }
    out.kind = Reply::Kind::text;
    out.text = bytes.substr(next, size);
    next += size + 2;
  } else if (number >= 0) {
    out.kind = Reply::Kind::array;
    for (long long left_over = number; left_over > 0; --left_over) {
      if (!decode(bytes, next, out.items.emplace_back())) {
        return false;
      }
    }
  }
  at = next;
  return true;
}

/// A connection for the tests' own commands; blocks, but never for ever. One thread.
class Cli {
 public:
  explicit Cli(Fd socket) : socket_(std::move(socket)) {
    if (!socket_) {
      fail("there is no server");
    }
  }

  /// Sends commands without waiting for the replies; each is for a `read`.
  void send(const std::vector<std::string_view>& words) { write_all(socket_.get(), encode(words), within(patience)); }
  Reply read(Deadline deadline = within(patience)) {
    Reply reply;
    std::size_t at = 0;
    while (bytes_.empty() || !decode(bytes_, at = 0, reply)) {
      char more[65536];
      const ssize_t got = ready(socket_.get(), POLLIN, deadline) ? ::recv(socket_.get(), more, sizeof more, 0) : -1;
      if (got <= 0) {
        fail(got == 0 ? "the server closed the connection" : "no reply in time");
      }
      bytes_.append(more, static_cast<std::size_t>(got));
    }
    bytes_.erase(0, at);
    return reply;
  }
  Reply operator()(const std::vector<std::string_view>& words) {
    send(words);
    return read();
  }

 private:
  Fd socket_;
  std::string bytes_;
};

}  // namespace pulse_test
