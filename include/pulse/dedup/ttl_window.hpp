// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "pulse/concept/clock.hpp"
#include "pulse/concept/dedup.hpp"
#include "pulse/dedup/claim_ring.hpp"
#include "pulse/detail/prefetch.hpp"
#include "pulse/detail/refuse.hpp"

namespace pulse::inline v0_1 {

/// How exact a TtlWindow is about time, and what it does when it is full.
struct TtlOptions {
  /// How much longer than its time an id may stay known. Default (0): a 64th of the time. Allowed: a 120th of the time to all of it.
  std::chrono::nanoseconds granularity{0};
  /// What happens to a new id where the place of the ring whose turn it is holds a known id that has not expired: that one is forgotten before its
  /// time (and counted, see forgotten_early), or the claim is `unavailable`, so that the consumer waits. It is so while `capacity` ids are
  /// known, and may be with fewer: places of released ids behind it are not looked for. Does not matter while the capacity suffices for all claims.
  enum class Full : std::uint8_t { forget, wait } full = Full::forget;
};

namespace detail {

/// The states of a ring's slots, one byte each: nothing, leased, or the tick of the commit, of which the last `life` + 1 are alive. Ticks
/// come round after `stamps`; a sweep that goes on with each tick takes the expired ones out before they would come to life again.
class StampedStates {
 public:
  static constexpr std::uint32_t stamps = 253;
  static constexpr std::uint32_t max_life = 121;

  StampedStates(std::size_t slots, std::uint32_t life, bool forgets) : bytes_(slots, 0), life_(life), forgets_(forgets) {}

  [[nodiscard]] SlotState operator[](std::uint32_t slot) const noexcept { return state_of(bytes_[slot]); }
  void prefetch(std::uint32_t slot) const noexcept { prefetch_line(&bytes_[slot]); }
  void commit(std::uint32_t slot) noexcept {
    bytes_[slot] = now_;
    ++alive_[now_];
  }
  void release(std::uint32_t slot) noexcept { bytes_[slot] = nothing; }

  [[nodiscard]] bool may_take(std::uint32_t slot) const noexcept {
    const SlotState state = state_of(bytes_[slot]);
    return state == SlotState::nothing || (forgets_ && state == SlotState::done);
  }
  [[nodiscard]] std::uint32_t may_take(std::uint32_t slot, std::uint32_t most) const noexcept {
    std::uint32_t count = 0;
    while (count < most && may_take(slot + count)) {
      ++count;
    }
    return count;
  }
  void lease(std::uint32_t slot, std::size_t& size) noexcept {
    if (state_of(bytes_[slot]) == SlotState::done) {
      --alive_[bytes_[slot]];
      ++forgotten_;
    } else {
      ++size;
    }
    bytes_[slot] = leased;
  }
  void lease(std::uint32_t slot, std::uint32_t count, std::size_t& size) noexcept {
    for (const std::uint32_t end = slot + count; slot < end; ++slot) {
      lease(slot, size);
    }
  }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_.size(); }
  [[nodiscard]] std::uint64_t forgotten() const noexcept { return forgotten_; }

  /// Goes on by so many ticks. Returns how many ids expired.
  std::size_t advance(std::uint64_t ticks) noexcept {
    std::size_t expired = 0;
    if (ticks >= sweep_in) {  // all did
      for (std::uint32_t& count : alive_) {
        expired += std::exchange(count, 0);
      }
      for (std::uint8_t& byte : bytes_) {
        byte = byte == leased ? leased : nothing;
      }
      return expired;
    }
    for (; ticks > 0; --ticks) {
      now_ = now_ == last ? first : static_cast<std::uint8_t>(now_ + 1);
      const std::uint32_t now = now_;
      const std::uint32_t oldest = now > life_ + first ? now - life_ - 1 : now + stamps - life_ - 1;
      expired += std::exchange(alive_[oldest], 0);
      sweep();
    }
    return expired;
  }

