// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace demo {

struct Options {
  bool feedback = true;
  bool json = false;
  bool kill_consumer = false;
  bool help = false;
  std::string plot;
  std::string input;
  std::string error;  ///< what is wrong with the command line, in one line
};

inline constexpr std::string_view usage =
    "usage: demo [--no-feedback | --kill-consumer] [--json] [--plot FILE.svg] | demo --input FILE|- [--json]\n"
    "  --no-feedback   the same load without Pulse: see what is lost\n"
    "  --kill-consumer kill the pipeline in the middle and start it again; with EVENT_BUS_BACKEND=redis, where it is a process of its own\n"
    "  --json          the summary alone, one object on standard output\n"
    "  --plot FILE     draw queue depth and scale over time\n"
    "  --input FILE|-  consume newline-delimited envelopes instead of running the simulation\n"
    "EVENT_BUS_BACKEND=redis runs it over a redis-server: one of its own, or the one REDIS_URL names, under keys of its own.\n";

inline Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc && options.error.empty(); ++i) {
    const std::string_view argument = argv[i];
    const auto value = [&](std::string& out) {
      if (i + 1 < argc && *argv[i + 1] != '\0') {
        out = argv[++i];
      } else {
        options.error = std::string(argument) + " needs the name of a file";
      }
    };
    if (argument == "--no-feedback") {
      options.feedback = false;
    } else if (argument == "--json") {
      options.json = true;
    } else if (argument == "--kill-consumer") {
      options.kill_consumer = true;
    } else if (argument == "--plot") {
      value(options.plot);
    } else if (argument == "--input") {
      value(options.input);
    } else if (argument == "--help" || argument == "-h") {
      options.help = true;
    } else {
      options.error =
          "unknown argument \"" + std::string(argument) + "\": allowed are --no-feedback, --kill-consumer, --json, --plot FILE, --input FILE|-, --help";
    }
  }
  if (options.error.empty() && !options.help && !options.input.empty() && (!options.feedback || options.kill_consumer || !options.plot.empty())) {
    options.error = "--input consumes a file: --no-feedback, --kill-consumer and --plot belong to the simulation";
  }
  if (options.error.empty() && !options.feedback && options.kill_consumer) {
    options.error = "--no-feedback and --kill-consumer exclude each other";
  }
  return options;
}

}  // namespace demo
