// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "../support/refused_call.hpp"
#include "journal_place.hpp"
#include "pulse/core/clock.hpp"
#include "pulse/dedup/conformance.hpp"
#include "pulse/dedup/conformance/recovery.hpp"
#include "pulse/dedup/fifo_window.hpp"
#include "pulse/dedup/journaled.hpp"
#include "pulse/dedup/lru_window.hpp"
#include "pulse/dedup/seen_set.hpp"
#include "pulse/dedup/sharded.hpp"
#include "pulse/dedup/tiered.hpp"
#include "pulse/dedup/ttl_window.hpp"
#include "pulse/dedup/watermark.hpp"

using pulse::Claim;
using pulse::ErrorCode;
using pulse::EventId;
using pulse::FifoWindow;
using pulse::Journal;
using pulse::JournalDamage;
using pulse::Journaled;
using pulse::JournalOptions;
using namespace pulse_test::journal;

static_assert(pulse::DurableDedup<Journaled<FifoWindow>> && !pulse::DurableDedup<FifoWindow> && Journaled<FifoWindow>::exact);
static_assert(!std::is_constructible_v<pulse::Sharded<Journaled<FifoWindow>>, std::size_t>);  // its shards need a seed that stays
static_assert(pulse::DurableDedup<pulse::Sharded<Journaled<FifoWindow>>> && !pulse::DurableDedup<pulse::Sharded<FifoWindow>>);

namespace {

/// What a strategy of one's own is at least.
struct Plain {
  static constexpr bool exact = true;
  static constexpr bool shared = false;
  FifoWindow window{20'000};
  Claim claim(EventId id) { return window.claim(id); }
  void commit(EventId id) { window.commit(id); }
  void release(EventId id) { window.release(id); }
  [[nodiscard]] std::size_t size() const { return window.size(); }
};

pulse::Error refused(const std::string& path, JournalOptions options = {}) {
  options.path = path;
  options.window = 1000;
  auto result = Journal::open(options);
  REQUIRE(!result);
  return result.error();
}

/// No file of this process grows beyond `bytes` as long as this lives.
class FileLimit {
 public:
  explicit FileLimit(::rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, SIG_IGN);
    ::rlimit small = before_;
    small.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &small);
  }
  FileLimit(const FileLimit&) = delete;
  FileLimit& operator=(const FileLimit&) = delete;
  ~FileLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  ::rlimit before_{};
};

/// What a journal of `told` ids brings back: how many of the first, or -1 where they are not the first.
std::ptrdiff_t prefix(const std::vector<EventId>& recovered, std::uint64_t told) {
  for (std::size_t i = 0; i < recovered.size(); ++i) {
    if (i >= told || recovered[i] != id(i)) {
      return -1;
    }
  }
  return static_cast<std::ptrdiff_t>(recovered.size());
}

}  // namespace

TEST_CASE("Journaled keeps the laws of what it journals, and those of recovery from a stop and from kill -9 at any moment") {
  const Place place;
  int count = 0;
  for (const std::size_t capacity : {16U, 1000U}) {
    const pulse::conformance::DedupLaws fifo{.window = capacity / 4, .since_claim = true, .capacity = capacity};
    CHECK(pulse::conformance::dedup([&] { return opened(place.path(std::to_string(++count)), capacity); }, fifo) == "");
    const auto lru = [&] { return *Journaled<pulse::LruWindow>::open(pulse::LruWindow{capacity}, {.path = place.path(std::to_string(++count))}); };
    CHECK(pulse::conformance::dedup(lru, {.window = capacity / 4, .capacity = capacity}) == "");
  }
  for (const std::uint64_t sync_every : {0U, 100U}) {
    const auto open = [&] { return opened(place.path(), 8000, {.sync_every = sync_every}); };
    CHECK(pulse::conformance::recovery(open, [&] { place.erase(); }, {.window = 8000, .kills = 15}) == "");
  }
  const auto open = [&] { return *Journaled<pulse::SeenSet>::open(pulse::SeenSet{}, {.path = place.path(), .window = 500}); };
  CHECK(pulse::conformance::recovery(open, [&] { place.erase(); }, {.window = 500, .kills = 5}) == "");
}

