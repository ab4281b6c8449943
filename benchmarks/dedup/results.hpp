// SPDX-License-Identifier: MIT
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "measure.hpp"

namespace bench::dedup {

/// One figure. Two runs of the suite give the same ones in the same order.
struct Result {
  std::string section;  ///< windows, redelivery, kinds, text, threads
  std::string subject;
  std::string setting;  ///< what is special: "" or "2 threads", ...
  std::size_t window = 0;
  std::string metric;
  double value = 0;
  std::string unit;
  std::string vs{};
  double ratio = 0;  ///< how many times better than `vs`, unless the metric says "over": then how many times worse

  [[nodiscard]] std::string name() const;
};
using Results = std::vector<Result>;

inline std::string text_of(std::size_t window) {
  return window >= 1'000'000 ? std::to_string(window / 1'000'000) + " M" : std::to_string(window / 1000) + " k";
}
inline std::string Result::name() const { return subject + ", window " + text_of(window) + (setting.empty() ? "" : ", " + setting); }

/// Runs the suite in `count` processes one after another and takes the median of each figure. A process that finds a wrong answer ends it all.
template <class Run>
Results in_processes(int count, Run run) {
  if (count <= 1) {
    return run();
  }
  std::vector<Results> all;
  for (int process = 0; process < count; ++process) {
    std::fprintf(stderr, "dedup: process %d of %d\n", process + 1, count);
    int ends[2];
    if (::pipe(ends) != 0) {
      std::perror("dedup: pipe");
      std::exit(1);
    }
    const ::pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      std::FILE* const out = ::fdopen(ends[1], "w");
      for (const Result& r : run()) {
        std::fprintf(out, "%s\t%s\t%s\t%zu\t%s\t%.9g\t%s\t%s\t%.9g\n", r.section.c_str(), r.subject.c_str(), r.setting.c_str(), r.window, r.metric.c_str(),
                     r.value, r.unit.c_str(), r.vs.c_str(), r.ratio);
      }
      std::fclose(out);
      ::_exit(0);
    }
    ::close(ends[1]);
    std::string text;
    char buffer[65536];
    for (::ssize_t got; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<std::size_t>(got));
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (status != 0) {
      std::fprintf(stderr, "dedup: process %d failed\n", process + 1);
      std::exit(1);
    }
    Results results;
    std::vector<std::string> fields(1);
    for (const char c : text) {
      if (c == '\t') {
        fields.emplace_back();
      } else if (c == '\n') {
        results.push_back({fields[0], fields[1], fields[2], std::strtoull(fields[3].c_str(), nullptr, 10), fields[4], std::strtod(fields[5].c_str(), nullptr),
                           fields[6], fields[7], std::strtod(fields[8].c_str(), nullptr)});
        fields.assign(1, "");
      } else {
        fields.back() += c;
      }
    }
    all.push_back(std::move(results));
  }
  Results medians = all.front();
  for (std::size_t i = 0; i < medians.size(); ++i) {
    std::vector<double> values;
    std::vector<double> ratios;
    for (const Results& one : all) {
      values.push_back(one.at(i).value);
      ratios.push_back(one.at(i).ratio);
    }
    medians[i].value = median(values);
    medians[i].ratio = median(ratios);
  }
  return medians;
}

}  // namespace bench::dedup
