// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <thread>

#include "../support/redis_server.hpp"

using namespace std::chrono_literals;
using pulse_test::cli;
using pulse_test::Process;
using pulse_test::RedisServer;
using pulse_test::Reply;
using pulse_test::within;

// What the other tests of this family stand on.

TEST_CASE("support: a reply prints on one line, and is not taken for whole before it is") {
  const std::string wire = std::string("*5\r\n:-7\r\n$3\r\n") + std::string("a\0b", 3) + "\r\n$-1\r\n*2\r\n+OK\r\n*-1\r\n-ERR no\r\n";
  Reply reply;
  for (std::size_t size = 0; size < wire.size(); ++size) {
    std::size_t at = 0;
    CHECK_FALSE(pulse_test::decode(std::string_view{wire}.substr(0, size), at, reply));
    CHECK(at == 0);
  }
  std::size_t at = 0;
  CHECK(pulse_test::decode(wire, at, reply));
  CHECK(at == wire.size());
  CHECK(reply == "[-7, a\\x00b, nil, [OK, nil], -ERR no]");
  CHECK(reply[3][0] == "OK");
  CHECK(reply[7].kind == Reply::Kind::nil);
  CHECK(pulse_test::encode(std::vector<std::string_view>{"GET", "k"}) == "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
}

TEST_CASE("support: a process is waited for, and how it ended is known") {
  Process ends{{{"sh", "-c", "echo one; echo \"$WORD\"; exit 3"}, {{"WORD", "two"}}}};
  CHECK(ends.read_line() == "one");
  CHECK(ends.read_line() == "two");
  CHECK_FALSE(ends.read_line());
  CHECK(ends.wait() == pulse_test::Exit{3, 0});
  CHECK_FALSE(ends.running());

  Process sleeps{{{"sleep", "1000"}}};
  CHECK_FALSE(sleeps.wait(within(1ms)));
  sleeps.pause();
  sleeps.signal(SIGTERM);
  CHECK_FALSE(sleeps.wait(within(20ms)));  // stopped: it comes to nothing yet
  sleeps.resume();
  CHECK(sleeps.wait() == pulse_test::Exit{0, SIGTERM});

  CHECK_THROWS_WITH(Process({{"no-such-program"}}), "cannot run no-such-program: No such file or directory");
}

TEST_CASE("support: a process outlives the thread that asked for it, and ends with its object") {
  pid_t pid = 0;
  {
    Process process;
    std::thread{[&] { process.start({{"sh", "-c", "sleep 1000 & echo $!; wait"}}); }}.join();
    const auto child = process.read_line();
    CHECK_FALSE(process.wait(within(20ms)));
    pid = process.pid();
    // The shell's own child keeps the object waiting until it is gone: it is ended here as a test would.
    ::kill(static_cast<pid_t>(std::stol(*child)), SIGKILL);
  }
  CHECK(::kill(pid, 0) != 0);
}

TEST_SUITE("redis-server") {
  TEST_CASE("support: a server is started with a configuration, asked, and leaves nothing behind") {
    std::filesystem::path folder;
    pid_t pid = 0;
    {
      RedisServer server{"maxmemory 3mb", "databases 3"};
      CHECK(cli(server, {"CONFIG", "GET", "maxmemory"}) == "[maxmemory, 3145728]");
      CHECK(cli(server, {"SET", "k", std::string_view{"a\0b", 3}}) == "OK");
      CHECK(cli(server, {"GET", "k"}) == "a\\x00b");
      CHECK(cli(server, {"GET", "none"}) == "nil");
      CHECK(cli(server, {"XADD", "k", "1-1", "f", "v"}) == "-WRONGTYPE Operation against a key holding the wrong kind of value");
      CHECK(cli(server, {"XADD", "s", "1-1", "f", "v"}) == "1-1");
      CHECK(cli(server, {"XRANGE", "s", "-", "+"}) == "[[1-1, [f, v]]]");
      CHECK(cli(server, {"INCR", "n"}).integer == 1);
      CHECK(server.url(2) == "redis://127.0.0.1:" + std::to_string(server.port()) + "/2");
      auto connection = server.connect();
      connection.send({"INCR", "n"});
      connection.send({"INCR", "n"});
      CHECK(connection.read() == "2");
      CHECK(connection.read() == "3");
      folder = server.data().parent_path();
      pid = server.pid();
      CHECK(std::filesystem::exists(folder));
    }
    CHECK_FALSE(std::filesystem::exists(folder));
    CHECK(::kill(pid, 0) != 0);
    CHECK_THROWS(RedisServer{"no-such-setting 1"});
  }

  TEST_CASE("support: a killed server comes back with what it had written, or empty, on the same port") {
    RedisServer server{"appendonly yes", "appendfsync always"};
    const int port = server.port();
    CHECK(cli(server, {"SET", "k", "v"}) == "OK");
    server.restart();
    CHECK(cli(server, {"GET", "k"}) == "v");
    server.kill();
    CHECK_FALSE(server.running());
    CHECK_THROWS(cli(server, {"PING"}));
    server.start();
    CHECK(cli(server, {"GET", "k"}) == "v");
    server.restart_empty();
    CHECK(cli(server, {"GET", "k"}) == "nil");
    CHECK(server.port() == port);
    RedisServer other;
    CHECK(cli(other, {"SET", "k", "v"}) == "OK");
    other.restart();
    CHECK(cli(other, {"GET", "k"}) == "nil");
  }

  TEST_CASE("support: a paused server takes a connection and answers when it goes on") {
    RedisServer server;
    server.pause();
    auto connection = server.connect();
    connection.send({"PING"});
    CHECK_THROWS_WITH(connection.read(within(20ms)), "no reply in time");
    server.resume();
    CHECK(connection.read() == "PONG");
  }
}
