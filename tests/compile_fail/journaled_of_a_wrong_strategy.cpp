// SPDX-License-Identifier: MIT
// expect-error: the Dedup policy has no `void commit\(pulse::EventId\)`.*See docs/reference/dedup.md
#include <pulse/dedup/journaled.hpp>

#include "window_without_commit.hpp"

int main() {
  auto opened = pulse::Journaled<Window>::open(Window{}, {.path = "journal", .window = 10});
  return use(*opened);
}
