// SPDX-License-Identifier: MIT
#include "oracle.hpp"

#include <algorithm>

namespace pulse::sim {

std::size_t Oracle::index(EntryId id) const noexcept {
  return static_cast<std::size_t>(
      std::lower_bound(entries.begin(), entries.end(), id, [](const EntryFacts& facts, EntryId wanted) { return facts.id < wanted; }) - entries.begin());
}

bool Oracle::handled(std::size_t group, std::uint32_t key) const noexcept {
  return std::any_of(handled_.begin(), handled_.end(), [&](const Handled& done) { return done.key == key && done.group == group; });
}

void Oracle::effect(std::size_t group, std::uint32_t key) {
  if (!handled(group, key)) {
    handled_.push_back({key, static_cast<std::uint8_t>(group)});
  }
}

void Oracle::acked(std::size_t stream, std::size_t group, EntryId id, std::uint8_t consumer) {
  const EntryFacts& facts = entry(id);
  if (handled(group, facts.key) || facts.group[group].redriven) {
    return;
  }
  const auto& letters = server_->streams()[stream].letters;
  if (std::any_of(letters.begin(), letters.end(), [&](const Server::Letter& letter) { return letter.original == id && letter.group == group; })) {
    return;
  }
  broken(Law::acked_after_success,
         name(id) + " of g" + std::to_string(group) + " was acked by c" + std::to_string(consumer) + ", and neither handled nor dead-lettered: it is lost");
}

void Oracle::copied(std::size_t stream, std::size_t group, EntryId id, std::uint32_t event) {
  EntryFacts& facts = entry(id);
  if (facts.event != event) {
    broken(Law::letters_whole, "the dead letter of " + name(id) + " holds other data than the entry");
  }
  const auto& letters = server_->streams()[stream].letters;
  if (!disturbed && std::any_of(letters.begin(), letters.end(), [&](const Server::Letter& letter) { return letter.original == id && letter.group == group; })) {
    broken(Law::letters_single, name(id) + " of g" + std::to_string(group) + " has two dead letters");
  }
  facts.group[group].copied = true;
}

void Oracle::at_rest() {
  for (std::size_t s = 0; s < server_->streams().size(); ++s) {
    const Server::Stream& stream = server_->streams()[s];
    for (const Server::Entry& entry : stream.entries) {
      for (std::size_t g = 0; g < groups_; ++g) {
        const EntryFacts& facts = entries[index(entry.id)];
        if (!handled(g, facts.key) && !facts.group[g].copied) {
          broken(facts.group[g].failures == 0 && entry.id == stream.entries.front().id ? Law::backlog_seen : Law::everything_settles,
                 name(entry.id) + " was never handled by g" + std::to_string(g) + ", and is neither pending nor dead-lettered");
        }
      }
    }
  }
}

}  // namespace pulse::sim
