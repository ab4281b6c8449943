// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "../support/io.hpp"
#include "../support/refused_call.hpp"
#include "../support/scripted_server.hpp"
#include "pulse/redis/socket_client.hpp"

using namespace std::chrono_literals;
using pulse::ErrorCode;
using pulse::RedisUrl;
using pulse::SocketClient;
using pulse_test::Fd;
using pulse_test::ScriptedServer;

namespace {

pulse::Error refused(SocketClient& client, std::chrono::milliseconds time) {
  const pulse::Status made = client.connect(pulse_test::within(time));
  REQUIRE(!made);
  return made.error();
}

/// A port that listens, and answers no connection more: its queue is full.
struct FullPort {
  int number = pulse_test::free_port();
  Fd listener = pulse_test::bind_to(number);
  std::vector<Fd> waiting;
  FullPort() {
    ::listen(listener.get(), 0);
    while (waiting.size() < 100) {
      Fd one{::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
      const sockaddr_in address = pulse_test::loopback(number);
      (void)::connect(one.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
      const bool taken = pulse_test::ready(one.get(), POLLOUT, pulse_test::within(50ms));
      waiting.push_back(std::move(one));
      if (!taken) {
        return;
      }
    }
    pulse_test::fail("a queue of 0 takes 100 connections");
  }
};

}  // namespace

TEST_CASE("socket client: a connection that the system refuses is an error in its words, and can be tried again") {
  ScriptedServer server;
  SocketClient client{*RedisUrl::parse(server.url())};
  pulse::Status made;
  if (!pulse_test::refusing({SYS_socket}, EMFILE, [&] { made = client.connect(pulse_test::within(5s)); })) {
    MESSAGE("left out: this system lets nobody refuse its calls");
    return;
  }
  REQUIRE(!made);
  CHECK(made.error().code == ErrorCode::unavailable);
  CHECK(made.error().message.ends_with("Too many open files"));
  CHECK(client.descriptor() == -1);
  CHECK(client.connect(pulse_test::within(5s)));
}

TEST_CASE("socket client: one that got no pipe to be woken by does not connect: it would sleep through every stop") {
  ScriptedServer server;
  pulse::Status made;
  if (!pulse_test::refusing(
          {
#if defined(SYS_pipe)
              SYS_pipe,
#endif
              SYS_pipe2},
          EMFILE, [&] {
            SocketClient client{*RedisUrl::parse(server.url())};
            client.interrupt();
            made = client.connect(pulse_test::within(5s));
          })) {
    MESSAGE("left out: this system lets nobody refuse its calls");
    return;
  }
  REQUIRE(!made);
  CHECK(made.error().code == ErrorCode::unavailable);
  CHECK(made.error().message.ends_with("no pipe for wake-ups: Too many open files"));
  CHECK(server.connections() == 0);
}

TEST_CASE("socket client: a host that lets nobody in is left at the deadline, or at a word of another thread") {
  const FullPort port;
  SocketClient client{*RedisUrl::parse("redis://127.0.0.1:" + std::to_string(port.number))};
  const auto begin = std::chrono::steady_clock::now();
  CHECK(refused(client, 100ms).message == "no connection to 127.0.0.1:" + std::to_string(port.number) + ": Connection timed out");
  CHECK(std::chrono::steady_clock::now() - begin < pulse_test::patience / 2);
  std::thread other{[&] {
    std::this_thread::sleep_for(50ms);
    client.interrupt();
  }};
  CHECK(refused(client, pulse_test::patience).message == "no connection to 127.0.0.1:" + std::to_string(port.number) + ": interrupted");
  other.join();
  CHECK(std::chrono::steady_clock::now() - begin < pulse_test::patience / 2);
  CHECK(client.descriptor() == -1);
}

TEST_CASE("of a name's addresses, one that swallows what is sent to it does not keep us from the next") {
  const FullPort dead;
  ScriptedServer server;
  sockaddr_in there[2] = {pulse_test::loopback(dead.number), pulse_test::loopback(server.port())};
  addrinfo addresses[2]{};
  for (std::size_t i = 0; i < 2; ++i) {
    addresses[i].ai_family = AF_INET;
    addresses[i].ai_addr = reinterpret_cast<sockaddr*>(&there[i]);
    addresses[i].ai_addrlen = sizeof there[i];
  }
  addresses[0].ai_next = &addresses[1];
  pulse::detail::PipeWaker waker;
  pulse::detail::Socket socket;
  CHECK(pulse::detail::dial_first(socket, addresses, pulse_test::within(400ms), waker) == 0);
  CHECK(socket);
  addresses[1].ai_addr = addresses[0].ai_addr;
  CHECK(pulse::detail::dial_first(socket, addresses, pulse_test::within(100ms), waker) == ETIMEDOUT);
}

TEST_CASE("socket client: a path that no Unix socket can have is a mistake of the configuration, and no server that is away") {
  RedisUrl url;  // made by hand: RedisUrl::parse refuses it
  url.path = '/' + std::string(200, 'x');
  SocketClient client{url};
  const pulse::Error error = refused(client, 5s);
  CHECK(error.code == ErrorCode::config);
  CHECK(error.message == "the path \"/" + std::string(200, 'x') + "\" is too long for a Unix socket");
}