TEST_CASE("Sharded around a Journaled, with one journal a shard, keeps the laws of recovery") {
  const Place place;
  const auto open = [&] {
    const auto shard = [&](std::size_t index) { return opened(place.path(std::to_string(index)), 1000); };
    return pulse::Sharded<Journaled<FifoWindow>>{4, shard, 7};
  };
  CHECK(pulse::conformance::recovery(open, [&] { place.erase(); }, {.window = 1000, .kills = 10}) == "");
}

TEST_CASE("a journal that ends at any byte brings back the first of what it was told") {
  const Place place;
  {
    auto dedup = opened(place.path(), 100);
    commit(dedup, 0, 20);
  }
  const std::string whole = bytes_of(place.path());
  for (std::size_t length = 0; length < 64 + 22 * 24; ++length) {
    CAPTURE(length);
    put_bytes(place.path("cut"), whole.substr(0, length));
    auto journal = Journal::open({.path = place.path("cut"), .window = 100});
    if (length < 64) {
      REQUIRE(!journal);
      REQUIRE(journal.error().code == ErrorCode::protocol);
      continue;
    }
    REQUIRE(journal);
    REQUIRE(prefix(journal->take_recovered(), 20) == static_cast<std::ptrdiff_t>(std::min<std::size_t>(20, (length - 64) / 24)));
  }
}

TEST_CASE("a record that is torn at any byte is cut off, and what is told afterwards is kept") {
  const Place place;
  {
    auto dedup = opened(place.path(), 100);
    commit(dedup, 0, 10);
  }
  const std::string whole = bytes_of(place.path());
  for (std::size_t torn = 0; torn < 24; ++torn) {
    CAPTURE(torn);
    std::string bytes = whole;
    std::fill(bytes.begin() + 64 + 9 * 24 + static_cast<std::ptrdiff_t>(torn), bytes.begin() + 64 + 10 * 24, '\0');
    put_bytes(place.path("torn"), bytes);
    {
      auto dedup = opened(place.path("torn"), 100);
      REQUIRE(dedup.recovered() == (bytes == whole ? 10 : 9));
      REQUIRE(dedup.claim(id(9)) == Claim::fresh);
      dedup.commit(id(9));
      commit(dedup, 10, 12);
    }
    auto dedup = opened(place.path("torn"), 100);
    REQUIRE(dedup.recovered() == 12);
  }
}

TEST_CASE("a byte that is changed anywhere is an error, or cuts off the last record, and never brings back what was not told") {
  const Place place;
  {
    auto dedup = opened(place.path(), 100);
    commit(dedup, 0, 12);
  }
  const std::string whole = bytes_of(place.path());
  for (std::size_t at = 0; at < 64 + 14 * 24; ++at) {
    for (const int mask : {0x01, 0x80, 0xff}) {
      CAPTURE(at);
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ mask);
      put_bytes(place.path("changed"), bytes);
      auto journal = Journal::open({.path = place.path("changed"), .window = 100});
      const std::size_t record = at < 64 ? 0 : (at - 64) / 24;
      if (at < 64 || record < 11 || record > 12) {
        REQUIRE(!journal);
        REQUIRE(journal.error().code == ErrorCode::protocol);
        REQUIRE(bytes_of(place.path("changed")) == bytes);
      } else {
        REQUIRE(journal);
        REQUIRE(prefix(journal->take_recovered(), 12) == (record == 11 ? 11 : 12));
      }
    }
  }
}

