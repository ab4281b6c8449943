// SPDX-License-Identifier: MIT
#pragma once

#include <sched.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "goals.hpp"
#include "plot.hpp"
#include "results.hpp"

namespace bench::dedup {

/// The first two numbers of a version: what a vendor adds behind them tells nobody anything.
inline std::string major_minor(const std::string& version) { return version.substr(0, version.find_first_not_of("0123456789", version.find('.') + 1)); }

/// Where and when a run was made, taken at its start.
struct Conditions {
  std::string machine = "an unknown processor";
  std::string date;
  std::string others;  ///< what else ran

  Conditions() {
    std::ifstream file{"/proc/cpuinfo"};
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with("model name")) {
        machine = line.substr(line.find(':') + 2);
        break;
      }
    }
    struct ::utsname kernel{};
    ::uname(&kernel);
    machine += ", " + std::to_string(std::thread::hardware_concurrency()) + " processors, " + kernel.sysname + " " + major_minor(kernel.release);
    char day[16];
    const std::time_t now = std::time(nullptr);
    std::strftime(day, sizeof day, "%Y-%m-%d", std::gmtime(&now));
    date = day;
    double load = 0;
    std::ifstream{"/proc/loadavg"} >> load;
    char text[160];
    std::snprintf(text, sizeof text, "The load of the machine was %.1f when the run began, which ran %s.", load,
                  ::sched_getscheduler(0) == SCHED_OTHER ? "among the others" : "before all others (`chrt -f`)");
    others = text;
  }
};

inline std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value == 0 ? "0" : value < 0.01 ? "%.2g" : value < 100 ? "%.1f" : "%.0f", value);
  return text;
}
/// With one digit more, where it is held against a bound.
inline std::string exactly(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value == 0 ? "0" : value < 0.01 ? "%.2g" : value < 10 ? "%.2f" : value < 100 ? "%.1f" : "%.0f", value);
  return text;
}
/// A type's name as code.
inline std::string code(const std::string& name) {
  return name.find('<') == std::string::npos ? name : "`" + name.substr(0, name.find('>') + 1) + "`" + name.substr(name.find('>') + 1);
}

/// Puts tables of results into a page.
class Tables {
 public:
  Tables(const Results& results, std::ofstream& out) : results_(results), out_(out) {}

  /// What was asked, and what came out.
  void asked() {
    row({"", "window", "asked", "one at a time", "back to back", "met"}, true);
    for (const Goal& goal : goals()) {
      const Result* const alone = answer(results_, goal, Way::one_at_a_time);
      const Result* const loop = answer(results_, goal, Way::back_to_back);
      if (loop == nullptr) {
        continue;
      }
      const bool ratio = goal.kind == Goal::Kind::ratio;
      const auto figure = [&](const Result* r) { return r == nullptr ? 0 : r->vs.empty() ? r->value : r->ratio; };
      const auto met = [&](const Result* r) { return r != nullptr && (ratio ? figure(r) >= goal.asked : figure(r) <= goal.asked); };
      const auto shown = [&](const Result* r) {
        return r == nullptr ? "" : (met(r) ? "**" + exactly(figure(r)) + goal.unit + "**" : exactly(figure(r)) + goal.unit);
      };
      row({code(goal.what), text_of(goal.window), (ratio ? "at least " : "at most ") + number(goal.asked) + goal.unit, shown(alone), shown(loop),
           met(loop) && (alone == nullptr || met(alone)) ? "yes"
           : met(loop)                                   ? "back to back"
           : met(alone)                                  ? "one at a time"
                                                         : "no"});
    }
  }

  /// One line a subject: what an id costs, asked in each way, and the rest.
  void costs(const std::string& section, std::size_t window, const std::string& setting) {
    const char* const others[] = {"p99 of a call", "worst call", "memory per id", "false duplicates", "missed duplicates"};
    std::vector<std::string> names;
    std::vector<std::pair<std::string, std::string>> columns;  // metric, unit
    std::vector<Way> asked;
    for (const Result& r : results_) {
      if (here(r, section, window, setting)) {
        const auto [name, way] = taken_apart(r.subject);
        add(names, name);
        if (r.metric == "time per id") {
          add(asked, way);
        }
      }
    }
    std::sort(asked.begin(), asked.end());
    for (const char* metric : others) {
      for (const Result& r : results_) {
        if (here(r, section, window, setting) && r.metric == metric) {
          add(columns, {metric, r.unit});
        }
      }
    }
    std::vector<std::string> head{""};
    for (const Way way : asked) {
      head.emplace_back(way == Way::one_at_a_time ? "one at a time, ns" : way == Way::back_to_back ? "back to back, ns" : "batches of 16, ns");
    }
    for (const auto& [metric, unit] : columns) {
      head.push_back(metric + ", " + unit);
    }
    row(head, true);
    for (const std::string& name : names) {
      std::vector<std::string> cells{code(name)};
      for (const Way way : asked) {
        cells.push_back(cell(section, window, setting, name + suffix(way), "time per id"));
      }
      for (const auto& [metric, unit] : columns) {
        cells.push_back(cell(section, window, setting, name, metric));
      }
      row(cells);
    }
  }

