// SPDX-License-Identifier: MIT
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "resp.hpp"

namespace pulse_test {

/// What a scripted server does with a command.
struct Answer {
  enum class Then { stay, close, reset };
  std::string bytes;  ///< raw, so that they need not be RESP; none: no answer
  Then then = Then::stay;
  Answer(const char* text) : bytes(text) {}
  Answer(std::string text, Then after = Then::stay) : bytes(std::move(text)), then(after) {}
};

/// A server that answers as it is told. What it is not told, it asks the server behind it, each client by a connection of its own; without
/// one it answers a log-in as Redis 7.0.15 does, and anything else with +OK. Thread safety: all of it.
class ScriptedServer {
 public:
  using Words = std::vector<std::string>;
  /// None: as if there were no script.
  using Script = std::function<std::optional<Answer>(const Words&)>;

  /// `behind`: the port of a real server; 0: there is none.
  explicit ScriptedServer(int behind = 0) : behind_(behind), port_(free_port()), listener_(bind_to(port_)) {
    if (!listener_ || ::listen(listener_.get(), 512) != 0) {
      fail_errno("listen at port " + std::to_string(port_));
    }
    acceptor_ = std::thread{[this] { accept(); }};
  }
  /// All commands are answered by the script.
  explicit ScriptedServer(Script script) : ScriptedServer() { on("", std::move(script)); }
  /// The first command gets the first answer, and so on; the last is for all that follow.
  ScriptedServer(std::initializer_list<Answer> answers) : ScriptedServer() { on("", answers); }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;
  ~ScriptedServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    acceptor_.join();
    cut();
    for (Session& session : sessions_) {
      session.thread.join();
    }
  }

  [[nodiscard]] int port() const noexcept { return port_; }
  [[nodiscard]] std::string url(int db = 0) const { return "redis://127.0.0.1:" + std::to_string(port_) + (db == 0 ? "" : '/' + std::to_string(db)); }

