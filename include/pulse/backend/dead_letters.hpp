// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/concept/backend.hpp"
#include "pulse/core/stop.hpp"

namespace pulse::inline v0_1 {

/// Which dead letters of a stream: those from `first` to `last` by their ids in the DLQ, both included.
struct DeadLetterRange {
  EntryId first = EntryId::min();
  EntryId last = EntryId::max();
};

/// Calls `visit(const DeadLetter&)` for the dead letters of a range, oldest first, until it returns false. It may bring back or purge the letter
/// it is given. Letters that come meanwhile are met, too.
/// Errors: the backend's. Complexity: a request for 64 letters, and these in memory.
template <DeadLetterStore B, class Visit>
Status each_dead_letter(B& backend, std::string_view stream, DeadLetterRange range, Visit visit) {
  const std::size_t page = range.first == range.last ? 1 : 64;
  EntryId after = range.first;  // the id before it: dead_letters() begins behind what it is given
  if (after.seq > 0) {
    --after.seq;
  } else if (after.ms > 0) {
    after = {after.ms - 1, std::numeric_limits<std::uint64_t>::max()};
  }
  while (true) {
    Result<std::vector<DeadLetter>> letters = backend.dead_letters(stream, after, page);
    if (!letters) {
      return std::move(letters).error();
    }
    if (letters->empty()) {
      return {};
    }
    for (const DeadLetter& letter : *letters) {
      if (letter.id > range.last || !visit(letter)) {
        return {};
      }
      after = letter.id;
    }
  }
}

/// Removes the dead letters of a range for good, one after the other, until `stop` says stop. Returns how many. Another that removes or brings back
/// some of them meanwhile is no error. Errors: the backend's; those removed before are gone.
template <DeadLetterStore B, StopTokenLike Token = StopToken>
Result<std::size_t> purge(B& backend, std::string_view stream, DeadLetterRange range, const Token& stop = {}) {
  std::size_t purged = 0;
  Status failed;
  Status walked = each_dead_letter(backend, stream, range, [&](const DeadLetter& letter) {
    if (stop.stop_requested()) {
      return false;
    }
    Status one = backend.purge(stream, letter.id);
    purged += one ? 1U : 0U;
    if (!one && one.error().code != ErrorCode::not_found) {
      failed = std::move(one);
      return false;
    }
    return true;
  });
  if (!walked || !failed) {
    return std::move(walked ? failed : walked).error();
  }
  return purged;
}

}  // namespace pulse::inline v0_1
