// SPDX-License-Identifier: MIT
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <pulse/backend/redrive.hpp>
#include <pulse/core/entry_id.hpp>

namespace dlq {

inline constexpr std::string_view usage =
    "usage: pulse-dlq [--url URL] [--stream KEY] [--json] COMMAND\n"
    "  list [FROM..TO] [--max N]             the dead letters, oldest first; where --max is not given 100, with --json all\n"
    "  show ID [--raw]                       one of them with its data; --raw: nothing but the data, byte for byte\n"
    "  redrive ID|FROM..TO|--all [--rate N/s] [--max N]\n"
    "                                        appends them to their stream again, one by one; Ctrl-C stops between two\n"
    "  purge ID|FROM..TO|--all --yes         removes them for good; --yes is not needed for one ID\n"
    "  --url URL     the server; REDIS_URL where it is not given: there the password stays out of the list of processes\n"
    "  --stream KEY  the key of the stream, not of its DLQ; the feedback stream of MD_NAMESPACE where it is not given\n"
    "  --json        one JSON object a line\n"
    "An ID is MS-SEQ. FROM and TO are each an ID, MS alone for the whole millisecond, or nothing.\n"
    "Exit code: 0 done, 1 failed, 2 wrong usage or setting, 130 stopped by a signal.\n";

enum class Verb { list, show, redrive, purge };

struct Options {
  Verb verb = Verb::list;
  std::string url;
  std::string stream;
  bool json = false;
  bool help = false;
  bool raw = false;
  bool all = false;
  bool yes = false;
  bool one = false;  ///< `range` is a single ID
  pulse::DeadLetterRange range;
  std::size_t max = 0;  ///< 0: not given
  double rate = 0;
  std::string error;  ///< what is wrong with the command line, in one line
};

namespace detail {

inline bool parse_number(std::string_view text, std::uint64_t& out) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
  return failed == std::errc{} && end == text.data() + text.size();
}

/// One end of a range; `missing` where nothing stands there, `seq` where the sequence does not.
inline bool parse_end(std::string_view text, pulse::EntryId missing, std::uint64_t seq, pulse::EntryId& out) {
  if (text.empty()) {
    out = missing;
    return true;
  }
  std::uint64_t ms = 0;
  if (parse_number(text, ms)) {
    out = {ms, seq};
    return true;
  }
  return pulse::parse_entry_id(text, out);
}

/// "20/s" or "20", with at most three decimals.
inline bool parse_rate(std::string_view text, double& out) {
  if (text.ends_with("/s")) {
    text.remove_suffix(2);
  }
  const auto point = text.find('.');
  std::uint64_t whole = 0;
  std::uint64_t part = 0;
  if (!parse_number(text.substr(0, point), whole)) {
    return false;
  }
  double scale = 1;
  if (point != std::string_view::npos) {
    const auto decimals = text.substr(point + 1);
    if (decimals.size() > 3 || !parse_number(decimals, part)) {
      return false;
    }
    for (std::size_t i = 0; i < decimals.size(); ++i) {
      scale *= 10;
    }
  }
  out = static_cast<double>(whole) + static_cast<double>(part) / scale;
  return out > 0 && pulse::check(pulse::RedriveOptions{.per_second = out});
}

/// Words from a command line as an error message shows them: on one line.
inline std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, 64)) {
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  return out + '"';
}

/// What the words say together.
inline std::string check(const Options& options, bool which) {
  switch (options.verb) {
    case Verb::list: return options.all || options.yes || options.raw || options.rate > 0 ? "list takes FROM..TO and --max only" : "";
    case Verb::show:
      if (!options.one || options.all || options.yes || options.rate > 0 || options.max > 0) {
        return "show takes one ID, and --raw";
      }
      return options.raw && options.json ? "--raw and --json exclude each other" : "";
    case Verb::redrive:
      if (which == options.all) {
        return "redrive takes an ID, FROM..TO or --all: say one of them";
      }
      return options.yes || options.raw ? "redrive takes --rate and --max only" : "";
    case Verb::purge: break;
  }
  if (which == options.all) {
    return "purge takes an ID, FROM..TO or --all: say one of them";
  }
  if (options.raw || options.rate > 0 || options.max > 0) {
    return "purge takes --yes only";
  }
  return options.one || options.yes ? "" : "what is purged is gone for good: add --yes to purge more than one";
}

}  // namespace detail

inline Options parse(int argc, char** argv) {
  Options options;
  bool verb = false;
  bool which = false;
  for (int i = 1; i < argc && options.error.empty(); ++i) {
    const std::string_view word = argv[i];
    const auto value = [&](auto take, std::string_view allowed) {
      if (i + 1 >= argc) {
        options.error = std::string(word) + " needs a value: " + std::string(allowed);
      } else if (const std::string_view given = argv[++i]; !take(given)) {
        options.error = std::string(word) + " is " + detail::quoted(given) + "; allowed is " + std::string(allowed);
      }
    };
    const auto text = [&](std::string& out, std::string_view allowed) {
      if (i + 1 < argc && *argv[i + 1] != '\0') {
        out = argv[++i];
      } else {
        options.error = std::string(word) + " needs a value: " + std::string(allowed);
      }
    };
    if (word == "--help" || word == "-h") {
      options.help = true;
    } else if (word == "--url") {
      text(options.url, "redis://host:port/db or unix:///path");
    } else if (word == "--stream") {
      text(options.stream, "the key of a stream");
    } else if (word == "--json") {
      options.json = true;
    } else if (word == "--raw") {
      options.raw = true;
    } else if (word == "--all") {
      options.all = true;
    } else if (word == "--yes") {
      options.yes = true;
    } else if (word == "--rate") {
      value([&](std::string_view given) { return detail::parse_rate(given, options.rate); }, "a number a second from 0.001 to 1000000, such as 20/s");
    } else if (word == "--max") {
      value(
          [&](std::string_view given) {
            std::uint64_t number = 0;
            const bool good = detail::parse_number(given, number) && number > 0;
            options.max = static_cast<std::size_t>(number);
            return good;
          },
          "a whole number from 1");
    } else if (word.starts_with('-')) {
      options.error = "unknown argument " + detail::quoted(word) + ": see pulse-dlq --help";
    } else if (!verb) {
      verb = true;
      constexpr std::string_view names[] = {"list", "show", "redrive", "purge"};
      std::size_t at = 0;
      while (at < std::size(names) && names[at] != word) {
        ++at;
      }
      options.verb = static_cast<Verb>(at);
      if (at == std::size(names)) {
        options.error = "unknown command " + detail::quoted(word) + ": there are list, show, redrive and purge";
      }
    } else if (which) {
      options.error = "one word too many: " + detail::quoted(word);
    } else {
      which = true;
      const auto dots = word.find("..");
      options.one = dots == std::string_view::npos;
      const bool good = options.one ? pulse::parse_entry_id(word, options.range.first)
                                    : detail::parse_end(word.substr(0, dots), pulse::EntryId::min(), 0, options.range.first) &&
                                          detail::parse_end(word.substr(dots + 2), pulse::EntryId::max(), ~std::uint64_t{0}, options.range.last);
      if (options.one) {
        options.range.last = options.range.first;
      }
      if (!good || options.range.last < options.range.first) {
        options.error = detail::quoted(word) + " is no ID, which is MS-SEQ, and no range of them, which is FROM..TO";
      }
    }
  }
  if (options.error.empty() && !options.help) {
    options.error = verb ? detail::check(options, which) : "no command: there are list, show, redrive and purge";
  }
  return options;
}

}  // namespace dlq