 private:
  static constexpr std::uint8_t nothing = 0;
  static constexpr std::uint8_t leased = 1;
  static constexpr std::uint8_t first = 2;
  static constexpr std::uint8_t last = first + stamps - 1;
  static constexpr std::uint64_t sweep_in = 128;  ///< ticks in which the sweep comes round: with max_life, fewer than there are stamps

  void sweep() noexcept {
    for (std::size_t n = bytes_.size() / sweep_in + 1; n > 0; --n) {
      swept_ = swept_ == 0 ? bytes_.size() - 1 : swept_ - 1;
      if (state_of(bytes_[swept_]) == SlotState::nothing) {
        bytes_[swept_] = nothing;
      }
    }
  }

  [[nodiscard]] SlotState state_of(std::uint8_t byte) const noexcept {
    if (byte < first) {
      return static_cast<SlotState>(byte);
    }
    const std::uint32_t age = now_ >= byte ? now_ - byte : now_ + stamps - byte;
    return age <= life_ ? SlotState::done : SlotState::nothing;
  }

  BigVector<std::uint8_t> bytes_;
  std::array<std::uint32_t, 256> alive_{};  ///< how many ids have each stamp that is alive
  std::uint64_t forgotten_ = 0;
  std::size_t swept_ = 0;
  std::uint32_t life_;
  std::uint8_t now_ = first;
  bool forgets_;
};

}  // namespace detail

/// Remembers an id for a time after it was committed. Exact: it forgets, but never takes a new id for a known one.
///
/// An id stays known for at least `ttl` after its commit, and at most a granularity longer; but not, where options.full is `forget`, when
/// `capacity` others were claimed as fresh after it was. A lease does not expire and is never forgotten; while all `capacity` ids are leased, a
/// claim of another answers `unavailable`. Time is the clock's steady one, so a wall clock that jumps changes nothing; from a granularity of
/// 200 ms its coarse one, which adds at most a tenth of that.
///
/// Memory: 16 bytes an id in a ring, one for its state, and 7.7 of index: 24.7 in all, 26.2 up to 65536 ids, taken at construction; nothing is
/// allocated or rehashed afterwards. Complexity: expected constant, under a secret seed, but for the first call after a pause: that looks through the states, a
/// byte an id. Thread safety: one thread. Contract page: docs/reference/dedup/ttl-window.md
template <class Clk = SystemClock>
class BasicTtlWindow : private detail::ClaimRing<detail::StampedStates> {
  using Ring = detail::ClaimRing<detail::StampedStates>;
  static_assert(assert_clock<Clk>());

 public:
  static constexpr bool exact = true;
  static constexpr bool shared = false;
  static constexpr std::size_t default_capacity = 65536;
  static constexpr std::chrono::nanoseconds max_ttl = std::chrono::hours{24 * 3650};
  using Ring::max_capacity;
  using typename Ring::lease_type;

  /// Errors: std::invalid_argument for a capacity outside 1..max_capacity, a ttl outside 1 ms..max_ttl, or a granularity outside what
  /// TtlOptions allows.
  explicit BasicTtlWindow(std::chrono::nanoseconds ttl, std::size_t capacity = default_capacity, TtlOptions options = {}, Clk clock = {},
                          std::uint64_t seed = detail::SeededHash::random_seed())
      : BasicTtlWindow(Pace{checked(ttl), options.granularity}, capacity, options.full, std::move(clock), seed) {}

