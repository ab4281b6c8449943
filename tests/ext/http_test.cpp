// SPDX-License-Identifier: MIT
//
// The endpoint as a client sees it: every request is written and read by hand.
#include <doctest/doctest.h>

#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "../support/io.hpp"
#include "../support/process.hpp"
#include "pulse/ext/http_endpoint.hpp"

// The thread sanitizer replaces operator new itself.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PULSE_TEST_OWN_NEW 0
#endif
#endif
#ifndef PULSE_TEST_OWN_NEW
#define PULSE_TEST_OWN_NEW 1
// Replaces operator new of the program by one that fails where a test wants it: how many more allocations of this thread succeed; below 0: all.
static thread_local int allocations_left = -1;

void* operator new(std::size_t size) {
  if (allocations_left >= 0 && allocations_left-- == 0) {
    throw std::bad_alloc{};
  }
  if (void* memory = std::malloc(size == 0 ? 1 : size)) {
    return memory;
  }
  throw std::bad_alloc{};
}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"  // g++ 12 inlines one side of the pair only
#endif
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

using namespace std::chrono_literals;
using pulse::HttpEndpoint;
using pulse::HttpOptions;
using pulse::HttpPage;
using pulse_test::Fd;

namespace {

HttpOptions on_a_free_port() {
  HttpOptions options;
  options.port = 0;
  options.timeout = 30s;  // only a test that hangs meets it
  return options;
}

void say(const Fd& client, std::string_view bytes) { pulse_test::write_all(client.get(), bytes, pulse_test::within(pulse_test::patience)); }

/// All that comes until the server closes; "reset" where it does so the hard way.
std::string read_to_end(const Fd& client) {
  std::string all;
  char bytes[4096];
  while (pulse_test::ready(client.get(), POLLIN, pulse_test::within(pulse_test::patience))) {
    const ssize_t got = ::read(client.get(), bytes, sizeof bytes);
    if (got <= 0) {
      return got < 0 && all.empty() ? "reset" : all;
    }
    all.append(bytes, static_cast<std::size_t>(got));
  }
  return "the server does not close";
}

std::string ask(int port, std::string_view request) {
  const Fd client = pulse_test::connect_to(port);
  if (!client) {
    return "nobody listens";
  }
  say(client, request);
  return read_to_end(client);
}
std::string get(const HttpEndpoint& endpoint, std::string_view path) {
  return ask(endpoint.port(), "GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n");
}
std::string body(const std::string& answer) {
  const auto at = answer.find("\r\n\r\n");
  return at == std::string::npos ? "" : answer.substr(at + 4);
}
bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("http: metrics and health, each with its status and type") {
  pulse::PrometheusMetrics metrics{{.streams = {"s"}, .providers = {}, .sources = {}}};
  metrics.add(pulse::family::claimed, 7, metrics.slot<pulse::StreamLabel>("s"));
  pulse::ComponentHealth part;
  pulse::Health health{"service", "1.2"};
  health.watch("part", [&] { return part; });
  HttpEndpoint endpoint{on_a_free_port()};
  endpoint.metrics(metrics).health(health);
  CHECK(endpoint.port() == 0);
  REQUIRE(endpoint.start());
  CHECK(endpoint.port() != 0);

  const std::string scraped = get(endpoint, "/metrics?x=1");
  CHECK(scraped.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(has(scraped, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  CHECK(has(scraped, "Connection: close\r\n"));
  CHECK(has(scraped, "pulse_claimed_total{stream=\"s\"} 7\n"));
  CHECK(has(scraped, "pulse_component_ready{component=\"part\"} 1\n"));
  CHECK(has(get(endpoint, "/health"), "Content-Type: application/json\r\n"));
  CHECK(has(body(get(endpoint, "/health")), "{\"service\":\"service\",\"state\":\"healthy\",\"components\":[{\"name\":\"part\""));
  CHECK(body(get(endpoint, "/health/live")) == "live\n");
  CHECK(get(endpoint, "/").starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(body(get(endpoint, "/")) == "/metrics\n/health\n/health/live\n/health/ready\n");
  CHECK(body(get(endpoint, "/health/ready")) == "ready\n");

  part.ready = false;
  CHECK(get(endpoint, "/health/live").starts_with("HTTP/1.1 200 "));
  CHECK(get(endpoint, "/health/ready").starts_with("HTTP/1.1 503 "));
  CHECK(get(endpoint, "/health").starts_with("HTTP/1.1 503 "));
  part = {};
  part.live = false;
  CHECK(get(endpoint, "/health/live").starts_with("HTTP/1.1 503 "));
  part = {};
  part.degraded = true;
  CHECK(get(endpoint, "/health/ready").starts_with("HTTP/1.1 200 "));
  CHECK(get(endpoint, "/health").starts_with("HTTP/1.1 200 "));
}

TEST_CASE("http: what is not there, what is not allowed, and what is no request") {
  HttpEndpoint endpoint{on_a_free_port()};
  endpoint.page("/own", [] { return HttpPage{.type = "text/html", .body = "<p>"}; });
  endpoint.page("/throws", []() -> HttpPage { throw std::runtime_error("out of order"); });
  REQUIRE(endpoint.start());
  CHECK(body(get(endpoint, "/own")) == "<p>");
  CHECK(body(get(endpoint, "/")) == "/own\n/throws\n");
  CHECK(get(endpoint, "/metrics").starts_with("HTTP/1.1 404 "));
  CHECK(get(endpoint, "/health").starts_with("HTTP/1.1 404 "));
  CHECK(get(endpoint, "/own/").starts_with("HTTP/1.1 404 "));
  CHECK(get(endpoint, "/../own").starts_with("HTTP/1.1 404 "));
  CHECK(get(endpoint, "/throws").starts_with("HTTP/1.1 500 "));
  CHECK(body(get(endpoint, "/throws")) == "out of order\n");
  const std::string head = ask(endpoint.port(), "HEAD /own HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(has(head, "Content-Length: 3\r\n"));
  CHECK(body(head).empty());
  const std::string posted = ask(endpoint.port(), "POST /own HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(posted.starts_with("HTTP/1.1 405 "));
  CHECK(has(posted, "Allow: GET, HEAD\r\n"));
  CHECK(ask(endpoint.port(), "this is none\r\n\r\n").starts_with("HTTP/1.1 400 "));
  CHECK(ask(endpoint.port(), "GET /own HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 200 "));
}

// guarantee 9
TEST_CASE("http: a request has a bound, and so has its body") {
  HttpOptions options = on_a_free_port();
  options.request_bytes = 1024;
  HttpEndpoint endpoint{options};
  endpoint.page("/", [] { return HttpPage{.body = "here"}; });
  REQUIRE(endpoint.start());
  CHECK(body(ask(endpoint.port(), "GET / HTTP/1.1\r\nA: " + std::string(900, 'a') + "\r\n\r\n")) == "here");
  CHECK(ask(endpoint.port(), "GET / HTTP/1.1\r\nA: " + std::string(2000, 'a') + "\r\n\r\n").starts_with("HTTP/1.1 431 "));
  CHECK(ask(endpoint.port(), "GET /" + std::string(2000, 'a') + " HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 431 "));
  std::string many = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 500; ++i) {
    many += "A: b\r\n";
  }
  CHECK(ask(endpoint.port(), many + "\r\n").starts_with("HTTP/1.1 431 "));
  CHECK(ask(endpoint.port(), "GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc").starts_with("HTTP/1.1 413 "));
  CHECK(ask(endpoint.port(), "GET / HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n").starts_with("HTTP/1.1 413 "));
  CHECK(body(get(endpoint, "/")) == "here");
}

// guarantee 9
TEST_CASE("http: who connects and asks nothing keeps no place from who asks, the oldest goes first") {
  HttpEndpoint endpoint{on_a_free_port()};
  endpoint.page("/", [] { return HttpPage{.body = "here"}; });
  REQUIRE(endpoint.start());
  std::vector<Fd> idle;
  for (int i = 0; i < 16; ++i) {
    idle.push_back(pulse_test::connect_to(endpoint.port()));
    if (i % 2 == 0) {
      say(idle.back(), "GET / ");
    }
  }
  CHECK(body(get(endpoint, "/")) == "here");
  CHECK(body(get(endpoint, "/")) == "here");
  const std::string oldest = read_to_end(idle.front());
  CHECK((oldest.empty() || oldest == "reset"));
  say(idle[14], "HTTP/1.1\r\n\r\n");
  CHECK(body(read_to_end(idle[14])) == "here");
}

// guarantee 9
TEST_CASE("http: who has his answer and stays keeps no place, and is cut off soon") {
  HttpOptions options = on_a_free_port();
  options.timeout = 1min;
  options.connections = 1;
  HttpEndpoint endpoint{options};
  endpoint.page("/", [] { return HttpPage{.body = "here"}; });
  REQUIRE(endpoint.start());
  const auto stays = [&] {
    Fd client = pulse_test::connect_to(endpoint.port());
    say(client, "GET / HTTP/1.1\r\n\r\n");
    CHECK(body(read_to_end(client)) == "here");
    return client;
  };
  const Fd first = stays();
  const Fd second = stays();
  const auto end = pulse_test::within(pulse_test::patience);
  while (::send(second.get(), "G", 1, MSG_NOSIGNAL) > 0 && std::chrono::steady_clock::now() < end) {
    (void)pulse_test::ready(-1, POLLIN, pulse_test::within(20ms));
  }
  CHECK(std::chrono::steady_clock::now() < end);
}

// guarantee 9
TEST_CASE("http: who is over the number of connections is served when another has his answer") {
  HttpOptions options = on_a_free_port();
  options.connections = 1;
  HttpEndpoint endpoint{options};
  const std::string much(32 << 20, 'x');  // more than the system takes for a client that does not read
  endpoint.page("/much", [&] { return HttpPage{.body = much}; });
  endpoint.page("/", [] { return HttpPage{.body = "here"}; });
  REQUIRE(endpoint.start());
  const Fd first = pulse_test::connect_to(endpoint.port());
  say(first, "GET /much HTTP/1.1\r\n\r\n");
  REQUIRE(pulse_test::ready(first.get(), POLLIN, pulse_test::within(pulse_test::patience)));
  const Fd second = pulse_test::connect_to(endpoint.port());
  say(second, "GET / HTTP/1.1\r\n\r\n");
  CHECK(!pulse_test::ready(second.get(), POLLIN, pulse_test::within(50ms)));  // a server that began with it would have answered, in most runs
  CHECK(body(read_to_end(first)).size() == much.size());
  CHECK(body(read_to_end(second)) == "here");
}

#if PULSE_TEST_OWN_NEW
TEST_CASE("http: a want of memory costs the connection that met it, and no other") {
  HttpEndpoint endpoint{on_a_free_port()};
  int left = 0;
  endpoint.page("/fails", [&]() -> HttpPage {
    allocations_left = left;
    throw std::runtime_error("a text that is too long to be kept in a string itself");
  });
  endpoint.page("/", [] {
    allocations_left = -1;
    return HttpPage{.body = "here"};
  });
  REQUIRE(endpoint.start());
  for (left = 0; left < 30; ++left) {
    const std::string lost = get(endpoint, "/fails");
    CHECK((lost.empty() || lost == "reset" || lost.starts_with("HTTP/1.1 500 ")));
    std::string answer = get(endpoint, "/");
    if (answer.empty() || answer == "reset") {  // the one that met it
      answer = get(endpoint, "/");
    }
    CHECK(body(answer) == "here");
  }
}
#endif

TEST_CASE("http: a want of descriptors passes") {
  HttpEndpoint endpoint{on_a_free_port()};
  endpoint.page("/", [] { return HttpPage{.body = "here"}; });
  REQUIRE(endpoint.start());
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const int next = ::dup(0);
  REQUIRE(next > 0);
  ::close(next);
  rlimit one_more = before;
  one_more.rlim_cur = static_cast<rlim_t>(next) + 1;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &one_more) == 0);
  const Fd client = pulse_test::connect_to(endpoint.port());  // takes the last one
  say(client, "GET / HTTP/1.1\r\n\r\n");
  CHECK(!pulse_test::ready(client.get(), POLLIN, pulse_test::within(250ms)));  // two rounds of its trying
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(body(read_to_end(client)) == "here");
  CHECK(body(get(endpoint, "/")) == "here");
}

#ifdef __GLIBC__
TEST_CASE("http: a thread that cannot be started is said in a line") {
  pthread_attr_t before;
  REQUIRE(::pthread_getattr_default_np(&before) == 0);
  pthread_attr_t huge;
  REQUIRE(::pthread_attr_init(&huge) == 0);
  REQUIRE(::pthread_attr_setstacksize(&huge, std::size_t{1} << 50) == 0);  // of more bytes than there are addresses
  HttpEndpoint endpoint{on_a_free_port()};
  REQUIRE(::pthread_setattr_default_np(&huge) == 0);
  const pulse::Status refused = endpoint.start();
  CHECK(::pthread_setattr_default_np(&before) == 0);
  ::pthread_attr_destroy(&huge);
  ::pthread_attr_destroy(&before);
  REQUIRE(!refused);
  CHECK(refused.error().code == pulse::ErrorCode::unavailable);
  CHECK(refused.error().message.starts_with("cannot start the endpoint's thread: "));
  CHECK(endpoint.start());
}
#endif

TEST_CASE("http: who does not get on is cut off, however steadily he sends") {
  HttpOptions options = on_a_free_port();
  options.timeout = 300ms;
  HttpEndpoint endpoint{options};
  REQUIRE(endpoint.start());
  const Fd silent = pulse_test::connect_to(endpoint.port());
  const Fd slow = pulse_test::connect_to(endpoint.port());
  const auto end = pulse_test::within(pulse_test::patience);
  bool cut_off = false;
  while (!cut_off && std::chrono::steady_clock::now() < end) {
    cut_off = ::send(slow.get(), "G", 1, MSG_NOSIGNAL) < 0 || pulse_test::ready(slow.get(), POLLIN, pulse_test::within(20ms));
  }
  CHECK(cut_off);
  CHECK(read_to_end(silent).empty());
}

TEST_CASE("http: a stop closes the port and every connection, and it can be started again") {
  HttpOptions options = on_a_free_port();
  options.port = static_cast<std::uint16_t>(pulse_test::free_port());
  HttpEndpoint endpoint{options};
  endpoint.page("/", [] { return HttpPage{.body = "here"}; });
  for (int round = 0; round < 3; ++round) {
    REQUIRE(endpoint.start());
    CHECK(!endpoint.start());
    CHECK(body(get(endpoint, "/")) == "here");
    const Fd open = pulse_test::connect_to(endpoint.port());
    say(open, "GET / HT");
    endpoint.stop();
    endpoint.stop();
    const std::string rest = read_to_end(open);
    CHECK((rest.empty() || rest == "reset"));
    CHECK(endpoint.port() == 0);
    CHECK(!pulse_test::connect_to(options.port));
  }
}

TEST_CASE("http: what cannot be listened on is said in a line") {
  HttpEndpoint first{on_a_free_port()};
  REQUIRE(first.start());
  HttpOptions options;
  options.port = first.port();
  HttpEndpoint second{options};
  const pulse::Status taken = second.start();
  REQUIRE(!taken);
  CHECK(taken.error().code == pulse::ErrorCode::unavailable);
  CHECK(taken.error().message == "cannot listen on 127.0.0.1, port " + std::to_string(first.port()) + ": Address already in use");

  const auto refused = [](HttpOptions wrong) {
    HttpEndpoint endpoint{std::move(wrong)};
    const pulse::Status started = endpoint.start();
    return started ? "started" : std::string(name_of(started.error().code)) + ": " + started.error().message;
  };
  CHECK(refused({.address = "192.0.2.1"}) == "unavailable: cannot listen on 192.0.2.1, port 9464: Cannot assign requested address");
  CHECK(refused({.address = "localhost"}) == "config: HttpOptions.address is \"localhost\": allowed is a numeric address, as 127.0.0.1 or ::1");
  CHECK(refused({.connections = 0}) == "config: HttpOptions.connections is 0: allowed are 1 to 1024");
  CHECK(refused({.timeout = 0ms}) == "config: HttpOptions.timeout is 0 ms: allowed are 1 ms to a minute");
  CHECK(refused({.request_bytes = 1 << 20}) == "config: HttpOptions.request_bytes is 1048576: allowed are 256 to 65536");
}

TEST_CASE("http: a program that is started meanwhile does not keep the port") {
  HttpOptions options = on_a_free_port();
  options.port = static_cast<std::uint16_t>(pulse_test::free_port());
  HttpEndpoint endpoint{options};
  REQUIRE(endpoint.start());
  const pulse_test::Process meanwhile{pulse_test::Command{{"sleep", "60"}}};
  endpoint.stop();
  CHECK(endpoint.start());
}
