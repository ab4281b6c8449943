// SPDX-License-Identifier: MIT
//
// The whole loop: a store whose queue fills publishes back-pressure, a consumer turns it into a rate, and the provider slows down instead
// of losing data. In one process in memory, or as two processes over Redis: the same store.hpp and pipeline.hpp on another backend.
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <pulse/pulse.hpp>

#include "input.hpp"
#include "options.hpp"
#include "over_redis.hpp"
#include "pipeline.hpp"
#include "plot.hpp"
#include "store.hpp"
#include "summary.hpp"

namespace {

using InMemoryBus = pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>>;

int simulate_in_memory(const demo::Options& options, const pulse::PulseConfig& config) {
  const auto world = std::make_unique<demo::World>();
  InMemoryBus bus;
  std::string backend;
  std::vector<demo::Sample> samples;
  const auto backends = pulse::backends(pulse::backend<"inmem">(bus));
  const int code = demo::run_pipeline(*world, options.feedback, config, backends, pulse::LruWindow{65536}, [&](auto& runtime) {
    pulse::Publisher<InMemoryBus&> publisher{bus, pulse::stream_key(pulse::feedback_stream, config.name_space)};
    const bool by_bus = runtime.mode() == pulse::RuntimeMode::bus;
    backend = !options.feedback ? "none" : by_bus ? "bus" : config.backend;
    const auto publish = demo::reporter(*world, publisher);
    std::string last;
    samples = demo::run_store(*world, options.json, [&](const pulse::FeedbackEvent& event, const std::string& id) {
      if (options.feedback && !by_bus) {
        return publish(event, id);
      }
      if (options.feedback && last != id) {  // a call within the process is always sure: it is never repeated
        last = id;
        runtime.bus().publish(event);
        ++world->entries;
      }
      return options.feedback;
    });
    demo::wait_for_the_last(*world, !by_bus);
  });
  if (code != 0) {
    return code;
  }
  demo::print(options, demo::summarize(*world, backend));
  return demo::draw(options, samples);
}

int simulate(const demo::Options& options, const pulse::PulseConfig& config) {
  const bool redis = config.enabled && config.backend == "redis";
  if (options.kill_consumer && !redis) {
    return demo::fail({pulse::ErrorCode::config, "--kill-consumer needs EVENT_BUS_BACKEND=redis: elsewhere the pipeline is no process of its own"});
  }
  if (!options.plot.empty() && !std::ofstream{options.plot}) {  // before the run, not after it
    return demo::fail({pulse::ErrorCode::config, "cannot write \"" + options.plot + '"'});
  }
  return redis && options.feedback ? demo::simulate_over_redis(options, config) : simulate_in_memory(options, config);
}

int consume(const demo::Options& options, const pulse::PulseConfig& config) {
  return demo::consume_lines(options, [&](auto run) {
    if (config.backend != "redis") {
      pulse::InMemoryBackend<std::string> bus{{.trim_acked = true}};
      return run(bus, config);
    }
    demo::Server server{config};
    if (pulse::Status started = server.start(); !started) {
      return demo::fail(started.error());
    }
    demo::RedisBus bus{server.url()};
    return run(bus, server.config());
  });
}

}  // namespace

int main(int argc, char** argv) {
  const demo::Options options = demo::parse(argc, argv);
  if (!options.error.empty()) {
    return demo::fail({pulse::ErrorCode::config, options.error});
  }
  if (options.help) {
    std::cout << demo::usage;
    return 0;
  }
  auto config = pulse::PulseConfig::from_env();
  if (!config) {
    return demo::fail(config.error());
  }
  if (config->backend != "inmem" && config->backend != "redis") {
    return demo::fail({pulse::ErrorCode::config, "EVENT_BUS_BACKEND is \"" + config->backend + "\": compiled in are inmem, redis"});
  }
  return options.input.empty() ? simulate(options, *config) : consume(options, *config);
}
