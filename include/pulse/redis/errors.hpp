// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "pulse/core/error.hpp"
#include "pulse/core/printable.hpp"

namespace pulse::inline v0_1::detail {

/// What an error reply means to a consumer, by its first word. An error from within a script carries the word further on.
struct RedisErrorKind {
  std::string_view word;
  ErrorCode code;
  bool reconnect;  ///< this connection will not do any more: another may find another server, or load the scripts again
};

inline constexpr RedisErrorKind redis_errors[] = {
    {"NOGROUP", ErrorCode::no_group, false},       {"UNBLOCKED", ErrorCode::unavailable, false},
    {"LOADING", ErrorCode::unavailable, false},    {"BUSY", ErrorCode::unavailable, false},
    {"READONLY", ErrorCode::unavailable, true},    {"MASTERDOWN", ErrorCode::unavailable, true},
    {"NOREPLICAS", ErrorCode::unavailable, false}, {"MISCONF", ErrorCode::unavailable, false},
    {"OOM", ErrorCode::unavailable, false},        {"TRYAGAIN", ErrorCode::unavailable, false},
    {"CLUSTERDOWN", ErrorCode::unavailable, true}, {"NOSCRIPT", ErrorCode::unavailable, true},
    {"EXECABORT", ErrorCode::unavailable, false},  {"NOAUTH", ErrorCode::denied, true},
    {"WRONGPASS", ErrorCode::denied, true},        {"NOPERM", ErrorCode::denied, false},
    {"WRONGTYPE", ErrorCode::denied, false},       {"CROSSSLOT", ErrorCode::denied, false},
    {"MOVED", ErrorCode::denied, false},           {"ASK", ErrorCode::denied, false},
};

inline std::string_view first_word(std::string_view text) noexcept { return text.substr(0, text.find(' ')); }

/// The kind of an error reply; one that is not known is taken for a protocol error: tried again, and seen in metrics and health.
inline RedisErrorKind redis_error_kind(std::string_view text) noexcept {
  // Redis 6.2 wraps what fails in a script: "ERR Error running script (call to f_...): @user_script:1: -NOGROUP No such key".
  if (const auto wrapped = text.find("@user_script"); wrapped != std::string_view::npos && text.starts_with("ERR")) {
    if (const auto dash = text.find(": -", wrapped); dash != std::string_view::npos) {
      text = text.substr(dash + 3);
    }
  }
  const std::string_view word = first_word(text);
  if (text.starts_with("ERR no such key")) {  // XINFO, of a stream that is gone
    return {word, ErrorCode::no_group, false};
  }
  for (const RedisErrorKind& kind : redis_errors) {
    if (kind.word == word) {
      return kind;
    }
  }
  if (text.starts_with("ERR max number of clients")) {
    return {word, ErrorCode::unavailable, true};
  }
  if (text.starts_with("ERR unknown command") || text.starts_with("ERR unknown subcommand") || text.starts_with("ERR Unknown subcommand") ||
      text.starts_with("ERR AUTH") || text.starts_with("ERR invalid password") || text.starts_with("ERR Client sent AUTH") ||
      text.starts_with("ERR DB index") || text.starts_with("ERR invalid DB") || text.starts_with("ERR SELECT is not allowed")) {
    return {word, ErrorCode::denied, true};
  }
  return {word, ErrorCode::protocol, true};
}

/// An error reply as an Error that says what was asked of whom. What a server says is cut at 200 characters and shown printable.
inline Error redis_error(std::string_view what, std::string_view text) {
  const ErrorCode code = redis_error_kind(text).code;
  std::string message{what};
  message += ": ";
  append_printable(message, text, 200);
  const std::string_view word = first_word(text);
  if (word == "MOVED" || word == "ASK") {
    message += " (redirections of a cluster are not followed: connect to the node that has the slot)";
  } else if (word == "CROSSSLOT") {
    message += " (a cluster reads several streams in one command only where their keys share a {hash tag})";
  } else if (word == "NOAUTH") {
    message += " (give user and password in the URL)";
  }
  return Error{code, std::move(message)};
}

}  // namespace pulse::inline v0_1::detail
