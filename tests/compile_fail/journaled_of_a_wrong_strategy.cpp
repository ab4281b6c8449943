// SPDX-License-Identifier: MIT
// expect-error: the Dedup policy has no `void commit\(pulse::EventId\)`.*See docs/reference/dedup.md
#include <pulse/dedup/journaled.hpp>

#include "window_without_commit.hpp"

int main() {
  auto opened = pulse::Journaled<Window>::open(Window{}, {.path = "journal", .window = 10});
  auto& window = *opened;
  pulse::Claim claims[1];
  const pulse::EventId ids[1]{};
  (void)window.claim(ids, claims);
  if (window.claim(ids[0]) == pulse::Claim::fresh) {
    window.commit(ids[0]);
  }
  return static_cast<int>(window.size());
}