TEST_CASE("a damaged middle is an error that says where, or by choice is left out") {
  const Place place;
  {
    auto dedup = opened(place.path(), 100);
    commit(dedup, 0, 50);
  }
  std::string bytes = bytes_of(place.path());
  std::fill_n(bytes.begin() + 64 + 10 * 24, 3 * 24, '\0');  // a block that never got to the disk
  put_bytes(place.path(), bytes);
  CHECK(refused(place.path()).message == "journal " + place.path() +
                                             ": record 11 (byte 304) is damaged, and no torn end: 37 whole and 0 damaged ones follow; "
                                             "JournalDamage::keep_valid goes on with the whole ones");
  for (int start = 0; start < 2; ++start) {  // the second time it is whole again
    auto dedup = opened(place.path(), 100, {.on_damage = start == 0 ? JournalDamage::keep_valid : JournalDamage::refuse});
    CHECK(dedup.recovered() == 47);
    for (std::uint64_t n = 0; n < 50; ++n) {
      CHECK(dedup.claim(id(n)) == (n >= 10 && n < 13 ? Claim::fresh : Claim::done));
    }
  }
}

TEST_CASE("what is no journal, or one of another version or seed, is refused in words, and no error leaves an empty window") {
  const Place place;
  put_bytes(place.path(), "");
  CHECK(refused(place.path()).message ==
        "journal " + place.path() + ": has 0 bytes, its header alone takes 64: it is none, or was cut; remove it to begin anew");
  put_bytes(place.path(), std::string(100, 'x'));
  CHECK(refused(place.path()).message == "journal " + place.path() + ": is not a Pulse journal, or one of a machine with another byte order");
  std::filesystem::remove(place.path());
  {
    auto dedup = opened(place.path(), 100, {.seed = 7});
    commit(dedup, 0, 5);
  }
  const pulse::Error seed = refused(place.path(), {.seed = 8});
  CHECK(seed.code == ErrorCode::protocol);
  CHECK(seed.message == "journal " + place.path() + ": was made under seed 7, not 8: the ids in it are of another kind");
  std::string bytes = bytes_of(place.path());
  bytes[8] = 2;
  put_bytes(place.path(), bytes);
  CHECK(refused(place.path(), {.seed = 7}).message == "journal " + place.path() + ": is of format version 2, this program reads version 1");

  CHECK(refused("").code == ErrorCode::config);
  CHECK(refused(place.path("absent/journal")).code == ErrorCode::unavailable);
  CHECK(Journal::open({.path = place.path("zero"), .window = 0}).error().code == ErrorCode::config);
  CHECK(!std::filesystem::exists(place.path("zero")));
}

TEST_CASE("a second writer is kept out as long as the first one lives") {
  const Place place;
  {
    auto dedup = opened(place.path(), 100);
    CHECK(refused(place.path()).message == "journal " + place.path() + ": another writer has it open (the lock is " + place.path() + ".lock)");
    auto moved = std::move(dedup);
    CHECK(refused(place.path()).code == ErrorCode::unavailable);
  }
  CHECK(Journal::open({.path = place.path(), .window = 100}));
}

TEST_CASE("checkpoints keep the file bounded and the window whole, over many of them and over starts between") {
  const Place place;
  constexpr std::uint64_t window = 3000;
  std::uint64_t next = 0;
  std::uintmax_t largest = 0;
  for (int life = 0; life < 40; ++life) {
    auto dedup = opened(place.path(), window, {.sync_every = life % 2 == 0 ? 0U : 1000U});
    CHECK(dedup.recovered() >= std::min(next, window));
    for (std::uint64_t back = 1; back <= std::min(next, window); ++back) {
      REQUIRE(dedup.claim(id(next - back)) == Claim::done);
    }
    const std::uint64_t more = 1000 + static_cast<std::uint64_t>(life) * 517 % 4000;
    commit(dedup, next, next + more);
    next += more;
    largest = std::max(largest, std::filesystem::file_size(place.path()));
  }
  CHECK(next > 5 * (16384 + window));
  CHECK(largest <= 24 * (16384 + window) + (1 << 18));
}