  /// Whether there is anything that strategies are compared with.
  [[nodiscard]] bool compares(const std::string& section, std::size_t window, const std::string& setting) const {
    return section != "threads" &&
           std::any_of(results_.begin(), results_.end(), [&](const Result& r) { return here(r, section, window, setting) && r.metric == "ratio"; });
  }
  /// How many times faster strategies are than what they are compared with: one at a time / back to back / in batches, against one at a time.
  void ratios(const std::string& section, std::size_t window, const std::string& setting) {
    std::vector<std::string> ours;
    std::vector<std::string> theirs;
    for (const Result& r : results_) {
      if (here(r, section, window, setting) && r.metric == "ratio") {
        add(ours, taken_apart(r.subject).first);
        add(theirs, taken_apart(r.vs).first);
      }
    }
    std::vector<std::string> head{"times faster than"};
    head.insert(head.end(), theirs.begin(), theirs.end());
    row(head, true);
    for (const std::string& name : ours) {
      std::vector<std::string> cells{code(name)};
      for (const std::string& peer : theirs) {
        std::string text;
        for (const auto& [own, asked] :
             {std::pair{Way::one_at_a_time, Way::one_at_a_time}, {Way::back_to_back, Way::back_to_back}, {Way::batched, Way::one_at_a_time}}) {
          for (const Result& r : results_) {
            if (here(r, section, window, setting) && r.metric == "ratio" && r.subject == name + suffix(own) && r.vs == peer + suffix(asked)) {
              text += (text.empty() ? "" : " / ") + number(r.ratio);
            }
          }
        }
        cells.push_back(text);
      }
      row(cells);
    }
  }

  void threads(std::size_t window) {
    row({"", "threads", "one by one, ns", "times one thread", "batches of 16, ns", "times one thread"}, true);
    std::vector<std::pair<std::string, std::string>> lines;
    for (const Result& r : results_) {
      if (r.section == "threads" && r.window == window) {
        add(lines, {taken_apart(r.subject).first, r.setting});
      }
    }
    for (const auto& [name, setting] : lines) {
      row({code(name), setting.substr(0, setting.find(' ')), cell("threads", window, setting, name, "time per id"),
           cell("threads", window, setting, name, "ratio"), cell("threads", window, setting, name + suffix(Way::batched), "time per id"),
           cell("threads", window, setting, name + suffix(Way::batched), "ratio")});
    }
  }

  /// The windows and settings of a section, in the order in which they were measured.
  [[nodiscard]] std::vector<std::pair<std::size_t, std::string>> settings(const std::string& section) const {
    std::vector<std::pair<std::size_t, std::string>> list;
    for (const Result& r : results_) {
      if (r.section == section) {
        add(list, {r.window, section == "threads" ? "" : r.setting});
      }
    }
    return list;
  }

 private:
  template <class T>
  static void add(std::vector<T>& list, T one) {
    if (std::find(list.begin(), list.end(), one) == list.end()) {
      list.push_back(std::move(one));
    }
  }
  static bool here(const Result& r, const std::string& section, std::size_t window, const std::string& setting) {
    return r.section == section && r.window == window && r.setting == setting;
  }
  [[nodiscard]] std::string cell(const std::string& section, std::size_t window, const std::string& setting, const std::string& subject,
                                 const std::string& metric) const {
    for (const Result& r : results_) {
      if (here(r, section, window, setting) && r.subject == subject && r.metric == metric) {
        return r.vs.empty() ? number(r.value) : number(r.ratio) + "x";
      }
    }
    return "";
  }
  void row(const std::vector<std::string>& cells, bool head = false) {
    for (const std::string& one : cells) {
      out_ << "| " << one << (one.empty() ? "" : " ");
    }
    out_ << "|\n";
    if (head) {
      for (std::size_t i = 0; i < cells.size(); ++i) {
        out_ << "|---";
      }
      out_ << "|\n";
    }
  }

  const Results& results_;
  std::ofstream& out_;
};

