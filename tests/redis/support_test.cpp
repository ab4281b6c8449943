// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <thread>

#include "../support/child_process.hpp"
#include "../support/fault_proxy.hpp"
#include "../support/redis_server.hpp"
#include "../support/scripted_server.hpp"

using namespace std::chrono_literals;
using pulse_test::Answer;
using pulse_test::ChildProcess;
using pulse_test::Cli;
using pulse_test::cli;
using pulse_test::connect_to;
using pulse_test::FaultProxy;
using pulse_test::Process;
using pulse_test::RedisServer;
using pulse_test::Reply;
using pulse_test::ScriptedServer;
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

TEST_CASE("support: the part of a child process" * doctest::skip()) {
  for (int i = 0; i < 3; ++i) {
    pulse_test::failpoint("loop");
  }
  pulse_test::failpoint("end");
  CHECK(pulse_test::variable("WORD") == "given");
}

TEST_CASE("support: this program is run again, and killed at the point it was told") {
  const auto ends = [](const char* where) { return ChildProcess{"support: the part of a child process", where, {{"WORD", "given"}}}.wait(); };
  CHECK(ends("") == pulse_test::Exit{0, 0});
  CHECK(ends("no such point") == pulse_test::Exit{0, 0});
  CHECK(ends("end") == pulse_test::Exit{0, SIGKILL});
  CHECK(ends("loop:3") == pulse_test::Exit{0, SIGKILL});
  CHECK(ends("loop:4") == pulse_test::Exit{0, 0});
  CHECK(ChildProcess{"support: the part of a child process"}.wait() == pulse_test::Exit{1, 0});
}

TEST_CASE("support: a scripted server answers in turn, by name, or as Redis would at a log-in") {
  ScriptedServer turns{"+one\r\n", ":2\r\n", {"-LOADING Redis is loading\r\n", Answer::Then::close}};
  Cli client{connect_to(turns.port())};
  CHECK(client({"PING"}) == "one");
  CHECK(client({"PING"}) == "2");
  CHECK(client({"PING"}) == "-LOADING Redis is loading");
  CHECK_THROWS_WITH(client.read(), "the server closed the connection");
  CHECK(Cli{connect_to(turns.port())}({"GET", "a\n"}) == "-LOADING Redis is loading");
  CHECK(turns.transcript() == std::vector<std::string>{"PING", "PING", "PING", "GET a\\x0a"});
  CHECK(turns.connections() == 2);

  ScriptedServer named;
  named.on("GET", [](const auto& words) { return words.size() == 2 ? ScriptedServer::bulk(words[1]) : "-ERR\r\n"; });
  named.once("GET", "$-1\r\n", 2);
  Cli second{connect_to(named.port())};
  second.send({"GET", "a"});
  second.send({"GET", "b"});
  second.send({"GET", "c"});
  CHECK(second.read() == "nil");
  CHECK(second.read() == "nil");
  CHECK(second.read() == "c");
  CHECK(second({"CLIENT", "ID"}) == "7");
  named.forget("GET");
  CHECK(second({"GET", "a"}) == "OK");
  CHECK(named.wait([](const auto& lines) { return lines.size() == 5; }));
  named.cut();
  CHECK_THROWS(second.read());
  ScriptedServer reset{{"+half", Answer::Then::reset}};
  Cli third{connect_to(reset.port())};
  CHECK_THROWS(third({"PING"}));
}

TEST_CASE("support: whole values are counted however they are cut") {
  const std::string wire = "*2\r\n$4\r\nPI\r\n\r\n$0\r\n\r\n:5\r\n*0\r\n*-1\r\n$-1\r\n*1\r\n*1\r\n+x\r\n";
  for (std::size_t piece = 1; piece <= wire.size(); ++piece) {
    pulse_test::RespCounter counter;
    for (std::size_t at = 0; at < wire.size(); at += piece) {
      counter.feed(std::string_view{wire}.substr(at, piece));
    }
    CHECK(counter.whole() == 6);
  }
}

