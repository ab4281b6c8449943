// SPDX-License-Identifier: MIT
// Makes each thing go wrong once and prints what Pulse says of it: "section <tab> what was done <tab> code <tab> message" a line, for errors.py.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pulse/backend/redrive.hpp>
#include <pulse/dedup/journaled.hpp>
#include <pulse/dedup/redis_dedup.hpp>
#include <pulse/dedup/sharded.hpp>
#include <pulse/dedup/tiered.hpp>
#include <pulse/ext/http_endpoint.hpp>
#include <pulse/pulse.hpp>
#include <pulse/redis.hpp>

#include "../support/scripted_server.hpp"

using namespace std::chrono_literals;
using pulse_test::ScriptedServer;

namespace {

std::string section;

void say(const std::string& what, std::string_view code, const std::string& message) {
  std::printf("%s\t%s\t%.*s\t%s\n", section.c_str(), what.c_str(), static_cast<int>(code.size()), code.data(), message.c_str());
}

void say(const std::string& what, const pulse::Error& error) { say(what, pulse::name_of(error.code), error.message); }

template <class T>
void say(const std::string& what, const pulse::Result<T>& result) {
  if (result) {
    throw std::logic_error(what + " did not fail");
  }
  say(what, result.error());
}

void say_thrown(const std::string& what, const std::function<void()>& call) {
  try {
    call();
  } catch (const std::invalid_argument& refused) {
    return say(what, "std::invalid_argument", refused.what());
  }
  throw std::logic_error(what + " did not throw");
}

void environment() {
  section = "The environment";
  const auto set = [](const std::string& name, const std::string& value) {
    say("`" + name + "=" + value + "`", pulse::PulseConfig::from_env([&](const char* asked) { return name == asked ? value.c_str() : nullptr; }));
  };
  set("PULSE_ENABLED", "maybe");
  set("EVENT_BUS_BACKEND", "ka fka");
  set("MD_NAMESPACE", "mdp:eu");
  set("SCHEMA_TRACK", "v3");
  set("MDP_FB_ENABLE_FEEDBACK", "2");
  set("MDP_FB_SCALE_SOFT", "1.5");
  set("MDP_FB_SCALE_HARD", "0.9");
  set("REDIS_URL", "http://localhost");
  set("REDIS_URL", "redis://pulse@localhost");
  set("REDIS_URL", "redis://:50%@localhost");
  set("REDIS_URL", "redis://localhost:port/0");
  set("REDIS_URL", "redis://localhost/zero");
  set("REDIS_URL", "unix://redis.sock");
}

pulse::Status started(pulse::ConsumerOptions options) {
  pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>> bus;
  pulse::RateCoordinator rates;
  pulse::Consumer consumer{bus, pulse::NoDedup{}, pulse::NoMetrics{}, rates, std::move(options)};
  return consumer.start();
}

void consumer() {
  section = "The options of a consumer";
  const auto with = [](const std::string& what, const std::function<void(pulse::ConsumerOptions&)>& set) {
    pulse::ConsumerOptions options;
    set(options);
    say("`" + what + "`", started(options));
  };
  with("loop.batch = 0", [](auto& o) { o.loop.batch = 0; });
  with("loop.claim_idle = 0ms", [](auto& o) { o.loop.claim_idle = 0ms; });
  with("loop.drain_deadline = 48h", [](auto& o) { o.loop.drain_deadline = 48h; });
  with("heartbeat = 20s", [](auto& o) { o.heartbeat = 20s; });
  with("heartbeat = 0s, handler_deadline = 1s", [](auto& o) {
    o.heartbeat = 0s;
    o.handler_deadline = 1s;
  });
  with("subscribe.prefetch = true, handler_deadline = 1s", [](auto& o) {
    o.subscribe.prefetch = true;
    o.handler_deadline = 1s;
  });
  with("lease_wait = 0ms", [](auto& o) { o.lease_wait = 0ms; });
  pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>> bus;
  pulse::RateCoordinator rates;
  pulse::Consumer never{
      bus, pulse::NoDedup{}, pulse::NoMetrics{}, rates, pulse::ConsumerOptions{}, pulse::SystemClock{}, pulse::ExponentialBackoff{.max_deliveries = 0}};
  say("`ExponentialBackoff{.max_deliveries = 0}`", never.start());
  with("subscribe.group = \"\"", [](auto& o) { o.subscribe.group.clear(); });
  with("subscribe.streams = {\"a\", \"a\"}", [](auto& o) { o.subscribe.streams = {"a", "a"}; });
  with("subscribe.resume_after = {{1, 0}, {2, 0}}", [](auto& o) { o.subscribe.resume_after = {{1, 0}, {2, 0}}; });
  with("subscribe.resume_marks = {{}, {}}", [](auto& o) { o.subscribe.resume_marks.resize(2); });
  with("feedback.scale_soft = 2", [](auto& o) { o.feedback.scale_soft = 2; });
}

void runtime() {
  section = "The runtime";
  pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>> bus;
  pulse::RateCoordinator rates;
  pulse::NoMetrics metrics;
  pulse::PulseConfig config;
  config.backend = "kafka";
  const auto backends = pulse::backends(pulse::backend<"inmem">(bus), pulse::backend<"redis">(pulse::redis_backend()));
  pulse::Runtime wrong{config, backends, pulse::NoDedup{}, metrics, rates};
  say("`EVENT_BUS_BACKEND=kafka`", wrong.start());
  config.backend = "redis";
  config.redis_url = "redis://127.0.0.1:1";
  pulse::Runtime absent{config, backends, pulse::NoDedup{}, metrics, rates};
  say("`EVENT_BUS_BACKEND=redis`, and no server", absent.start());
  config.backend = "inmem";
  pulse::Runtime twice{config, backends, pulse::NoDedup{}, metrics, rates};
  (void)twice.start();
  say("`start()` twice", twice.start());
}

void strategies() {
  section = "Dedup strategies";
  say_thrown("`FifoWindow{0}`", [] { (void)pulse::FifoWindow{0}; });
  say_thrown("`LruWindow{200'000'000}`", [] { (void)pulse::LruWindow{200'000'000}; });
  say_thrown("`TtlWindow{0s, 10}`", [] { (void)pulse::TtlWindow{0s, 10}; });
  say_thrown("`TtlWindow{60s, 10, {.granularity = 2min}}`", [] { (void)pulse::TtlWindow{60s, 10, {.granularity = 2min}}; });
  say_thrown("`Watermark{last, {.ranges = 0}}`", [] { (void)pulse::Watermark{pulse::EntryId::min(), {.ranges = 0}}; });
  say_thrown("`Sharded<FifoWindow>{1000, 0}`", [] { (void)pulse::Sharded<pulse::FifoWindow>{1000, 0}; });
  struct ByClaimNew : pulse::FifoWindow {
    using FifoWindow::FifoWindow;
    pulse::Claim claim_new(pulse::EventId id, lease_type& lease) { return claim(id, lease); }
  };
  say_thrown("a `Tiered` whose filter is smaller than its exact strategy, which has `claim_new`",
             [] { (void)pulse::Tiered<pulse::FifoWindow, ByClaimNew>{pulse::FifoWindow{10}, ByClaimNew{20}}; });
  pulse::RedisDedupOptions window;
  window.owner = "a:b";
  pulse::RedisDedup<> shared{pulse::RedisUrl{}, window};
  std::vector<pulse::EventId> ids(1);
  std::vector<pulse::Claim> claims(1);
  say("`RedisDedupOptions.owner = \"a:b\"`", shared.claim(ids, claims));
  window.lease = std::chrono::seconds{5};
  pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>> bus;
  pulse::RateCoordinator rates;
  pulse::Consumer brief{bus, pulse::RedisDedup<>{pulse::RedisUrl{}, window}, pulse::NoMetrics{}, rates};
  say("`RedisDedupOptions.lease = 5s`, and a consumer with its defaults", brief.start());
}

void journal() {
  section = "Journals";
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / ("pulse_errors_" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  const auto open = [&](const std::string& name, std::size_t window = 100) {
    return pulse::Journal::open({.path = (folder / name).string(), .window = window});
  };
  const auto tell = [&](const std::string& what, const pulse::Result<pulse::Journal>& result) {
    pulse::Error error{result.error().code, result.error().message};
    for (std::size_t at = 0; (at = error.message.find(folder.string(), at)) != std::string::npos;) {
      error.message.replace(at, folder.string().size(), "/var/lib/feed");
    }
    say(what, error);
  };
  tell("`window = 0`", open("handled", 0));
  tell("a folder that does not exist", open("no/handled"));
  {
    const auto first = open("handled");
    tell("two processes open one journal", open("handled"));
  }
  std::ofstream{folder / "notes"} << std::string(200, 'x');
  tell("a file that is no journal", open("notes"));
  std::filesystem::remove_all(folder);
}

void rates() {
  section = "Rate control";
  pulse::RateCoordinator<> rates;
  say("`register_provider(\"ibkr\", {.capacity = 0})`", rates.register_provider("ibkr", {.capacity = 0}));
  (void)rates.register_provider("ibkr", {.capacity = 10, .refill_rate = 1});
  say("`register_provider(\"ibkr\", ...)` again", rates.register_provider("ibkr", {}));
  say("`try_acquire(\"ibrk\")`", rates.try_acquire("ibrk"));
  say("`try_acquire(\"ibkr\", 11)`", rates.try_acquire("ibkr", 11));
  (void)rates.try_acquire("ibkr", 10);
  say("`try_acquire(\"ibkr\", 5)` of an empty bucket", rates.try_acquire("ibkr", 5));
  say_thrown("`FeedbackOptions{.expire_after = 0s}`", [&] {
    pulse::NoMetrics metrics;
    pulse::FeedbackHandler handler{rates, metrics, pulse::FeedbackSettings{}, pulse::SystemClock{}, pulse::FeedbackOptions{.expire_after = 0s}};
  });
  say("`set_budget_scale(\"ibkr\", 2)`", rates.set_budget_scale("ibkr", 2));
  (void)rates.set_budget_scale("ibkr", 0);
  say("`try_acquire(\"ibkr\")` at scale 0", rates.try_acquire("ibkr"));
  pulse::StopSource stop;
  stop.request_stop();
  say("`acquire(\"ibkr\", 1, deadline, token)` after a stop", rates.acquire("ibkr", 1, pulse::SteadyTime::max(), stop.token()));
}

void dead_letters() {
  section = "Reasons of dead letters";
  pulse::InMemoryBackend<std::string> bus;
  const std::string stream = pulse::stream_key(pulse::feedback_stream);
  auto handle = pulse::handlers(pulse::on<pulse::FeedbackEvent>([](const pulse::FeedbackEvent& event) -> pulse::Verdict {
    if (event.coordinator_id == "throws") {
      throw std::runtime_error("the table is locked");
    }
    return event.coordinator_id == "retries" ? pulse::Verdict::retry() : pulse::Verdict::dead_letter("no such table");
  }));
  pulse::ManualClock clock;
  pulse::Consumer<decltype(bus)&, pulse::NoDedup, pulse::NoMetrics, decltype(handle)&> consumer{bus, pulse::NoDedup{},         pulse::NoMetrics{}, handle, {},
                                                                                                {},  {.base = 1ms, .cap = 1ms}};
  const auto envelope = [](const std::string& payload, const std::string& schema = "telemetry.FeedbackEvent") {
    return R"({"ts": 1764000000, "meta": {"schema_id": ")" + schema + R"("}, "payload": )" + payload + "}";
  };
  const auto event = [](const std::string& coordinator, const std::string& size = "1", const std::string& level = "\"ok\"") {
    return R"({"coordinator_id": ")" + coordinator + R"(", "queue_size": )" + size + R"(, "capacity": 10, "level": )" + level + R"(, "ts": 1764000000})";
  };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"bytes that are no JSON", "hello"},
      {"an envelope that is cut", envelope(event("a")).substr(0, 40)},
      {"no `ts`", "{}"},
      {"an event that nobody handles", envelope(event("a"), "market.Tick")},
      {"a field is missing", envelope(R"({"coordinator_id": "a"})")},
      {"a wrong type", envelope(event("a", "\"many\""))},
      {"out of its bounds", envelope(event("a", "-1"))},
      {"none of the enum's names", envelope(event("a", "1", "\"severe\""))},
      {"the handler says `Verdict::dead_letter(\"no such table\")`", envelope(event("a"))},
      {"the handler says `Verdict::retry()` each time", envelope(event("retries"))},
      {"the handler throws each time", envelope(event("throws"))},
  };
  for (const auto& [what, bytes] : cases) {
    (void)bus.publish(stream, bytes);
    std::vector<pulse::DeadLetter> letters;
    while (letters.empty()) {
      (void)consumer.poll(1ms);
      letters = *bus.dead_letters(stream, {}, 1);
    }
    say(what, "", letters.front().reason);
    (void)bus.purge(stream, letters.front().id);
  }
}