TEST_CASE("at any moment of many checkpoints within one life, the file holds the last of what was told, and damage shows") {
  const Place place;
  constexpr std::uint64_t window = 3000;
  auto dedup = opened(place.path(), window);
  std::uint64_t next = 0;
  for (int stop = 0; stop < 120; ++stop) {
    const std::uint64_t more = 1 + static_cast<std::uint64_t>(stop) * 7919 % 1500;
    commit(dedup, next, next + more);
    next += more;
    std::string bytes = bytes_of(place.path());
    put_bytes(place.path("copy"), bytes);
    std::size_t held = 0;
    {
      auto journal = Journal::open({.path = place.path("copy"), .window = window});
      REQUIRE_MESSAGE(journal, (journal ? "" : journal.error().message));
      const std::vector<EventId> recovered = journal->take_recovered();
      held = recovered.size();
      REQUIRE(held >= std::min(next, window));
      for (std::size_t i = 0; i < held; ++i) {
        REQUIRE(recovered[i] == id(next - held + i));
      }
    }
    if (held > 10) {
      bytes[64 + (held - 3) * 24] ^= 1;
      put_bytes(place.path("damaged"), bytes);
      REQUIRE(refused(place.path("damaged")).code == ErrorCode::protocol);
      bytes[64 + (held - 3) * 24] ^= 1;
      bytes[64 + (held - 2) * 24] ^= 1;  // the last two, of which only one can be a torn end
      bytes[64 + (held - 1) * 24] ^= 1;
      put_bytes(place.path("damaged"), bytes);
      REQUIRE(refused(place.path("damaged")).message.find("0 whole and 1 damaged ones follow") != std::string::npos);
    }
  }
  CHECK(next > 4 * (16384 + window));
}

