// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "pulse/core/error.hpp"
#include "pulse/core/printable.hpp"

namespace pulse::inline v0_1 {

/// Where a Redis server is, and as whom one speaks to it: `redis[s]://[[user]:password@]host[:port][/db]`, or
/// `unix://[[user]:password@]/path/of/the.socket[?db=N]`.
struct RedisUrl {
  bool tls = false;  ///< rediss://; a client without TLS must refuse it
  std::string user;
  std::string password;
  std::string host = "localhost";
  std::uint16_t port = 6379;
  std::uint32_t db = 0;
  std::string path;  ///< of a Unix socket; then host and port mean nothing

  /// The server's address for messages: "host:port", or the path.
  [[nodiscard]] std::string address() const {
    if (!path.empty()) {
      return path;
    }
    return (host.find(':') == std::string::npos ? host : '[' + host + ']') + ':' + std::to_string(port);
  }

  /// User and password may be percent-encoded; an IPv6 host stands in brackets; the one query there is, is a Unix socket's ?db=N.
  /// Errors: config, with the URL in the form that `redacted` gives it.
  [[nodiscard]] static Result<RedisUrl> parse(std::string_view url);

  friend bool operator==(const RedisUrl&, const RedisUrl&) = default;
};

namespace detail {
/// What stands before the host, "redis://" say; "" where that is no scheme.
constexpr std::string_view scheme_of(std::string_view url) noexcept {
  const auto end = url.find("://");
  for (const char c : url.substr(0, end)) {
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '.' || c == '-')) {
      return {};
    }
  }
  return end == std::string_view::npos ? std::string_view{} : url.substr(0, end + 3);
}
}  // namespace detail

/// The URL as it may be logged: what could be a user or a password is "***", in whatever is not even a URL too.
[[nodiscard]] inline std::string redacted(std::string_view url) {
  const auto scheme = url.find("://");
  const auto start = scheme == std::string_view::npos ? 0 : scheme + 3;
  const auto query = url.find('?', start);
  // A password may hold an unescaped '@', '/' or '?': everything up to the last '@' goes, wherever that is.
  const auto at = url.rfind('@');
  std::string out;
  const auto add = [&out](std::string_view text) { detail::append_printable(out, text); };
  if (at != std::string_view::npos) {
    add(detail::scheme_of(url));
    out += "***";
    const auto rest = url.substr(at);
    const auto rest_query = rest.find('?');
    if (query > at) {  // else the '@' may stand in a query's value, and what follows it, too
      add(rest.substr(0, rest_query));
      out += rest_query == std::string_view::npos ? "" : "?***";
    }
  } else {
    const auto authority = url.substr(start, url.find_first_of("/?", start) - start);
    const auto port = authority.rfind(':');
    const bool number = port != std::string_view::npos && port > 0 && authority.find_first_not_of("0123456789", port + 1) == std::string_view::npos;
    if (port == std::string_view::npos || number || authority.ends_with(']')) {
      add(url.substr(0, query));
      out += query == std::string_view::npos ? "" : "?***";
    } else {  // a password whose '@' and host were forgotten
      add(detail::scheme_of(url));
      out += "***";
    }
  }
  return out;
}

namespace detail {
constexpr bool parse_decimal(std::string_view text, std::uint64_t max, std::uint64_t& out) noexcept {
  if (text.empty() || text.size() > 10) {
    return false;
  }
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') {
      return false;
    }
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  out = value;
  return value <= max;
}

inline bool percent_decode(std::string_view text, std::string& out) {
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
    } else if (i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      return false;
    }
  }
  return true;
}
}  // namespace detail

inline Result<RedisUrl> RedisUrl::parse(std::string_view url) {
  const auto refuse = [&](std::string_view why) {
    return Error{ErrorCode::config, "\"" + redacted(url) + "\": " + std::string(why) +
                                        "; allowed is redis[s]://[[user]:password@]host[:port][/db] or unix://[[user]:password@]/path[?db=N]"};
  };
  RedisUrl parsed;
  bool local = false;
  std::string_view rest = url;
  if (rest.starts_with("rediss://")) {
    parsed.tls = true;
    rest.remove_prefix(9);
  } else if (rest.starts_with("redis://")) {
    rest.remove_prefix(8);
  } else if (rest.starts_with("unix://")) {
    rest.remove_prefix(7);
    local = true;
  } else {
    return refuse("the scheme is none of redis://, rediss:// and unix://");
  }
  // A socket's path may hold an '@'; where there is a user, it does not begin with the path's '/'.
  if (const auto at = local && rest.starts_with('/') ? std::string_view::npos : rest.rfind('@'); at != std::string_view::npos) {
    const auto who = rest.substr(0, at);
    if (who.find('?') != std::string_view::npos) {
      return refuse("a '?' before an '@': there is no such query, and in a user or a password it is written %3F");
    }
    const auto colon = who.find(':');
    if (colon == std::string_view::npos) {
      return refuse("a user without a password: write :password@ where there is no user");
    }
    if (!detail::percent_decode(who.substr(0, colon), parsed.user) || !detail::percent_decode(who.substr(colon + 1), parsed.password)) {
      return refuse("a '%' in the user or the password is not followed by two hexadecimal digits (write %25 for a '%')");
    }
    rest.remove_prefix(at + 1);
  }
  std::uint64_t number = 0;
  if (local) {
    if (const auto query = rest.find('?'); query != std::string_view::npos) {
      if (!rest.substr(query).starts_with("?db=") || !detail::parse_decimal(rest.substr(query + 4), 65535, number)) {
        return refuse("the query is not ?db= with a number from 0 to 65535");
      }
      parsed.db = static_cast<std::uint32_t>(number);
      rest = rest.substr(0, query);
    }
    if (!rest.starts_with('/') || rest.size() > 107) {
      return refuse("a Unix socket is named by an absolute path of at most 107 bytes");
    }
    for (const char c : rest) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
        return refuse("the path holds a control character");
      }
    }
    parsed.path = rest;
    return parsed;
  }
  if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
    const auto db = rest.substr(slash + 1);
    if (!db.empty()) {
      if (!detail::parse_decimal(db, 65535, number)) {
        return refuse("the database is no number from 0 to 65535");
      }
      parsed.db = static_cast<std::uint32_t>(number);
    }
    rest = rest.substr(0, slash);
  }
  const auto colon = rest.starts_with('[') ? rest.find(':', rest.find(']')) : rest.find(':');
  if (colon != std::string_view::npos) {
    if (!detail::parse_decimal(rest.substr(colon + 1), 65535, number) || number == 0) {
      return refuse("the port is no number from 1 to 65535");
    }
    parsed.port = static_cast<std::uint16_t>(number);
    rest = rest.substr(0, colon);
  }
  if (rest.starts_with('[')) {
    if (!rest.ends_with(']')) {
      return refuse("the host's '[' is not closed by ']'");
    }
    rest = rest.substr(1, rest.size() - 2);
  }
  if (rest.empty()) {
    return refuse("there is no host");
  }
  for (const char c : rest) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == '?' || c == '#' || c == '[' || c == ']') {
      return refuse("the host holds a character that no host has");
    }
  }
  parsed.host = rest;
  return parsed;
}

}  // namespace pulse::inline v0_1