void operating() {
  section = "Operating";
  pulse::InMemoryBackend<std::string> bus;
  const pulse::EntryId id{1'764'000'000'000, 0};
  say("`redrive(stream, id)` of a letter that is gone", bus.redrive("mdp:mdp.telemetry.feedback", id));
  say("`purge(stream, id)` of a letter that is gone", bus.purge("mdp:mdp.telemetry.feedback", id));
  const pulse::RedriveReport report = pulse::redrive(bus, "mdp:mdp.telemetry.feedback", {.per_second = -1});
  say("`redrive(bus, stream, {.per_second = -1})`", report.error);
}

/// Ports are taken as they come: the page has the usual one.
std::string usual_port(std::string message, int port, const std::string& before = ":", const std::string& usual = "6379") {
  const std::string own = before + std::to_string(port);
  if (const auto at = message.find(own); at != std::string::npos) {
    message.replace(at, own.size(), before + usual);
  }
  return message;
}

void redis() {
  section = "A Redis server";
  const auto subscribe = [](const std::string& what, const std::string& url, int port, pulse::RedisOptions options = {}) {
    pulse::RedisBackend<> bus{*pulse::RedisUrl::parse(url), std::move(options)};
    pulse::SubscribeOptions wanted;
    wanted.streams = {pulse::stream_key(pulse::feedback_stream)};
    const auto subscription = bus.subscribe(wanted);
    if (subscription) {
      throw std::logic_error(what + " did not fail");
    }
    say(what, {subscription.error().code, usual_port(subscription.error().message, port)});
  };
  const int nobody = pulse_test::free_port();
  const auto at = [](int port) { return "redis://127.0.0.1:" + std::to_string(port); };
  subscribe("nobody listens", at(nobody), nobody);
  subscribe("no such socket", "unix:///run/redis.sock", 0);
  subscribe("`rediss://`, with a client that has no TLS", "rediss://127.0.0.1:6379", 6379);
  const auto answering = [&](const std::string& what, const std::string& command, const std::string& answer) {
    ScriptedServer server;
    server.on(command, {{answer}});
    subscribe(what, at(server.port()), server.port());
  };
  answering("a web server", "", "HTTP/1.1 400 Bad Request\r\n\r\n");
  answering("Redis 5", "INFO", ScriptedServer::bulk("redis_version:5.0.14\r\nredis_mode:standalone\r\n"));
  answering("it wants a password", "", "-NOAUTH Authentication required.\r\n");
  answering("the user may not", "XGROUP", "-NOPERM this user has no permissions to run the 'xgroup|create' command\r\n");
  answering("the key is something else", "XGROUP", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
  answering("it is loading its data", "INFO", "-LOADING Redis is loading the dataset in memory\r\n");
  answering("it is a replica", "XGROUP", "-READONLY You can't write against a read only replica.\r\n");
  answering("it is full", "XGROUP", "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
  answering("the slot is another node's", "XGROUP", "-MOVED 3999 127.0.0.1:6381\r\n");
  pulse::RedisOptions hasty;
  hasty.connect_timeout = 50ms;
  ScriptedServer silent;
  silent.on("", {{""}});
  subscribe("it accepts and says nothing", at(silent.port()), silent.port(), hasty);
}

void endpoint() {
  section = "The endpoint of metrics and health";
  const auto start = [](const std::string& what, const pulse::HttpOptions& options) {
    pulse::HttpEndpoint refused{options};
    const pulse::Status started = refused.start();
    if (started) {
      throw std::logic_error(what + " did not fail");
    }
    say(what, {started.error().code, usual_port(started.error().message, options.port, "port ", "9464")});
  };
  start("`.address = \"localhost\"`", {.address = "localhost"});
  start("`.connections = 0`", {.connections = 0});
  start("`.timeout = 0ms`", {.timeout = 0ms});
  start("`.request_bytes = 64`", {.request_bytes = 64});
  start("an address that is not this machine's", {.address = "192.0.2.1"});
  pulse::HttpEndpoint first{{.port = 0}};
  if (const pulse::Status started = first.start(); !started) {
    throw std::logic_error(started.error().message);
  }
  start("somebody listens on the port already", {.port = first.port()});
  say("`start()` a second time", first.start());
}

}  // namespace

int main() {
  try {
    for (const auto call : {environment, consumer, runtime, strategies, journal, rates, dead_letters, operating, redis, endpoint}) {
      call();
    }
  } catch (const std::exception& exception) {
    std::fprintf(stderr, "%s\n", exception.what());
    return 1;
  }
  return 0;
}
