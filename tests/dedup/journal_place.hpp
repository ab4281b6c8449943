// SPDX-License-Identifier: MIT
//
// A place for journals, and what the tests of them do there.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include "pulse/dedup/fifo_window.hpp"
#include "pulse/dedup/journaled.hpp"

namespace pulse_test::journal {

inline pulse::EventId id(std::uint64_t n) { return {n * 0x9e3779b97f4a7c15ULL, n}; }

/// A directory of its own, gone at the end.
struct Place {
  std::string directory;
  Place() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pulse-journal-XXXXXX").string();
    directory = std::filesystem::canonical(::mkdtemp(pattern.data())).string();
  }
  ~Place() { std::filesystem::remove_all(directory); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  [[nodiscard]] std::string path(const std::string& name = "journal") const { return directory + "/" + name; }
  void erase() const {
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      std::filesystem::remove(entry);
    }
  }
};

inline pulse::Journaled<pulse::FifoWindow> opened(const std::string& path, std::size_t capacity, pulse::JournalOptions options = {}) {
  options.path = path;
  auto result = pulse::Journaled<pulse::FifoWindow>::open(pulse::FifoWindow{capacity, 1}, options);
  REQUIRE_MESSAGE(result, (result ? "" : result.error().message));
  return *std::move(result);
}
inline void commit(pulse::Journaled<pulse::FifoWindow>& dedup, std::uint64_t from, std::uint64_t to) {
  for (std::uint64_t n = from; n < to; ++n) {
    pulse::Journaled<pulse::FifoWindow>::lease_type lease;
    REQUIRE(dedup.claim(id(n), lease) == pulse::Claim::fresh);
    dedup.commit(lease);
  }
}

inline std::string bytes_of(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}
inline void put_bytes(const std::string& path, const std::string& bytes) { std::ofstream{path, std::ios::binary | std::ios::trunc} << bytes; }

}  // namespace pulse_test::journal