TEST_CASE("a checkpoint that is shorter than it says, or was never finished, is damage and no empty window") {
  const Place place;
  {
    auto dedup = opened(place.path(), 1000);
    commit(dedup, 0, 20'000);  // beyond 16384 + 1000: a checkpoint has taken the place
  }
  const std::string bytes = bytes_of(place.path());
  put_bytes(place.path(), bytes.substr(0, 64 + 24 * 500));
  CHECK(refused(place.path()).message.find("a checkpoint of 1000 records ends here") != std::string::npos);
  std::string zeros = bytes;
  std::fill(zeros.begin() + 64, zeros.end(), '\0');
  put_bytes(place.path(), zeros);
  CHECK(refused(place.path()).code == ErrorCode::protocol);
  pulse::detail::JournalHeader header{.base = pulse::detail::JournalHeader::unfinished};
  header.check = header.right_check();
  put_bytes(place.path(), std::string(reinterpret_cast<const char*>(&header), sizeof header) + std::string(1000, '\0'));
  CHECK(refused(place.path()).message.find("never got whole to the disk") != std::string::npos);
}

TEST_CASE("a smaller or larger window takes over what is there") {
  const Place place;
  {
    auto dedup = opened(place.path(), 20'000);
    commit(dedup, 0, 50'000);
  }
  for (const std::uint64_t window : {100U, 20'000U, 5'000U}) {
    auto dedup = opened(place.path(), window);
    CHECK(dedup.claim(id(49'999)) == Claim::done);
    CHECK(dedup.claim(id(49'950)) == Claim::done);
  }
}

TEST_CASE("a start gives each id of a TtlWindow its whole time anew, as the page says: the journal has no times") {
  const Place place;
  pulse::ManualClock clock;
  using Window = pulse::BasicTtlWindow<pulse::ManualClock>;
  const auto start = [&] {
    auto window = Journaled<Window>::open(Window{std::chrono::minutes{1}, 100, {}, clock}, {.path = place.path()});
    REQUIRE(window);
    return *std::move(window);
  };
  {
    auto window = start();
    REQUIRE(window.claim(id(1)) == Claim::fresh);
    window.commit(id(1));
  }
  for (int life = 0; life < 3; ++life) {
    clock.advance(std::chrono::seconds{59});
    auto window = start();
    CHECK(window.claim(id(1)) == Claim::done);
  }
  auto window = start();
  clock.advance(std::chrono::seconds{62});
  CHECK(window.claim(id(1)) == Claim::fresh);
}

TEST_CASE("a checkpoint left half made by a crash is ignored") {
  const Place place;
  {
    auto dedup = opened(place.path(), 1000);
    commit(dedup, 0, 100);
  }
  put_bytes(place.path() + ".next", "half a checkp");
  auto dedup = opened(place.path(), 1000);
  CHECK(dedup.recovered() == 100);
  CHECK(!std::filesystem::exists(place.path() + ".next"));
}

TEST_CASE("where the file cannot grow, new ids are unavailable, known ones are answered, and it goes on when it can") {
  const Place place;
  auto dedup = opened(place.path(), 100'000);
  commit(dedup, 0, 100);
  std::uint64_t n = 100;
  Journaled<FifoWindow>::lease_type lease;
  {
    const FileLimit limit{1 << 18};
    Claim answer{};
    for (; (answer = dedup.claim(id(n), lease)) == Claim::fresh && n < 50'000; ++n) {
      dedup.commit(lease);
    }
    CHECK(answer == Claim::unavailable);
    CHECK(n > 10'000);
    CHECK(dedup.claim(id(n - 1)) == Claim::done);
    CHECK(!dedup.journal().status());
    CHECK(dedup.journal().status().error().message.find("cannot grow: File too large") != std::string::npos);
  }
  CHECK(dedup.claim(id(n), lease) == Claim::fresh);
  dedup.commit(lease);
  CHECK(dedup.journal().status());
  CHECK(dedup.flush());
}

TEST_CASE_TEMPLATE("new ids that are refused while the file cannot grow push out nothing that is known", Strategy, FifoWindow, pulse::LruWindow,
                   pulse::TtlWindow, pulse::Watermark, pulse::Tiered<FifoWindow, FifoWindow>, pulse::Sharded<FifoWindow>) {
  const Place place;
  constexpr std::size_t capacity = 10'922;  // one more than what the file holds
  auto opened = Journaled<Strategy>::open(
      [] {
        if constexpr (std::is_same_v<Strategy, pulse::TtlWindow>) {
          return Strategy{std::chrono::hours{1}, capacity};
        } else if constexpr (std::is_same_v<Strategy, pulse::Watermark>) {
          return Strategy{pulse::EntryId::min(), {.others = capacity}};
        } else if constexpr (std::is_same_v<Strategy, pulse::Sharded<FifoWindow>>) {
          return Strategy{4, [](std::size_t) { return FifoWindow{3000}; }, 1};  // each has room for its part, and little more
        } else if constexpr (std::is_same_v<Strategy, FifoWindow> || std::is_same_v<Strategy, pulse::LruWindow>) {
          return Strategy{capacity};
        } else {
          return Strategy{FifoWindow{capacity}, FifoWindow{capacity}};
        }
      }(),
      {.path = place.path(), .window = 100'000});
  REQUIRE(opened);
  Journaled<Strategy>& dedup = *opened;
  const auto event = [](std::uint64_t n) { return EventId{n * 0x9e3779b97f4a7c15ULL, n | std::uint64_t{1} << 63}; };
  const FileLimit limit{1 << 18};
  std::uint64_t known = 0;
  for (; dedup.claim(event(known)) == Claim::fresh; ++known) {
    if (known != 1) {
      dedup.commit(event(known));
    }
  }
  REQUIRE(known > 10'000);
  const std::size_t size = dedup.size();
  std::vector<EventId> batch;
  for (std::uint64_t n = 0; n < capacity; ++n) {
    REQUIRE(dedup.claim(event(known + n)) == Claim::unavailable);
    batch.push_back(event(known + n));
  }
  std::vector<Claim> claims(batch.size());
  dedup.claim(batch, claims);
  CHECK(std::count(claims.begin(), claims.end(), Claim::unavailable) == static_cast<std::ptrdiff_t>(capacity));
  CHECK(dedup.size() == size);
  for (std::uint64_t n = 0; n < known; ++n) {
    REQUIRE(dedup.claim(event(n)) == (n == 1 ? Claim::leased : Claim::done));
  }
}

TEST_CASE("a strategy that cannot tell what it knows without a claim is journaled as well: while the file cannot grow its ids are answered") {
  static_assert(!pulse::detail::KnowsDedup<Plain>);
  const Place place;
  auto opened = Journaled<Plain>::open(Plain{}, {.path = place.path(), .window = 100'000});
  REQUIRE(opened);
  Journaled<Plain>& dedup = *opened;
  const FileLimit limit{1 << 18};
  std::uint64_t n = 0;
  for (; dedup.claim(id(n)) == Claim::fresh; ++n) {
    if (n != 1) {
      dedup.commit(id(n));
    }
  }
  REQUIRE(n > 10'000);
  CHECK(dedup.claim(id(n)) == Claim::unavailable);
  CHECK(dedup.claim(id(n)) == Claim::unavailable);  // what was refused is not taken for leased
  CHECK(dedup.claim(id(n - 1)) == Claim::done);
  CHECK(dedup.claim(id(1)) == Claim::leased);
}

TEST_CASE("what the system refuses at a start is said in its words, and leaves what is there") {
  const Place place;
  const auto said = [&](const std::string& name, const std::string& what) { return "journal " + place.path(name) + ": cannot " + what; };
  std::filesystem::create_directory(place.path("folder"));
  CHECK(refused(place.path("folder")).message == said("folder", "open: Is a directory"));
  REQUIRE(::mkfifo(place.path("pipe").c_str(), 0600) == 0);
  CHECK(refused(place.path("pipe")).message == said("pipe", "map: No such device"));
  {
    const FileLimit limit{1000};
    const pulse::Error error = refused(place.path());
    CHECK(error.code == ErrorCode::unavailable);
    CHECK(error.message == said("journal.next", "grow: File too large"));
    CHECK(!std::filesystem::exists(place.path()));
  }
  {
    auto dedup = opened(place.path(), 20'000);
    commit(dedup, 0, 20'000);
  }
  std::string bytes = bytes_of(place.path());
  std::fill_n(bytes.begin() + 64 + 10 * 24, 24, '\0');
  put_bytes(place.path(), bytes);
  {
    const FileLimit limit{1 << 18};  // a file without the damaged record finds no room
    auto journal = Journal::open({.path = place.path(), .window = 20'000, .on_damage = JournalDamage::keep_valid});
    REQUIRE(!journal);
    CHECK(journal.error().message == said("journal.next", "grow: File too large"));
    CHECK(bytes_of(place.path()) == bytes);
  }
  CHECK(opened(place.path(), 20'000, {.on_damage = JournalDamage::keep_valid}).recovered() == 19'999);
}

TEST_CASE("what a disk or a kernel refuses at a start is said in its words, too") {
  const Place place;
  const auto said = [&](long call, int error) {
    std::string message = ": opened";
    const bool filtered = pulse_test::refusing({call}, error, [&] {
      if (const auto journal = Journal::open({.path = place.path(), .window = 100}); !journal) {
        message = journal.error().message;
      }
    });
    return filtered ? message.substr(message.find(": ") + 2) : std::string{"no filters"};
  };
  if (said(SYS_flock, ENOLCK) == "no filters") {
    MESSAGE("left out: this system lets nobody refuse its calls");
    return;
  }
  CHECK(said(SYS_flock, ENOLCK) == "cannot lock: No locks available");
  CHECK(said(SYS_fdatasync, EIO) == "cannot sync: Input/output error");
  CHECK(!std::filesystem::exists(place.path()));  // not the half of one
  CHECK(said(SYS_fsync, EIO) == "cannot sync the directory of: Input/output error");
  std::filesystem::remove(place.path());
  CHECK(said(SYS_fsync, EINVAL) == "opened");  // a file system that syncs no directories
}

TEST_CASE("once the disk has refused a sync, nothing new is taken for kept, and what is known is answered") {
  for (const std::uint64_t sync_every : {1U, 0U, 1'000'000U}) {  // refused at a commit, at a flush that was asked for, at a checkpoint
    CAPTURE(sync_every);
    const Place place;
    auto dedup = opened(place.path(), 1000, {.sync_every = sync_every});
    commit(dedup, 0, sync_every > 1 ? 17'384 : 100);
    Journaled<FifoWindow>::lease_type lease;
    Claim during{};
    const bool filtered = pulse_test::refusing({SYS_fdatasync}, EIO, [&] {
      during = dedup.claim(id(50'000), lease);
      if (during == Claim::fresh) {
        dedup.commit(lease);
      }
      if (sync_every == 0) {
        (void)dedup.flush();
      }
    });
    if (!filtered) {
      MESSAGE("left out: this system lets nobody refuse its calls");
      return;
    }
    CHECK(during == (sync_every > 1 ? Claim::unavailable : Claim::fresh));
    // The disk says yes again, but what it dropped meanwhile is gone.
    CHECK(dedup.claim(id(50'001)) == Claim::unavailable);
    CHECK(dedup.claim(id(99)) == (sync_every > 1 ? Claim::unavailable : Claim::done));
    REQUIRE(!dedup.journal().status());
    CHECK(dedup.journal().status().error().message.ends_with("cannot sync: Input/output error"));
    CHECK(!dedup.flush());
  }
}

TEST_CASE("a checkpoint waits for a directory that is away, or that the disk does not sync, and for nothing else") {
  const Place place;
  const std::string away = place.directory + "-away";
  std::uint64_t next = 16'300;
  {
    auto dedup = opened(place.path(), 1000, {.sync_every = 100'000});
    Journaled<FifoWindow>::lease_type lease;
    const auto until_refused = [&](std::uint64_t most) {
      Claim answer{};
      for (; next < most && (answer = dedup.claim(id(next), lease)) == Claim::fresh; ++next) {
        dedup.commit(lease);
      }
      return answer;
    };
    commit(dedup, 0, next);
    std::filesystem::rename(place.directory, away);
    CHECK(until_refused(20'000) == Claim::unavailable);  // a checkpoint is to begin
    CHECK(next == 16'384);
    CHECK(dedup.journal().status().error().message == "journal " + place.path("journal.next") + ": cannot open: No such file or directory");
    CHECK(dedup.claim(id(next - 1)) == Claim::done);
    std::filesystem::rename(away, place.directory);
    CHECK(until_refused(17'000) == Claim::fresh);
    std::filesystem::rename(place.directory, away);
    CHECK(until_refused(20'000) == Claim::unavailable);  // it is to take the place
    CHECK(next == 17'384);
    CHECK(dedup.journal().status().error().message == "journal " + place.path() + ": cannot replace: No such file or directory");
    std::filesystem::rename(away, place.directory);
    Claim refused_once = Claim::unavailable;
    std::string said = "journal " + place.path() + ": cannot sync the directory of: Input/output error";
    if (pulse_test::refusing({SYS_fsync}, EIO, [&] {
          refused_once = until_refused(20'000);
          said = dedup.journal().status().error().message;
        })) {
      CHECK(next == 17'384);
    }
    CHECK(refused_once == Claim::unavailable);
    CHECK(said == "journal " + place.path() + ": cannot sync the directory of: Input/output error");
    CHECK(until_refused(20'000) == Claim::fresh);
    CHECK(dedup.journal().status());
  }
  auto dedup = opened(place.path(), 1000);
  CHECK(dedup.claim(id(19'999)) == Claim::done);
  CHECK(dedup.claim(id(19'001)) == Claim::done);
}

TEST_CASE("where a system cannot exchange names, a checkpoint takes the place by a plain rename") {
  const Place place;
  const bool filtered = pulse_test::refusing({SYS_renameat2}, EINVAL, [&] {
    auto dedup = opened(place.path(), 1000);
    commit(dedup, 0, 50'000);
  });
  if (!filtered) {
    MESSAGE("left out: this system lets nobody refuse its calls");
    return;
  }
  auto dedup = opened(place.path(), 1000);
  for (std::uint64_t n = 49'000; n < 50'000; ++n) {
    REQUIRE(dedup.claim(id(n)) == Claim::done);
  }
  CHECK(dedup.recovered() < 20'000);
}

TEST_CASE("many leases at once end behind the limit of the file, and nothing of theirs is lost") {
  const Place place;
  std::vector<Journaled<FifoWindow>::lease_type> leases(15'000);
  {
    auto dedup = opened(place.path(), 20'000, {.window = 1000});
    commit(dedup, 20'000, 30'000);
    for (std::uint64_t n = 0; n < leases.size(); ++n) {
      REQUIRE(dedup.claim(id(n), leases[n]) == Claim::fresh);
    }
    for (const auto& lease : leases) {
      dedup.commit(lease);
    }
    commit(dedup, 40'000, 40'100);
  }
  auto dedup = opened(place.path(), 20'000, {.window = 1000});
  CHECK(dedup.claim(id(40'099)) == Claim::done);
  for (std::uint64_t n = 15'000 - 900; n < 15'000; ++n) {
    REQUIRE(dedup.claim(id(n)) == Claim::done);
  }
}

TEST_CASE("more leases than the journal has room for are unavailable until some have ended, one by one and in a batch") {
  const Place place;
  auto dedup = opened(place.path(), 50'000, {.window = 100});
  constexpr std::uint64_t room = 2 * (16'384 + 100);
  std::vector<Journaled<FifoWindow>::lease_type> leases(room + 64);
  for (std::uint64_t n = 0; n < room - 10; ++n) {
    REQUIRE(dedup.claim(id(n), leases[n]) == Claim::fresh);
  }
  for (const bool with_leases : {false, true}) {
    std::vector<EventId> ids;
    for (std::uint64_t n = room - 10; n < room + 54; ++n) {
      ids.push_back(id(n));
    }
    std::vector<Claim> claims(ids.size());
    dedup.claim(ids, claims, with_leases ? std::span{leases}.subspan(room - 10, ids.size()) : std::span<Journaled<FifoWindow>::lease_type>{});
    CHECK(std::count(claims.begin(), claims.begin() + 10, Claim::fresh) == 10);
    CHECK(std::count(claims.begin(), claims.end(), Claim::unavailable) == 54);
    CHECK(dedup.journal().status().error().code == ErrorCode::capacity);
    CHECK(dedup.journal().status().error().message == "journal " + place.path() + ": cannot hold 32969 records: more leases than it has room for");
    for (std::uint64_t n = room - 10; n < room && !with_leases; ++n) {
      dedup.release(id(n));
    }
  }
  for (std::uint64_t n = 0; n < room; ++n) {
    dedup.commit(leases[n]);
  }
  commit(dedup, room, room + 100);
  CHECK(dedup.journal().status());
}

namespace {
/// A store with a fault: 0 keeps not every commit, 1 keeps what is leased as if it were done.
template <int Fault>
struct Leaky : Journaled<FifoWindow> {
  int count = 0;
  Claim claim(EventId event) {
    lease_type ignored;
    return claim(event, ignored);
  }
  Claim claim(EventId event, lease_type& lease) {
    const Claim answer = Journaled::claim(event, lease);
    if (Fault == 1 && answer == Claim::fresh) {
      Journaled::commit(lease);
    }
    return answer;
  }
  void commit(EventId event) { Journaled::commit(event); }
  void commit(const lease_type& lease) {
    if (Fault == 0) {
      ++count % 100 == 0 ? Journaled::release(lease) : Journaled::commit(lease);
    }
  }
  void release(EventId event) { Journaled::release(event); }
  void release(const lease_type& lease) {
    if (Fault == 0) {
      Journaled::release(lease);
    }
  }
};
}  // namespace

TEST_CASE("the kit catches what recovers wrongly") {
  const Place place;
  const auto erase = [&] { place.erase(); };
  const pulse::conformance::RecoveryLaws laws{.window = 500, .kills = 5};
  CHECK(pulse::conformance::recovery([&] { return Leaky<0>{opened(place.path(), 500)}; }, erase, laws) ==
        "recovery: what was committed is done after a start (seed 1)");
  CHECK(pulse::conformance::recovery([&] { return Leaky<1>{opened(place.path(), 5000)}; }, erase, laws) ==
        "recovery: what was not committed is fresh after a start (seed 1)");
  CHECK(pulse::conformance::recovery([&] { return opened(place.path(), 300); }, erase, laws) == "recovery: what was committed is done after a start (seed 1)");
}