  Claim claim(EventId id) noexcept {
    keep_time();
    return Ring::claim(id);
  }
  Claim claim(EventId id, lease_type& lease) noexcept {
    keep_time();
    return Ring::claim(id, lease);
  }
  /// A batch at one moment, equal to one by one in order; `leases` may be empty. The searches of a batch wait for memory together.
  /// Requires: claims, and leases if any, are as many as ids.
  void claim(std::span<const EventId> ids, std::span<Claim> claims, std::span<lease_type> leases = {}) noexcept {
    keep_time();
    Ring::claim(ids, claims, leases);
  }
  void commit(lease_type lease) noexcept {
    keep_time();
    Ring::commit(lease);
  }
  void commit(EventId id) noexcept {
    keep_time();
    Ring::commit(id);
  }
  /// As a claim, but an id that is absent takes no place: it is `unavailable`.
  [[nodiscard]] Claim known(EventId id) noexcept {
    keep_time();
    return Ring::known(id);
  }
  using Ring::prefetch;
  using Ring::release;

  using Ring::bytes;
  using Ring::capacity;
  /// Ids remembered at the last claim or commit.
  using Ring::size;
  /// How many ids were forgotten before their time, because more were new within the ttl than there is capacity for.
  [[nodiscard]] std::uint64_t forgotten_early() const noexcept { return Ring::states().forgotten(); }
  [[nodiscard]] std::chrono::nanoseconds granularity() const noexcept { return pace_.tick; }

 private:
  /// The time of an id in ticks.
  struct Pace {
    std::uint32_t life;
    std::chrono::nanoseconds tick;
    bool coarse;

    Pace(std::chrono::nanoseconds ttl, std::chrono::nanoseconds wanted) {
      const std::chrono::nanoseconds granularity = wanted.count() == 0 ? ttl / 64 : wanted;
      if (granularity < ttl / 120 || granularity > ttl) {
        detail::refuse("TtlWindow", "granularity", nanoseconds(granularity),
                       "a 120th of the time to live to all of it, " + nanoseconds(ttl / 120) + " to " + nanoseconds(ttl));
      }
      // A coarse reading is up to 10 ms old: what is stamped too early lives longer by that.
      coarse = granularity >= std::chrono::milliseconds{200} && requires(const Clk& clock) { clock.coarse_steady(); };
      const std::chrono::nanoseconds whole = ttl + (coarse ? std::chrono::nanoseconds{std::chrono::milliseconds{10}} : std::chrono::nanoseconds{0});
      life = static_cast<std::uint32_t>((whole.count() + granularity.count() - 1) / granularity.count());
      tick = std::chrono::nanoseconds{(whole.count() + life - 1) / life};
    }
  };

  BasicTtlWindow(Pace pace, std::size_t capacity, TtlOptions::Full full, Clk clock, std::uint64_t seed)
      : Ring{detail::checked_capacity("TtlWindow", capacity, max_capacity), detail::StampedStates{capacity, pace.life, full == TtlOptions::Full::forget},
             seed},  // in braces: checked first
        clock_(std::move(clock)),
        pace_(pace),
        next_tick_(now() + pace.tick) {}

  static std::string nanoseconds(std::chrono::nanoseconds time) { return std::to_string(time.count()) + " ns"; }
  static std::chrono::nanoseconds checked(std::chrono::nanoseconds ttl) {
    if (ttl < std::chrono::milliseconds{1} || ttl > max_ttl) {
      detail::refuse("TtlWindow", "time to live", nanoseconds(ttl), "1 ms to 3650 days");
    }
    return ttl;
  }

  [[nodiscard]] SteadyTime now() const noexcept { return pace_.coarse ? coarse_steady(clock_) : SteadyTime{clock_.steady()}; }
  void keep_time() noexcept {
    if (const SteadyTime time = now(); time >= next_tick_) [[unlikely]] {
      const auto ticks = (time - next_tick_) / pace_.tick + 1;
      next_tick_ += ticks * pace_.tick;
      Ring::expire(Ring::states().advance(static_cast<std::uint64_t>(ticks)));
    }
  }

  [[no_unique_address]] Clk clock_;
  Pace pace_;
  SteadyTime next_tick_;
};

using TtlWindow = BasicTtlWindow<>;

}  // namespace pulse::inline v0_1
