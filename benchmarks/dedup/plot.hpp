// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "results.hpp"

namespace bench::dedup {

/// One picture: bars under each other, the shortest on top.
struct Chart {
  std::string file;
  std::string title;
  std::string unit;
  std::vector<std::pair<std::string, double>> bars{};
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
    const std::string setting = r.section == "threads" ? "threads" : r.setting;
    const std::string file = slug((memory ? "memory " : "time ") + r.section + " " + text_of(r.window) + (setting.empty() ? "" : " " + setting)) + ".svg";
    auto at = std::find_if(list.begin(), list.end(), [&](const Chart& chart) { return chart.file == file; });
    if (at == list.end()) {
      list.push_back(
          {file, (memory ? "Memory per id" : "Time per id") + std::string{", window "} + text_of(r.window) + (setting.empty() ? "" : ", " + setting), r.unit});
      at = list.end() - 1;
    }
    at->bars.emplace_back(r.subject + (r.section == "threads" ? ", " + r.setting : ""), r.value);
  }
  for (Chart& chart : list) {
    std::stable_sort(chart.bars.begin(), chart.bars.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
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
  constexpr int row = 24;
  const int height = 60 + row * static_cast<int>(chart.bars.size());
  double most = 0;
  for (const auto& bar : chart.bars) {
    most = std::max(most, bar.second);
  }
  std::ostringstream out;
  out << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << width << "\" height=\"" << height << "\" viewBox=\"0 0 " << width << ' ' << height
      << "\" font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"10\" y=\"24\" font-size=\"16\">"
      << escaped(chart.title) << " (" << chart.unit << ", less is better)</text>\n";
  int y = 44;
  for (const auto& [name, value] : chart.bars) {
    const bool theirs = name.find("::") != std::string::npos || name.find("Boost.") == 0 || name.find("limit") == 0 || name == "do nothing";
    const int length = most > 0 ? static_cast<int>(value / most * (width - left - 90)) : 0;
    char number[32];
    std::snprintf(number, sizeof number, "%.1f", value);
    out << "<text x=\"" << left - 8 << "\" y=\"" << y + 14 << "\" text-anchor=\"end\">" << escaped(name) << "</text><rect x=\"" << left << "\" y=\"" << y
        << "\" width=\"" << std::max(length, 1) << "\" height=\"" << row - 6 << "\" fill=\"" << (theirs ? "#a0a6ad" : "#2a6fb0") << "\"/><text x=\""
        << left + length + 6 << "\" y=\"" << y + 14 << "\">" << number << "</text>\n";
    y += row;
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
