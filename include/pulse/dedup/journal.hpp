// SPDX-License-Identifier: MIT
#pragma once

#include <sys/file.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "pulse/core/error.hpp"
#include "pulse/core/event_id.hpp"
#include "pulse/dedup/journal_file.hpp"
#include "pulse/dedup/journal_format.hpp"

namespace pulse::inline v0_1 {

/// What to do with a journal whose middle is damaged. (The torn end that a crash leaves is no damage: it is cut off.)
enum class JournalDamage : std::uint8_t {
  refuse,      ///< an error that says where
  keep_valid,  ///< go on with every record that is whole; each has its own checksum. The others' events may be handled again
};

/// Where a Journal is, how much it keeps, and what a power failure may cost.
struct JournalOptions {
  /// The file. Beside it stand `path.lock`, which keeps a second writer out, and at times `path.next`, the checkpoint in the making.
  std::string path{};
  /// How many of the last commits it must bring back; 1..Journal::max_window. `Journaled::open` takes 0 for the strategy's capacity.
  std::size_t window = 0;
  /// Names the kind of ids in it. Change it when the ids change their meaning: a journal of another seed is refused.
  std::uint64_t seed = 0;
  /// Commits between two syncs to the disk. Killing the process loses nothing, whatever stands here. What a power failure or a crash of
  /// the kernel loses: 0, whatever the system had not written yet, at worst all, which then is refused and not taken for empty; 1, nothing,
  /// and each commit waits for the disk; n, less than n commits.
  std::uint64_t sync_every = 0;
  JournalDamage on_damage = JournalDamage::refuse;
};

/// The ids that were committed, in their order, in a file that is appended to. When it has grown by twice the window, a checkpoint with the
/// last window takes its place by a rename; it is written along with the file meanwhile, so that no append waits for it.
///
/// Each of the two files is at most 72 bytes an id of the window long (24 bytes a record), or 400 kB and 24 bytes an id, and a quarter of a megabyte
/// more. They change places where the system can exchange names, so that in the long run nothing is allocated.
/// Complexity: an append is a checksum and one or two stores of 24 bytes into mapped memory. Thread safety: one thread; one process, which holds a
/// lock that ends with it. Linux and other systems with mmap, flock and a local file system.
class Journal {
 public:
  static constexpr std::size_t max_window = std::size_t{1} << 27;

  /// Opens the journal, or begins one where there is none, and reads what it holds: see `take_recovered`.
  /// Errors: config for options out of bounds; unavailable where another process has it, or the file system refuses; protocol for a file
  /// that is no journal, or one of another version or seed, or damaged. No error changes the file.
  static Result<Journal> open(JournalOptions options) {
    if (options.path.empty() || options.window < 1 || options.window > max_window) {
      return Error{ErrorCode::config, "journal \"" + options.path + "\": the window is " + std::to_string(options.window) + ": allowed are 1 to " +
                                          std::to_string(max_window) + ", and a path that is not empty"};
    }
    Journal journal{std::move(options)};
    if (Status status = journal.start(); !status) {
      return std::move(status).error();
    }
    return journal;
  }

  /// The ids it held when it was opened, in the order of their commits. Once.
  [[nodiscard]] std::vector<EventId> take_recovered() noexcept { return std::move(recovered_); }

  /// Makes sure that `appends` more ids can be appended. False where the file cannot grow, or a checkpoint cannot be put in place: see
  /// `status`; it tries again at the next call.
  [[nodiscard]] bool reserve(std::uint64_t appends) noexcept { return count_ + appends <= ready_ || prepare(count_ + appends); }

  /// Appends an id. Requires: it was reserved. It is in the file when this returns, as far as a crash of the process is concerned.
  void append(EventId id) noexcept {
    const detail::JournalRecord record = detail::JournalRecord::of(id, first_ + count_, options_.seed);
    current_.put(count_, record);
    if (count_ >= early_) {  // then a checkpoint has begun
      next_.put(count_ - early_, record);
    }
    if (++count_ == limit_) {
      ready_ = 0;  // the next reservation puts the checkpoint in place
    }
    if (options_.sync_every != 0 && ++unsynced_ >= options_.sync_every) {
      (void)flush();
    }
  }

  /// Waits until everything is on the disk. Errors: unavailable; where the file was refused, at every later call, and reserve says no from then on.
  Status flush() noexcept {
    unsynced_ = 0;
    Status status = lost_sync_ ? Status{status_} : kept(current_.sync(options_.path));
    return status ? sync_name() : status;
  }

  /// Why the last reservation failed. unavailable for good once the disk has refused a sync: the system may have dropped what it held.
  [[nodiscard]] Status status() const { return failed_ || lost_sync_ ? Status{status_} : Status{}; }
  /// Ids in the file.
  [[nodiscard]] std::uint64_t records() const noexcept { return count_; }
  [[nodiscard]] const JournalOptions& options() const noexcept { return options_; }

