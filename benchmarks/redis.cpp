// SPDX-License-Identifier: MIT
//
// Consuming a Redis stream, against loops written by hand: rate, CPU of the client, latency, time to stop. The server and the client have a
// core each, loopback TCP between them. Every answer is checked, and that nothing is left pending. Ratios are of the same round, and their medians.
#include <functional>
#include <string>
#include <vector>

#ifdef PULSE_BENCH_HIREDIS
#include "redis/hiredis_peers.hpp"
#if __has_include(<pulse/ext/hiredis_client.hpp>)
#include <pulse/ext/hiredis_client.hpp>
#define PULSE_BENCH_HIREDIS_CLIENT
#endif
#endif
#include "redis/latency.hpp"
#include "redis/ours.hpp"
#include "redis/raw.hpp"

namespace {

using bench::Contender;
using pulse::SocketClient;

const std::string drained = "drain: neither parsed nor handled";
const std::string by_hand = "by hand: raw socket, two reads in flight";
const std::string ours = "pulse, two reads in flight";
const std::string nlohmann_each = "hiredis + nlohmann, XACK each";
const std::string nlohmann_batch = "hiredis + nlohmann, XACK a batch";
const std::string simdjson_batch = "hiredis + simdjson, XACK a batch";
const std::string simdjson_pipelined = "hiredis + simdjson, two reads in flight";
const std::string decoder_batch = "hiredis + our decoder, XACK a batch";
const std::string through_hiredis = "pulse through HiredisClient, two reads in flight";

/// `all`: the messages of the stream; the slower ones handle a part of them.
std::vector<Contender> contenders(std::size_t all) {
  std::vector<Contender> made;
  made.push_back({drained, all, bench::drain});
  made.push_back({by_hand, all, bench::by_hand});
  made.push_back({ours, all, bench::ours<SocketClient, true>});
  made.push_back({"pulse", all, bench::ours<SocketClient, false>});
#ifdef PULSE_BENCH_HIREDIS
#ifdef PULSE_BENCH_NLOHMANN
  made.push_back({nlohmann_each, all / 20, bench::hiredis_loop<bench::NlohmannDecoder, true>});
  made.push_back({nlohmann_batch, all / 4, bench::hiredis_loop<bench::NlohmannDecoder, false>});
#endif
#ifdef PULSE_BENCH_SIMDJSON
  made.push_back({simdjson_batch, all / 2, bench::hiredis_loop<bench::SimdjsonDecoder, false>});
  made.push_back({simdjson_pipelined, all, bench::hiredis_pipelined<bench::SimdjsonDecoder>});
#endif
  made.push_back({decoder_batch, all / 2, bench::hiredis_loop<bench::OurDecoder, false>});
#ifdef PULSE_BENCH_HIREDIS_CLIENT
  made.push_back({through_hiredis, all, bench::ours<pulse::HiredisClient, true>});
  made.push_back({"pulse through HiredisClient", all / 2, bench::ours<pulse::HiredisClient, false>});
#endif
#endif
  return made;
}

/// The median of a[i] / b[i].
double ratio(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ratios.push_back(a[i] / b[i]);
  }
  return bench::median(ratios);
}

void throughput(bench::Report& report, bench::Workload& load, std::size_t all, std::size_t count) {
  std::vector<Contender> list = contenders(all);
  for (int round = -1; round < 5; ++round) {  // the first warms up
    for (Contender& each : list) {
      const std::size_t messages = each.messages / count * count;
      load.rewind();
      bench::Meter meter{load.server.pid()};
      const std::uint64_t sum = each.run(load, messages, count, meter);
      load.check(messages, sum);
      if (round >= 0) {
        const auto n = static_cast<double>(messages);
        each.rate.push_back(n / meter.wall_s());
        each.client_us.push_back(meter.client_s() * 1e6 / n);
        each.server_us.push_back(meter.server_s() * 1e6 / n);
      }
    }
  }
  const std::string at = "COUNT " + std::to_string(count) + ": ";
  const auto find = [&](const std::string& name) -> const Contender* {
    for (const Contender& each : list) {
      if (each.name == name) {
        return &each;
      }
    }
    return nullptr;
  };
  for (const Contender& each : list) {
    report.row(at + each.name, "rate", bench::median(each.rate), "msg/s");
    report.row(at + each.name, "client CPU", bench::median(each.client_us), "us/msg");
    report.row(at + each.name, "server CPU", bench::median(each.server_us), "us/msg");
  }
  const auto faster = [&](const std::string& name, const std::string& peer) {
    if (const Contender *a = find(name), *b = find(peer); a != nullptr && b != nullptr) {
      report.row(at + name, "rate", bench::median(a->rate), "msg/s", peer, ratio(a->rate, b->rate));
    }
  };
  const auto cheaper = [&](const std::string& name, const std::string& peer) {
    if (const Contender *a = find(name), *b = find(peer); a != nullptr && b != nullptr) {
      report.row(at + name, "client CPU", bench::median(a->client_us), "us/msg", peer, ratio(b->client_us, a->client_us));
    }
  };
  faster(ours, drained);
  const Contender& a = *find(ours);
  report.row(at + ours, "client CPU", bench::median(a.client_us), "us/msg", by_hand + " (cost)", ratio(a.client_us, find(by_hand)->client_us));
  faster(ours, nlohmann_each);
  faster(ours, nlohmann_batch);
  cheaper(ours, nlohmann_batch);
  faster(ours, simdjson_batch);
  cheaper(ours, simdjson_pipelined);
  faster(through_hiredis, decoder_batch);
}

