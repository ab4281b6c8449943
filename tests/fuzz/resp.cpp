// SPDX-License-Identifier: MIT
//
// Any bytes as what a Redis server says: the parser as a whole and in pieces, and SocketClient at the other end of a socket.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "law.hpp"
#include "pulse/redis/conformance_peer.hpp"
#include "pulse/redis/socket_client.hpp"

using pulse::ErrorCode;
using pulse::RedisReplies;
using pulse::ReplyKind;
using pulse::ReplyNode;
using pulse::detail::Parsed;
using pulse::detail::RespParser;
using pulse_fuzz::law;

namespace {

constexpr std::size_t bound = 512;  // of a client's memory: small, so that it is met

/// A server on a Unix socket that says what it is told; both ends are this thread's.
class Server {
 public:
  Server() : path_("/tmp/pulse-fuzz-resp-" + std::to_string(::getpid())), listener_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    ::unlink(path_.c_str());
    law(::bind(listener_.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && ::listen(listener_.fd(), 4) == 0, "a socket to listen on");
  }
  ~Server() { ::unlink(path_.c_str()); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] pulse::RedisUrl url() const {
    pulse::RedisUrl url;
    url.path = path_;
    return url;
  }
  void accept() { peer_ = pulse::detail::Socket{::accept(listener_.fd(), nullptr, nullptr)}; }
  void send(std::string_view bytes) {
    law(::send(peer_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()), "a socket takes the bytes at once");
  }
  void hang_up() { peer_.reset(); }

 private:
  std::string path_;
  pulse::detail::Socket listener_;
  pulse::detail::Socket peer_;
};

/// The replies that the bytes are, each as text, and how they end.
struct Read {
  std::vector<std::string> replies;
  Parsed end = Parsed::incomplete;
};

/// The values are one whole reply, whose texts lie within the bytes.
void whole(std::span<const ReplyNode> nodes, std::string_view bytes) {
  std::size_t left = 1;
  for (const ReplyNode& node : nodes) {
    law(left > 0, "a reply is one value");
    left += node.kind == ReplyKind::array ? node.size : 0;
    --left;
    if (node.kind == ReplyKind::text || node.kind == ReplyKind::error) {
      law(node.text >= bytes.data() && node.text + node.size <= bytes.data() + bytes.size(), "a text lies in what was read");
    }
  }
  law(left == 0, "a reply is a whole value");
}

/// `pace`: bytes at a time; 0: all at once.
Read parse(std::string_view bytes, std::size_t pace) {
  Read read;
  RespParser parser;
  parser.max_text = bound;
  RedisReplies replies;
  const char* at = bytes.data();
  const char* const last = bytes.data() + bytes.size();
  const char* end = pace == 0 ? last : at;
  while (true) {
    const Parsed found = parser.parse(at, end, replies);
    law(at >= bytes.data() && at <= end, "the parser stays where it was told to");
    if (found == Parsed::reply) {
      whole(replies.nodes(), bytes);
      read.replies.push_back(pulse::conformance::detail::show(replies));
      replies.clear();
    } else if (found == Parsed::refused || end == last) {
      law(found == Parsed::refused || static_cast<std::size_t>(end - at) < parser.missing(), "what is incomplete lacks bytes");
      read.end = found;
      return read;
    } else {
      end += std::min(pace, static_cast<std::size_t>(last - end));
    }
  }
}

pulse::SteadyTime soon() { return std::chrono::steady_clock::now() + std::chrono::seconds{5}; }

Read converse(std::string_view bytes, std::size_t pace) {
  static Server server;
  static pulse::SocketClient client{server.url(), {.max_bytes = bound}};
  Read read;
  RedisReplies replies;
  law(static_cast<bool>(client.connect(soon())), "the client connects");
  server.accept();
  while (true) {
    if (bytes.empty()) {
      server.hang_up();
    } else {
      const std::string_view piece = bytes.substr(0, pace == 0 ? bytes.size() : pace);
      server.send(piece);
      bytes.remove_prefix(piece.size());
      client.interrupt();  // a read that has to wait returns, and the next goes on where it was
    }
    const bool over = bytes.empty();
    while (true) {
      const std::size_t before = replies.size();
      const auto got = client.read(replies, soon());
      if (!got) {
        pulse_fuzz::readable(got.error().message, 300);
        law(replies.size() == before, "a failed read appends nothing");
        law(got.error().code == ErrorCode::protocol || got.error().code == ErrorCode::capacity || (over && got.error().code == ErrorCode::unavailable),
            "a read fails for a reason", got.error().message);
        read.end = got.error().code == ErrorCode::unavailable ? Parsed::incomplete : Parsed::refused;
        client.release();
        return read;
      }
      if (!*got) {
        law(replies.size() == before, "an interrupted read appends nothing");
        break;
      }
      read.replies.push_back(pulse::conformance::detail::show(replies));
      replies.clear();
      client.release();
    }
    if (over) {
      server.hang_up();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  pulse_fuzz::Input input{data, size};
  const std::size_t pace = input.byte() % 64;
  const std::string_view bytes = input.rest();
  const Read at_once = parse(bytes, 0);
  const Read in_pieces = parse(bytes, pace);
  law(at_once.replies == in_pieces.replies, "replies do not depend on how they come");
  law(at_once.end == in_pieces.end, "nor does their end");
  const Read over_socket = converse(bytes, pace);
  // The client has a bound on memory besides: it may end earlier.
  const std::size_t count = over_socket.replies.size();
  law(count <= at_once.replies.size() && std::equal(over_socket.replies.begin(), over_socket.replies.end(), at_once.replies.begin()),
      "a client gives what the bytes say");
  law(over_socket.end == Parsed::refused || (count == at_once.replies.size() && at_once.end == Parsed::incomplete), "and all of it");
  return 0;
}
