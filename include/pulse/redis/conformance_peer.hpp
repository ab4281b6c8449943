// SPDX-License-Identifier: MIT
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pulse/core/redis_reply.hpp"
#include "pulse/core/redis_url.hpp"
#include "pulse/redis/dial.hpp"

namespace pulse::inline v0_1::conformance::detail {

using pulse::detail::Socket;

/// The other end of a client's connection, in the hands of whoever tests it: a loopback port, and what is said there byte by byte. A
/// connection is made and bytes are sent without this end's doing anything, so both ends may be played by one thread.
class RedisPeer {
 public:
  /// `backlog` of 0: takes one connection, the next hangs.
  explicit RedisPeer(int backlog = 16) : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    ok_ = ::bind(listener_.fd(), any, size) == 0 && ::listen(listener_.fd(), backlog) == 0 && ::getsockname(listener_.fd(), any, &size) == 0;
    url_.host = "127.0.0.1";
    url_.port = ntohs(address.sin_port);
  }

  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] const RedisUrl& url() const noexcept { return url_; }

  /// Takes the next connection, in place of the one there is.
  bool accept() {
    pollfd one{listener_.fd(), POLLIN, 0};
    socket_ = Socket{::poll(&one, 1, patience_ms) == 1 ? ::accept(listener_.fd(), nullptr, nullptr) : -1};
    return static_cast<bool>(socket_);
  }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t wrote = ::send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (wrote <= 0) {
        return false;
      }
      bytes.remove_prefix(static_cast<std::size_t>(wrote));
    }
    return true;
  }
  /// The next `size` bytes of the client; fewer where they do not come.
  std::string receive(std::size_t size) {
    std::string all;
    while (all.size() < size) {
      char bytes[4096];
      pollfd one{socket_.fd(), POLLIN, 0};
      const std::size_t wanted = size - all.size() < sizeof bytes ? size - all.size() : sizeof bytes;
      const ssize_t got = ::poll(&one, 1, patience_ms) == 1 ? ::recv(socket_.fd(), bytes, wanted, 0) : 0;
      if (got <= 0) {
        break;
      }
      all.append(bytes, static_cast<std::size_t>(got));
    }
    return all;
  }
  /// Whether the client has closed its end. Takes what it still sent.
  bool closed_by_client() {
    while (true) {
      char bytes[4096];
      pollfd one{socket_.fd(), POLLIN, 0};
      if (::poll(&one, 1, patience_ms) != 1) {
        return false;
      }
      if (::recv(socket_.fd(), bytes, sizeof bytes, 0) <= 0) {
        return true;
      }
    }
  }
  void hang_up() { socket_.reset(); }
  /// Nobody listens any more.
  void go() {
    hang_up();
    listener_.reset();
  }

 private:
  static constexpr int patience_ms = 1000;  ///< for what the system has done already when it is asked for
  Socket listener_;
  Socket socket_;
  RedisUrl url_;
  bool ok_ = false;
};

/// One value on one line: 1, "text", nil, !error, [a, b].
inline std::string show(ReplyReader& reader) {
  std::string_view text;
  std::int64_t integer = 0;
  std::uint32_t elements = 0;
  if (reader.nil()) {
    return "nil";
  }
  if (reader.integer(integer)) {
    return std::to_string(integer);
  }
  if (reader.text(text)) {
    return '"' + std::string(text) + '"';
  }
  if (reader.error(text)) {
    return '!' + std::string(text);
  }
  if (!reader.array(elements)) {
    return "nothing";
  }
  std::string out = "[";
  for (std::uint32_t i = 0; i < elements; ++i) {
    out += (i == 0 ? "" : ", ") + show(reader);
  }
  return out + ']';
}
/// All values from the `first`-th on.
inline std::string show(const RedisReplies& replies, std::size_t first = 0) {
  ReplyReader reader{replies.nodes().subspan(first)};
  std::string out;
  while (!reader.done()) {
    out += (out.empty() ? "" : " ") + show(reader);
  }
  return out;
}

}  // namespace pulse::inline v0_1::conformance::detail
