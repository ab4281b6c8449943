// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>

#include <pulse/core/event_id.hpp>

namespace bench::dedup {

inline std::uint64_t mixed(std::uint64_t n) {
  n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9;
  n = (n ^ (n >> 27)) * 0x94d049bb133111eb;
  return n ^ (n >> 31);
}

enum class Kind { uuid, stream };

/// The n-th new id: 16 random bytes, or an entry id as a broker counts them.
inline pulse::EventId id_of(Kind kind, std::uint64_t n) {
  return kind == Kind::uuid ? pulse::EventId{mixed(n * 2 + 1), mixed(n * 2 + 2)} : pulse::EventId{1'764'000'000'000 + n / 8, n % 8};
}

/// The n-th id as text: a UUID of the RFC variant, or a producer's own key.
inline void text_of(bool uuid, std::uint64_t n, std::string& out) {
  char text[64];
  if (uuid) {
    const std::uint64_t high = mixed(n * 2 + 1);
    const std::uint64_t low = (mixed(n * 2 + 2) & 0x3fffffffffffffff) | 0x8000000000000000;
    std::snprintf(text, sizeof text, "%08x-%04x-%04x-%04x-%012llx", static_cast<unsigned>(high >> 32), static_cast<unsigned>(high >> 16 & 0xffff),
                  static_cast<unsigned>(high & 0xffff), static_cast<unsigned>(low >> 48), static_cast<unsigned long long>(low & 0xffffffffffff));
  } else {
    std::snprintf(text, sizeof text, "order/%012llx/fill/%04u", static_cast<unsigned long long>(mixed(n) & 0xffffffffffff), static_cast<unsigned>(n % 10'000));
  }
  out = text;
}

/// What comes in: new ids, and between them redeliveries of ids that were new up to `distance` new ones ago.
struct Traffic {
  unsigned percent = 0;      ///< of redeliveries
  std::size_t distance = 0;  ///< in new ids
  Kind kind = Kind::uuid;
};

/// An endless stream of numbers of ids, the same for each subject. `again` says which are redeliveries: the reference that answers are held to.
class Stream {
 public:
  explicit Stream(Traffic traffic, std::uint64_t first = 0) : traffic_(traffic), first_(first), next_(first) {}

  void fill(std::span<std::uint64_t> numbers, std::span<std::uint8_t> again) {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const std::uint64_t dice = mixed(++drawn_ * 0x9e3779b97f4a7c15);
      again[i] = dice % 100 < traffic_.percent && next_ - first_ > traffic_.distance;
      numbers[i] = again[i] != 0 ? next_ - 1 - (dice >> 32) % traffic_.distance : next_++;
    }
  }
  [[nodiscard]] Kind kind() const { return traffic_.kind; }

 private:
  Traffic traffic_;
  std::uint64_t first_;
  std::uint64_t next_;
  std::uint64_t drawn_ = 0;
};

}  // namespace bench::dedup
