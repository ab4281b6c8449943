// SPDX-License-Identifier: MIT
#pragma once

#include <spdlog/common.h>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "pulse/core/notice_text.hpp"

namespace pulse::inline v0_1 {

/// An observer that writes each notice to a spdlog logger, at the level of its severity. The logger's level decides what is written; for what it does not
/// write no text is made. Thread safety: that of the logger.
///
///     pulse::Consumer consumer{bus, window, pulse::Observed{metrics, pulse::SpdlogObserver{spdlog::default_logger()}}, rates};
template <class Logger>  // spdlog::logger; what of it is compiled, and needs its library, is left to who includes it
class SpdlogObserver {
 public:
  /// Requires: logger is not null.
  explicit SpdlogObserver(std::shared_ptr<Logger> logger) : logger_(std::move(logger)) {}

  template <class Notice>
    requires requires { Notice::severity; }
  void on(const Notice& notice) {
    constexpr spdlog::level::level_enum levels[] = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn, spdlog::level::err};
    constexpr auto level = levels[static_cast<std::size_t>(Notice::severity)];
    if (!logger_->should_log(level)) {
      return;
    }
    std::string line;
    append_text(line, notice);
    logger_->log(level, spdlog::string_view_t{line});
  }

 private:
  std::shared_ptr<Logger> logger_;
};

}  // namespace pulse::inline v0_1
