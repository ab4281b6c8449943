// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>
#include <string_view>

#include <pulse/core/delivery.hpp>

/// Dead letters as text. What they hold came from anywhere: nothing of it may reach a terminal as a command, or break the JSON.
namespace dlq {

/// The bytes of the UTF-8 character at the start of `text`; 0 where there is none.
inline std::size_t character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned first = byte(0);
  const std::size_t size = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) {
      return 0;
    }
  }
  const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool no_scalar = (first == 0xed && byte(1) >= 0xa0) || (first == 0xf4 && byte(1) >= 0x90);
  return text.empty() || overlong || no_scalar ? 0 : size;
}

inline bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t size = character(text);
    if (size == 0) {
      return false;
    }
    text.remove_prefix(size);
  }
  return true;
}

/// On one line of a terminal: what does not print as \xNN.
inline std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::size_t size = character(text);
    const auto first = static_cast<unsigned char>(text[0]);
    const bool control = first < 0x20 || first == 0x7f || (first == 0xc2 && size == 2 && static_cast<unsigned char>(text[1]) < 0xa0);
    if (size == 0 || control) {
      size = size == 0 ? 1 : size;
      for (std::size_t i = 0; i < size; ++i) {
        char hex[8];
        std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(text[i])));
        out += hex;
      }
    } else {
      out.append(text.substr(0, size));
    }
    text.remove_prefix(size);
  }
  return out;
}

/// A JSON string; what is no UTF-8 becomes U+FFFD.
inline std::string json(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const std::size_t size = character(text);
    const auto first = static_cast<unsigned char>(text[0]);
    if (size == 0) {
      out += "\\ufffd";
    } else if (first < 0x20 || first == 0x7f) {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\u%04x", static_cast<unsigned>(first));
      out += hex;
    } else {
      out += first == '"' || first == '\\' ? "\\" : "";
      out.append(text.substr(0, size));
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return out + '"';
}

inline std::string base64(std::string_view bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t three = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      three = three << 8U | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out += i + j <= bytes.size() ? digits[three >> (18 - 6 * j) & 63U] : '=';
    }
  }
  return out;
}

/// Whether a letter says when it failed: others' letters may not, or may say nonsense.
inline bool has_time(const pulse::DeadLetter& letter) { return letter.failed_at > 0 && letter.failed_at < 253402300800.0; }

inline std::string time_text(const pulse::DeadLetter& letter) {
  if (!has_time(letter)) {
    return "-";
  }
  const auto seconds = static_cast<std::time_t>(letter.failed_at);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

inline std::string original_text(const pulse::DeadLetter& letter) { return letter.original_id == pulse::EntryId{} ? "-" : to_string(letter.original_id); }

/// " (N bytes are left out: ...)", of a letter that is larger than what this client reads.
inline std::string left_out_text(const pulse::DeadLetter& letter) {
  return letter.left_out == 0 ? "" : " (" + std::to_string(letter.left_out) + " bytes are left out: more than this client reads)";
}

/// Of `list`: one line.
inline std::string line(const pulse::DeadLetter& letter) {
  return to_string(letter.id) + "  failed " + time_text(letter) + "  entry " + original_text(letter) + "  deliveries " + std::to_string(letter.deliveries) +
         "  " + printable(letter.group) + '/' + printable(letter.consumer) + "  " + printable(letter.reason) + left_out_text(letter) + '\n';
}

/// Of `show`.
inline std::string page(const pulse::DeadLetter& letter) {
  return "id          " + to_string(letter.id) + "\nentry       " + original_text(letter) + "\nreason      " + printable(letter.reason) + "\nfailed at   " +
         time_text(letter) + "\ngroup       " + printable(letter.group) + "\nconsumer    " + printable(letter.consumer) + "\ndeliveries  " +
         std::to_string(letter.deliveries) + "\ndata        " + printable(letter.data) + left_out_text(letter) + '\n';
}

inline std::string json(const pulse::DeadLetter& letter) {
  char time[40] = "null";
  if (has_time(letter)) {
    std::snprintf(time, sizeof time, "%.3f", letter.failed_at);
  }
  std::string out = "{\"id\": \"" + to_string(letter.id) + "\", \"original_id\": ";
  out += letter.original_id == pulse::EntryId{} ? "null" : '"' + to_string(letter.original_id) + '"';
  out += ", \"reason\": " + json(letter.reason) + ", \"group\": " + json(letter.group) + ", \"consumer\": " + json(letter.consumer) +
         ", \"deliveries\": " + std::to_string(letter.deliveries) + ", \"failed_at\": " + time + ", \"data\": " + json(letter.data);
  if (!is_utf8(letter.data)) {
    out += ", \"data_base64\": \"" + base64(letter.data) + '"';
  }
  if (letter.left_out > 0) {
    out += ", \"left_out\": " + std::to_string(letter.left_out);
  }
  return out + "}\n";
}

}  // namespace dlq