 private:
  /// Held as long as the process has the file open.
  class WriterLock {
   public:
    WriterLock() noexcept = default;
    WriterLock(WriterLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    WriterLock& operator=(WriterLock&& other) noexcept {
      std::swap(fd_, other.fd_);
      return *this;
    }
    WriterLock(const WriterLock&) = delete;
    WriterLock& operator=(const WriterLock&) = delete;
    ~WriterLock() {
      if (fd_ >= 0) {
        ::close(fd_);
      }
    }
    Status take(const std::string& path) {
      fd_ = ::open((path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
      if (fd_ >= 0 && ::flock(fd_, LOCK_EX | LOCK_NB) == 0) {
        return {};
      }
      if (errno == EWOULDBLOCK) {
        return Error{ErrorCode::unavailable, "journal " + path + ": another writer has it open (the lock is " + path + ".lock)"};
      }
      return detail::JournalFile::failure("lock", path);
    }

   private:
    int fd_ = -1;
  };

  explicit Journal(JournalOptions options)
      : options_(std::move(options)),
        next_path_(options_.path + ".next"),
        early_(std::max<std::uint64_t>(2 * options_.window, 1 << 14)),
        limit_(early_ + options_.window) {}

  [[nodiscard]] std::uint64_t most() const noexcept { return 2 * limit_; }  // leases that end after the limit go behind it

  Status start() {
    if (Status locked = lock_.take(options_.path); !locked) {
      return locked;
    }
    struct ::stat facts;
    if (::stat(options_.path.c_str(), &facts) != 0 && errno == ENOENT) {
      return rewrite({}, 0);
    }
    auto file = detail::JournalFile::open(options_.path, most(), false);
    if (!file) {
      return std::move(file).error();
    }
    bool whole = false;
    if (Status read = recover(*file, whole); !read) {
      return read;
    }
    if (!whole || recovered_.size() >= limit_) {
      const std::size_t kept = std::min(recovered_.size(), options_.window);
      return rewrite(std::span{recovered_}.last(kept), first_ + recovered_.size() - kept);
    }
    ::unlink(next_path_.c_str());
    current_ = *std::move(file);
    current_.sync_at_close(options_.sync_every > 1);
    count_ = recovered_.size();
    return {};
  }

  /// Reads the records up to the first that is none. One may be torn, behind it is nothing; otherwise it is damage.
  Status recover(const detail::JournalFile& file, bool& whole) {
    const auto refuse = [&](const std::string& why) { return Error{ErrorCode::protocol, "journal " + options_.path + ": " + why}; };
    if (file.bytes() < sizeof(detail::JournalHeader)) {
      return refuse("has " + std::to_string(file.bytes()) + " bytes, its header alone takes " + std::to_string(sizeof(detail::JournalHeader)) +
                    ": it is none, or was cut; remove it to begin anew");
    }
    const detail::JournalHeader header = file.header();
    if (const std::string fault = header.fault(options_.seed); !fault.empty()) {
      return refuse(fault);
    }
    first_ = header.first;
    std::uint64_t at = 0;
    for (; at < file.room() && file.record(at).valid(first_ + at, options_.seed); ++at) {
      recovered_.push_back(file.record(at).id);
    }
    const std::uint64_t end = at;
    std::uint64_t damaged = 0;
    for (++at; at < file.room(); ++at) {
      const detail::JournalRecord record = file.record(at);
      if (record.valid(first_ + at, options_.seed)) {
        recovered_.push_back(record.id);
      } else if (!record.blank() && !(header.stale != detail::JournalHeader::unfinished && record.valid(header.stale + at, options_.seed))) {
        ++damaged;
      }
    }
    const std::uint64_t behind = recovered_.size() - end;
    whole = behind == 0 && damaged == 0 && end >= header.base;
    if (whole || options_.on_damage == JournalDamage::keep_valid) {
      return {};
    }
    return refuse("record " + std::to_string(end + 1) + " (byte " + std::to_string(sizeof(header) + end * sizeof(detail::JournalRecord)) +
                  ") is damaged, and no torn end: " +
                  (end < header.base ? "a checkpoint of " + std::to_string(header.base) + " records ends here"
                                     : std::to_string(behind) + " whole and " + std::to_string(damaged) + " damaged ones follow") +
                  "; JournalDamage::keep_valid goes on with the whole ones");
  }

  /// Writes a file with these ids and puts it into the journal's place.
  Status rewrite(std::span<const EventId> ids, std::uint64_t first) {
    auto file = detail::JournalFile::open(next_path_, most(), true);
    if (!file) {
      return std::move(file).error();
    }
    if (Status grown = file->grow(ids.size(), next_path_); !grown) {
      return grown;
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {
      file->put(i, detail::JournalRecord::of(ids[i], first + i, options_.seed));
    }
    file->put_header({.seed = options_.seed, .first = first, .base = ids.size()});
    if (Status synced = file->sync(next_path_); !synced) {
      return synced;
    }
    if (std::rename(next_path_.c_str(), options_.path.c_str()) != 0) {
      return detail::JournalFile::failure("replace", options_.path);
    }
    current_ = *std::move(file);
    current_.sync_at_close(options_.sync_every > 1);
    first_ = first;
    count_ = ids.size();
    return detail::JournalFile::sync_directory(options_.path);
  }

  /// What a sync said. Once it was refused, another that succeeds would prove nothing: the system may have dropped what it could not write.
  Status kept(Status synced) noexcept {
    if (!synced) {
      status_ = synced.error();
      lost_sync_ = true;
      ready_ = 0;
    }
    return synced;
  }

  /// Makes a checkpoint's place outlast a power failure, where it does not yet.
  Status sync_name() {
    Status status = name_unsynced_ ? detail::JournalFile::sync_directory(options_.path) : Status{};
    name_unsynced_ = !status;
    return status;
  }

  /// Does what is due so that the file can hold `needed` records.
  [[gnu::cold]] bool prepare(std::uint64_t needed) noexcept {
    if (lost_sync_) {
      return false;
    }
    const std::uint64_t before = count_;
    Status status = count_ >= limit_ ? put_checkpoint() : Status{};
    needed -= before - count_;
    status = status ? sync_name() : status;
    if (status && needed > early_ && !begun_) {
      status = begin_checkpoint(needed - early_);
    }
    if (status) {
      status = current_.grow(needed, options_.path);
    }
    if (status && begun_) {
      status = next_.grow(needed > early_ ? needed - early_ : 0, next_path_);
    }
    failed_ = !status;
    if (failed_) {
      status_ = status.error();
      ready_ = 0;
      return false;
    }
    ready_ = std::min(current_.room(), begun_ ? early_ + next_.room() : early_);
    return true;
  }

  /// In the file that the last checkpoint has replaced, if there is one: its memory is there already, which a new one's is not.
  Status begin_checkpoint(std::uint64_t records) {
    std::uint64_t stale = detail::JournalHeader::unfinished;
    if (next_.opened()) {
      stale = next_.header().first;
      next_.blank(limit_, next_.room());  // as far as each life gets; what is behind would be of a life before
    } else {
      auto file = detail::JournalFile::open(next_path_, most(), true);
      if (!file) {
        return std::move(file).error();
      }
      next_ = *std::move(file);
    }
    if (Status grown = next_.grow(records, next_path_); !grown) {
      return grown;
    }
    next_.put_header({.seed = options_.seed, .first = first_ + early_, .base = detail::JournalHeader::unfinished, .stale = stale});
    for (std::uint64_t at = early_; at < count_; ++at) {
      next_.put(at - early_, current_.record(at));
    }
    begun_ = true;
    return {};
  }

  Status put_checkpoint() {
    detail::JournalHeader header = next_.header();
    header.base = count_ - early_;
    next_.put_header(header);
    if (options_.sync_every != 0) {
      if (Status synced = kept(next_.sync(next_path_)); !synced) {
        return synced;
      }
    }
    bool exchanged = false;
    if (Status replaced = detail::JournalFile::replace(next_path_, options_.path, exchanged); !replaced) {
      return replaced;
    }
    std::swap(current_, next_);
    current_.sync_at_close(options_.sync_every > 1);
    next_.sync_at_close(false);  // it is whole in the other one
    if (!exchanged) {
      next_ = {};
    }
    begun_ = false;
    first_ += early_;
    count_ -= early_;
    name_unsynced_ = options_.sync_every != 0;
    return {};
  }

  JournalOptions options_;
  std::string next_path_;
  WriterLock lock_;
  detail::JournalFile current_;
  detail::JournalFile next_;  ///< the checkpoint in the making: once begun, it holds what the file holds from `early_` on
  bool begun_ = false;
  std::vector<EventId> recovered_;
  std::uint64_t early_;      ///< as many records in the file, and the checkpoint begins
  std::uint64_t limit_;      ///< as many, and it takes the file's place
  std::uint64_t first_ = 0;  ///< the number of the file's first record
  std::uint64_t count_ = 0;
  std::uint64_t ready_ = 0;  ///< so many records may be reserved without doing anything
  std::uint64_t unsynced_ = 0;
  bool name_unsynced_ = false;  ///< a checkpoint took the place, and a power failure could undo that still
  bool failed_ = false;
  bool lost_sync_ = false;
  Error status_;
};

}  // namespace pulse::inline v0_1
