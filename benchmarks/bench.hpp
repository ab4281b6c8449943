// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

/// What the benchmarks share: interleaved rounds in one process, medians, ratios, a table and --json.
namespace bench {

template <class T>
inline void keep(const T& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

/// Ends the program where an answer is wrong: what is fast and wrong is not measured.
inline void require(bool right, const char* what = "wrong result") {
  if (!right) {
    std::fprintf(stderr, "%s\n", what);
    std::exit(1);
  }
}

struct Row {
  std::string name, metric;
  double value;
  std::string unit, vs;
  double ratio;  ///< how many times better than `vs`; 0 where there is none
};

class Report {
 public:
  /// `more` are further options, each with a value: "--name VALUE".
  Report(std::string bench, int argc, char** argv, const std::vector<std::string>& more = {}) : bench_(std::move(bench)) {
    std::vector<std::string> known{"--json FILE"};
    known.insert(known.end(), more.begin(), more.end());
    for (int i = 1; i < argc; ++i) {
      const std::string argument = argv[i];
      const auto takes = [&](const std::string& option) { return option.starts_with(argument + " "); };
      if (argument == "--quick") {
        quick = true;
      } else if (i + 1 < argc && std::any_of(known.begin(), known.end(), takes)) {
        options_[argument] = argv[++i];
      } else {
        std::fprintf(stderr, "%s: unknown argument \"%s\", or no value after it: allowed are --quick", bench_.c_str(), argv[i]);
        for (const std::string& option : known) {
          std::fprintf(stderr, ", %s", option.c_str());
        }
        std::fputs("\n", stderr);
        std::exit(2);
      }
    }
    if (const std::string name = option("--json"); !name.empty()) {
      file_ = std::fopen(name.c_str(), "w");  // before the run, not after it
      if (file_ == nullptr) {
        std::fprintf(stderr, "%s: cannot write \"%s\"\n", bench_.c_str(), name.c_str());
        std::exit(2);
      }
    }
  }
  /// The value given for an option, or "".
  [[nodiscard]] std::string option(const std::string& name) const {
    const auto at = options_.find(name);
    return at == options_.end() ? "" : at->second;
  }
  Report(const Report&) = delete;
  Report& operator=(const Report&) = delete;
  ~Report() {
    if (file_ != nullptr) {
      std::fputs("[\n", file_);
      for (std::size_t i = 0; i < rows_.size(); ++i) {
        const Row& r = rows_[i];
        std::fprintf(file_,
                     "  {\"bench\": \"%s\", \"case\": \"%s\", \"metric\": \"%s\", \"value\": %.4g, \"unit\": \"%s\", \"vs\": \"%s\", \"ratio\": %.4g}%s\n",
                     bench_.c_str(), r.name.c_str(), r.metric.c_str(), r.value, r.unit.c_str(), r.vs.c_str(), r.ratio, i + 1 < rows_.size() ? "," : "");
      }
      std::fputs("]\n", file_);
      std::fclose(file_);
    }
  }
  void row(const std::string& name, const std::string& metric, double value, const std::string& unit, const std::string& vs = "", double ratio = 0) {
    rows_.push_back({name, metric, value, unit, vs, ratio});
    std::printf("%-44s %-20s %12.2f %-8s", name.c_str(), metric.c_str(), value, unit.c_str());
    if (!vs.empty()) {
      std::printf("  %6.2fx vs %s", ratio, vs.c_str());
    }
    std::printf("\n");
    std::fflush(stdout);
  }

  bool quick = false;

 private:
  std::string bench_;
  std::FILE* file_ = nullptr;  // of --json
  std::map<std::string, std::string> options_;
  std::vector<Row> rows_;
};

struct Case {
  std::string name;
  std::function<void(std::size_t)> run;  ///< does n operations
  double ns = 0;                         ///< the median of an operation, after `measure`
};

/// Runs all cases in turn, `rounds` times, and leaves each one's median ns per operation.
inline void measure(std::vector<Case>& cases, std::size_t operations, int rounds) {
  std::vector<std::vector<double>> times(cases.size());
  for (int round = -1; round < rounds; ++round) {  // the first round warms up
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const auto start = std::chrono::steady_clock::now();
      cases[i].run(operations);
      const double ns = std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count() / static_cast<double>(operations);
      if (round >= 0) {
        times[i].push_back(ns);
      }
    }
  }
  for (std::size_t i = 0; i < cases.size(); ++i) {
    std::nth_element(times[i].begin(), times[i].begin() + static_cast<std::ptrdiff_t>(times[i].size() / 2), times[i].end());
    cases[i].ns = times[i][times[i].size() / 2];
  }
}

/// Instructions an operation takes in this program called as `self --once WORDS N`: by callgrind, from the difference between 20,000 and
/// 10,000 of them, so that starting up does not count. 0 where there is no valgrind.
inline double instructions(const char* self, const std::string& words) {
  const auto total = [&](int operations) {
    const std::string command = "valgrind --tool=callgrind --callgrind-out-file=/dev/null " + std::string(self) + " --once " + words + " " +
                                std::to_string(operations) + " 2>&1 | sed -n 's/.*Collected : //p'";
    double count = 0;
    if (std::FILE* pipe = popen(command.c_str(), "r")) {
      if (std::fscanf(pipe, "%lf", &count) != 1) {
        count = 0;
      }
      pclose(pipe);
    }
    return count;
  };
  return (total(20'000) - total(10'000)) / 10'000;
}

}  // namespace bench