TEST_SUITE("redis-server") {
  TEST_CASE("support: a proxy passes, delays, splits and counts") {
    RedisServer server;
    FaultProxy proxy{server.port()};
    Cli client{connect_to(proxy.port())};
    CHECK(client({"SET", "k", std::string(100'000, 'x')}) == "OK");
    CHECK(client({"GET", "k"}).text.size() == 100'000);
    auto counts = proxy.counts();
    CHECK(counts.connections == 1);
    CHECK(counts.open == 1);
    CHECK(counts.commands == 2);
    CHECK(counts.replies == 2);
    CHECK(counts.bytes_up > 100'000);
    CHECK(counts.bytes_down > 100'000);

    proxy.delay(30ms);
    const auto before = std::chrono::steady_clock::now();
    CHECK(client({"PING"}) == "PONG");
    CHECK(std::chrono::steady_clock::now() - before >= 30ms);

    proxy.pass();
    proxy.split(1);
    pulse_test::Fd raw = connect_to(proxy.port());
    pulse_test::write_all(raw.get(), "PING\r\n", within(5s));
    std::string all;
    std::size_t reads = 0;
    while (all != "+PONG\r\n") {
      char bytes[64];
      REQUIRE(pulse_test::ready(raw.get(), POLLIN, within(5s)));
      all.append(bytes, static_cast<std::size_t>(::recv(raw.get(), bytes, sizeof bytes, 0)));
      ++reads;
    }
    CHECK(reads > 1);
  }

  TEST_CASE("support: a proxy loses replies, cuts, refuses, and goes half-open") {
    RedisServer server;
    FaultProxy proxy{server.port()};
    const auto at = [&] { return Cli{connect_to(proxy.port())}; };
    for (const auto how : {FaultProxy::Cut::close, FaultProxy::Cut::reset}) {
      proxy.cut_after(3, how);
      Cli client = at();
      CHECK_THROWS(client({"INCR", "n"}));
      CHECK(proxy.wait([](const auto& counts) { return counts.open == 0; }));
    }
    CHECK(cli(server, {"GET", "n"}) == "2");
    CHECK(at()({"PING"}) == "PONG");  // it was for once

    proxy.cut_after(0);
    CHECK_THROWS_WITH(at()({"INCR", "n"}), "the server closed the connection");
    CHECK(cli(server, {"GET", "n"}) == "3");

    Cli lost = at();
    proxy.drop_replies();
    lost.send({"INCR", "n"});
    CHECK(proxy.wait([](const auto& counts) { return counts.replies == 5; }));
    CHECK(cli(server, {"GET", "n"}) == "4");
    proxy.pass();
    CHECK_THROWS_WITH(lost.read(within(20ms)), "no reply in time");
    lost.send({"INCR", "n"});
    CHECK_THROWS_WITH(lost.read(within(20ms)), "no reply in time");  // a hole in a stream is never passed over
    CHECK(at()({"PING"}) == "PONG");

    proxy.drop_all();
    Cli open = at();
    open.send({"INCR", "n"});
    CHECK_THROWS_WITH(open.read(within(20ms)), "no reply in time");
    CHECK(cli(server, {"GET", "n"}) == "5");
    proxy.pass();

    Cli stays = at();
    CHECK(stays({"PING"}) == "PONG");
    proxy.refuse();
    CHECK_FALSE(connect_to(proxy.port()));
    CHECK(stays({"PING"}) == "PONG");
    proxy.cut(FaultProxy::Cut::reset);
    CHECK_THROWS(stays.read());
    CHECK(proxy.counts().open == 0);
    proxy.pass();
    CHECK(at()({"PING"}) == "PONG");
    server.kill();
    CHECK_THROWS(at()({"PING"}));
  }

  TEST_CASE("support: a scripted server before a real one") {
    RedisServer server;
    ScriptedServer front{server.port()};
    Cli client{connect_to(front.port())};
    CHECK(client({"SET", "k", "v"}) == "OK");
    front.once("GET", "-LOADING Redis is loading the dataset in memory\r\n");
    CHECK(client({"GET", "k"}) == "-LOADING Redis is loading the dataset in memory");
    CHECK(client({"GET", "k"}) == "v");
    client.send({"XREAD", "BLOCK", "0", "STREAMS", "s", "$"});
    CHECK(front.wait([](const auto& lines) { return lines.size() == 4; }));
    front.cut();
    CHECK_THROWS(client.read());
    Cli other{connect_to(front.port())};
    other.send({"XREAD", "BLOCK", "0", "STREAMS", "s", "$"});  // and it ends while a command waits
  }

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
