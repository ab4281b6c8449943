// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <pulse/redis.hpp>

#include "../support/scripted_server.hpp"
#include "redis_world.hpp"

using namespace std::chrono_literals;
using namespace pulse_test;
using pulse::ErrorCode;

// What is wrong at the start is said at the start, once, by name, and without a password.

namespace {

pulse::Error refused(const std::string& url, pulse::RedisOptions options = {}, const pulse::SubscribeOptions& wanted = member("one")) {
  Backend backend{url_of(url), std::move(options)};
  auto subscription = backend.subscribe(wanted);
  REQUIRE_FALSE(subscription);
  CHECK(subscription.error().message.find("s3cr3t") == std::string::npos);
  CHECK(subscription.error().message.find('\n') == std::string::npos);
  const bool spoke = subscription.error().code != ErrorCode::config;
  CHECK(backend.health().ready == !spoke);
  CHECK(backend.health().detail == (spoke ? subscription.error().message : ""));
  return std::move(subscription).error();
}

bool says(const pulse::Error& error, ErrorCode code, const std::string& words) {
  INFO(error.message);
  CHECK(error.code == code);
  CHECK(error.message.find(words) != std::string::npos);
  return error.code == code && error.message.find(words) != std::string::npos;
}

std::string at(int port, const std::string& who = "") { return "redis://" + who + "127.0.0.1:" + std::to_string(port); }

}  // namespace

TEST_CASE("redis start: nobody listens, or what answers is no Redis") {
  const int nobody = free_port();
  says(refused(at(nobody)), ErrorCode::unavailable, "no connection to 127.0.0.1:" + std::to_string(nobody) + ": Connection refused");
  says(refused("unix:///nowhere/redis.sock"), ErrorCode::unavailable, "no connection to /nowhere/redis.sock: No such file or directory");
  says(refused("redis://no-such-host.invalid:6379"), ErrorCode::unavailable, "no connection to no-such-host.invalid:6379");
  says(refused(at(nobody, "user:s3cr3t@").replace(0, 8, "rediss://")), ErrorCode::config, "SocketClient has no TLS: use redis://, or a client that has it");

  ScriptedServer http;
  http.on("", {{"HTTP/1.1 400 Bad Request\r\n\r\n"}});
  says(refused(at(http.port())), ErrorCode::protocol, "answers what is no Redis reply: \"HTTP/1.1 400 Bad Request");

  ScriptedServer silent;
  silent.on("", {{""}});
  pulse::RedisOptions hasty;
  hasty.connect_timeout = 50ms;
  says(refused(at(silent.port()), hasty), ErrorCode::unavailable, "no reply in time");

  ScriptedServer old;
  old.on("INFO", {{ScriptedServer::bulk("redis_version:5.0.14\r\nredis_mode:standalone\r\n")}});
  says(refused(at(old.port())), ErrorCode::denied, "is Redis 5.0.14: needed is 6.2 or newer, for XAUTOCLAIM");

  ScriptedServer other;
  other.on("INFO", {{ScriptedServer::bulk("server:other\r\n")}});
  says(refused(at(other.port())), ErrorCode::denied, "it is no Redis server");
}

TEST_CASE("redis start: options that cannot be") {
  pulse::RedisOptions options;
  options.command_timeout = 0ms;
  says(refused("redis://localhost", options), ErrorCode::config, "RedisOptions.connect_timeout and command_timeout are 2000 ms and 0 ms");
  for (const auto part : {&pulse::RedisOptions::connect_timeout, &pulse::RedisOptions::command_timeout}) {
    options = {};
    options.*part = std::chrono::milliseconds::max();
    says(refused("redis://localhost", options), ErrorCode::config, "9223372036854775807 ms");
    options.*part = 24h + 1ms;
    says(refused("redis://localhost", options), ErrorCode::config, "86400001 ms");
    options.*part = 24h;
    CHECK(check(options));
  }
  options = {};
  options.max_length = 1ULL << 63;
  says(refused("redis://localhost", options), ErrorCode::config, "RedisOptions.max_length is 9223372036854775808: allowed are 1 to 2^63 - 1, or 0");
  options.max_length -= 1;
  CHECK(check(options));
  options = {};
  options.client_name = "a b";
  says(refused("redis://localhost", options), ErrorCode::config, "RedisOptions.client_name");
  says(refused("redis://localhost", {}, member("one", {"a", "a"})), ErrorCode::config, "the stream \"a\" is named twice");
  says(refused("redis://localhost", {}, member("")), ErrorCode::config, "must not be empty");

  pulse::PulseConfig config;
  config.redis_url = "redis://u:s3cr3t@h:x";
  const auto made = pulse::redis_backend()(config);
  REQUIRE_FALSE(made);
  says(made.error(), ErrorCode::config, "REDIS_URL is \"redis://***@h:x\": the port is no number");
}

// field bug 23
TEST_CASE("redis start: a cluster keeps keys together by their hash tag only") {
  ScriptedServer cluster;
  cluster.on("INFO", {{ScriptedServer::bulk("redis_version:7.0.15\r\nredis_mode:cluster\r\n")}});
  cluster.on("TYPE", {{"+none\r\n"}});
  says(refused(at(cluster.port())), ErrorCode::config, "the key \"s\" needs the same {hash tag}");
  says(refused(at(cluster.port()), {}, member("one", {"{a}s", "{b}t"})), ErrorCode::config, "the key \"{b}t\" needs the same {hash tag}");
  Backend backend{url_of(at(cluster.port()))};
  CHECK(backend.subscribe(member("one", {"{a}s", "{a}t"})));
}