void latency(bench::Report& report, bench::Workload& load, std::size_t per_second) {
  struct Case {
    std::string name;
    int core;
    std::function<void(bench::Workload&, bench::LatencyRun&)> run;
    std::vector<double> p50{};
    std::vector<double> p99{};
  };
  const auto spinning = [](std::chrono::microseconds spin) {
    return [spin](bench::Workload& where, bench::LatencyRun& run) { bench::our_latency(where, run, spin); };
  };
  std::vector<Case> list;
  list.push_back({"pulse, all on one core", bench::server_core, spinning(std::chrono::microseconds{0})});
#if defined(PULSE_BENCH_HIREDIS) && defined(PULSE_BENCH_NLOHMANN)
  const std::string peer = "hiredis + nlohmann, all on one core";
  list.push_back({peer, bench::server_core, bench::hiredis_latency<bench::NlohmannDecoder>});
#endif
  const std::string two_cores = "pulse, a core of its own";
  list.push_back({two_cores, bench::client_core, spinning(std::chrono::microseconds{0})});
  const std::string spins = "pulse, a core of its own, spin 2 ms";
  list.push_back({spins, bench::client_core, spinning(std::chrono::milliseconds{2})});

  const std::size_t events = per_second * (report.quick ? 1 : 3) / (report.quick ? 2 : 1);
  for (int round = -1; round < 5; ++round) {
    for (Case& each : list) {
      load.empty();
      bench::pin(0, each.core);
      bench::LatencyRun run{load, events, std::chrono::nanoseconds{1'000'000'000 / per_second}};
      each.run(load, run);
      if (round >= 0) {
        each.p50.push_back(run.us(0.5));
        each.p99.push_back(run.us(0.99));
      }
    }
  }
  bench::pin(0, bench::client_core);
  const std::string at = std::to_string(per_second) + "/s: ";
  for (const Case& each : list) {
    const Case* versus = each.name == spins ? &list[list.size() - 2] : &each == &list[0] && list.size() > 3 ? &list[1] : nullptr;
    const std::string against = versus == nullptr ? "" : versus->name;
    report.row(at + each.name, "latency p50", bench::median(each.p50), "us", against, versus == nullptr ? 0 : ratio(versus->p50, each.p50));
    report.row(at + each.name, "latency p99", bench::median(each.p99), "us", against, versus == nullptr ? 0 : ratio(versus->p99, each.p99));
  }
}

void stopping(bench::Report& report, bench::Workload& load) {
  std::vector<double> idle;
  std::vector<double> busy;
  for (int i = 0; i < (report.quick ? 100 : 500); ++i) {
    load.rewind();
    busy.push_back(bench::time_to_stop(load, std::chrono::microseconds{100 + i % 100 * 100}));
  }
  load.empty();
  for (int i = 0; i < (report.quick ? 100 : 500); ++i) {
    idle.push_back(bench::time_to_stop(load, std::chrono::microseconds{100 + i % 100 * 100}));
  }
  report.row("stop while events come", "p50", bench::quantile(busy, 0.5), "ms");
  report.row("stop while events come", "p99", bench::quantile(busy, 0.99), "ms");
  report.row("stop while waiting", "p50", bench::quantile(idle, 0.5), "ms");
  report.row("stop while waiting", "p99", bench::quantile(idle, 0.99), "ms");
}

}  // namespace

int main(int argc, char** argv) {
  bench::Report report{"redis", argc, argv};
  if (!pulse_test::RedisServer::available()) {
    std::fprintf(stderr, "redis: redis-server is not installed\n");
    return 1;
  }
  bench::pin(0, bench::client_core);
  const std::size_t all = report.quick ? 40'000 : 200'000;
  bench::Workload load{all};
  throughput(report, load, all, 100);
  throughput(report, load, all, 1000);
  stopping(report, load);
  latency(report, load, 10'000);
  latency(report, load, 1'000);
  return 0;
}
