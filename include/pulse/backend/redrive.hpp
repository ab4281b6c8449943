// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "pulse/backend/dead_letters.hpp"
#include "pulse/concept/backend.hpp"
#include "pulse/concept/clock.hpp"
#include "pulse/core/printable.hpp"
#include "pulse/core/stop.hpp"

namespace pulse::inline v0_1 {

/// Which dead letters are brought back, and how fast.
struct RedriveOptions {
  DeadLetterRange range{};
  std::size_t max = ~std::size_t{0};  ///< the most that are brought back
  /// The most a second: each comes at least 1 / per_second after the one before, and time that was lost is not made up for. 0: no pause. Else 0.001 to
  /// 1,000,000.
  double per_second = 0;
};

/// Errors: config, naming the option.
[[nodiscard]] inline Status check(const RedriveOptions& options) {
  if (options.range.last < options.range.first) {
    return Error{ErrorCode::config, "RedriveOptions.range is " + to_string(options.range.first) + " to " + to_string(options.range.last) +
                                        ": the first must not be greater than the last"};
  }
  if (options.per_second != 0 && !(options.per_second >= 0.001 && options.per_second <= 1e6)) {
    return Error{ErrorCode::config, "RedriveOptions.per_second is " + detail::shown_number(options.per_second) + ": allowed is 0, or 0.001 to 1000000"};
  }
  return {};
}

enum class RedriveEnd : std::uint8_t {
  done,     ///< nothing is left in the range but what came back
  max,      ///< as many as were asked for
  stopped,  ///< by the token
  failed,   ///< see `error`; the letter it happened at was brought back or not
};

/// What a redrive did, and why it ended.
struct RedriveReport {
  std::size_t redriven = 0;
  EntryId last{};             ///< the dead letter that was brought back last; 0-0: none. A later call goes on from `last.next()`
  std::size_t came_back = 0;  ///< dead letters that were left: they and their entries are younger than this call, most of them brought back by it
  RedriveEnd end = RedriveEnd::done;
  Error error{};
};

namespace detail {

/// Lets a step happen no sooner than `interval` after the one before.
template <class Token, class Clk>
class Pace {
 public:
  Pace(double per_second, const Token& stop, Clk clock)
      : stop_(stop), clock_(std::move(clock)), interval_(per_second > 0 ? static_cast<std::int64_t>(1e9 / per_second) : 0), next_(clock_.steady()) {}

  /// Waits for the next step's time. false: told to stop.
  bool wait() {
    if (interval_.count() > 0) {
      std::unique_lock lock{mutex_};
      for (SteadyTime now = clock_.steady(); now < next_ && !stop_.stop_requested(); now = clock_.steady()) {
        clock_.wait_until(changed_, lock, wakes ? next_ : std::min(next_, now + std::chrono::milliseconds{50}));
      }
      next_ = clock_.steady() + interval_;
    }
    return !stop_.stop_requested();
  }

 private:
  static constexpr bool wakes = std::is_same_v<Token, StopToken>;
  struct Nothing {
    Nothing(const Token&, Pace*) noexcept {}
  };
  struct Wake {
    Pace* pace;
    void operator()() const {
      const std::lock_guard lock{pace->mutex_};
      pace->changed_.notify_all();
    }
  };
  struct Waking : StopCallback<Wake> {
    Waking(const StopToken& token, Pace* pace) : StopCallback<Wake>(token, Wake{pace}) {}
  };

  const Token& stop_;
  Clk clock_;
  std::chrono::nanoseconds interval_;
  SteadyTime next_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::conditional_t<wakes, Waking, Nothing> waking_{stop_, this};  // last: it may call at once, and is gone before what it calls on
};

}  // namespace detail

/// Appends dead letters to their stream again, oldest first, and removes them: one a step, and each step is atomic, so that it may be stopped, killed
/// or run twice at once at any point, and no letter is lost or brought back twice. What is brought back is handled whatever the dedup window
/// remembers: it goes by its new entry id.
///
/// An entry that fails again is dead-lettered again: this call leaves it there and counts it, so that a poison message does not keep it busy for ever.
/// It is known by its id: greater than the first that this call appended; and its letter's, greater than the newest letter's there was, where the backend
/// has `newest_dead_letter`. Without that a letter of an entry whose id lies ahead of the server's clock is taken for one that came back.
/// A letter that somebody else takes meanwhile is passed over.
///
/// Errors: in the report: config; the backend's. Complexity: a round trip a letter, and one for each 64. Thread safety: as the backend; `stop` is seen
/// at once where it is a StopToken, else within 50 ms.
///
/// Example: `pulse::redrive(bus, stream, {.per_second = 50}, stop.token())`. See docs/how-to/operate-the-dlq.md
template <DeadLetterStore B, StopTokenLike Token = StopToken, class Clk = SystemClock>
[[nodiscard]] RedriveReport redrive(B& backend, std::string_view stream, const RedriveOptions& options = {}, const Token& stop = {}, Clk clock = {}) {
  static_assert(assert_clock<Clk>());
  RedriveReport report;
  const auto fail = [&](Error error) {
    report.end = RedriveEnd::failed;
    report.error = std::move(error);
    return false;
  };
  if (Status checked = check(options); !checked) {
    (void)fail(std::move(checked).error());
    return report;
  }
  detail::Pace<Token, Clk> pace{options.per_second, stop, std::move(clock)};
  EntryId newest{};  // of the letters that are there now
  if constexpr (requires { backend.newest_dead_letter(stream); }) {
    Result<EntryId> last = backend.newest_dead_letter(stream);
    if (!last) {
      (void)fail(std::move(last).error());
      return report;
    }
    newest = *last;
  }
  EntryId began = EntryId::max();  // the first entry that this call appended: ids of a stream grow
  Status walked = each_dead_letter(backend, stream, options.range, [&](const DeadLetter& letter) {
    if (letter.original_id >= began && letter.id > newest) {
      ++report.came_back;
      return true;
    }
    if (report.redriven >= options.max) {
      report.end = RedriveEnd::max;
      return false;
    }
    if (!pace.wait()) {
      report.end = RedriveEnd::stopped;
      return false;
    }
    Result<EntryId> again = backend.redrive(stream, letter.id);
    if (!again) {
      return again.error().code == ErrorCode::not_found || fail(std::move(again).error());
    }
    began = std::min(began, *again);
    ++report.redriven;
    report.last = letter.id;
    return true;
  });
  if (!walked) {
    (void)fail(std::move(walked).error());
  }
  return report;
}

}  // namespace pulse::inline v0_1
