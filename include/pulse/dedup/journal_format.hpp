// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "pulse/core/error.hpp"
#include "pulse/core/event_id.hpp"

/// What stands in a journal: a header of 64 bytes, then records of 24, then zeros. Words are little-endian (of the machine: another one
/// reads another magic number and refuses).
namespace pulse::inline v0_1::detail {

/// 64 bits over four words: good against accidents, not against forgery. Folded multiplications as in SeededHash, under fixed keys.
constexpr std::uint64_t journal_check(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d) noexcept {
  __extension__ using wide = unsigned __int128;
  const auto fold = [](std::uint64_t x, std::uint64_t y) {
    const wide product = static_cast<wide>(x) * y;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  const std::uint64_t first = fold(a ^ 0xa0761d6478bd642fULL, b ^ 0xe7037ed1a0b428dbULL) ^ b;
  const std::uint64_t second = fold(c ^ 0x8ebc6af09c88c6e3ULL, d ^ 0x589965cc75374cc3ULL) ^ d;
  const std::uint64_t both = fold(first ^ 0x1d8e4e27c47d124fULL, second ^ 0xeb44accab455d165ULL) ^ second;
  return both == 0 ? 1 : both;  // never what unwritten space holds
}

/// One id that was committed. The check covers the place in the order and the seed too, so that a record of elsewhere does not pass.
struct JournalRecord {
  EventId id;
  std::uint64_t check;

  static constexpr JournalRecord of(EventId id, std::uint64_t sequence, std::uint64_t seed) noexcept {
    return {id, journal_check(id.high, id.low, sequence, seed)};
  }
  [[nodiscard]] constexpr bool valid(std::uint64_t sequence, std::uint64_t seed) const noexcept {
    return check == journal_check(id.high, id.low, sequence, seed);
  }
  [[nodiscard]] constexpr bool blank() const noexcept { return id == EventId{} && check == 0; }
};
static_assert(sizeof(JournalRecord) == 24 && std::is_trivially_copyable_v<JournalRecord>);

struct JournalHeader {
  static constexpr std::uint64_t right_magic = 0x0a6c6e6a65736c70ULL;  // "plsejnl\n"
  static constexpr std::uint64_t right_version = 1;
  static constexpr std::uint64_t unfinished = ~std::uint64_t{0};

  std::uint64_t magic = right_magic;
  std::uint64_t version = right_version;
  std::uint64_t seed = 0;
  std::uint64_t first = 0;  ///< the number of the first record in the order of all that were ever written
  /// How many records a checkpoint began with: fewer are damage. `unfinished` until it has them all.
  std::uint64_t base = 0;
  /// The number of the first record in the file's former life: its records are remains, as good as unwritten space. ~0: it had none.
  std::uint64_t stale = ~std::uint64_t{0};
  std::uint64_t reserved = 0;
  std::uint64_t check = 0;

  [[nodiscard]] constexpr std::uint64_t right_check() const noexcept {
    return journal_check(magic, version, journal_check(seed, first, stale, reserved), base);
  }

  /// What is wrong with it, in words that follow the journal's name; "" if nothing is.
  [[nodiscard]] std::string fault(std::uint64_t wanted_seed) const {
    if (magic != right_magic) {
      return "is not a Pulse journal, or one of a machine with another byte order";
    }
    if (version != right_version) {
      return "is of format version " + std::to_string(version) + ", this program reads version " + std::to_string(right_version);
    }
    if (check != right_check()) {
      return "has a damaged header";
    }
    if (seed != wanted_seed) {
      return "was made under seed " + std::to_string(seed) + ", not " + std::to_string(wanted_seed) + ": the ids in it are of another kind";
    }
    return base == unfinished ? "is a checkpoint that never got whole to the disk (a power failure, where nothing is synced)" : "";
  }
};
static_assert(sizeof(JournalHeader) == 64 && std::is_trivially_copyable_v<JournalHeader>);

}  // namespace pulse::inline v0_1::detail
