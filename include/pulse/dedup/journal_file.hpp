// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include "pulse/core/error.hpp"
#include "pulse/dedup/journal_format.hpp"

namespace pulse::inline v0_1::detail {

/// A journal's file, mapped into memory: what is stored there is the kernel's at once, and so outlives this process however it ends.
/// Space is taken from the disk in advance, so that a store never meets a full one. One thread.
class JournalFile {
 public:
  JournalFile() noexcept = default;
  JournalFile(JournalFile&& other) noexcept { swap(other); }
  JournalFile& operator=(JournalFile&& other) noexcept {
    JournalFile{std::move(other)}.swap(*this);
    return *this;
  }
  JournalFile(const JournalFile&) = delete;
  JournalFile& operator=(const JournalFile&) = delete;
  ~JournalFile() {
    if (map_ != nullptr) {
      ::munmap(map_, mapped_);
    }
    if (fd_ >= 0) {
      if (sync_at_close_) {
        ::fdatasync(fd_);
      }
      ::close(fd_);
    }
  }

  /// Opens what is at `path`, or with `create` makes an empty file there. `most` is how many records it can ever hold.
  static Result<JournalFile> open(const std::string& path, std::uint64_t most, bool create) {
    JournalFile file;
    file.fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_TRUNC : 0), 0600);
    struct ::stat facts;
    if (file.fd_ < 0 || ::fstat(file.fd_, &facts) != 0) {
      return failure("open", path);
    }
    file.bytes_ = static_cast<std::uint64_t>(facts.st_size);
    const std::uint64_t needed = sizeof(JournalHeader) + most * sizeof(JournalRecord);
    file.mapped_ = static_cast<std::size_t>(std::max(needed, file.bytes_));
    void* const map = ::mmap(nullptr, file.mapped_, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd_, 0);
    if (map == MAP_FAILED) {
      return failure("map", path);
    }
    file.map_ = static_cast<std::byte*>(map);
    if (create) {
      if (const Status grown = file.grow(0, path); !grown) {
        return grown.error();
      }
    }
    return file;
  }

  void sync_at_close(bool wanted) noexcept { sync_at_close_ = wanted; }
  [[nodiscard]] bool opened() const noexcept { return map_ != nullptr; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  /// For how many records there is space on the disk.
  [[nodiscard]] std::uint64_t room() const noexcept { return bytes_ < sizeof(JournalHeader) ? 0 : (bytes_ - sizeof(JournalHeader)) / sizeof(JournalRecord); }

  /// Makes room for `records` and some more. Errors: unavailable where the disk is full or a limit is met; nothing has changed then.
  Status grow(std::uint64_t records, const std::string& path) {
    const std::uint64_t wanted = sizeof(JournalHeader) + records * sizeof(JournalRecord);
    const std::uint64_t to = std::min<std::uint64_t>(wanted + chunk - wanted % chunk, mapped_);
    if (to < wanted) {
      return Error{ErrorCode::capacity, "journal " + path + ": cannot hold " + std::to_string(records) + " records: more leases than it has room for"};
    }
    if (to <= bytes_) {
      return {};
    }
    if (const int error = ::posix_fallocate(fd_, static_cast<off_t>(bytes_), static_cast<off_t>(to - bytes_)); error != 0) {
      errno = error;
      return failure("grow", path);
    }
    // What stands there of a record that was cut in the middle would become a damaged one.
    if (const std::uint64_t end = sizeof(JournalHeader) + room() * sizeof(JournalRecord); end < bytes_) {
      std::memset(map_ + end, 0, bytes_ - end);
    }
    bytes_ = to;
    return {};
  }

  /// Requires: the file has a header's bytes.
  [[nodiscard]] JournalHeader header() const noexcept {
    JournalHeader header;
    std::memcpy(&header, map_, sizeof header);
    return header;
  }
  void put_header(JournalHeader header) noexcept {
    header.check = header.right_check();
    std::memcpy(map_, &header, sizeof header);
  }
  /// Requires: at < room().
  [[nodiscard]] JournalRecord record(std::uint64_t at) const noexcept {
    JournalRecord record;
    std::memcpy(&record, place(at), sizeof record);
    return record;
  }
  void blank(std::uint64_t from, std::uint64_t to) noexcept {
    if (from < to) {
      std::memset(place(from), 0, (to - from) * sizeof(JournalRecord));
    }
  }
  void put(std::uint64_t at, const JournalRecord& record) noexcept { std::memcpy(place(at), &record, sizeof record); }

  Status sync(const std::string& path) noexcept { return ::fdatasync(fd_) == 0 ? Status{} : Status{failure("sync", path)}; }

  /// Puts `from` in the place of `to`. Says in `exchanged` whether `from` now names what `to` named, or is gone.
  static Status replace(const std::string& from, const std::string& to, bool& exchanged) noexcept {
#if defined(RENAME_EXCHANGE)
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) {
      exchanged = true;
      return {};
    }
#endif
    exchanged = false;
    return std::rename(from.c_str(), to.c_str()) == 0 ? Status{} : Status{failure("replace", to)};
  }

  static Error failure(const char* what, const std::string& path) {
    return {ErrorCode::unavailable, "journal " + path + ": cannot " + what + ": " + std::strerror(errno)};
  }

  /// Makes a rename in the directory of `path` outlast a power failure.
  static Status sync_directory(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool right = fd >= 0 && (::fsync(fd) == 0 || errno == EINVAL);  // EINVAL: this file system syncs no directories
    const Status status = right ? Status{} : Status{failure("sync the directory of", path)};
    if (fd >= 0) {
      ::close(fd);
    }
    return status;
  }

 private:
  static constexpr std::uint64_t chunk = std::uint64_t{1} << 18;

  [[nodiscard]] std::byte* place(std::uint64_t at) const noexcept { return map_ + sizeof(JournalHeader) + at * sizeof(JournalRecord); }
  void swap(JournalFile& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(map_, other.map_);
    std::swap(mapped_, other.mapped_);
    std::swap(bytes_, other.bytes_);
    std::swap(sync_at_close_, other.sync_at_close_);
  }

  int fd_ = -1;
  std::byte* map_ = nullptr;
  std::size_t mapped_ = 0;
  std::uint64_t bytes_ = 0;
  bool sync_at_close_ = false;
};

}  // namespace pulse::inline v0_1::detail