/// The page of results: what was measured, where and how, in tables, with the charts where they were drawn.
inline bool write_page(const Results& results, const std::string& path, const std::string& plots, int processes, const Conditions& conditions) {
  std::ofstream out{path};
  Tables tables{results, out};
  const std::string folder = plots.empty() ? "" : std::filesystem::path{plots}.lexically_relative(std::filesystem::path{path}.parent_path()).string();
  const std::vector<Chart> drawn = charts(results);
  const auto picture = [&](const std::string& section, std::size_t window, const std::string& setting) {
    for (const Chart& chart : drawn) {
      if (!plots.empty() && chart.section == section && chart.window == window && chart.setting == setting) {
        out << "\n![" << chart.title << "](" << folder << "/" << chart.file << ")\n";
      }
    }
  };
  out << "# Dedup strategies: results\n\nWritten by `./dev bench dedup --page docs/reference/dedup-results.md --plot docs/reference/dedup-results`, not by "
         "hand.\n"
         "What each strategy promises: [Dedup](dedup.md); which one to take: [four questions](../how-to/choose-dedup.md).\n\n"
         "On "
      << conditions.machine << ", compiled by "
#if defined(__clang__)
      << "clang " << __clang_major__
#else
      << "g++ " << __GNUC__
#endif
      << ", on " << conditions.date << ". Ratios are of figures of one process, whose contestants take turns; absolute times on an idle machine are lower.\n"
      << conditions.others << "\nEach figure is the median of " << processes << (processes == 1 ? " process" : " processes")
      << ", and in each of these the median of rounds in which all take turns.\nTimes are processor time; those of several threads and of single calls are by "
         "the clock. They "
         "depend on the machine; ratios do much less.\n\n"
         "Each id is claimed and, where it is new, committed. Ids have 16 bytes, and windows are full: a new id pushes one out. All answers are checked. A "
         "window is asked in three ways:\n\n"
         "- **one at a time**: a call is complete before the next one begins. So it is in a consumer, where a handler stands between two calls. A fence of the "
         "processor stands for the handler, the same for all.\n"
         "- **back to back**: in a loop over ids at hand. The processor overlaps the cache misses of calls that follow each other, which hides much of what a "
         "window costs in a consumer.\n"
         "- **in batches of 16**, which a strategy offers and a container does not: for code of your own that asks so, and for `Sharded` and `Tiered`. A "
         "consumer asks a strategy "
         "of this page one at a time.\n\n"
         "The limit is what touching two cache lines an id costs, asked for in batches. `do nothing` reads the ids. Times of single calls include taking the "
         "time: see what doing nothing costs.\nFalse duplicates are new ids taken for known ones, missed duplicates redeliveries within the window that were "
         "not recognised.\n";
  const auto windows = tables.settings("windows");
  if (!windows.empty()) {
    const std::size_t shown =
        std::find(windows.begin(), windows.end(), std::pair{std::size_t{1'000'000}, std::string{}}) != windows.end() ? 1'000'000 : windows.back().first;
    out << "\n## At one glance\n\nNew ids, a window of " << text_of(shown) << ":\n\n";
    tables.costs("windows", shown, "");
    picture("windows", shown, "");
  }
  out << "\n## What was asked, and what came out\n\nThe goals were set before the strategies were written. In batches, the peer is asked one at a time, or "
         "back to back. Bold: "
         "met.\n\n";
  tables.asked();
  const std::pair<const char*, const char*> sections[] = {{"windows", "New ids, by window"},  {"redelivery", "With redeliveries"},
                                                          {"kinds", "Entry ids of a stream"}, {"filters", "How often those that are not exact are wrong"},
                                                          {"text", "Ids that come as text"},  {"threads", "Several threads"}};
  for (const auto& [section, title] : sections) {
    out << "\n## " << title << "\n";
    for (const auto& [window, setting] : tables.settings(section)) {
      out << "\n### Window " << text_of(window) << (setting.empty() ? "" : ", " + setting) << "\n\n";
      if (std::string{section} == "threads") {
        out << "All ids of all threads, by the clock on the wall.\n\n";
        tables.threads(window);
      } else {
        tables.costs(section, window, setting);
      }
      if (tables.compares(section, window, setting)) {
        out << "\nOne at a time / back to back / in batches against one at a time:\n\n";
        tables.ratios(section, window, setting);
      }
      picture(section, window, setting);
    }
  }
  if (!out.flush()) {
    std::fprintf(stderr, "dedup: cannot write %s\n", path.c_str());
    return false;
  }
  return true;
}

}  // namespace bench::dedup