TEST_CASE("redis start: what a server says to a log-in and to the making of a group has a form, or is refused by the name of the command") {
  auto again = member("one");
  again.resume_after = {{1, 1}};
  struct Row {
    std::string command;
    std::string says;
  };
  for (const Row& row : {Row{"INFO", "INFO"}, Row{"SCRIPT", "SCRIPT LOAD"}, Row{"XINFO", "XINFO STREAM"}}) {
    CAPTURE(row.command);
    ScriptedServer odd;
    odd.on(row.command, {{":1\r\n"}});
    says(refused(at(odd.port()), {}, again), ErrorCode::protocol, row.says + " at 127.0.0.1:" + std::to_string(odd.port()) + ": the reply has not the form");
  }
  for (const std::string command : {"INFO", "CLIENT", "SCRIPT", "XINFO", "XGROUP", "TYPE"}) {  // the connection ends instead of a reply
    CAPTURE(command);
    ScriptedServer gone;
    gone.on(command, {{"", pulse_test::Answer::Then::close}});
    says(refused(at(gone.port()), {}, command == "XINFO" ? again : member("one")), ErrorCode::unavailable, "is lost: the server closed the connection");
  }
}

TEST_SUITE_BEGIN("redis-server");

TEST_CASE("redis start: the system takes the connection for a server that stands still: logging in has its deadline, too") {
  RedisServer server;
  server.pause();
  pulse::RedisOptions hasty;
  hasty.connect_timeout = 50ms;
  says(refused(server.url(), hasty), ErrorCode::unavailable, "no reply in time");
  server.resume();
  CHECK(Backend{url_of(server.url()), hasty}.subscribe(member("one")));
}

TEST_CASE("redis start: who may not is told so, and may not go on") {
  RedisServer server{"requirepass s3cr3t"};
  says(refused(server.url()), ErrorCode::denied, "NOAUTH Authentication required. (give user and password in the URL)");
  says(refused(at(server.port(), ":s3cr3ts3cr3t@")), ErrorCode::denied, "WRONGPASS");
  says(refused(at(server.port(), ":s3cr3t@") + "/99"), ErrorCode::denied, "DB index is out of range");

  Cli redis = server.connect();
  (void)redis({"AUTH", "s3cr3t"});
  CHECK(redis({"ACL", "SETUSER", "reader", "on", ">s3cr3t2", "~s", "~s.dlq", "+@read", "+@connection", "+info"}) == "OK");
  says(refused(at(server.port(), "reader:s3cr3t2@")), ErrorCode::denied, "NOPERM");
  CHECK(redis({"ACL", "SETUSER", "elsewhere", "on", ">s3cr3t3", "~x", "+@all"}) == "OK");
  says(refused(at(server.port(), "elsewhere:s3cr3t3@")), ErrorCode::denied,
       "the group \"g\" of \"s\" at 127.0.0.1:" + std::to_string(server.port()) + ": NOPERM");
}

TEST_CASE("redis start: a user with little more than streams is enough") {
  RedisServer server;
  Cli redis = server.connect();
  CHECK(redis({"ACL", "SETUSER", "least", "on", ">pw", "~s", "~s.dlq", "+@stream", "+evalsha", "+script|load", "+auth"}) == "OK");
  Backend backend{url_of(at(server.port(), "least:pw@"))};
  auto one = backend.subscribe(member("one"));
  REQUIRE_MESSAGE(one, one.error().message);
  REQUIRE(backend.publish("s", "x"));
  CHECK(text(one->receive(10, 0ms)) == "x:1 ");
  const std::vector<pulse::DeadLetterItem> letters{{0, "no"}};
  CHECK(one->settle({{}, {}, letters}));
  CHECK(one->flush(pulse_test::patience));
  CHECK(redis({"XLEN", "s.dlq"}) == "1");
}

TEST_CASE("redis start: what is no stream is named, the dead letters' key too") {
  RedisServer server;
  (void)cli(server, {"SET", "s", "x"});
  says(refused(server.url()), ErrorCode::denied, "the group \"g\" of \"s\"");
  (void)cli(server, {"DEL", "s"});
  (void)cli(server, {"SET", "s.dlq", "x"});
  says(refused(server.url()), ErrorCode::denied, "\"s.dlq\" at 127.0.0.1:" + std::to_string(server.port()) + " is a string: dead letters need a stream there");
}

TEST_CASE("redis start: by a Unix socket, a database, a user; connections carry the name they are given") {
  RedisServer server;
  Cli redis = server.connect();
  CHECK(redis({"ACL", "SETUSER", "me", "on", ">p@ss", "~*", "+@all"}) == "OK");
  pulse::RedisOptions options;
  options.client_name = "pulse-test";
  Backend backend{url_of("unix://me:p%40ss@" + server.path() + "?db=3"), options};
  auto one = backend.subscribe(member("one"));
  REQUIRE_MESSAGE(one, one.error().message);
  REQUIRE(backend.publish("s", "x"));
  CHECK(text(one->receive(10, 0ms)) == "x:1 ");
  CHECK(redis({"EXISTS", "s"}) == "0");
  (void)redis({"SELECT", "3"});
  CHECK(redis({"EXISTS", "s"}) == "1");
  CHECK(redis({"CLIENT", "LIST"}).text.find(" name=pulse-test ") != std::string::npos);
  const auto facts = backend.server();
  REQUIRE(facts);
  CHECK(facts->mode == "standalone");
  CHECK(facts->version.find('.') != std::string::npos);
  CHECK(facts->client_id > 0);
}

TEST_SUITE_END();
