// SPDX-License-Identifier: MIT
//
// publish + receive + acknowledge of a 128-byte event in memory, against bare queues that keep no groups, no pending list and no counts.
#include <array>
#include <atomic>
#include <boost/lockfree/queue.hpp>
#include <boost/lockfree/spsc_queue.hpp>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>

#include <pulse/backend/in_memory.hpp>

#include "bench.hpp"

namespace {

struct Event {
  std::array<std::uint64_t, 16> words{};
};
static_assert(sizeof(Event) == 128);
using Bus = pulse::InMemoryBackend<Event>;

auto member(Bus& bus, const char* name = "one") {
  pulse::SubscribeOptions options;
  options.streams = {"s"};
  options.consumer = name;
  return *bus.subscribe(options);
}

void require(bool right) {
  if (!right) {
    std::fprintf(stderr, "inmem: wrong result\n");
    std::exit(1);
  }
}

std::vector<std::uint32_t> upto(std::size_t n) {
  std::vector<std::uint32_t> indexes(n);
  for (std::size_t i = 0; i < n; ++i) {
    indexes[i] = static_cast<std::uint32_t>(i);
  }
  return indexes;
}

/// Publishes and consumes in turns of `batch`.
template <class Sub>
void pump(Bus& bus, Sub& sub, std::size_t count, std::size_t batch, const std::vector<std::uint32_t>& acks) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < count; i += batch) {
    for (std::size_t j = 0; j < batch; ++j) {
      (void)bus.publish("s", Event{{i + j}});
    }
    const auto received = sub.receive(batch, std::chrono::milliseconds{0});
    require(received && received->deliveries.size() == batch);
    for (const auto& delivery : received->deliveries) {
      sum += delivery.data().words[0];
    }
    (void)sub.settle({std::span{acks}.first(batch), {}, {}});
  }
  require(sum == count * (count - 1) / 2);
}

void through_deque(std::mutex& mutex, std::deque<Event>& deque, std::size_t count) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    {
      const std::lock_guard lock{mutex};
      deque.push_back(Event{{i}});
    }
    const std::lock_guard lock{mutex};
    sum += deque.front().words[0];
    deque.pop_front();
  }
  require(sum == count * (count - 1) / 2);
}

