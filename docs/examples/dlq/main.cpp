// SPDX-License-Identifier: MIT
//
// Dead letters on a command line: look at them, bring them back, remove them. How-to: docs/how-to/operate-the-dlq.md
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include <pulse/backend/dead_letters.hpp>
#include <pulse/backend/redis.hpp>
#include <pulse/backend/redrive.hpp>
#include <pulse/core/config.hpp>

#include "options.hpp"
#include "text.hpp"

namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

/// Ctrl-C, as a stop token: a step that has begun is finished, and the report says how far it came.
struct Interrupted {
  [[nodiscard]] bool stop_requested() const noexcept { return interrupted.load(std::memory_order_relaxed); }
};

int fail(const pulse::Error& error) {
  std::cerr << "pulse-dlq: " << error.message << '\n';
  return error.code == pulse::ErrorCode::config ? 2 : 1;
}

using Bus = pulse::RedisBackend<>;

int list(Bus& bus, const std::string& stream, const dlq::Options& options) {
  const std::size_t max = options.max > 0 ? options.max : options.json ? ~std::size_t{0} : 100;  // what a program reads is a copy, and whole
  std::size_t shown = 0;
  pulse::EntryId more{};
  const pulse::Status walked = pulse::each_dead_letter(bus, stream, options.range, [&](const pulse::DeadLetter& letter) {
    if (shown == max) {
      more = letter.id;
      return false;
    }
    std::cout << (options.json ? dlq::json(letter) : dlq::line(letter));
    ++shown;
    return !interrupted && std::cout.good();
  });
  if (!walked) {
    return fail(walked.error());
  }
  if (!options.json && shown == 0) {
    std::cout << "no dead letters in \"" << dlq::printable(pulse::dlq_key(stream)) << "\"\n";
  }
  if (more != pulse::EntryId{}) {
    (options.json ? std::cerr : std::cout) << "there are more: list " << to_string(more) << "..\n";
  }
  return interrupted ? 130 : 0;
}

int show(Bus& bus, const std::string& stream, const dlq::Options& options) {
  bool found = false;
  std::uint64_t left_out = 0;
  const pulse::Status walked = pulse::each_dead_letter(bus, stream, options.range, [&](const pulse::DeadLetter& letter) {
    found = true;
    if (options.raw && letter.left_out > 0) {
      left_out = letter.left_out;
      return false;
    }
    std::cout << (options.raw ? letter.data : options.json ? dlq::json(letter) : dlq::page(letter));
    return false;
  });
  if (!walked) {
    return fail(walked.error());
  }
  if (left_out > 0) {
    return fail({pulse::ErrorCode::capacity, "the data of " + to_string(options.range.first) + " is not here: " + std::to_string(left_out) +
                                                 " bytes, more than this client reads. redrive and purge take it all the same"});
  }
  return found ? 0 : fail({pulse::ErrorCode::not_found, "there is no " + to_string(options.range.first) + " in \"" + pulse::dlq_key(stream) + '"'});
}

int redrive(Bus& bus, const std::string& stream, const dlq::Options& options) {
  const pulse::RedriveOptions how{options.range, options.max > 0 ? options.max : ~std::size_t{0}, options.rate};
  const pulse::RedriveReport report = pulse::redrive(bus, stream, how, Interrupted{});
  constexpr std::string_view ends[] = {"done", "max", "stopped", "failed"};
  const std::string_view end = ends[static_cast<std::size_t>(report.end)];
  const std::string last = report.last == pulse::EntryId{} ? "" : to_string(report.last);
  if (options.json) {
    std::cout << "{\"redriven\": " << report.redriven << ", \"last\": " << (last.empty() ? "null" : '"' + last + '"') << ", \"came_back\": " << report.came_back
              << ", \"end\": \"" << end << "\"}\n";
  } else {
    std::cout << "redriven " << report.redriven << (last.empty() ? "" : ", the last " + last);
    if (report.came_back > 0) {
      std::cout << "; failed again and left: " << report.came_back;
    }
    if (report.end == pulse::RedriveEnd::max || report.end == pulse::RedriveEnd::stopped) {
      std::cout << (report.end == pulse::RedriveEnd::max ? "; as many as asked for" : "; stopped") << ": the same command goes on";
    }
    std::cout << '\n';
  }
  switch (report.end) {
    case pulse::RedriveEnd::failed: return fail(report.error);
    case pulse::RedriveEnd::stopped: return 130;
    default: break;
  }
  return options.one && report.redriven == 0
             ? fail({pulse::ErrorCode::not_found, "there is no " + to_string(options.range.first) + " in \"" + pulse::dlq_key(stream) + '"'})
             : 0;
}

int purge(Bus& bus, const std::string& stream, const dlq::Options& options) {
  std::size_t purged = 1;
  if (options.one) {
    if (const pulse::Status done = bus.purge(stream, options.range.first); !done) {
      return fail(done.error());
    }
  } else {
    const auto done = pulse::purge(bus, stream, options.range, Interrupted{});
    if (!done) {
      return fail(done.error());
    }
    purged = *done;
  }
  std::cout << (options.json ? "{\"purged\": " + std::to_string(purged) + "}\n" : "purged " + std::to_string(purged) + '\n');
  return interrupted ? 130 : 0;
}

/// What was said may be the copy that somebody keeps of what is removed next: where it did not get out, nothing was done.
int written(int code) {
  if (std::cout.flush()) {
    return code;
  }
  return fail({pulse::ErrorCode::unavailable, "the output could not be written: the disk is full, or nobody reads it"});
}

}  // namespace

int main(int argc, char** argv) {
  const dlq::Options options = dlq::parse(argc, argv);
  if (!options.error.empty()) {
    return fail({pulse::ErrorCode::config, options.error});
  }
  if (options.help) {
    std::cout << dlq::usage;
    return written(0);
  }
  // Only what is about the server: a wrong scale of a provider does not keep anybody from the dead letters.
  const auto config = pulse::PulseConfig::from_env([&](const char* name) -> const char* {
    const std::string_view wanted{name};
    return wanted == "MD_NAMESPACE" || (wanted == "REDIS_URL" && options.url.empty()) ? std::getenv(name) : nullptr;
  });
  if (!config) {
    return fail(config.error());
  }
  auto url = pulse::RedisUrl::parse(options.url.empty() ? config->redis_url : options.url);
  if (!url) {
    return fail({pulse::ErrorCode::config, "--url is " + url.error().message});
  }

  struct sigaction action{};
  action.sa_handler = [](int) { interrupted = true; };
  action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);  // the second one ends the program as ever
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);

  const std::string stream = options.stream.empty() ? pulse::stream_key(pulse::feedback_stream, config->name_space) : options.stream;
  Bus bus{std::move(*url)};
  for (const std::string& key : {pulse::dlq_key(stream), stream}) {
    const pulse::Result<bool> there = bus.exists(key);
    if (!there && there.error().code != pulse::ErrorCode::denied) {  // who may not ask is not kept from the dead letters
      return fail(there.error());
    }
    if (!there || *there) {
      break;
    }
    if (key == stream) {
      return fail({pulse::ErrorCode::not_found,
                   "there is no stream \"" + dlq::printable(stream) + "\", and it has no dead letters: --stream or MD_NAMESPACE names another"});
    }
  }
  switch (options.verb) {
    case dlq::Verb::list: return written(list(bus, stream, options));
    case dlq::Verb::show: return written(show(bus, stream, options));
    case dlq::Verb::redrive: return written(redrive(bus, stream, options));
    case dlq::Verb::purge: break;
  }
  return written(purge(bus, stream, options));
}
