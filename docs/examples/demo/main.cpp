// SPDX-License-Identifier: MIT
//
// The whole loop in one process: a store whose queue fills publishes back-pressure, a consumer turns it into a rate, and the provider
// slows down instead of losing data.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <pulse/pulse.hpp>

#include "counts.hpp"
#include "input.hpp"
#include "options.hpp"
#include "plot.hpp"
#include "simulation.hpp"
#include "summary.hpp"

namespace {

using namespace std::chrono_literals;
using Bus = pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>>;

/// The RateCoordinator, with a note of how old each adjustment was when it took effect.
struct ObservedRates {
  pulse::RateCoordinator<>& rates;
  std::mutex mutex;
  std::vector<double> lag_ms;

  void apply(const pulse::RateAdjustment& adjustment) {
    rates.apply(adjustment);
    const std::lock_guard lock{mutex};
    lag_ms.push_back((pulse::epoch_seconds(pulse::SystemClock::wall()) - adjustment.ts) * 1e3);
  }

  double p99() {
    const std::lock_guard lock{mutex};
    if (lag_ms.empty()) {
      return 0;
    }
    const auto at = lag_ms.begin() + static_cast<std::ptrdiff_t>(lag_ms.size() * 99 / 100);
    std::nth_element(lag_ms.begin(), at, lag_ms.end());
    return *at;
  }
};

void print_text(const demo::Summary& s, bool feedback) {
  std::printf("\nback-pressure events   published %llu   applied %llu   duplicates skipped %llu   stale %llu   dead-lettered %llu   lost %llu\n",
              static_cast<unsigned long long>(s.published), static_cast<unsigned long long>(s.applied), static_cast<unsigned long long>(s.duplicates),
              static_cast<unsigned long long>(s.stale), static_cast<unsigned long long>(s.dead_lettered), static_cast<unsigned long long>(s.unaccounted()));
  std::printf("lag p99 %.2f ms   final scale %.2f   backend %s\n", s.lag_ms_p99, s.scale_final, s.backend.c_str());
  if (s.queue_overflow == 0) {
    std::printf("ticks written %llu, dropped 0: the provider followed the store.\n", static_cast<unsigned long long>(s.written));
  } else {
    std::printf("ticks written %llu, DROPPED %llu: the store's queue overflowed.\n", static_cast<unsigned long long>(s.written),
                static_cast<unsigned long long>(s.queue_overflow));
  }
  if (feedback) {
    std::printf("Run it with --no-feedback to see the same load without Pulse.\n");
  }
}

/// A live line in a terminal, plain lines elsewhere.
class View {
 public:
  explicit View(bool silent) : silent_(silent), terminal_(isatty(STDOUT_FILENO) != 0) {}
  ~View() {
    if (terminal_ && !silent_) {
      std::printf("\n");
    }
  }
  void show(const demo::Sample& sample, std::uint64_t dropped) {
    if (silent_ || sample.seconds < next_) {
      return;
    }
    next_ = sample.seconds + (terminal_ ? 0.05 : 0.5);
    const int width = static_cast<int>(sample.depth * 40 / demo::queue_capacity);
    const std::string bar = std::string(static_cast<std::size_t>(width), '#') + std::string(static_cast<std::size_t>(40 - width), '.');
    std::printf("%s%4.1f s  queue [%s] %4lld  level %-4s  scale %.2f  dropped %llu%s", terminal_ ? "\r" : "", sample.seconds, bar.c_str(),
                static_cast<long long>(sample.depth), std::string(pulse::name_of(sample.level)).c_str(), sample.scale, static_cast<unsigned long long>(dropped),
                terminal_ ? "   " : "\n");
    std::fflush(stdout);
  }

