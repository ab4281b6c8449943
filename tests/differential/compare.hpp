// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "command.hpp"
#include "generate.hpp"
#include "memory.hpp"
#include "redis.hpp"

namespace pulse_test::differential {

/// The first step after which the two sides differ.
struct Mismatch {
  std::size_t step = 0;
  Observation memory;
  Observation redis;
};

template <class Side = Memory<>>
std::optional<Mismatch> compare(Redis& redis, const Sequence& sequence) {
  const std::vector<Observation> expected = redis(sequence);
  Side memory;
  for (std::size_t i = 0; i < sequence.size(); ++i) {
    Observation seen = memory(sequence[i]);
    if (seen != expected[i]) {
      return Mismatch{i, std::move(seen), expected[i]};
    }
  }
  return std::nullopt;
}

/// Makes a sequence that differs as short as leaving out steps, and then ids of a step, can make it: delta debugging.
template <class Side = Memory<>>
Sequence shrink(Redis& redis, Sequence sequence) {
  const auto differs = [&](const Sequence& tried) { return compare<Side>(redis, tried).has_value(); };
  sequence.resize(compare<Side>(redis, sequence)->step + 1);
  for (std::size_t width = sequence.size(); width > 0;) {
    bool less = false;
    for (std::size_t from = 0; from < sequence.size();) {
      Sequence tried = sequence;
      const auto begin = tried.begin() + static_cast<std::ptrdiff_t>(from);
      tried.erase(begin, begin + static_cast<std::ptrdiff_t>(std::min(width, tried.size() - from)));
      if (differs(tried)) {
        sequence = std::move(tried);
        less = true;
      } else {
        from += width;
      }
    }
    width = less && width == 1 ? 1 : width / 2;
  }
  for (std::size_t step = 0; step < sequence.size(); ++step) {
    for (std::size_t i = sequence[step].ids.size(); i-- > 0 && sequence[step].ids.size() > 1;) {
      Sequence tried = sequence;
      tried[step].ids.erase(tried[step].ids.begin() + static_cast<std::ptrdiff_t>(i));
      if (differs(tried)) {
        sequence = std::move(tried);
      }
    }
  }
  return sequence;
}

/// What to read when a sequence differs: every step with the reply that both gave, and both sides of the last.
template <class Side = Memory<>>
std::string transcript(Redis& redis, const Sequence& sequence) {
  const std::optional<Mismatch> found = compare<Side>(redis, sequence);
  std::ostringstream out;
  const std::vector<Observation> expected = redis(sequence);
  for (std::size_t i = 0; i < sequence.size() && (!found || i <= found->step); ++i) {
    out << "  " << i + 1 << ". " << text(sequence[i]) << "\n";
    if (!found || i < found->step) {
      out << "     " << expected[i].reply << "\n";
    }
  }
  if (!found) {
    return out.str() + "  both agree\n";
  }
  const auto lines = [](const Observation& seen) {
    std::vector<std::string> split{"reply: " + seen.reply};
    std::istringstream in{seen.state};
    for (std::string line; std::getline(in, line);) {
      split.push_back(line);
    }
    return split;
  };
  const auto ours = lines(found->memory);
  const auto theirs = lines(found->redis);
  const auto only = [&](const char* who, const std::vector<std::string>& one, const std::vector<std::string>& other) {
    for (const std::string& line : one) {
      if (std::find(other.begin(), other.end(), line) == other.end()) {
        out << "     " << who << ": " << line << "\n";
      }
    }
  };
  only("in memory", ours, theirs);
  only("redis    ", theirs, ours);
  return out.str();
}

struct Outcome {
  std::uint64_t sequences = 0;  ///< that agreed
  std::uint64_t steps = 0;
  std::string failure;  ///< empty, or the seed and the transcript of the first that does not
};

/// Runs the sequences of the seeds from `seed` on, until one differs. Small segments meet their boundaries all the time; every eighth
/// sequence runs with those of the backend.
template <class Small = Memory<>, class Large = Memory<pulse::detail::Stream<std::string>>>
Outcome run(Redis& redis, std::uint64_t seed, std::uint64_t sequences) {
  Outcome result;
  const auto differs = [&]<class Side>(std::uint64_t at, const Sequence& sequence, std::type_identity<Side>) {
    if (!compare<Side>(redis, sequence)) {
      return false;
    }
    const Sequence least = shrink<Side>(redis, sequence);
    result.failure = "seed " + std::to_string(at) + " differs (again: ./dev differential --sequences 1 --seed " + std::to_string(at) + "); shrunk from " +
                     std::to_string(sequence.size()) + " steps to " + std::to_string(least.size()) + ":\n" + transcript<Side>(redis, least);
    return true;
  };
  for (; result.sequences < sequences; ++result.sequences) {
    const std::uint64_t at = seed + result.sequences;
    const Sequence sequence = generate(at);
    if (at % 8 == 0 ? differs(at, sequence, std::type_identity<Large>{}) : differs(at, sequence, std::type_identity<Small>{})) {
      return result;
    }
    result.steps += sequence.size();
  }
  return result;
}

}  // namespace pulse_test::differential
