// SPDX-License-Identifier: MIT
//
// What the Consumer costs over the loop one would write by hand over the same containers and calls: ns, allocations, and instructions
// an event (callgrind, where valgrind is installed).
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

#include <pulse/pulse.hpp>

#include "../tests/counting_new.hpp"
#include "bench.hpp"

namespace {

using Event = pulse::FeedbackEvent;
using Bus = pulse::InMemoryBackend<pulse::Envelope<Event>>;
constexpr std::size_t batch = 100;

/// The work itself: the same for both loops, small, and checked afterwards.
struct Sum {
  using events = pulse::Events<Event>;
  std::uint64_t total = 0;
  void handle(const Event& event, const pulse::DeliveryContext&) { total += static_cast<std::uint64_t>(event.queue_size); }
};

pulse::Envelope<Event> envelope(std::uint64_t n) {
  pulse::Envelope<Event> made;
  char id[37];
  std::snprintf(id, sizeof id, "%08llx-0000-4000-8000-%012llx", static_cast<unsigned long long>(n >> 16 & 0xffffffff),
                static_cast<unsigned long long>(n & 0xffffffffffff));
  made.id = std::string(id);
  made.ts = 1.7e9;
  made.meta.schema_id = "telemetry.FeedbackEvent";
  made.payload.queue_size = static_cast<std::int64_t>(n & 7);
  return made;
}

const std::string stream = "bench";

/// The loop by hand: receive, then for each delivery key, claim, handle, commit, count, and acknowledge the batch.
template <class Dedup, class Metrics>
class ByHand {
 public:
  ByHand(Bus& bus, Dedup& dedup, Metrics& metrics, Sum& sum) : dedup_(dedup), metrics_(metrics), sum_(sum), subscription_(subscribe(bus)) {
    acks_.reserve(batch);
    slot_ = metrics.template slot<pulse::StreamLabel>(stream);
  }
  std::size_t poll() {
    auto received = subscription_.receive(batch, std::chrono::milliseconds{0});
    acks_.clear();
    pulse::WallTime wall{};
    pulse::SteadyTime before{};
    if constexpr (Metrics::enabled) {
      wall = pulse::SystemClock::wall();
      before = pulse::SystemClock::steady();
    }
    std::uint32_t index = 0;
    for (const auto& delivery : received->deliveries) {
      if (stop.load(std::memory_order_relaxed)) {  // by hand, too, a batch must not keep a stop waiting
        break;
      }
      const auto& env = delivery.data();
      if constexpr (Metrics::enabled) {
        metrics_.set(pulse::family::lag_ms, (pulse::epoch_seconds(wall) - env.ts) * 1e3, slot_);
      }
      pulse::EventId id{};
      if constexpr (!pulse::KeylessDedup<Dedup>) {  // by hand one would not compute what nobody asks for either
        id = env.id ? pulse::EventId::from_text(*env.id) : pulse::EventId::from_entry(delivery.id());
      }
      if (dedup_.claim(id) == pulse::Claim::fresh) {
        if (delivery.delivery_count() > 5) {
          std::abort();
        }
        try {
          sum_.total += static_cast<std::uint64_t>(env.payload.queue_size);
          dedup_.commit(id);
          acks_.push_back(index);
          metrics_.add(pulse::family::consume, 1, slot_, env.meta.track, pulse::Outcome::success);
        } catch (...) {
          dedup_.release(id);
        }
      } else {
        acks_.push_back(index);
        metrics_.add(pulse::family::consume, 1, slot_, env.meta.track, pulse::Outcome::duplicate);
      }
      ++index;
      if constexpr (Metrics::enabled) {
        const pulse::SteadyTime after = pulse::SystemClock::steady();
        metrics_.observe(pulse::family::handler_time, after - before, slot_);
        before = after;
      }
    }
    (void)subscription_.settle({acks_, {}, {}});
    if constexpr (Metrics::enabled) {
      metrics_.set(pulse::family::dedup_size, static_cast<double>(dedup_.size()));
    }
    return received->deliveries.size();
  }
  std::atomic<bool> stop{false};