/// What callgrind counts.
int once(const std::string& what, std::size_t count) {
  if (what == "deque") {
    std::mutex mutex;
    std::deque<Event> deque;
    through_deque(mutex, deque, count);
  } else {
    Bus bus{{.trim_acked = true}};
    auto one = member(bus);
    pump(bus, one, count, what == "batches" ? 100 : 1, upto(100));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4 && std::string(argv[1]) == "--once") {
    return once(argv[2], static_cast<std::size_t>(std::atoi(argv[3])));
  }
  bench::Report report{"inmem", argc, argv};
  const std::size_t n = report.quick ? 100'000 : 400'000;
  const int rounds = report.quick ? 7 : 15;
  const auto acks = upto(100);

  Bus bus{{.trim_acked = true}};
  auto one = member(bus);
  std::mutex mutex;
  std::deque<Event> deque;
  boost::lockfree::queue<Event> lockfree{1024};
  boost::lockfree::spsc_queue<Event> spsc{1024};
  std::vector<bench::Case> cases;
  cases.push_back({"pulse, batches of 100", [&](std::size_t count) { pump(bus, one, count, 100, acks); }});
  cases.push_back({"pulse, one by one", [&](std::size_t count) { pump(bus, one, count, 1, acks); }});
  cases.push_back({"std::mutex + std::deque", [&](std::size_t count) { through_deque(mutex, deque, count); }});
  cases.push_back({"boost::lockfree::queue", [&](std::size_t count) {
                     Event event;
                     for (std::size_t i = 0; i < count; ++i) {
                       require(lockfree.push(Event{{i}}) && lockfree.pop(event));
                       bench::keep(event.words[0]);
                     }
                   }});
  cases.push_back({"boost::lockfree::spsc_queue", [&](std::size_t count) {
                     Event event;
                     for (std::size_t i = 0; i < count; ++i) {
                       require(spsc.push(Event{{i}}) && spsc.pop(event));
                       bench::keep(event.words[0]);
                     }
                   }});
  cases.push_back({"do nothing: copy the event", [&](std::size_t count) {
                     Event event;
                     for (std::size_t i = 0; i < count; ++i) {
                       event = Event{{i}};
                       bench::keep(event);
                     }
                   }});
  bench::measure(cases, n, rounds);
  for (const auto& each : cases) {
    report.row("one thread: " + each.name, "time per event", each.ns, "ns", &each == &cases[2] ? "" : cases[2].name + " (cost)", each.ns / cases[2].ns);
  }

  const double deque_instructions = bench::instructions(argv[0], "deque");
  for (const std::string kind : {"batches", "singly"}) {
    const double ours = bench::instructions(argv[0], kind);
    if (ours > 0 && deque_instructions > 0) {
      report.row(kind == "batches" ? "pulse, batches of 100" : "pulse, one by one", "instructions per event", ours, "", "std::mutex + std::deque (cost)",
                 ours / deque_instructions);
    }
  }

  // Two threads: one publishes, one consumes.
  std::vector<bench::Case> pairs;
  pairs.push_back({"pulse", [&](std::size_t count) {
                     std::thread publisher([&] {
                       for (std::size_t i = 0; i < count; ++i) {
                         (void)bus.publish("s", Event{{i}});
                       }
                     });
                     for (std::size_t done = 0; done < count;) {
                       const auto received = one.receive(100, std::chrono::milliseconds{10});
                       done += received->deliveries.size();
                       (void)one.settle({std::span{acks}.first(received->deliveries.size()), {}, {}});
                     }
                     publisher.join();
                   }});
  pairs.push_back({"std::mutex + std::deque", [&](std::size_t count) {
                     std::thread publisher([&] {
                       for (std::size_t i = 0; i < count; ++i) {
                         const std::lock_guard lock{mutex};
                         deque.push_back(Event{{i}});
                       }
                     });
                     for (std::size_t done = 0; done < count;) {
                       const std::lock_guard lock{mutex};
                       if (!deque.empty()) {
                         bench::keep(deque.front().words[0]);
                         deque.pop_front();
                         ++done;
                       }
                     }
                     publisher.join();
                   }});
  bench::measure(pairs, n, rounds);
  for (const auto& each : pairs) {
    report.row("two threads: " + each.name, "time per event", each.ns, "ns", &each == &pairs[1] ? "" : pairs[1].name + " (cost)", each.ns / pairs[1].ns);
  }

  // Flat as the stream and the pending list grow: the same pump on top of what is there already.
  double least = 0;
  for (const std::size_t length : {std::size_t{10'000}, std::size_t{1'000'000}, report.quick ? std::size_t{2'000'000} : std::size_t{10'000'000}}) {
    Bus large;
    auto sub = member(large);
    const std::size_t pending = std::min<std::size_t>(length, 1'000'000);
    for (std::size_t i = 0; i < length; ++i) {
      (void)large.publish("s", Event{{i}});
    }
    for (std::size_t i = 0; i < length; i += 100) {
      const auto received = sub.receive(100, std::chrono::milliseconds{0});
      if (i >= pending) {
        (void)sub.settle({std::span{acks}.first(received->deliveries.size()), {}, {}});
      }
    }
    require(sub.state(0)->pending == pending && large.length("s") == length);
    std::vector<bench::Case> flat{{"", [&](std::size_t count) { pump(large, sub, count, 100, acks); }}};
    bench::measure(flat, 50'000, 5);
    least = least == 0 ? flat[0].ns : least;
    report.row("stream of " + std::to_string(length) + ", " + std::to_string(pending) + " pending", "time per event", flat[0].ns, "ns",
               "stream of 10000 (cost)", flat[0].ns / least);
  }
  return 0;
}
