// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "plot.hpp"
#include "results.hpp"

namespace bench::dedup {

inline std::string processor() {
  std::ifstream file{"/proc/cpuinfo"};
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) == 0) {
      return line.substr(line.find(':') + 2);
    }
  }
  return "an unknown processor";
}

inline std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value != 0 && value < 0.01 ? "%.2g" : value < 100 ? "%.1f" : "%.0f", value);
  return text;
}

/// Rows are subjects, columns are metrics (or what a ratio is against), for one section and setting.
class Table {
 public:
  Table(const Results& results, std::string section) : results_(results), section_(std::move(section)) {}

  void write(std::ofstream& out) {
    std::vector<std::pair<std::size_t, std::string>> settings;
    for (const Result& r : results_) {
      if (r.section == section_) {
        add(settings, {r.window, section_ == "threads" ? "" : r.setting});
      }
    }
    for (const auto& [window, setting] : settings) {
      out << "\n### Window " << text_of(window) << (setting.empty() ? "" : ", " + setting) << "\n\n";
      std::vector<std::string> columns;
      std::vector<std::string> subjects;
      for (const Result& r : results_) {
        if (here(r, window, setting)) {
          add(columns, column(r));
          add(subjects, subject(r));
        }
      }
      out << "| |";
      for (const std::string& name : columns) {
        out << ' ' << name << " |";
      }
      out << "\n|---|" << std::string(columns.size() * 4, ' ').replace(0, columns.size() * 4, repeated("---|", columns.size())) << "\n";
      for (const std::string& name : subjects) {
        out << "| " << name << " |";
        for (const std::string& wanted : columns) {
          std::string cell;
          for (const Result& r : results_) {
            if (here(r, window, setting) && subject(r) == name && column(r) == wanted) {
              cell = r.vs.empty() ? number(r.value) : number(r.ratio) + "x";
            }
          }
          out << ' ' << cell << " |";
        }
        out << "\n";
      }
    }
  }

 private:
  template <class T>
  static void add(std::vector<T>& list, T one) {
    if (std::find(list.begin(), list.end(), one) == list.end()) {
      list.push_back(std::move(one));
    }
  }
  static std::string repeated(const std::string& text, std::size_t times) {
    std::string out;
    for (std::size_t i = 0; i < times; ++i) {
      out += text;
    }
    return out;
  }
  [[nodiscard]] bool here(const Result& r, std::size_t window, const std::string& setting) const {
    return r.section == section_ && r.window == window && (section_ == "threads" || r.setting == setting);
  }
  [[nodiscard]] std::string subject(const Result& r) const {
    const std::string code = r.subject.find('<') == std::string::npos
                                 ? r.subject
                                 : "`" + r.subject.substr(0, r.subject.find('>') + 1) + "`" + r.subject.substr(r.subject.find('>') + 1);
    return section_ == "threads" ? code + ", " + r.setting : code;
  }
  static std::string column(const Result& r) {
    if (r.vs.empty()) {
      return r.metric + ", " + r.unit;
    }
    return r.metric == "ratio" ? "faster than " + r.vs : r.metric == "memory ratio" ? "smaller than " + r.vs : r.metric;
  }

  const Results& results_;
  std::string section_;
};

/// The page of results: what was measured, where and how, in tables, with the charts where they were drawn.
inline bool write_page(const Results& results, const std::string& path, const std::string& plots, int processes) {
  std::ofstream out{path};
  out << "# Dedup strategies: results\n\nWritten by `./dev bench dedup --page docs/reference/dedup-results.md --plot docs/reference/dedup-results`; not edited "
         "by "
         "hand.\n\nOn "
      << processor() << ", " << std::thread::hardware_concurrency() << " processors, compiled by "
#if defined(__clang__)
      << "clang " << __clang_major__
#else
      << "g++ " << __GNUC__
#endif
      << ". Each figure is the median of " << processes << (processes == 1 ? " process" : " processes")
      << ", and in each of these the median of rounds in which all take turns. Times are processor time, those of several threads and of single calls "
         "are by the clock. They depend on the machine; ratios do much less, so go by these.\n\n"
         "Each id is claimed and, where it is new, committed. Ids have 16 bytes, and windows are full: a new id pushes one out. `false duplicates` are new ids "
         "that were taken for known ones, `missed duplicates` redeliveries within the window that were not recognised. The limit is what touching "
         "two cache lines an id costs, asked for in time; `do nothing` reads the ids. Times of single calls include taking the time: see what doing "
         "nothing costs.\n";
  const std::pair<const char*, const char*> sections[] = {{"windows", "New ids, by window"},
                                                          {"redelivery", "With redeliveries"},
                                                          {"kinds", "Entry ids of a stream"},
                                                          {"text", "Ids that come as text"},
                                                          {"threads", "Several threads"}};
  for (const auto& [section, title] : sections) {
    out << "\n## " << title << "\n";
    Table{results, section}.write(out);
  }
  if (!plots.empty()) {
    const std::string folder = std::filesystem::path{plots}.lexically_relative(std::filesystem::path{path}.parent_path()).string();
    out << "\n## Charts\n\n";
    for (const Chart& chart : charts(results)) {
      out << "![" << chart.title << "](" << folder << "/" << chart.file << ")\n";
    }
  }
  if (!out.flush()) {
    std::fprintf(stderr, "dedup: cannot write %s\n", path.c_str());
    return false;
  }
  return true;
}

}  // namespace bench::dedup