 private:
  static auto subscribe(Bus& bus) {
    pulse::SubscribeOptions options;
    options.streams = {stream};
    return *bus.subscribe(options);
  }
  Dedup& dedup_;
  Metrics& metrics_;
  Sum& sum_;
  typename Bus::subscription_type subscription_;
  std::vector<std::uint32_t> acks_;
  pulse::LabelSlot<pulse::StreamLabel> slot_;
};

pulse::ConsumerOptions options(bool heartbeat) {
  pulse::ConsumerOptions made;
  if (!heartbeat) {
    made.heartbeat = std::chrono::milliseconds{0};  // all off: the loop by hand has none either
  }
  made.subscribe.streams = {stream};
  made.loop.batch = batch;
  return made;
}

template <class Loop>
std::size_t drain(Loop&& poll_once, std::size_t events) {
  std::size_t done = 0;
  while (done < events) {
    done += poll_once();
  }
  return done;
}

/// One side of a comparison on a bus of its own; publishing is outside the clock.
template <class Dedup, class Metrics, bool Ours>
struct Side {
  Bus bus{{.trim_acked = true}};
  Dedup dedup;
  Metrics metrics;
  Sum sum;
  std::optional<pulse::Consumer<Bus&, Dedup&, Metrics&, Sum&>> consumer;
  std::optional<ByHand<Dedup, Metrics>> hand;
  std::uint64_t published = 0;
  std::uint64_t consumed = 0;
  std::uint64_t expected = 0;

  template <class... A>
  explicit Side(A&&... arguments) : metrics(std::forward<A>(arguments)...) {
    if constexpr (Ours) {
      consumer.emplace(bus, dedup, metrics, sum, options(Metrics::enabled));
    } else {
      hand.emplace(bus, dedup, metrics, sum);
    }
  }
  void publish(std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
      (void)bus.publish(stream, envelope(published++));
    }
  }
  void consume(std::size_t n) {
    if constexpr (Ours) {
      drain([&] { return consumer->poll()->received; }, n);
    } else {
      drain([&] { return hand->poll(); }, n);
    }
    for (const std::uint64_t end = consumed + n; consumed < end; ++consumed) {
      expected += consumed & 7;
    }
    if (sum.total != expected) {
      std::fprintf(stderr, "consumer: wrong sum\n");
      std::exit(1);
    }
  }
};

template <class Dedup, class Metrics, class... A>
void compare(bench::Report& report, const char* name, const A&... arguments) {
  Side<Dedup, Metrics, true> ours{arguments...};
  Side<Dedup, Metrics, false> hand{arguments...};
  const std::size_t events = 20'000;
  std::vector<double> ours_ns, hand_ns;
  long allocated = 0;
  for (int round = 0; round < (report.quick ? 15 : 101); ++round) {
    ours.publish(events);
    hand.publish(events);
    const auto time = [&](auto& side) {
      const auto start = std::chrono::steady_clock::now();
      side.consume(events);
      return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count() / static_cast<double>(events);
    };
    const long before = allocations;
    const double a = time(ours);
    const long after = allocations;
    const double b = time(hand);
    if (round >= 3) {
      ours_ns.push_back(a);
      hand_ns.push_back(b);
      allocated += after - before;
    }
  }
  const auto median = [](std::vector<double>& v) {
    std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2), v.end());
    return v[v.size() / 2];
  };
  const double a = median(ours_ns);
  const double b = median(hand_ns);
  report.row(name, "time per event", a, "ns", "loop by hand", b / a);
  report.row(name, "allocations per event", static_cast<double>(allocated) / static_cast<double>(ours_ns.size() * events), "");
}

/// What callgrind counts: the loop alone, over events that are published already.
template <class Dedup, class Metrics, class... A>
int once(bool ours, std::size_t events, const A&... arguments) {
  const auto go = [&](auto& side) {
    side.publish(20'000);
    side.consume(events);
    return 0;
  };
  if (ours) {
    Side<Dedup, Metrics, true> side{arguments...};
    return go(side);
  }
  Side<Dedup, Metrics, false> side{arguments...};
  return go(side);
}

const pulse::PrometheusNames names{.streams = {stream}, .providers = {}, .sources = {}};

}  // namespace

int main(int argc, char** argv) {
  if (argc == 5 && std::string(argv[1]) == "--once") {
    const bool ours = std::string(argv[3]) == "ours";
    const auto events = static_cast<std::size_t>(std::atoi(argv[4]));
    return std::string(argv[2]) == "full" ? once<pulse::LruWindow, pulse::PrometheusMetrics>(ours, events, names)
                                          : once<pulse::NoDedup, pulse::NoMetrics>(ours, events);
  }
  bench::Report report{"consumer", argc, argv};
  compare<pulse::LruWindow, pulse::PrometheusMetrics>(report, "LruWindow + PrometheusMetrics", names);
  compare<pulse::NoDedup, pulse::NoMetrics>(report, "all off");
  for (const std::string kind : {"full", "off"}) {
    const double ours = bench::instructions(argv[0], kind + " ours");
    const double hand = bench::instructions(argv[0], kind + " hand");
    if (ours > 0 && hand > 0) {
      report.row(kind == "full" ? "LruWindow + PrometheusMetrics" : "all off", "instructions per event", ours, "", "loop by hand (cost)", ours / hand);
    }
  }
  return 0;
}
