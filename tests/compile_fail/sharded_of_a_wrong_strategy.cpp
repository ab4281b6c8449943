// SPDX-License-Identifier: MIT
// expect-error: the Dedup policy has no `void commit\(pulse::EventId\)`.*See docs/reference/dedup.md
#include <pulse/dedup/sharded.hpp>

#include "window_without_commit.hpp"

int main() {
  pulse::Sharded<Window> window{4, [](std::size_t) { return Window{}; }, 1};
  return use(window);
}