  /// A text as an answer.
  static std::string bulk(std::string_view text) { return '$' + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n"; }

  /// Commands of this name, in capitals, are answered by the script from now on; "": all that have none of their own.
  void on(const std::string& name, Script script) {
    const std::lock_guard lock{mutex_};
    scripts_[name] = std::move(script);
  }
  void on(const std::string& name, std::initializer_list<Answer> answers) {
    on(name, [rest = std::deque<Answer>(answers)](const Words&) mutable {
      Answer next = rest.front();
      if (rest.size() > 1) {
        rest.pop_front();
      }
      return next;
    });
  }
  /// The next `times` commands of this name get this answer, then it is as without a script.
  void once(const std::string& name, Answer answer, std::size_t times = 1) {
    const std::lock_guard lock{mutex_};
    for (; times > 0; --times) {
      once_[name].push_back(answer);
    }
  }
  /// As if nothing had been told for this name.
  void forget(const std::string& name) {
    const std::lock_guard lock{mutex_};
    scripts_.erase(name);
    once_.erase(name);
  }
  /// Cuts all connections.
  void cut() {
    const std::lock_guard lock{mutex_};
    for (Session& session : sessions_) {
      ::shutdown(session.socket.get(), SHUT_RDWR);
      ::shutdown(session.upstream.get(), SHUT_RDWR);
    }
  }

  /// What came so far, a command a line: "XLEN s".
  [[nodiscard]] std::vector<std::string> transcript() const {
    const std::lock_guard lock{mutex_};
    return transcript_;
  }
  [[nodiscard]] std::size_t connections() const {
    const std::lock_guard lock{mutex_};
    return connections_;
  }
  /// Waits until `done(transcript)`. false: it was not so at the deadline.
  template <class Done>
  [[nodiscard]] bool wait(Done done, Deadline deadline = within(patience)) const {
    std::unique_lock lock{mutex_};
    return changed_.wait_until(lock, deadline, [&] { return done(transcript_); });
  }

 private:
  struct Session {
    Fd socket;
    Fd upstream;
    std::thread thread{};
    bool over = false;
  };

  void accept() {
    while (true) {
      Fd client{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
      if (!client) {
        return;
      }
      const int on = 1;
      ::setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      const std::lock_guard lock{mutex_};
      ++connections_;
      sessions_.remove_if([](Session& session) {
        if (session.over) {
          session.thread.join();
        }
        return session.over;
      });
      Session& session = sessions_.emplace_back(Session{std::move(client), behind_ == 0 ? Fd{} : connect_to(behind_)});
      session.thread = std::thread{[this, &session] {
        try {
          serve(session);
        } catch (const std::exception&) {  // the client is gone, or sends what is no command
        }
        const std::lock_guard last{mutex_};
        session.socket.reset();
        session.upstream.reset();
        session.over = true;
      }};
    }
  }

  void serve(Session& session) {
    std::string bytes;
    std::string from_behind;
    while (true) {
      Reply command;
      std::size_t at = 0;
      while (bytes.empty() || !decode(bytes, at = 0, command)) {
        if (!more(session.socket, bytes)) {
          return;
        }
      }
      const std::string raw = bytes.substr(0, at);
      bytes.erase(0, at);
      Words words;
      std::string line;
      for (const Reply& word : command.items) {
        words.push_back(word.text);
        line += (line.empty() ? "" : " ") + word.str();
      }
      std::optional<Answer> answer = scripted(words, line);
      if (!answer && session.upstream) {
        write_all(session.upstream.get(), raw, within(patience));
        Reply whole;
        std::size_t end = 0;
        while (from_behind.empty() || !decode(from_behind, end = 0, whole)) {
          if (!more(session.upstream, from_behind)) {
            return;
          }
        }
        answer = from_behind.substr(0, end);
        from_behind.erase(0, end);
      }
      if (!answer) {
        answer = greeting(words);
      }
      write_all(session.socket.get(), answer->bytes, within(patience));
      if (answer->then == Answer::Then::reset) {
        const linger now{1, 0};
        ::setsockopt(session.socket.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
      }
      if (answer->then != Answer::Then::stay) {
        return;
      }
    }
  }

  static bool more(const Fd& from, std::string& bytes) {
    char read[65536];
    const ssize_t got = ::recv(from.get(), read, sizeof read, 0);
    bytes.append(read, got > 0 ? static_cast<std::size_t>(got) : 0);
    return got > 0;
  }

  std::optional<Answer> scripted(const Words& words, const std::string& line) {
    const std::lock_guard lock{mutex_};
    transcript_.push_back(line);
    changed_.notify_all();
    const std::string name = words.empty() ? std::string{} : words[0];
    if (const auto found = once_.find(name); found != once_.end() && !found->second.empty()) {
      Answer answer = std::move(found->second.front());
      found->second.pop_front();
      return answer;
    }
    auto found = scripts_.find(name);
    if (found == scripts_.end()) {
      found = scripts_.find("");
    }
    return found == scripts_.end() ? std::optional<Answer>{} : found->second(words);
  }

  static Answer greeting(const Words& words) {
    const std::string name = words.empty() ? std::string{} : words[0];
    const std::string second = words.size() > 1 ? words[1] : std::string{};
    if (name == "INFO") {
      return bulk("# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n");
    }
    if (name == "PING") {
      return "+PONG\r\n";
    }
    if (name == "CLIENT" && second == "ID") {
      return ":7\r\n";
    }
    if (name == "SCRIPT" && second == "LOAD") {
      return bulk("0123456789012345678901234567890123456789");
    }
    return "+OK\r\n";
  }

  const int behind_;
  const int port_;
  Fd listener_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<std::string, Script> scripts_;
  std::map<std::string, std::deque<Answer>> once_;
  std::vector<std::string> transcript_;
  std::list<Session> sessions_;
  std::size_t connections_ = 0;
  std::thread acceptor_;
};

}  // namespace pulse_test
