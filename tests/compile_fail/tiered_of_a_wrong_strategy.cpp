// SPDX-License-Identifier: MIT
// expect-error: the Dedup policy has no `void commit\(pulse::EventId\)`.*See docs/reference/dedup.md
#include <pulse/dedup/fifo_window.hpp>
#include <pulse/dedup/tiered.hpp>

#include "window_without_commit.hpp"

int main() {
  pulse::Tiered window{pulse::FifoWindow{10}, Window{}};
  return use(window);
}
