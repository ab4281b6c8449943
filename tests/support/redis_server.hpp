// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "process.hpp"
#include "resp.hpp"

namespace pulse_test {

/// A redis-server of a test's own, on a loopback port and on a Unix socket, with its data in a directory of its own; both go with this
/// object. It writes nothing to disk unless told so: `RedisServer server{"appendonly yes", "appendfsync always"}`. One thread.
class RedisServer {
 public:
  /// Whether redis-server is installed. Cases that need it stand in TEST_SUITE("redis-server"), which is reported as skipped where it is not.
  static bool available() { return has_program("redis-server"); }

  RedisServer() : RedisServer(std::initializer_list<std::string>{}) {}
  /// Lines of its configuration, on top of what is said above.
  RedisServer(std::initializer_list<std::string> config) : RedisServer(std::vector<std::string>(config)) {}
  /// With variables of its environment on top of ours.
  explicit RedisServer(std::vector<std::string> config, std::vector<std::pair<std::string, std::string>> environment = {})
      : config_(std::move(config)), environment_(std::move(environment)) {
    for (int tries = 0;; ++tries) {
      port_ = free_port();
      start_without_waiting();
      if (comes_up(within(patience))) {
        return;
      }
      process_.kill();
      if (tries == 3 || log().find("Address already in use") == std::string::npos) {
        fail("redis-server does not start:\n" + log());
      }
    }
  }

  [[nodiscard]] int port() const noexcept { return port_; }
  [[nodiscard]] std::string path() const { return (directory_.path() / "redis.sock").string(); }
  /// redis://127.0.0.1:port, with "/db" where it is not 0.
  [[nodiscard]] std::string url(int db = 0) const { return "redis://127.0.0.1:" + std::to_string(port_) + (db == 0 ? "" : '/' + std::to_string(db)); }
  [[nodiscard]] std::string unix_url() const { return "unix://" + path(); }
  [[nodiscard]] pid_t pid() const noexcept { return process_.pid(); }
  [[nodiscard]] bool running() const noexcept { return process_.running(); }
  [[nodiscard]] std::filesystem::path data() const { return directory_.path() / "data"; }
  [[nodiscard]] std::string log() const {
    std::ifstream in{directory_.path() / "log"};
    return {std::istreambuf_iterator<char>{in}, {}};
  }

  /// A connection by the Unix socket. Throws where the server is down.
  [[nodiscard]] Cli connect() const { return Cli{connect_to(path())}; }

  /// SIGKILL; returns when it is gone. Its data stays.
  void kill() { process_.kill(); }
  /// Waits for it to end by itself, as it does when it cannot write.
  std::optional<Exit> wait(Deadline deadline = within(patience)) { return process_.wait(deadline); }
  /// SIGSTOP and SIGCONT: it is there, the system takes connections and bytes for it, and nothing answers.
  void pause() { process_.pause(); }
  void resume() { process_.resume(); }

  /// Starts it again on the same port, where it does not run, with what it had written; returns when it answers.
  void start() {
    start_without_waiting();
    if (!comes_up(within(patience))) {
      fail("redis-server does not start again:\n" + log());
    }
  }
  /// The same, and does not wait: at first there is nobody at the port, then it may be LOADING.
  void start_without_waiting() {
    std::filesystem::create_directories(data());
    std::ofstream out{directory_.path() / "conf"};
    out << "bind 127.0.0.1\nport " << port_ << "\nunixsocket " << path() << "\ndir " << data().string() << "\nsave \"\"\nenable-debug-command yes\n";
    for (const std::string& line : config_) {
      out << line << '\n';
    }
    out.close();
    process_.start({{"redis-server", (directory_.path() / "conf").string()}, environment_, (directory_.path() / "log").string()});
  }
  /// Kills it and starts it with what it had written: everything with appendonly, else nothing.
  void restart() {
    kill();
    start();
  }
  /// Kills it and starts it without any data.
  void restart_empty() {
    kill();
    std::filesystem::remove_all(data());
    start();
  }
  /// Further lines of configuration, from the next start on; a later line wins.
  void configure(std::string line) { config_.push_back(std::move(line)); }

 private:
  [[nodiscard]] bool answers() const {
    Fd socket = connect_to(port_);
    try {
      // A password or a lack of permission is an answer, too; only LOADING is not yet one.
      return socket && !Cli{std::move(socket)}({"PING"}).text.starts_with("LOADING");
    } catch (const std::runtime_error&) {  // it ended meanwhile
      return false;
    }
  }
  bool comes_up(Deadline deadline) {
    while (std::chrono::steady_clock::now() < deadline) {
      if (answers()) {
        return true;
      }
      // Nothing tells when a port will be listened on; what ends this wait early is the end of the process.
      if (process_.wait(within(std::chrono::milliseconds{2}))) {
        return false;
      }
    }
    return false;
  }

  TempDir directory_;
  std::vector<std::string> config_;
  std::vector<std::pair<std::string, std::string>> environment_;
  int port_ = 0;
  Process process_;
};

/// One command on a connection of its own: CHECK(cli(server, {"XLEN", "s"}) == "2").
inline Reply cli(const RedisServer& server, const std::vector<std::string_view>& words) { return server.connect()(words); }

}  // namespace pulse_test
