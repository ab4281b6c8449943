// SPDX-License-Identifier: MIT
//
// What a journal asks of the disk and of the process: syncs, descriptors, mappings, bytes.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "../support/refused_call.hpp"
#include "journal_place.hpp"
#include "pulse/dedup/conformance.hpp"
#include "pulse/dedup/fifo_window.hpp"
#include "pulse/dedup/journaled.hpp"

using pulse::Claim;
using pulse::FifoWindow;
using pulse::Journal;
using pulse::Journaled;
using pulse::detail::JournalFile;
using pulse::detail::JournalHeader;
using pulse::detail::JournalRecord;
using namespace pulse_test::journal;

namespace {

/// How often the disk was waited for: for what a file holds, and for the names in a directory.
struct Syncs {
  int data = 0;
  int names = 0;
  friend bool operator==(const Syncs&, const Syncs&) = default;
  friend doctest::String toString(const Syncs& syncs) { return doctest::toString(syncs.data) + " and " + doctest::toString(syncs.names); }
};
/// Those of a journal's start, of its commits and of its end.
struct Parts {
  Syncs start;
  Syncs commits;
  Syncs end;
  friend bool operator==(const Parts&, const Parts&) = default;
  friend doctest::String toString(const Parts& parts) { return toString(parts.start) + ", " + toString(parts.commits) + ", " + toString(parts.end); }
};
Syncs syncs;
bool pretend = false;  ///< thousands of them would take a while

/// The syncs of a job, which are counted and not made.
template <class Job>
Syncs counted(Job&& job) {
  struct Pretending {
    Pretending() { pretend = true; }
    ~Pretending() { pretend = false; }
  };
  syncs = {};
  const Pretending until_the_end;
  job();
  return syncs;
}

std::vector<std::string> descriptors() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}
bool mapped(const std::string& directory) {
  std::ifstream maps{"/proc/self/maps"};
  for (std::string line; std::getline(maps, line);) {
    if (line.find(directory) != std::string::npos) {
      return true;
    }
  }
  return false;
}
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }

/// Descriptor 0 is the next that is given out, as in a daemon that has closed its standard input.
class NoInput {
 public:
  NoInput() : before_(::dup(0)) { ::close(0); }
  NoInput(const NoInput&) = delete;
  NoInput& operator=(const NoInput&) = delete;
  ~NoInput() {
    if (before_ >= 0) {
      ::dup2(before_, 0);
      ::close(before_);
    }
  }

 private:
  int before_;
};

}  // namespace

// In the place of the C library's, for this program.
extern "C" int fdatasync(int fd) {
  ++syncs.data;
  return pretend ? 0 : static_cast<int>(::syscall(SYS_fdatasync, fd));
}
extern "C" int fsync(int fd) {
  ++syncs.names;
  return pretend ? 0 : static_cast<int>(::syscall(SYS_fsync, fd));
}

