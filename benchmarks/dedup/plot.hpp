// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "results.hpp"
#include "subject.hpp"

namespace bench::dedup {

/// The subject of a result without the way in which it was asked, and that way.
inline std::pair<std::string, Way> taken_apart(const std::string& subject) {
  for (const Way way : {Way::one_at_a_time, Way::batched}) {
    if (subject.ends_with(suffix(way))) {
      return {subject.substr(0, subject.size() - std::string{suffix(way)}.size()), way};
    }
  }
  return {subject, Way::back_to_back};
}

/// Whether it is one of those that strategies are compared with.
inline bool is_peer(const std::string& name) {
  return name.find("::") != std::string::npos || name.starts_with("Boost.") || name.starts_with("limit") || name.starts_with("do nothing");
}

/// One picture: a group of bars for each subject, one for each way in which it was asked; the shortest on top.
struct Chart {
  std::string file;
  std::string title;
  std::string unit;
  std::string section;
  std::size_t window = 0;
  std::string setting;
  struct Group {
    std::string name;
    std::array<double, 3> values{};  ///< by Way; 0 where there is none
    [[nodiscard]] double least() const {
      double least = 0;
      for (const double value : values) {
        least = value != 0 && (least == 0 || value < least) ? value : least;
      }
      return least;
    }
  };
  std::vector<Group> groups{};
};

/// The charts that the results have figures for: the times and the memory at each window, with redeliveries, with text, with threads.
inline std::vector<Chart> charts(const Results& results) {
  std::vector<Chart> list;
  const auto slug = [](std::string text) {
    for (char& c : text) {
      c = c == ' ' || c == '%' || c == ',' ? '-' : c;
    }
    while (text.find("--") != std::string::npos) {
      text.erase(text.find("--"), 1);
    }
    return text;
  };
  for (const Result& r : results) {
    const bool time = r.metric == "time per id";
    const bool memory = r.metric == "memory per id" && (r.section == "windows" || r.section == "text");
    if (!time && !memory) {
      continue;
    }
    const std::string setting = r.section == "threads" ? "" : r.setting;
    const std::string named = r.section == "threads" ? "threads" : r.setting;
    const std::string file = slug((memory ? "memory " : "time ") + r.section + " " + text_of(r.window) + (named.empty() ? "" : " " + named)) + ".svg";
    auto at = std::find_if(list.begin(), list.end(), [&](const Chart& chart) { return chart.file == file; });
    if (at == list.end()) {
      list.push_back({file, (memory ? "Memory per id" : "Time per id") + std::string{", window "} + text_of(r.window) + (named.empty() ? "" : ", " + named),
                      r.unit, r.section, r.window, setting});
      at = list.end() - 1;
    }
    auto [name, way] = taken_apart(r.subject);
    name += r.section == "threads" ? ", " + r.setting : "";
    auto group = std::find_if(at->groups.begin(), at->groups.end(), [&](const Chart::Group& one) { return one.name == name; });
    if (group == at->groups.end()) {
      at->groups.push_back({name});
      group = at->groups.end() - 1;
    }
    group->values[static_cast<std::size_t>(way)] = r.value;
  }
  for (Chart& chart : list) {
    std::stable_sort(chart.groups.begin(), chart.groups.end(), [](const auto& a, const auto& b) { return a.least() < b.least(); });
  }
  return list;
}

inline std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
  }
  return out;
}

inline std::string svg(const Chart& chart) {
  constexpr int left = 400;
  constexpr int width = 900;
  constexpr int bar = 13;
  constexpr const char* ours[] = {"#1d4f80", "#3f86c6", "#9cc6ea"};
  constexpr const char* theirs[] = {"#5f666e", "#979ea6", "#cdd2d7"};
  constexpr const char* named[] = {"one at a time", "back to back", "in batches of 16"};
  double most = 0;
  int height = 70;
  bool asked[3] = {};
  for (const Chart::Group& group : chart.groups) {
    for (std::size_t way = 0; way < 3; ++way) {
      most = std::max(most, group.values[way]);
      height += group.values[way] != 0 ? bar : 0;
      asked[way] = asked[way] || group.values[way] != 0;
    }
    height += 8;
  }
  std::ostringstream out;
  out << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << width << "\" height=\"" << height << "\" viewBox=\"0 0 " << width << ' ' << height
      << "\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"10\" y=\"24\" font-size=\"16\">"
      << escaped(chart.title) << " (" << chart.unit << ", less is better)</text>\n";
  if (asked[0] || asked[2]) {
    int x = left;
    for (std::size_t way = 0; way < 3; ++way) {
      if (asked[way]) {
        out << "<rect x=\"" << x << "\" y=\"38\" width=\"12\" height=\"12\" fill=\"" << ours[way] << "\"/><rect x=\"" << x + 13
            << "\" y=\"38\" width=\"12\" height=\"12\" fill=\"" << theirs[way] << "\"/><text x=\"" << x + 31 << "\" y=\"48\">" << named[way] << "</text>\n";
        x += 150;
      }
    }
  }
  int y = 62;
  for (const Chart::Group& group : chart.groups) {
    const auto bars = static_cast<int>(std::count_if(group.values.begin(), group.values.end(), [](double value) { return value != 0; }));
    out << "<text x=\"" << left - 8 << "\" y=\"" << y + bars * bar / 2 + 4 << "\" text-anchor=\"end\">" << escaped(group.name) << "</text>";
    for (std::size_t way = 0; way < 3; ++way) {
      if (group.values[way] == 0) {
        continue;
      }
      const int length = static_cast<int>(group.values[way] / most * (width - left - 90));
      char number[32];
      std::snprintf(number, sizeof number, "%.1f", group.values[way]);
      out << "<rect x=\"" << left << "\" y=\"" << y << "\" width=\"" << std::max(length, 1) << "\" height=\"" << bar - 2 << "\" fill=\""
          << (is_peer(group.name) ? theirs : ours)[way] << "\"/><text x=\"" << left + length + 6 << "\" y=\"" << y + 10 << "\" font-size=\"11\">" << number
          << "</text>\n";
      y += bar;
    }
    y += 8;
  }
  out << "</svg>\n";
  return out.str();
}

/// Writes each chart into `directory`, which is made where it is missing.
inline bool draw(const Results& results, const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  for (const Chart& chart : charts(results)) {
    std::ofstream file{directory + "/" + chart.file};
    file << svg(chart);
    if (!file) {
      std::fprintf(stderr, "dedup: cannot write %s/%s\n", directory.c_str(), chart.file.c_str());
      return false;
    }
  }
  return true;
}

}  // namespace bench::dedup
