// SPDX-License-Identifier: MIT
#pragma once

#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "options.hpp"
#include "simulation.hpp"

namespace demo {

/// Draws queue depth and scale over time as SVG. Returns false when the file cannot be written.
inline bool plot(const std::string& file, const std::vector<Sample>& samples, const std::string& title) {
  constexpr double width = 900;
  constexpr double height = 300;
  constexpr double left = 60;
  constexpr double top = 40;
  const double seconds = std::chrono::duration<double>(duration).count();
  const auto x = [&](double t) { return std::to_string(left + t / seconds * width); };
  const auto y = [&](double share) { return std::to_string(top + (1 - share) * height); };
  std::string depth;
  std::string scale;
  for (const Sample& sample : samples) {
    depth += x(sample.seconds) + ',' + y(static_cast<double>(sample.depth) / static_cast<double>(queue_capacity)) + ' ';
    scale += x(sample.seconds) + ',' + y(sample.scale) + ' ';
  }
  const double from = std::chrono::duration<double>(surge_from).count();
  const double to = std::chrono::duration<double>(surge_to).count();
  std::ofstream out(file);
  out << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1000 400\" font-family=\"sans-serif\" font-size=\"13\">\n"
      << "<rect width=\"1000\" height=\"400\" fill=\"white\"/>\n<text x=\"60\" y=\"24\" font-size=\"16\">" << title << "</text>\n"
      << "<rect x=\"" << x(from) << "\" y=\"" << top << "\" width=\"" << (to - from) / seconds * width << "\" height=\"" << height
      << "\" fill=\"#f3f0e6\"/>\n<text x=\"" << x(from + 0.05) << "\" y=\"55\" fill=\"#8a7f5c\">the store is slow</text>\n"
      << "<rect x=\"60\" y=\"40\" width=\"900\" height=\"300\" fill=\"none\" stroke=\"#999\"/>\n";
  for (int tick = 0; tick <= 6; ++tick) {
    out << "<text x=\"" << x(tick) << "\" y=\"360\" text-anchor=\"middle\">" << tick << " s</text>\n";
  }
  for (const double share : {0.0, 0.5, 1.0}) {
    out << "<text x=\"52\" y=\"" << y(share) << "\" text-anchor=\"end\">" << share * 100 << " %</text>\n";
  }
  out << "<polyline fill=\"none\" stroke=\"#c0392b\" stroke-width=\"2\" points=\"" << depth << "\"/>\n"
      << "<polyline fill=\"none\" stroke=\"#2471a3\" stroke-width=\"2\" points=\"" << scale << "\"/>\n"
      << "<text x=\"60\" y=\"385\" fill=\"#c0392b\">queue depth, of its capacity</text>\n"
      << "<text x=\"300\" y=\"385\" fill=\"#2471a3\">scale of the provider</text>\n</svg>\n";
  return static_cast<bool>(out);
}

/// Draws where asked for. Returns an exit code; what is wrong is said.
inline int draw(const Options& options, const std::vector<Sample>& samples) {
  if (options.plot.empty() || plot(options.plot, samples, options.feedback ? "With Pulse" : "Without Pulse")) {
    return 0;
  }
  std::cerr << "demo: cannot write \"" << options.plot << "\"\n";
  return 2;
}

}  // namespace demo
