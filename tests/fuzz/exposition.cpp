// SPDX-License-Identifier: MIT
//
// Any names and values as metrics: the text is well-formed, says each series once, and gives back the names.
#include <cstdlib>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "law.hpp"
#include "pulse/metrics/prometheus_text.hpp"

namespace family = pulse::family;
using pulse_fuzz::law;

namespace {

/// Takes the labels off the front of a line, from '{' to '}', and adds the value of `wanted`, unescaped, to `values`.
bool labels(std::string_view& line, std::string_view wanted, std::set<std::string>& values) {
  line.remove_prefix(1);
  while (true) {
    const auto equals = line.find("=\"");
    if (equals == std::string_view::npos || equals == 0) {
      return false;
    }
    const std::string_view name = line.substr(0, equals);
    line.remove_prefix(equals + 2);
    std::string value;
    while (!line.empty() && line.front() != '"') {
      if (line.front() == '\\') {
        line.remove_prefix(1);
        const std::string_view known = "\\\"n";
        if (line.empty() || known.find(line.front()) == std::string_view::npos) {
          return false;
        }
        value += line.front() == 'n' ? '\n' : line.front();
      } else {
        value += line.front();
      }
      line.remove_prefix(1);
    }
    if (name == wanted) {
      values.insert(value);
    }
    if (line.size() < 2) {
      return false;
    }
    const char next = line[1];
    line.remove_prefix(2);
    if (next != ',') {
      return next == '}';
    }
  }
}

bool number(std::string_view text) {
  if (text == "NaN" || text == "+Inf" || text == "-Inf") {
    return true;
  }
  char* end = nullptr;
  const std::string copy{text};
  (void)std::strtod(copy.c_str(), &end);
  return !copy.empty() && *end == '\0' && copy.find_first_not_of("0123456789+-.e") == std::string::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  pulse_fuzz::Input input{data, size};
  const double value = std::bit_cast<double>(input.number(8));
  const auto time = std::chrono::nanoseconds{static_cast<std::int64_t>(input.number(8))};
  std::vector<std::string> names;
  while (!input.done() && names.size() < 3) {
    names.push_back(input.text('\0').substr(0, 64));
  }
  pulse::PrometheusMetrics metrics{{.streams = names, .providers = names, .sources = names}};
  for (const std::string& name : names) {
    metrics.add(family::claimed, 1, metrics.slot<pulse::StreamLabel>(name));
    metrics.observe(family::handler_time, time, metrics.slot<pulse::StreamLabel>(name));
    metrics.set(family::rate_scale, value, metrics.slot<pulse::ProviderLabel>(name));
  }
  const std::string text = pulse::prometheus_text(metrics);
  law(text.ends_with('\n'), "the last line ends", text);
  std::set<std::string> series;
  std::set<std::string> streams;
  std::size_t lines = 0;
  for (std::string_view left = text; !left.empty(); left.remove_prefix(left.find('\n') + 1)) {
    std::string_view line = left.substr(0, left.find('\n'));
    const std::string whole{line};
    ++lines;
    if (line.starts_with("# HELP ") || line.starts_with("# TYPE ")) {
      continue;
    }
    const auto name = line.find_first_of(" {");
    law(name != std::string_view::npos && line.substr(0, name).find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string_view::npos,
        "a line begins with a name", whole);
    const bool claimed = line.starts_with("pulse_claimed_total");
    line.remove_prefix(name);
    std::set<std::string> others;
    law(line.front() == ' ' || labels(line, "stream", claimed ? streams : others), "labels are well-formed", whole);
    law(line.front() == ' ' && number(line.substr(1)), "a line ends with a number", whole);
    law(series.insert(whole.substr(0, whole.size() - line.size())).second, "no series comes twice", whole);
  }
  law(lines < 20 * (metrics.series() + 20), "so many lines as there are series");
  for (const std::string& name : names) {
    law(streams.contains(name), "a name is given back", name);
  }
  return 0;
}
