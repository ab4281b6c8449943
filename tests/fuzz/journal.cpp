// SPDX-License-Identifier: MIT
//
// Any file as a journal: as it is, or a whole journal that some accidents befell.
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "law.hpp"
#include "pulse/dedup/journal.hpp"

using pulse::ErrorCode;
using pulse::EventId;
using pulse::Journal;
using pulse::JournalDamage;
using pulse::detail::JournalHeader;
using pulse::detail::JournalRecord;
using pulse_fuzz::law;

namespace {

constexpr std::size_t window = 16;
constexpr std::uint64_t seed = 5;

/// A folder of this process, in memory where the system has such a place.
struct Folder {
  std::string path = std::string(std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp") + "/pulse-fuzz-journal-" + std::to_string(::getpid());
  Folder() { std::filesystem::create_directory(path); }
  ~Folder() { std::filesystem::remove_all(path); }
};

template <class T>
void append(std::string& file, const T& value) {
  file.append(reinterpret_cast<const char*>(&value), sizeof value);
}

EventId id_of(std::uint64_t sequence) { return {0x1000 + sequence, sequence * 0x9e3779b97f4a7c15ULL}; }

/// A journal of `count` records, with space behind them; `reused`: in it are the records of the file's former life, whose numbers all lie before
/// those of this one.
std::string whole(std::uint64_t first, std::size_t count, std::size_t space, std::uint64_t base, bool reused) {
  JournalHeader header{.seed = seed, .first = first, .base = base};
  header.stale = reused ? first / 2 : JournalHeader::unfinished;
  header.check = header.right_check();
  std::string file;
  append(file, header);
  for (std::uint64_t i = 0; i < count; ++i) {
    append(file, JournalRecord::of(id_of(first + i), first + i, seed));
  }
  for (std::uint64_t i = count; i < count + space; ++i) {
    const bool remains = reused && header.stale + i < first;
    append(file, remains ? JournalRecord::of(id_of(header.stale + i), header.stale + i, seed) : JournalRecord{});
  }
  return file;
}

void befall(std::string& file, pulse_fuzz::Input& input) {
  for (int accidents = 0; !input.done() && accidents < 8; ++accidents) {
    const std::uint8_t what = input.byte();
    const std::size_t at = input.number(2) % (file.size() + 1);
    const std::size_t length = std::min<std::size_t>(input.byte(), file.size() - at);
    switch (what % 5) {
      case 0: file.resize(at); break;                                                            // cut off
      case 1: std::fill_n(file.begin() + static_cast<std::ptrdiff_t>(at), length, '\0'); break;  // never written
      case 2:
        if (at < file.size()) {
          file[at] = static_cast<char>(file[at] ^ (1 << (length % 8)));  // a bit that fell over
        }
        break;
      case 3: file.erase(at, length); break;
      default: file.insert(at, file.substr(at, length)); break;  // written twice
    }
  }
}

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Opens it and says what came back; nothing on a typed error.
bool open(const std::string& path, const std::string& file, JournalDamage damage, std::vector<EventId>& ids) {
  std::ofstream(path, std::ios::binary) << file;
  {
    auto journal = Journal::open({.path = path, .window = window, .seed = seed, .on_damage = damage});
    if (!journal) {
      pulse_fuzz::readable(journal.error().message, 600);
      law(journal.error().code == ErrorCode::protocol, "what is no whole journal is refused as such", journal.error().message);
      law(read(path) == file, "what is refused is not touched");
      return false;
    }
    ids = journal->take_recovered();
    law(ids.size() <= file.size() / sizeof(JournalRecord), "no id comes from nowhere");
    law(journal->reserve(2), "a journal that opens takes more");
    journal->append(id_of(1'000'000));
    journal->append(id_of(1'000'001));
  }
  auto again = Journal::open({.path = path, .window = window, .seed = seed});
  law(static_cast<bool>(again), "what was opened and written opens again", again ? "" : again.error().message);
  std::vector<EventId> after = again->take_recovered();
  law(after.size() >= 2 && after[after.size() - 2] == id_of(1'000'000) && after.back() == id_of(1'000'001), "what was appended is the newest");
  after.resize(after.size() - 2);
  law(after.size() <= ids.size() && std::equal(after.begin(), after.end(), ids.end() - static_cast<std::ptrdiff_t>(after.size())) &&
          (after.size() == ids.size() || after.size() >= window),
      "and before it stands what was there, or the last window of it");
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Folder folder;
  const std::string path = folder.path + "/journal";
  pulse_fuzz::Input input{data, size};
  const std::uint8_t form = input.byte();
  std::vector<EventId> ids;
  if (form % 4 == 0) {
    const std::string file{input.rest()};
    (void)open(path, file, JournalDamage::refuse, ids);
    (void)open(path, file, JournalDamage::keep_valid, ids);
    return 0;
  }
  const std::uint64_t first = input.byte();
  const std::size_t count = input.byte() % 64;
  const std::uint64_t base = form % 4 == 1 ? 0 : input.byte() % (count + 1);
  std::string file = whole(first, count, input.byte() % 16, base, form % 4 == 3 && first > 1);
  const bool safe = input.done();
  befall(file, input);
  const auto original = [&](EventId id) { return id.high >= 0x1000 + first && id.high < 0x1000 + first + count && id == id_of(id.high - 0x1000); };
  const auto in_order = [](EventId a, EventId b) { return a.high < b.high; };
  if (open(path, file, JournalDamage::refuse, ids)) {
    law(ids.size() <= count && ids.size() >= base, "a prefix of what was committed, and never less than a checkpoint began with");
    for (std::size_t i = 0; i < ids.size(); ++i) {
      law(ids[i] == id_of(first + i), "what comes back is a prefix of what was committed");
    }
    law(!safe || ids.size() == count, "what nothing befell comes back whole");
  } else {
    law(!safe, "what nothing befell opens");
  }
  if (open(path, file, JournalDamage::keep_valid, ids)) {
    law(std::all_of(ids.begin(), ids.end(), original) &&
            std::adjacent_find(ids.begin(), ids.end(), [&](EventId a, EventId b) { return !in_order(a, b); }) == ids.end(),
        "what is kept was committed, once and in this order");
  }
  return 0;
}
