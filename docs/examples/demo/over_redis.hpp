// SPDX-License-Identifier: MIT
#pragma once

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <pulse/backend/redis.hpp>
#include <pulse/dedup/journaled.hpp>

#include "options.hpp"
#include "pipeline.hpp"
#include "plot.hpp"
#include "processes.hpp"
#include "store.hpp"
#include "summary.hpp"

namespace demo {

using RedisBus = pulse::RedisBackend<>;

inline std::atomic<bool> told_to_stop{false};

/// The server that REDIS_URL names, under a namespace that nobody else has and whose keys go in the end; or one of the demo's own.
class Server {
 public:
  explicit Server(pulse::PulseConfig config) : config_(std::move(config)) {}
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() {
    if (!key_.empty()) {
      remove_keys();
    }
  }

  pulse::Status start() {
    if (pulse::Status made = folder_.make(); !made) {
      return made;
    }
    const char* const named = std::getenv("REDIS_URL");
    const bool own = named == nullptr || *named == '\0';
    if (own) {
      auto started = own_.start(folder_);
      if (!started) {
        return std::move(started).error();
      }
      config_.redis_url = *started;
    } else {
      config_.name_space += ".demo-" + std::to_string(::getpid()) + '-' + std::to_string(pulse::SystemClock::wall().time_since_epoch().count());
    }
    if (auto there = RedisBus{url()}.server(); !there) {  // so that what is wrong is said once, by one process
      return std::move(there).error();
    }
    key_ = own ? "" : pulse::stream_key(pulse::feedback_stream, config_.name_space);
    return {};
  }

  [[nodiscard]] const pulse::PulseConfig& config() const { return config_; }
  [[nodiscard]] pulse::RedisUrl url() const { return *pulse::RedisUrl::parse(config_.redis_url); }
  [[nodiscard]] std::string journal() const { return folder_.file("handled"); }

 private:
  void remove_keys() const {
    const pulse::RedisUrl where = url();
    const std::string db = std::to_string(where.db);
    const std::string dlq = pulse::dlq_key(key_);
    std::vector<std::vector<std::string_view>> commands;
    if (!where.user.empty()) {
      commands.push_back({"AUTH", where.user, where.password});
    } else if (!where.password.empty()) {
      commands.push_back({"AUTH", where.password});
    }
    commands.push_back({"SELECT", db});
    commands.push_back({"DEL", key_, dlq});
    pulse::SocketClient client{where};
    pulse::RedisReplies replies;
    const pulse::SteadyTime deadline = pulse::SystemClock::steady() + 2s;
    bool done = static_cast<bool>(client.connect(deadline));
    for (const auto& command : commands) {
      client.append(command);
    }
    done = done && client.flush(deadline);
    for (std::size_t i = 0; i < commands.size() && done; ++i) {
      const auto read = client.read(replies, deadline);
      done = read && *read;
    }
    if (!done || replies.nodes().back().kind != pulse::ReplyKind::integer) {
      std::cerr << "demo: its keys are left: " << key_ << " and " << dlq << '\n';
    }
  }

  pulse::PulseConfig config_;
  Folder folder_;
  OwnServer own_;
  std::string key_;  ///< of the demo's stream on somebody else's server
};

/// The pipeline's process. What it handled is journaled, because it may be killed: a window in memory would go with it, and one on the server
/// (RedisDedup) hears of a batch's effects when the batch is over.
inline int pipeline_process(World& world, const Server& server) {
  auto window = pulse::Journaled<pulse::LruWindow>::open(pulse::LruWindow{65536}, {.path = server.journal()});
  if (!window) {
    return fail(window.error());
  }
  const auto connect = [](const pulse::PulseConfig& config) {
    return pulse::Result<std::unique_ptr<RedisBus>>{std::make_unique<RedisBus>(*pulse::RedisUrl::parse(config.redis_url))};
  };
  return run_pipeline(world, true, server.config(), pulse::backends(pulse::backend<"redis">(connect)), std::move(*window), [&](auto&) {
    while (!world.over) {
      std::this_thread::sleep_for(1ms);
    }
  });
}

/// The store's process.
inline int store_process(World& world, const Server& server, const Options& options) {
  RedisBus bus{server.url()};
  pulse::Publisher<RedisBus&> publisher{bus, pulse::stream_key(pulse::feedback_stream, server.config().name_space)};
  const std::vector<Sample> samples = run_store(world, options.json, reporter(world, publisher));
  wait_for_the_last(world, true);
  return draw(options, samples);
}

/// The same as in one process, with the store and the pipeline as two, and this one to start them, to kill the pipeline where asked for, and to
/// sum up.
inline int simulate_over_redis(const Options& options, const pulse::PulseConfig& config) {
  struct sigaction action{};
  action.sa_handler = [](int) { told_to_stop = true; };
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  Server server{config};
  if (pulse::Status started = server.start(); !started) {
    return fail(started.error());
  }

  Shared<World> world;
  Child pipeline;
  Child store;
  const auto run = [&] { return pipeline_process(*world, server); };
  pipeline.start(run);
  bool storing = false;
  bool stored = false;
  for (int code = 0;; std::this_thread::sleep_for(1ms)) {
    if (told_to_stop) {
      return 130;
    }
    if (!storing && world->up) {
      store.start([&] { return store_process(*world, server, options); });
      storing = true;
    }
    if (options.kill_consumer && storing && world->death == Death::none && pulse::SystemClock::steady() - world->start >= kill_at) {
      world->death = Death::asked;
    }
    if (world->death == Death::ready) {
      pipeline.kill();
      world->up = false;
      world->death = Death::done;
      ++world->restarts;
      pipeline.start(run);
    }
    if (storing && !stored && store.ended(code)) {
      if (code != 0) {
        return code > 0 ? code : fail({pulse::ErrorCode::unavailable, "the store's process was killed"});
      }
      stored = true;
      world->over = true;
    }
    if (pipeline.ended(code)) {
      if (code != 0 || !stored) {
        return code > 0 ? code : fail({pulse::ErrorCode::unavailable, "the pipeline's process ended before its time"});
      }
      break;
    }
  }
  print(options, summarize(*world, config.backend));
  return 0;
}

}  // namespace demo