TEST_CASE("a journal waits for the disk where it begins, at each so many commits, at a checkpoint and at its end; or where it begins alone") {
  const Place place;
  const auto life = [&](std::uint64_t sync_every, std::uint64_t from, std::uint64_t to) {
    Parts parts;
    parts.end = counted([&] {
      auto dedup = opened(place.path(), 1000, {.sync_every = sync_every});
      parts.start = std::exchange(syncs, {});
      commit(dedup, from, to);
      parts.commits = std::exchange(syncs, {});
    });
    return parts;
  };
  constexpr std::uint64_t first = 16'384 + 1000;  // the first checkpoint takes its place when one more comes
  const Syncs none;
  const Syncs begun{.data = 1, .names = 1};
  CHECK(life(0, 0, 100) == Parts{begun, none, none});
  CHECK(life(0, 100, 60'000) == Parts{none, none, none});
  place.erase();
  CHECK(life(1, 0, 10) == Parts{begun, {.data = 10}, none});
  CHECK(life(1, 10, first) == Parts{none, {.data = first - 10}, none});
  place.erase();
  CHECK(life(1, 0, first + 1) == Parts{begun, {.data = first + 2, .names = 1}, none});
  place.erase();
  CHECK(life(4, 0, 10) == Parts{begun, {.data = 2}, {.data = 1}});
  CHECK(life(2, 10, 13) == Parts{none, {.data = 1}, {.data = 1}});
  place.erase();
  CHECK(life(2, 0, 3) == Parts{begun, {.data = 1}, {.data = 1}});
  CHECK(life(2, 3, first + 2) == Parts{none, {.data = (first - 1) / 2 + 1, .names = 1}, {.data = 1}});
  place.erase();
  CHECK(life(1'000'000, 0, first) == Parts{begun, none, {.data = 1}});
  place.erase();
  CHECK(life(1'000'000, 0, first + 1) == Parts{begun, {.data = 1, .names = 1}, {.data = 1}});
  place.erase();
  CHECK(life(1'000'000, 0, 2 * first - 1000) == Parts{begun, {.data = 1, .names = 1}, {.data = 1}});  // it grows meanwhile, and the second is full
  CHECK(life(1'000'000, 2 * first - 1000, 2 * first) == Parts{begun, none, {.data = 1}});
}

TEST_CASE("a flush waits once, and begins the count anew") {
  const Place place;
  auto dedup = opened(place.path(), 1000, {.sync_every = 10});
  commit(dedup, 0, 9);
  CHECK(counted([&] { CHECK(dedup.flush()); }) == Syncs{.data = 1});
  CHECK(counted([&] { commit(dedup, 9, 18); }) == Syncs{});
  CHECK(counted([&] { commit(dedup, 18, 19); }) == Syncs{.data = 1});
}

TEST_CASE("a journal's files are for its owner alone") {
  const Place place;
  const ::mode_t before = ::umask(0);
  {
    auto dedup = opened(place.path(), 1000);
    commit(dedup, 0, 20'000);
    commit(dedup, 20'000, 33'000);  // a second checkpoint is in the making
    ::umask(before);
    for (const char* name : {"journal", "journal.lock", "journal.next"}) {
      CAPTURE(name);
      CHECK((std::filesystem::status(place.path(name)).permissions() & std::filesystem::perms::mask) ==
            (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
    }
  }
}

TEST_CASE("a journal that ends, is moved or is refused leaves no descriptor and no mapping, and closes none that is not its own") {
  const Place place;
  put_bytes(place.path("other"), std::string(100, 'x'));
  const auto before = descriptors();
  {
    auto dedup = opened(place.path(), 1000);
    commit(dedup, 0, 40'000);
    auto moved = std::move(dedup);
    commit(moved, 40'000, 40'100);
    CHECK_FALSE(Journal::open({.path = place.path(), .window = 1000}));
    CHECK_FALSE(Journal::open({.path = place.path("other"), .window = 1000}));
    CHECK(JournalFile::sync_directory(place.path()));
    CHECK_FALSE(JournalFile::sync_directory(place.path("absent/journal")));
    CHECK(mapped(place.directory));
  }
  CHECK(descriptors() == before);
  CHECK_FALSE(mapped(place.directory));
}

TEST_CASE("a journal that is put in another's place ends that one, and keeps its own lock") {
  const Place place;
  auto one = Journal::open({.path = place.path("one"), .window = 10});
  REQUIRE(one);
  {
    auto two = Journal::open({.path = place.path("two"), .window = 10});
    REQUIRE(two);
    *one = *std::move(two);
  }
  CHECK(Journal::open({.path = place.path("one"), .window = 10}));
  CHECK_FALSE(Journal::open({.path = place.path("two"), .window = 10}));
  REQUIRE(one->reserve(1));
  one->append(id(1));
  *one = *Journal::open({.path = place.path("one"), .window = 10});
  auto two = Journal::open({.path = place.path("two"), .window = 10});
  REQUIRE(two);
  CHECK(two->take_recovered() == std::vector{id(1)});
}

TEST_CASE("a process without a standard input has a journal as well: 0 is a descriptor like any other") {
  const Place place;
  const NoInput none;
  {
    auto dedup = opened(place.path(), 10);
    CHECK(is_open(0));
    CHECK_FALSE(Journal::open({.path = place.path(), .window = 10}));
    commit(dedup, 0, 5);
  }
  CHECK_FALSE(is_open(0));
  CHECK(counted([&] {
          auto file = JournalFile::open(place.path(), 10, false);
          CHECK(file);
          CHECK(is_open(0));
          file->sync_at_close(true);
        }) == Syncs{.data = 1});
  CHECK_FALSE(is_open(0));
  CHECK(JournalFile::sync_directory(place.path()));
  CHECK_FALSE(is_open(0));
}

TEST_CASE("a journal's directory is that of its path, or where the process is, or the root") {
  CHECK(JournalFile::sync_directory("/journal"));
  CHECK_FALSE(JournalFile::sync_directory("/absent/journal"));
  const Place place;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(place.directory);
  {
    commit(*std::make_unique<Journaled<FifoWindow>>(opened("here", 10)), 0, 3);
  }
  CHECK(opened("here", 10).recovered() == 3);
  std::filesystem::current_path(before);
  CHECK(std::filesystem::exists(place.path("here")));
}

TEST_CASE("a window of one id, and a status without a fault") {
  const Place place;
  {
    auto dedup = opened(place.path(), 1);
    CHECK(dedup.journal().status());
    for (std::uint64_t n = 0; n < 20'000; ++n) {
      commit(dedup, n, n + 1);
    }
  }
  auto dedup = opened(place.path(), 1);
  CHECK(dedup.claim(id(19'999)) == Claim::done);
}

TEST_CASE("a file grows by twice the window, and then a checkpoint with the window is in its place") {
  const Place place;
  auto dedup = opened(place.path(), 20'000);
  commit(dedup, 0, 60'000);
  CHECK(dedup.journal().records() == 60'000);
  commit(dedup, 60'000, 60'001);
  CHECK(dedup.journal().records() == 20'001);
  commit(dedup, 60'001, 100'000);
  CHECK(dedup.journal().records() == 60'000);
}

TEST_CASE("a journal that ends just before its checkpoint takes the place begins with that checkpoint") {
  const Place place;
  constexpr std::uint64_t full = 16'384 + 1000;
  {
    auto dedup = opened(place.path(), 1000);
    commit(dedup, 0, full);
    CHECK(dedup.journal().records() == full);
  }
  {
    auto dedup = opened(place.path(), 1000);
    CHECK(dedup.journal().records() == 1000);
    std::uint64_t header[8];
    std::memcpy(header, bytes_of(place.path()).data(), sizeof header);
    CHECK(header[3] == full - 1000);  // the records go on being counted
    CHECK(header[4] == 1000);
    commit(dedup, full, full + 500);
  }
  auto dedup = opened(place.path(), 1000);
  for (std::uint64_t n = full - 500; n < full + 500; ++n) {
    REQUIRE(dedup.claim(id(n)) == Claim::done);
  }
  CHECK(dedup.journal().records() == 1500);
}

TEST_CASE("a file that ends with a record, and with a page of memory") {
  const Place place;
  constexpr std::uint64_t records = ((1 << 18) - 64) / 24;
  static_assert(64 + records * 24 == 1 << 18);
  {
    auto dedup = opened(place.path(), 20'000);
    commit(dedup, 0, records + 100);
  }
  std::filesystem::resize_file(place.path(), 1 << 18);
  {
    auto dedup = opened(place.path(), 20'000);
    CHECK(dedup.recovered() == records);
    commit(dedup, records, records + 50);
  }
  CHECK(opened(place.path(), 20'000).recovered() == records + 50);
}

namespace {
/// Leases that are held together and then committed: so many records go behind the file's limit.
void commit_together(Journaled<FifoWindow>& dedup, std::uint64_t from, std::uint64_t to, bool release = false) {
  std::vector<Journaled<FifoWindow>::lease_type> leases(to - from);
  for (std::uint64_t n = from; n < to; ++n) {
    REQUIRE(dedup.claim(id(n), leases[n - from]) == Claim::fresh);
  }
  for (const auto& lease : leases) {
    release ? dedup.release(lease) : dedup.commit(lease);
  }
}
}  // namespace

TEST_CASE("what many leases left behind a file's limit in one life of it is no damage in the lives after the next") {
  const Place place;
  auto dedup = opened(place.path(), 20'000, {.window = 1000});
  commit(dedup, 0, 16'000);
  commit_together(dedup, 16'000, 31'000);
  for (std::uint64_t next = 31'000; next < 31'000 + 6 * 16'384; next += 2000) {
    commit(dedup, next, next + 2000);
    put_bytes(place.path("copy"), bytes_of(place.path()));
    REQUIRE(opened(place.path("copy"), 20'000, {.window = 1000}).claim(id(next + 1000)) == Claim::done);
  }
}

TEST_CASE("a file with more room than the checkpoint in the making makes it grow in time") {
  const Place place;
  const auto open = [&] { return opened(place.path(), 130'000, {.window = 20'000}); };
  {
    auto dedup = open();
    commit(dedup, 0, 39'000);
    commit_together(dedup, 39'000, 119'000, true);
  }
  {
    auto dedup = open();
    commit_together(dedup, 39'000, 119'000);
    commit(dedup, 119'000, 119'001);
  }
  CHECK(open().claim(id(119'000)) == Claim::done);
}

TEST_CASE("a file that was cut in the middle of a record of its former life goes on and is opened again") {
  const Place place;
  constexpr std::uint64_t commits = 60'000;  // the file is in its second life: 10,848 records, and remains behind them to 17,384
  {
    auto dedup = opened(place.path(), 1000);
    commit(dedup, 0, commits);
    REQUIRE(dedup.journal().records() == 10'848);
  }
  std::filesystem::resize_file(place.path(), 64 + 17'000 * 24 + 13);
  {
    auto dedup = opened(place.path(), 1000);
    commit(dedup, commits, commits + 5'700);  // it grows, and the part of a record is a record now
  }
  CHECK(opened(place.path(), 1000).claim(id(commits + 5'699)) == Claim::done);
}

TEST_CASE("damage is counted where it is: of the first record, and of one whose id is gone and whose sum is not") {
  const Place place;
  {
    auto dedup = opened(place.path(), 1000);
    commit(dedup, 0, 10);
  }
  const auto said = [&](const std::string& bytes) {
    put_bytes(place.path("damaged"), bytes);
    const auto journal = Journal::open({.path = place.path("damaged"), .window = 1000});
    REQUIRE(!journal);
    const std::string& message = journal.error().message;
    const std::string begin = "journal " + place.path("damaged") + ": ";
    REQUIRE(message.starts_with(begin));
    return message.substr(begin.size(), message.find(';') - begin.size());
  };
  const std::string whole = bytes_of(place.path());
  std::string bytes = whole;
  bytes[64] ^= 1;
  CHECK(said(bytes) == "record 1 (byte 64) is damaged, and no torn end: 9 whole and 0 damaged ones follow");
  bytes = whole;
  bytes[64 + 8 * 24] ^= 1;
  std::fill_n(bytes.begin() + 64 + 9 * 24, 16, '\0');
  CHECK(said(bytes) == "record 9 (byte 256) is damaged, and no torn end: 0 whole and 1 damaged ones follow");
  bytes = whole;
  bytes[64 + 8 * 24] ^= 1;
  std::fill_n(bytes.begin() + 64 + 9 * 24 + 16, 8, '\0');
  CHECK(said(bytes) == "record 9 (byte 256) is damaged, and no torn end: 0 whole and 1 damaged ones follow");
}

TEST_CASE("the bytes of a journal are pinned: what this Pulse writes an older one reads, and it reads what an older one wrote") {
  const Place place;
  const std::uint64_t words[] = {0x0a6c6e6a65736c70,
                                 1,
                                 9,
                                 0,
                                 0,
                                 ~std::uint64_t{0},
                                 0,
                                 0xa75613e48f93953b,  // the header, seed 9
                                 0x0123456789abcdef,
                                 0xfedcba9876543210,
                                 0xf98a81ab6ed69a5f};  // one id
  std::string bytes(sizeof words, '\0');
  std::memcpy(bytes.data(), words, sizeof words);
  const pulse::EventId event{0x0123456789abcdef, 0xfedcba9876543210};
  {
    auto dedup = opened(place.path(), 10, {.seed = 9});
    REQUIRE(dedup.claim(event) == Claim::fresh);
    dedup.commit(event);
  }
  std::uint64_t written[11];
  std::memcpy(written, bytes_of(place.path()).data(), sizeof written);
  for (std::size_t i = 0; i < 11; ++i) {
    CAPTURE(i);
    CHECK(written[i] == words[i]);
  }
  put_bytes(place.path("older"), bytes);
  CHECK(opened(place.path("older"), 10, {.seed = 9}).claim(event) == Claim::done);
}

TEST_CASE("to ask for what is known takes no room of the journal, and what is released gives its room back") {
  const Place place;
  auto dedup = opened(place.path(), 50'000, {.window = 100});
  commit(dedup, 0, 1);
  Journaled<FifoWindow>::lease_type lease;
  constexpr std::uint64_t room = 2 * (16'384 + 100);
  for (std::uint64_t n = 0; n <= room; ++n) {
    REQUIRE(dedup.claim(id(0), lease) == Claim::done);
    REQUIRE(dedup.claim(id(n + 1), lease) == Claim::fresh);
    dedup.release(lease);
    REQUIRE(dedup.inner().known(id(n + 1)) == Claim::unavailable);
  }
  commit(dedup, 1, 10);
}

TEST_CASE("so it is in batches, whose leases are each id's own") {
  const Place place;
  std::vector<pulse::EventId> ids;
  for (std::uint64_t n = 0; n < 200; ++n) {
    ids.push_back(id(n));
  }
  std::vector<Claim> claims(ids.size());
  {
    auto dedup = opened(place.path(), 1000);
    std::vector<Journaled<FifoWindow>::lease_type> leases(ids.size());
    dedup.claim(ids, claims, leases);
    REQUIRE(std::count(claims.begin(), claims.end(), Claim::fresh) == 200);
    for (std::size_t n = 0; n < leases.size(); ++n) {
      n % 2 == 0 ? dedup.commit(leases[n]) : dedup.release(leases[n]);
    }
    for (std::uint64_t n = 0; n < 200; ++n) {
      REQUIRE(dedup.claim(ids[n]) == (n % 2 == 0 ? Claim::done : Claim::fresh));
    }
    for (std::uint64_t n = 1; n < 200; n += 2) {
      dedup.release(ids[n]);
    }
  }
  auto dedup = opened(place.path(), 1000);
  CHECK(dedup.recovered() == 100);
  commit(dedup, 1000, 1001);
  for (std::uint64_t n = 0; n < 200; ++n) {
    ids[n] = id(n / 2 * 2);
  }
  for (int round = 0; round < 200; ++round) {  // 40,000 ids, and there is room for 34,768
    dedup.claim(ids, claims);
    REQUIRE(std::count(claims.begin(), claims.end(), Claim::done) == 200);
  }
  commit(dedup, 2000, 2001);
}

TEST_CASE("a flush that the disk refuses before there is a commit is remembered, too") {
  const Place place;
  auto dedup = opened(place.path(), 1000);
  if (!pulse_test::refusing({SYS_fdatasync}, EIO, [&] { (void)dedup.flush(); })) {
    MESSAGE("left out: this system lets nobody refuse its calls");
    return;
  }
  CHECK(dedup.claim(id(1)) == Claim::unavailable);
  CHECK_FALSE(dedup.journal().status());
}

TEST_CASE("a flush says no while a checkpoint's place is not on the disk") {
  const Place place;
  auto dedup = opened(place.path(), 1000, {.sync_every = 1'000'000});
  commit(dedup, 0, 16'384 + 1000 - 1);
  Journaled<FifoWindow>::lease_type last;
  REQUIRE(dedup.claim(id(100'000), last) == Claim::fresh);
  Journaled<FifoWindow>::lease_type other;
  REQUIRE(dedup.claim(id(100'001), other) == Claim::fresh);  // both before the checkpoint is due
  dedup.commit(last);
  bool flushed = true;
  if (!pulse_test::refusing({SYS_fsync}, EIO, [&] {
        REQUIRE(dedup.claim(id(100'002)) == Claim::unavailable);
        dedup.commit(other);
        flushed = static_cast<bool>(dedup.flush());
      })) {
    MESSAGE("left out: this system lets nobody refuse its calls");
    return;
  }
  CHECK_FALSE(flushed);
  CHECK(counted([&] { CHECK(dedup.flush()); }) == Syncs{.data = 1, .names = 1});
  CHECK(counted([&] { CHECK(dedup.flush()); }) == Syncs{.data = 1});
}

TEST_CASE("where a system cannot exchange names, the file that a checkpoint replaced is not waited for") {
  const Place place;
  Syncs all;
  const bool filtered = pulse_test::refusing({SYS_renameat2}, EINVAL, [&] {
    all = counted([&] {
      auto dedup = opened(place.path(), 1000, {.sync_every = 1'000'000});
      commit(dedup, 0, 20'000);
    });
  });
  if (!filtered) {
    MESSAGE("left out: this system lets nobody refuse its calls");
    return;
  }
  CHECK(all == Syncs{.data = 3, .names = 2});  // at its start, at the checkpoint, at its end
}

TEST_CASE("Journaled keeps the laws of what it journals: in brief") {
  const Place place;
  int count = 0;
  CHECK(pulse::conformance::dedup([&] { return opened(place.path(std::to_string(++count)), 16); }, {.window = 4, .since_claim = true, .capacity = 16}) == "");
}
