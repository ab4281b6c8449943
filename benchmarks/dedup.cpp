// SPDX-License-Identifier: MIT
//
// Which strategy to take, and what it costs: all of Pulse's and what one builds from containers, in one process and by turns. Every answer is
// held to what is known of the traffic; one that is wrong, of a strategy that is exact, ends the run. contestants.hpp lists who takes part.
#include "bench.hpp"
#include "dedup/page.hpp"
#include "dedup/plot.hpp"
#include "dedup/results.hpp"
#include "dedup/sections.hpp"
#include "dedup/text.hpp"
#include "dedup/threads.hpp"

namespace {

using namespace bench::dedup;

Results quick() {
  Results out;
  const Effort effort{65'536, 7, 20'000};
  windows(out, 10'000, effort);
  windows(out, 1'000'000, effort);
  redelivery(out, 1'000'000, 10, "half a window", 500'000, {65'536, 5, 0});
  kinds(out, 100'000, {65'536, 5, 0});
  wrong_answers(out, 100'000, 2'000'000);
  Texts{true, 100'000}.run(out, {65'536, 5, 0});
  threads(out, 100'000, {131'072, 5, 0});
  return out;
}

Results full() {
  Results out;
  const Effort effort{131'072, 7, 100'000};
  for (const std::size_t window : {10'000U, 100'000U, 1'000'000U, 10'000'000U}) {
    windows(out, window, effort);
  }
  const Effort less{131'072, 3, 0};
  redelivery(out, 1'000'000, 10, "half a window", 500'000, less);
  redelivery(out, 1'000'000, 10, "nine tenths of a window", 900'000, less);
  redelivery(out, 1'000'000, 50, "a thousand ids", 1000, less);
  redelivery(out, 10'000'000, 10, "half a window", 5'000'000, less, {"FifoWindow", "LruWindow", "boost::unordered_flat_set + ring", "Boost.Intrusive LRU"});
  kinds(out, 1'000'000, less);
  wrong_answers(out, 100'000, 50'000'000);
  for (const bool uuid : {true, false}) {
    Texts{uuid, 1'000'000}.run(out, less);
  }
  for (const std::size_t window : {10'000U, 100'000U, 1'000'000U}) {
    threads(out, window, {524'288, 5, 0});
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  bench::Report report{"dedup", argc, argv, {"--plot DIR", "--page FILE", "--processes N"}};
  const std::string wanted = report.option("--processes");
  const int processes = wanted.empty() ? (report.quick ? 1 : 5) : std::atoi(wanted.c_str());
  if (processes < 1 || processes > 99) {
    std::fprintf(stderr, "dedup: --processes \"%s\": allowed are 1 to 99\n", wanted.c_str());
    return 2;
  }
  const bench::dedup::Conditions conditions;
  const Results results = in_processes(processes, report.quick ? quick : full);
  for (const Result& r : results) {
    report.row(r.name(), r.metric, r.value, r.unit, r.vs, r.ratio);
  }
  const std::string plots = report.option("--plot");
  const std::string page = report.option("--page");
  return (plots.empty() || draw(results, plots)) && (page.empty() || write_page(results, page, plots, processes, conditions)) ? 0 : 1;
}
