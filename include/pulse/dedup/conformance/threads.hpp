// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "pulse/dedup/conformance/laws.hpp"
#include "pulse/detail/random.hpp"

namespace pulse::inline v0_1::conformance::detail {

/// Several threads claim the same ids, alone and in batches, hold some for a while and end them: an id is held by one of them at a time,
/// and what was done before a claim began is not handed out again. No more ids than a window, so that nothing may be forgotten.
template <class Make>
std::string threads(Make make, const DedupLaws& laws) {
  auto dedup = make();
  using D = decltype(make());
  const std::size_t leases = laws.leases != 0 ? laws.leases : laws.capacity;
  const std::size_t batch = leases == 0 || leases >= laws.threads * 64 ? 8 : 1;
  const std::uint64_t round_size = laws.window > 512 ? 512 : laws.window;
  std::vector<std::atomic<int>> holders(round_size);
  std::vector<std::atomic<bool>> handled(round_size);
  std::atomic<const char*> law{nullptr};

  for (std::uint64_t round = 0; round < 8 && law.load() == nullptr; ++round) {
    for (std::uint64_t n = 0; n < round_size; ++n) {
      holders[n] = 0;
      handled[n] = false;
    }
    const auto work = [&](std::uint64_t worker) {
      pulse::detail::SplitMix64 random{laws.seed * 1000 + round * 100 + worker};
      for (std::uint64_t turn = 0; turn < 4 * round_size && law.load(std::memory_order_relaxed) == nullptr; ++turn) {
        const std::uint64_t count = turn % 2 == 0 ? 1 : batch;
        std::uint64_t numbers[8];
        EventId ids[8];
        Claim claims[8];
        bool before[8];
        pulse::detail::inner_lease<D> taken[8]{};
        for (std::uint64_t i = 0; i < count; ++i) {
          numbers[i] = (turn / 4 + random.up_to(3)) % round_size;  // near where the others are
          ids[i] = id_of(round * round_size + numbers[i], laws.ordered);
          before[i] = handled[numbers[i]].load();
          if constexpr (PrefetchingDedup<D>) {
            dedup.prefetch(ids[i]);
          }
        }
        pulse::detail::claim_inner(dedup, std::span<const EventId>{ids, count}, std::span<Claim>{claims, count}, std::span{taken, count});
        for (std::uint64_t i = 0; i < count; ++i) {
          if (claims[i] != Claim::fresh) {
            if (D::exact && claims[i] == Claim::unavailable) {
              law = "threads: it answers while it can hold a lease more";
            }
            continue;
          }
          if (holders[numbers[i]].fetch_add(1) != 0) {
            law = "threads: an id is leased to one of them at a time";
          }
          if (before[i]) {
            law = "threads: what was committed is not fresh again";
          }
        }
        if (random.up_to(7) == 0) {
          std::this_thread::yield();
        }
        for (std::uint64_t i = 0; i < count; ++i) {
          if (claims[i] != Claim::fresh) {
            continue;
          }
          const Held<D> held{ids[i], taken[i]};
          const bool by_lease = random.up_to(1) == 0;
          holders[numbers[i]].fetch_sub(1);
          if (random.up_to(3) == 0) {
            held.release(dedup, by_lease);
          } else {
            held.commit(dedup, by_lease);
            handled[numbers[i]] = true;
          }
        }
        if (laws.capacity > 0 && turn % 16 == 0 && dedup.size() > laws.capacity) {
          law = "threads: size never exceeds the stated bound";
        }
      }
    };
    std::vector<std::thread> workers;
    for (std::uint64_t worker = 0; worker < laws.threads; ++worker) {
      workers.emplace_back(work, worker);
    }
    for (std::thread& worker : workers) {
      worker.join();
    }
    for (std::uint64_t n = 0; n < round_size && law.load() == nullptr; ++n) {
      const Claim answer = dedup.claim(id_of(round * round_size + n, laws.ordered));
      if (handled[n] ? answer != Claim::done : D::exact && answer != Claim::fresh) {
        law = "threads: what they leave is as they left it";
      }
      if (answer == Claim::fresh) {
        dedup.commit(id_of(round * round_size + n, laws.ordered));
      }
    }
  }
  return law.load() == nullptr ? "" : law.load();
}

}  // namespace pulse::inline v0_1::conformance::detail
