// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "pulse/concept/redis_client.hpp"
#include "pulse/redis/conformance_trial.hpp"

/// The laws of RedisClient, executable and bound to no test framework. In a test of one's own:
///
///     CHECK(pulse::conformance::redis_client<MyClient>() == "");
///     CHECK(pulse::conformance::redis_client<MyClient>("redis://localhost") == "");
///
/// The first plays the server by itself, on a loopback port; the second speaks to a real one, and leaves nothing behind there.
namespace pulse::inline v0_1::conformance {

namespace detail {

/// What a server may say, and as what it is to be read.
inline const std::vector<std::pair<std::string, std::string>>& redis_samples() {
  static const std::vector<std::pair<std::string, std::string>> samples{
      {"+OK\r\n", "\"OK\""},
      {"+\r\n", "\"\""},
      {"-ERR no\r\n", "!ERR no"},
      {":0\r\n", "0"},
      {":-9223372036854775808\r\n", "-9223372036854775808"},
      {":9223372036854775807\r\n", "9223372036854775807"},
      {"$-1\r\n", "nil"},
      {"*-1\r\n", "nil"},
      {"$0\r\n\r\n", "\"\""},
      {"$7\r\na\r\nb\r\nc\r\n", "\"a\r\nb\r\nc\""},
      {std::string("$3\r\n\0\xff$\r\n", 9), std::string("\"\0\xff$\"", 5)},
      {"*0\r\n", "[]"},
      {"*3\r\n:1\r\n$-1\r\n*-1\r\n", "[1, nil, nil]"},
      {"*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$4\r\ndata\r\n$2\r\n{}\r\n*2\r\n$3\r\n1-1\r\n*-1\r\n", "[[\"1-0\", [\"data\", \"{}\"]], [\"1-1\", nil]]"},
      {"*3\r\n+a\r\n-ERR within\r\n*1\r\n*0\r\n", "[\"a\", !ERR within, [[]]]"},
      {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:7\r\n", "[[[[[[[7]]]]]]]"},
  };
  return samples;
}

template <class Client>
std::string redis_commands() {
  using namespace std::string_view_literals;
  RedisPeer peer;
  RedisClientTrial<Client> trial{peer.url()};
  if (!trial.law(peer.ok(), "there is a loopback port to test with") || !trial.is_closed("a client that was never connected reads nothing") ||
      !trial.connects() || !trial.law(peer.accept(), "a client connects to the port of its URL")) {
    return trial.broken();
  }
  std::string word = "PING";
  trial.append({word});
  word = "XXXX";  // its words are copied or written
  trial.append({"SET", "", std::string_view{"\0\r\n", 3}});
  const auto wanted = "*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n$0\r\n\r\n$3\r\n\0\r\n\r\n"sv;
  if (trial.flushes() && trial.law(peer.receive(wanted.size()) == wanted, "commands are written as arrays of binary-safe words, copied at `append`")) {
    peer.send("+PONG\r\n+OK\r\n");
    (void)(trial.reads("\"PONG\"", "replies come in the order of the wire") && trial.reads("\"OK\"", "a second reply that came with the first is read, too"));
  }
  // A command that was queued before a close is forgotten.
  trial.append({"OLD"});
  trial.client().close();
  if (!trial.broken().empty() || !trial.law(peer.closed_by_client(), "close closes the connection") || !trial.is_closed("close ends the connection") ||
      !trial.connects() || !trial.law(peer.accept(), "a client that was closed connects again")) {
    return trial.broken();
  }
  trial.append({"NEW"});
  if (trial.flushes() && trial.law(peer.receive(13) == "*1\r\n$3\r\nNEW\r\n", "what was queued before a close is forgotten") && trial.connects()) {
    trial.law(peer.closed_by_client(), "connect closes the connection that is there");
    peer.accept();
    peer.send(":1\r\n");
    trial.reads("1", "connect makes a new connection in place of one that is there");
  }
  return trial.broken();
}

/// Every sample, cut in two at every byte, with an interrupt between: the strictest form of "nothing was appended".
template <class Client>
std::string redis_splits() {
  RedisPeer peer;
  RedisClientTrial<Client> trial{peer.url()};
  if (!trial.connects() || !peer.accept()) {
    return trial.broken();
  }
  for (const auto& [bytes, value] : redis_samples()) {
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      peer.send(std::string_view{bytes}.substr(0, cut));
      trial.client().interrupt();
      if (!trial.reads_interrupt("an interrupt ends the next read that would wait, in the middle of a reply, too")) {
        return trial.broken();
      }
      peer.send(bytes.substr(cut) + ":1\r\n");
      if (!trial.reads(value, "a reply is the same however it was cut") || !trial.reads("1", "a read takes one reply and no more")) {
        return trial.broken();
      }
      if (cut % 3 == 0) {
        trial.release();
      }
    }
  }
  // Texts stay, whatever is read after them, until they are released.
  trial.release();
  const std::string large(300'000, 'x');
  peer.send("+first\r\n*2\r\n$6\r\nsecond\r\n");
  trial.reads("\"first\"", "a reply is read");
  std::thread sender{[&] { peer.send("$300000\r\n" + large + "\r\n+last\r\n"); }};
  trial.reads("[\"second\", \"" + large + "\"]", "a large reply is read");
  sender.join();
  trial.law(show(trial.replies()).starts_with("\"first\" [\"second\", \"xxx"), "texts stay where they are until release");
  trial.release();
  trial.reads("\"last\"", "a release in the middle of what has come loses nothing");
  return trial.broken();
}

template <class Client>
std::string redis_interrupts() {
  RedisPeer peer;
  RedisClientTrial<Client> trial{peer.url()};
  if (!trial.connects() || !peer.accept()) {
    return trial.broken();
  }
  for (int round = 0; round < 20 && trial.broken().empty(); ++round) {
    std::thread other{[&] {
      std::this_thread::sleep_for(std::chrono::milliseconds{round % 4});  // before the read, at it, or within
      trial.client().interrupt();
    }};
    trial.reads_interrupt("an interrupt from another thread ends a read");
    other.join();
    peer.send(":5\r\n");
    trial.reads("5", "after an interrupt the connection is as good as before");
  }
  return trial.broken();
}

template <class Client>
std::string redis_failures() {
  using enum ErrorCode;
  RedisPeer peer;
  std::string broken;
  const auto ends = [&](const std::string& bytes, bool hangs_up, std::vector<ErrorCode> codes, const std::string& what) {
    RedisClientTrial<Client> trial{peer.url()};
    if (broken.empty() && trial.connects() && peer.accept()) {
      peer.send("+before\r\n" + bytes);
      if (hangs_up) {
        peer.hang_up();
      }
      if (trial.reads("\"before\"", "what came before a failure is read") && trial.read_fails(std::move(codes), what + bytes) && trial.connects() &&
          peer.accept()) {
        peer.send("+after\r\n");
        (void)(trial.reads("\"after\"", "a new connection begins with a new reply") &&
               trial.law(show(trial.replies()) == "\"before\" \"after\"", "texts outlive a failure"));
      }
      broken = trial.broken();
    }
  };
  for (const char* bytes : {"?\r\n", "$x\r\n", ":1x\r\n", "*-2\r\n", "$-2\r\n", "\r\n\r\n", "*1\r\n?\r\n"}) {
    ends(bytes, false, {protocol}, "what is no reply is a protocol error: ");
  }
  for (const char* bytes : {"*4294967296\r\n", "$9999999999999999999\r\n"}) {
    ends(bytes, false, {protocol, capacity}, "what nobody can hold is refused: ");
  }
  for (const char* bytes : {"", "$5\r\nab", "*2\r\n:1\r\n"}) {
    ends(bytes, true, {unavailable}, "a connection that the server closes is unavailable: ");
  }
  return broken;
}

template <class Client>
std::string redis_deadlines() {
  using std::chrono::milliseconds;
  using enum ErrorCode;
  RedisPeer peer;
  RedisClientTrial<Client> trial{peer.url()};
  if (!trial.connects() || !peer.accept()) {
    return trial.broken();
  }
  peer.send("$3\r\nab");
  const SteadyTime deadline = trial.in(milliseconds{20});
  if (!trial.read_fails({unavailable}, "a read without a reply fails at its deadline", deadline) ||
      !trial.law(std::chrono::steady_clock::now() >= deadline, "a read waits up to its deadline") ||
      !trial.law(peer.closed_by_client(), "after its deadline no late reply can be taken for another") || !trial.connects() || !peer.accept()) {
    return trial.broken();
  }
  const std::string much(1 << 20, 'x');
  for (int i = 0; i < 32; ++i) {
    trial.append({"SET", "k", much});
  }
  const Status written = trial.client().flush(trial.in(milliseconds{20}));
  if (!trial.law(!written && written.error().code == unavailable, "a write that nobody takes fails at its deadline") ||
      !trial.is_closed("a write that fails ends the connection")) {
    return trial.broken();
  }
  // Who takes one connection and no more leaves the next in the middle of being made. Where a system takes eight all the same, it cannot be tried.
  RedisPeer full{0};
  std::vector<std::unique_ptr<RedisClientTrial<Client>>> clients;
  for (int i = 0; i < 8; ++i) {
    auto& next = *clients.emplace_back(std::make_unique<RedisClientTrial<Client>>(full.url()));
    if (const Status made = next.client().connect(next.in(milliseconds{20})); !made) {
      next.law(made.error().code == unavailable, "connecting fails at its deadline", made.error().message);
      return next.broken();
    }
  }
  return {};
}

template <class Client>
std::string redis_refusals() {
  using std::chrono::milliseconds;
  RedisPeer peer;
  RedisUrl url = peer.url();
  url.tls = true;
  url.user = "someone";
  url.password = "pass-word";
  RedisClientTrial<Client> tls{url};
  const Status clear = tls.client().connect(tls.in(milliseconds{200}));
  if (!tls.law(!clear && !clear.error().message.empty(), "rediss:// is not spoken to in the clear") ||
      !tls.law(clear.error().message.find("pass-word") == std::string::npos, "a message holds no password")) {
    return tls.broken();
  }
  peer.go();
  RedisClientTrial<Client> nobody{peer.url()};
  const Status made = nobody.client().connect(nobody.soon());
  (void)(nobody.law(!made && made.error().code == ErrorCode::unavailable, "a port without a server is unavailable") &&
         nobody.is_closed("a connection that was not made"));
  nobody.append({"PING"});
  const Status written = nobody.client().flush(nobody.soon());
  nobody.law(!written && written.error().code == ErrorCode::unavailable, "without a connection nothing is written");
  return nobody.broken();
}

/// Over a real server.
template <class Client>
std::string redis_for_real(const RedisUrl& url) {
  using enum ErrorCode;
  RedisClientTrial<Client> trial{url};
  const auto logs_in = [&] {
    if (!trial.connects() || (url.password.empty() && url.user.empty())) {
      return trial.broken().empty();
    }
    url.user.empty() ? trial.append({"AUTH", url.password}) : trial.append({"AUTH", url.user, url.password});
    return trial.flushes() && trial.reads("\"OK\"", "AUTH is granted");
  };
  if (!logs_in()) {
    return trial.broken();
  }
  std::string every;
  for (int byte = 0; byte < 256; ++byte) {
    every += static_cast<char>(byte);
  }
  std::vector<std::string> words{"", every, std::string(5'000'000, 'x')};
  for (std::size_t i = 0; i < 1000; ++i) {
    words.push_back(std::to_string(i) + std::string(i * 7 % 3000, 'y'));
  }
  for (const std::string& word : words) {
    trial.append({"ECHO", word});
  }
  if (!trial.flushes()) {
    return trial.broken();
  }
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!trial.reads('"' + words[i] + '"', "pipelined commands get their own replies, in order, byte for byte")) {
      return trial.broken();
    }
    if (i % 100 == 99) {
      trial.release();
    }
  }
  constexpr std::string_view none = "pulse:conformance:none";
  trial.append({"PING"});
  trial.append({"GET", none});
  trial.append({"NO-SUCH-COMMAND"});
  trial.append({"TTL", none});
  trial.append({"LRANGE", none, "0", "-1"});
  trial.append({"MGET", none, none});
  trial.append({"EXISTS", none});
  const std::size_t first = trial.replies().size();
  (void)(trial.flushes() && trial.reads("\"PONG\"", "a status is a text") && trial.reads("nil", "a value that is not there is nil"));
  trial.law(trial.broken().empty() && trial.client().read(trial.replies(), trial.soon()).has_value() &&
                show(trial.replies(), first).starts_with("\"PONG\" nil !ERR "),
            "an error reply is a reply", show(trial.replies(), first));
  (void)(trial.broken().empty() && trial.reads("-2", "an integer has its sign") && trial.reads("[]", "an array may be empty") &&
         trial.reads("[nil, nil]", "an array holds nil") && trial.reads("0", "after an error reply the connection is as good as before"));
  trial.append({"BLPOP", none, "0"});
  if (trial.broken().empty() && trial.flushes()) {
    std::thread other{[&] { trial.client().interrupt(); }};
    trial.reads_interrupt("an interrupt ends a read of a command that blocks");
    other.join();
    trial.read_fails({unavailable}, "a read of a command that blocks fails at its deadline", trial.in(std::chrono::milliseconds{20}));
  }
  if (trial.broken().empty() && logs_in()) {
    trial.append({"ECHO", "again"});
    (void)(trial.flushes() && trial.reads("\"again\"", "a connection that was ended by a deadline is made anew"));
  }
  return trial.broken();
}

}  // namespace detail

/// Returns "" or the first law that was broken, with what was seen.
template <class Client>
[[nodiscard]] std::string redis_client() {
  static_assert(assert_redis_client<Client>());
  for (const auto law : {detail::redis_commands<Client>, detail::redis_splits<Client>, detail::redis_interrupts<Client>, detail::redis_failures<Client>,
                         detail::redis_deadlines<Client>, detail::redis_refusals<Client>}) {
    if (std::string broken = law(); !broken.empty()) {
      return broken;
    }
  }
  return {};
}
/// The same over a real server, with what only that can show. Errors in the URL are broken laws, too.
template <class Client>
[[nodiscard]] std::string redis_client(std::string_view url) {
  static_assert(assert_redis_client<Client>());
  const Result<RedisUrl> parsed = RedisUrl::parse(url);
  return parsed ? detail::redis_for_real<Client>(*parsed) : parsed.error().message;
}

}  // namespace pulse::inline v0_1::conformance
