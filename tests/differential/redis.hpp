// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "command.hpp"
#include "memory.hpp"
#include "pulse/redis/socket_client.hpp"

namespace pulse_test::differential {

/// Runs sequences on a server: all commands of one, with the questions about the state after each, go out in one write. What fails throws.
class Redis {
 public:
  explicit Redis(const std::string& url) : client_(*pulse::RedisUrl::parse(url)) { check(client_.connect(deadline())); }

  /// The stream is emptied before. One observation a command.
  std::vector<Observation> operator()(const Sequence& sequence) {
    send({"DEL", key});
    send({"XGROUP", "CREATE", key, "x", "0", "MKSTREAM"});
    send({"XGROUP", "DESTROY", key, "x"});
    std::vector<std::size_t> lines;
    for (const Command& command : sequence) {
      const auto all = words(command);
      lines.push_back(all.size());
      for (const auto& line : all) {
        send({line.begin(), line.end()});
      }
      ask_state();
    }
    check(client_.flush(deadline()));
    (void)(reply(), reply());
    (void)reply();
    std::vector<Observation> seen;
    for (const std::size_t count : lines) {
      Observation& one = seen.emplace_back();
      for (std::size_t i = 0; i < count; ++i) {
        one.reply += i == 0 ? "" : " ";
        auto reader = reply();
        write(reader, one.reply);
      }
      one.state = state();
    }
    client_.release();
    return seen;
  }

 private:
  static pulse::SteadyTime deadline() { return std::chrono::steady_clock::now() + std::chrono::seconds{60}; }
  static void check(const pulse::Status& status) {
    if (!status) {
      throw std::runtime_error(status.error().message);
    }
  }
  static void expect(bool right) {
    if (!right) {
      throw std::runtime_error("the server's reply has another shape");
    }
  }

  void send(const std::vector<std::string_view>& line) { client_.append(line); }

  pulse::ReplyReader reply() {
    replies_.clear();
    const auto got = client_.read(replies_, deadline());
    if (!got) {
      throw std::runtime_error(got.error().message);
    }
    return pulse::ReplyReader{replies_.nodes()};
  }

  /// Any reply as text; of an error its first word.
  static void write(pulse::ReplyReader& reader, std::string& out) {
    std::string_view text;
    std::int64_t number = 0;
    std::uint32_t elements = 0;
    if (reader.text(text)) {
      out += text;
    } else if (reader.integer(number)) {
      out += std::to_string(number);
    } else if (reader.error(text)) {
      out += text.substr(0, text.find(' '));
    } else if (reader.nil()) {
      out += "nil";
    } else if (reader.array(elements)) {
      out += '[';
      for (std::uint32_t i = 0; i < elements; ++i) {
        out += i == 0 ? "" : " ";
        write(reader, out);
      }
      out += ']';
    }
  }

  void ask_state() {
    send({"XINFO", "STREAM", key});
    send({"XRANGE", key, "-", "+"});
    send({"XINFO", "GROUPS", key});
    for (const std::string_view group : groups) {
      send({"XPENDING", key, group, "-", "+", "1000000"});
      send({"XINFO", "CONSUMERS", key, group});
    }
  }

  /// An array of names and values: the values of `names`, in their order, each with what `before` says.
  static std::string fields(pulse::ReplyReader& reader, const std::vector<std::pair<std::string_view, std::string_view>>& names) {
    std::uint32_t elements = 0;
    expect(reader.array(elements));
    std::vector<std::string> values(names.size());
    for (std::uint32_t i = 0; i < elements; i += 2) {
      std::string_view name;
      expect(reader.text(name));
      bool wanted = false;
      for (std::size_t n = 0; n < names.size(); ++n) {
        if (names[n].first == name) {
          write(reader, values[n]);
          wanted = true;
        }
      }
      if (!wanted) {
        reader.skip();
      }
    }
    std::string out;
    for (std::size_t n = 0; n < names.size(); ++n) {
      out.append(names[n].second).append(values[n]);
    }
    return out;
  }

  std::string state() {
    auto stream = reply();
    std::string out = fields(stream, {{"length", "stream: length "},
                                      {"last-generated-id", ", last "},
                                      {"max-deleted-entry-id", ", deleted "},
                                      {"entries-added", ", added "},
                                      {"recorded-first-entry-id", ", first "}});
    out += "\nentries:";
    auto entries = reply();
    std::uint32_t count = 0;
    std::uint32_t parts = 0;
    std::string_view text;
    std::int64_t number = 0;
    expect(entries.array(count));
    for (std::uint32_t i = 0; i < count; ++i) {
      expect(entries.array(parts) && parts == 2 && entries.text(text));
      out.append(" ").append(text);
      expect(entries.array(parts) && parts == 2 && entries.text(text) && entries.text(text));
      out.append("=").append(text);
    }
    auto all = reply();
    expect(all.array(count));
    for (std::uint32_t i = 0; i < count; ++i) {
      out += fields(all, {{"name", "\ngroup "},
                          {"consumers", ": "},
                          {"pending", " consumers, pending "},
                          {"last-delivered-id", ", last "},
                          {"entries-read", ", read "},
                          {"lag", ", lag "}});
    }
    for (const std::string_view group : groups) {
      auto pending = reply();
      if (!pending.error(text)) {
        out.append("\npending ").append(group).append(":");
        expect(pending.array(count));
        for (std::uint32_t i = 0; i < count; ++i) {
          expect(pending.array(parts) && parts == 4 && pending.text(text));
          out.append(" ").append(text);
          expect(pending.text(text) && pending.integer(number));
          out.append("/").append(text).append("/idle").append(std::to_string((static_cast<std::uint64_t>(number) + unit_ms / 2) / unit_ms));
          expect(pending.integer(number));
          out.append("/x").append(std::to_string(number));
        }
      }
      auto members = reply();
      if (!members.error(text)) {
        out.append("\nconsumers ").append(group).append(":");
        expect(members.array(count));
        for (std::uint32_t i = 0; i < count; ++i) {
          out += fields(members, {{"name", " "}, {"pending", "/"}});
        }
      }
    }
    return out;
  }

  pulse::SocketClient client_;
  pulse::RedisReplies replies_;
};

}  // namespace pulse_test::differential
