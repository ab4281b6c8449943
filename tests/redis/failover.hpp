// SPDX-License-Identifier: MIT
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <thread>

#include "../support/fault_proxy.hpp"
#include "../support/redis_server.hpp"

namespace pulse_test {

/// A server, a replica that will take its place, and the one address by which clients know whoever is in charge. One thread.
struct Failover {
  RedisServer old{"repl-diskless-sync-delay 0"};
  RedisServer heir{"repl-diskless-sync-delay 0"};
  FaultProxy address{old.port()};

  Failover() {
    CHECK(cli(heir, {"REPLICAOF", "127.0.0.1", std::to_string(old.port())}) == "OK");
    for (const auto deadline = within(patience); cli(heir, {"INFO", "replication"}).text.find("master_link_status:up") == std::string::npos;) {
      if (std::chrono::steady_clock::now() > deadline) {
        fail("the replica does not follow:\n" + heir.log());
      }
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
  }

  /// The heir has all that the old one was told so far.
  void keep_up() {
    Cli master = old.connect();
    (void)master({"SET", "mark", "x"});
    CHECK(master({"WAIT", "1", "30000"}) == "1");
  }
  /// What the old server is told from here on, the heir does not hear of. It may already be written to.
  void part() {
    keep_up();
    CHECK(cli(heir, {"REPLICAOF", "NO", "ONE"}) == "OK");
  }
  /// The old one dies, and the address is the heir's.
  void fall() {
    old.kill();
    address.redirect(heir.port());
    address.cut();
  }
};

}  // namespace pulse_test
