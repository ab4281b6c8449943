// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "pulse/core/notice_text.hpp"

namespace pulse::inline v0_1 {

/// An observer that writes each notice of at least `least` severity as one line, "warning lease_lost stream=orders entry=17-0 deliveries=2", to
/// `write(std::string_view line)`, the line's end included: what goes on with it is the caller's, fmt, a stream, a file.
///
///     pulse::LogObserver log{[](std::string_view line) { fmt::print(stderr, "{}", line); }};
///     pulse::LogObserver log{[](std::string_view line) { std::clog << line; }, pulse::Severity::info};
///
/// Thread safety: `write` is called on the thread where it happens; one observer for several consumers needs a `write` that may be.
/// Allocates a line for each notice that it writes, and nothing for the others.
template <class Write>
class LogObserver {
  static_assert(std::is_invocable_v<std::remove_reference_t<Write>&, std::string_view>, "pulse: LogObserver needs a callable that takes a std::string_view");

 public:
  explicit LogObserver(Write&& write, Severity least = Severity::info) : write_(std::forward<Write>(write)), least_(least) {}

  template <class Notice>
    requires requires { Notice::severity; }
  void on(const Notice& notice) {
    if (Notice::severity < least_) {
      return;
    }
    std::string line{name_of(Notice::severity)};
    line += ' ';
    append_text(line, notice);
    line += '\n';
    write_(std::string_view{line});
  }

 private:
  Write write_;
  Severity least_;
};

template <class Write>
LogObserver(Write&&) -> LogObserver<Write>;
template <class Write>
LogObserver(Write&&, Severity) -> LogObserver<Write>;

}  // namespace pulse::inline v0_1