 private:
  bool silent_;
  bool terminal_;
  double next_ = 0;
};

int fail(const pulse::Error& error) {
  std::cerr << "demo: " << error.message << '\n';
  return 2;
}

int simulate(const demo::Options& options, const pulse::PulseConfig& config) {
  if (!options.plot.empty() && !std::ofstream{options.plot}) {  // before the run, not after it
    std::cerr << "demo: cannot write \"" << options.plot << "\"\n";
    return 2;
  }
  const std::string& provider = config.feedback.provider;
  pulse::RateCoordinator rates;
  const double full_rate = demo::provider_per_ms * 1000.0;
  if (auto registered = rates.register_provider(provider, {.capacity = 5.0 * demo::provider_per_ms, .refill_rate = full_rate}); !registered) {
    return fail(registered.error());
  }
  ObservedRates observed{rates, {}, {}};

  const std::string stream = pulse::stream_key(pulse::feedback_stream, config.name_space);
  Bus bus;
  pulse::PrometheusMetrics prometheus{{.streams = {stream}, .providers = {provider}, .sources = {"store"}}};
  demo::Counts counts;
  pulse::Tee metrics{prometheus, counts};
  pulse::Runtime runtime{config, pulse::backends(pulse::backend<"inmem">(bus)), pulse::LruWindow{65536}, metrics, observed};
  if (auto started = runtime.start(); options.feedback && !started) {
    return fail(started.error());
  }

  demo::Queue queue;
  std::vector<demo::Sample> samples;
  const pulse::SteadyTime start = pulse::SystemClock::steady();

  std::thread source([&] {
    demo::paced(start, [&](auto, std::int64_t ms) {
      for (std::int64_t i = 0; i < ms * demo::provider_per_ms; ++i) {
        if (!rates.try_acquire(provider, 1)) {
          break;  // what is not asked for is not lost: it stays with the provider
        }
        queue.push();
      }
    });
  });

  demo::Summary summary;
  {
    View view{options.json};
    pulse::Publisher publisher{bus, stream, metrics};
    auto level = pulse::BackpressureLevel::ok;
    auto next_report = 0ms;
    demo::paced(start, [&](std::chrono::milliseconds elapsed, std::int64_t ms) {
      const bool slow = elapsed >= demo::surge_from && elapsed < demo::surge_to;
      summary.written += static_cast<std::uint64_t>(queue.pop(ms * (slow ? demo::store_slow_per_ms : demo::store_per_ms)));
      level = demo::level_for(queue.depth(), level);
      if (elapsed >= next_report) {
        next_report = elapsed + demo::report_every;
        pulse::FeedbackEvent event;
        event.coordinator_id = "ticks";
        event.queue_size = queue.depth();
        event.capacity = demo::queue_capacity;
        event.level = level;
        event.ts = pulse::epoch_seconds(pulse::SystemClock::wall());
        if (options.feedback && runtime.mode() == pulse::RuntimeMode::bus) {
          runtime.bus().publish(event);
          ++summary.published;
        } else if (options.feedback) {
          const std::string id = "ticks-" + std::to_string(summary.published);
          // A store that is not sure publishes again under the same id; every 25th time this one is not sure.
          const int times = summary.published % 25 == 24 ? 2 : 1;
          for (int i = 0; i < times; ++i) {
            if (publisher.publish(event, {.key = "ticks", .id = id})) {
              ++summary.published;
            }
          }
        }
      }
      const double scale = rates.provider_state(provider)->scale;
      samples.push_back({std::chrono::duration<double>(elapsed).count(), queue.depth(), scale, level});
      view.show(samples.back(), queue.overflow());
    });
  }
  source.join();
  summary.backend = !options.feedback ? "none" : runtime.mode() == pulse::RuntimeMode::bus ? "bus" : config.backend;
  std::this_thread::sleep_for(50ms);  // the last events are on their way
  const bool bus_mode = runtime.mode() == pulse::RuntimeMode::bus;
  if (auto stopped = runtime.stop(); !stopped) {
    return fail(stopped.error());
  }
  summary.applied = bus_mode ? summary.published : counts.of(pulse::Outcome::success);
  summary.duplicates = counts.of(pulse::Outcome::duplicate);
  summary.dead_lettered = counts.of(pulse::Outcome::dead_letter) + counts.of(pulse::Outcome::invalid);
  summary.stale = counts.of(pulse::Outcome::stale);
  summary.queue_overflow = queue.overflow();
  summary.lag_ms_p99 = observed.p99();
  summary.scale_final = rates.provider_state(provider)->scale;
  if (options.json) {
    demo::print_json(summary);
  } else {
    print_text(summary, options.feedback);
  }
  if (!options.plot.empty() && !demo::plot(options.plot, samples, options.feedback ? "With Pulse" : "Without Pulse")) {
    std::cerr << "demo: cannot write \"" << options.plot << "\"\n";
    return 2;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const demo::Options options = demo::parse(argc, argv);
  if (!options.error.empty()) {
    std::cerr << "demo: " << options.error << '\n';
    return 2;
  }
  if (options.help) {
    std::cout << demo::usage;
    return 0;
  }
  auto config = pulse::PulseConfig::from_env();
  if (!config) {
    return fail(config.error());
  }
  return options.input.empty() ? simulate(options, *config) : demo::consume_lines(options, *config);
}
