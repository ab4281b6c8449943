// SPDX-License-Identifier: MIT
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "io.hpp"

namespace pulse_test {

/// Counts the whole values in a stream of RESP: commands one way, replies the other.
class RespCounter {
 public:
  /// Takes the next bytes of the stream.
  void feed(std::string_view bytes) {
    while (!bytes.empty()) {
      if (skip_ > 0) {
        const std::size_t passed = std::min(skip_, bytes.size());
        bytes.remove_prefix(passed);
        skip_ -= passed;
        if (skip_ == 0) {
          ended();
        }
        continue;
      }
      line_ += bytes.front();
      bytes.remove_prefix(1);
      if (line_.back() != '\n') {
        continue;
      }
      const long long number = std::atoll(line_.c_str() + 1);
      const char kind = line_.front();
      line_.clear();
      if (kind == '$' && number >= 0) {
        skip_ = static_cast<std::size_t>(number) + 2;
        continue;
      }
      left_ += kind == '*' && number > 0 ? static_cast<std::size_t>(number) : 0;
      ended();
    }
  }
  [[nodiscard]] std::size_t whole() const noexcept { return whole_; }

 private:
  void ended() {
    if (--left_ == 0) {
      left_ = 1;
      ++whole_;
    }
  }
  std::string line_;
  std::size_t skip_ = 0;  ///< bytes of a text and its end still to come
  std::size_t left_ = 1;  ///< values still to come of this one
  std::size_t whole_ = 0;
};

/// A TCP proxy on a thread of its own between a client and a server on a loopback port, that does what networks do. Each change holds for all
/// connections, present and to come, and has happened when its call returns. Thread safety: all of it.
class FaultProxy {
 public:
  enum class Cut { close, reset };  ///< FIN, or RST as of a host that was started anew
  struct Counts {
    std::size_t connections = 0;  ///< that were taken
    std::size_t open = 0;         ///< of these, now
    std::size_t commands = 0;     ///< whole ones that came from clients, dropped ones too; so for the rest
    std::size_t replies = 0;
    std::size_t bytes_up = 0;    ///< to the server
    std::size_t bytes_down = 0;  ///< to clients
  };

  explicit FaultProxy(int upstream) : upstream_(upstream), port_(free_port()) {
    listen();
    thread_ = std::thread{[this] { run(); }};
  }
  FaultProxy(const FaultProxy&) = delete;
  FaultProxy& operator=(const FaultProxy&) = delete;
  ~FaultProxy() {
    change([this] { stop_ = true; });
    thread_.join();
  }

  [[nodiscard]] int port() const noexcept { return port_; }
  [[nodiscard]] std::string url(int db = 0) const { return "redis://127.0.0.1:" + std::to_string(port_) + (db == 0 ? "" : '/' + std::to_string(db)); }

  /// No faults from now on. A connection of which bytes were dropped stays dead.
  void pass() {
    change([this] {
      faults_ = {};
      listen();
    });
  }
  /// Replies come this much later.
  void delay(std::chrono::microseconds time) {
    change([=, this] { faults_.delay = time; });
  }
  /// At most `bytes` at once, both ways, with a pause between, so that the other side reads them one by one.
  void split(std::size_t bytes, std::chrono::microseconds pause = std::chrono::microseconds{200}) {
    change([=, this] {
      faults_.piece = bytes;
      faults_.pause = pause;
    });
  }
  /// After `bytes` more bytes of replies the connection that would get the next is cut, once. 0: a reply comes, and is lost.
  void cut_after(std::size_t bytes, Cut how = Cut::close) {
    change([=, this] {
      faults_.cut_after = bytes;
      faults_.how = how;
    });
  }
  /// The server gets, and does, what is asked; its replies vanish.
  void drop_replies() {
    change([this] { faults_.drop_down = true; });
  }
  /// Half-open: connections are taken, and nothing goes either way.
  void drop_all() {
    change([this] { faults_.drop_up = faults_.drop_down = true; });
  }
  /// Nobody listens. Connections that are there stay.
  void refuse() {
    change([this] { listener_.reset(); });
  }
  /// Cuts all connections.
  void cut(Cut how = Cut::close) {
    change([=, this] {
      for (Link& link : links_) {
        hang_up(link, how);
      }
    });
  }
  /// Another server's port for the connections to come.
  void redirect(int upstream) {
    change([=, this] { upstream_ = upstream; });
  }

  [[nodiscard]] Counts counts() const {
    const std::lock_guard lock{mutex_};
    return counts_;
  }
  /// Waits until `done(counts)`. false: it was not so at the deadline.
  template <class Done>
  [[nodiscard]] bool wait(Done done, Deadline deadline = within(patience)) const {
    std::unique_lock lock{mutex_};
    return changed_.wait_until(lock, deadline, [&] { return done(counts_); });
  }

 private:
  struct Faults {
    std::chrono::microseconds delay{0};
    std::size_t piece = 0;  ///< 0: whole
    std::chrono::microseconds pause{0};
    std::optional<std::size_t> cut_after{};
    Cut how = Cut::close;
    bool drop_up = false;
    bool drop_down = false;
  };
  struct Piece {
    Deadline due;
    std::string bytes;
  };
  struct Way {
    std::deque<Piece> pieces{};
    std::size_t queued = 0;
    bool ended = false;  ///< where its bytes come from, none will come any more
    bool dead = false;   ///< some of its bytes were dropped: a stream with a hole may not go on
    RespCounter counter{};
    std::size_t counted = 0;
  };
  struct Link {
    Fd client;
    Fd server;
    Way up{};
    Way down{};
    std::optional<Cut> cut{};  ///< once what is queued for the client is out
    bool over = false;
  };
  static constexpr std::size_t most_queued = std::size_t{1} << 20;

  /// Lets the thread do it, and waits until it is done.
  void change(std::function<void()> what) {
    std::unique_lock lock{mutex_};
    jobs_.push_back(std::move(what));
    const std::size_t mine = ++asked_;
    (void)!::write(waker_.in.get(), "", 1);
    changed_.wait(lock, [&] { return done_ >= mine; });
  }

  void listen() {
    if (!listener_) {
      listener_ = bind_to(port_);
      if (!listener_ || ::listen(listener_.get(), 512) != 0) {
        fail_errno("listen at port " + std::to_string(port_));
      }
    }
  }

  void run() {
    std::vector<pollfd> polled;
    while (!stop_) {
      polled.clear();
      polled.push_back({waker_.out.get(), POLLIN, 0});
      polled.push_back({listener_ ? listener_.get() : -1, POLLIN, 0});
      const Deadline now = std::chrono::steady_clock::now();
      Deadline next = now + std::chrono::hours{1};
      for (const Link& link : links_) {
        polled.push_back({link.client.get(), events(link.up, link.down, now, next), 0});
        polled.push_back({link.server.get(), events(link.down, link.up, now, next), 0});
      }
      const auto wait = std::chrono::duration_cast<std::chrono::nanoseconds>(std::max(next - now, Deadline::duration{0}));
      const timespec timeout{static_cast<time_t>(wait.count() / 1'000'000'000), static_cast<long>(wait.count() % 1'000'000'000)};
      (void)::ppoll(polled.data(), polled.size(), &timeout, nullptr);
      std::size_t at = 2;
      for (Link& link : links_) {
        const short client = polled[at++].revents;
        const short server = polled[at++].revents;
        if (client != 0) {
          take(link, link.client, link.up, true);
        }
        if (server != 0) {
          take(link, link.server, link.down, false);
        }
        give(link, link.server, link.up);
        give(link, link.client, link.down);
        if (link.cut && link.down.pieces.empty()) {
          hang_up(link, *link.cut);
        } else if ((link.up.ended && link.up.pieces.empty()) || (link.down.ended && link.down.pieces.empty())) {
          link.over = true;
        }
      }
      if (polled[1].revents != 0) {
        accept();
      }
      const bool asked = polled[0].revents != 0;
      const std::lock_guard lock{mutex_};
      if (asked) {
        char drained[64];
        (void)!::read(waker_.out.get(), drained, sizeof drained);
        for (; !jobs_.empty(); jobs_.pop_front(), ++done_) {
          jobs_.front()();
        }
      }
      links_.remove_if([](const Link& link) { return link.over; });
      counts_.open = links_.size();
      changed_.notify_all();
    }
  }

  /// What to poll a socket for: to read from it into `from`, and to write to it what is due in `to`.
  static short events(const Way& from, const Way& to, Deadline now, Deadline& next) {
    short wanted = 0;
    if (!from.ended && from.queued < most_queued) {
      wanted |= POLLIN;
    }
    if (!to.pieces.empty()) {
      if (to.pieces.front().due <= now) {
        wanted |= POLLOUT;
      } else {
        next = std::min(next, to.pieces.front().due);
      }
    }
    return wanted;
  }

  void accept() {
    Fd client{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
    if (!client) {
      return;
    }
    const int on = 1;
    ::setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Link link{std::move(client), connect_to(upstream_)};
    {
      const std::lock_guard lock{mutex_};
      ++counts_.connections;
    }
    if (link.server) {
      links_.push_back(std::move(link));
    } else {
      hang_up(link, Cut::reset);
    }
  }

  void take(Link& link, const Fd& from, Way& way, bool upwards) {
    char bytes[65536];
    const ssize_t got = ::recv(from.get(), bytes, sizeof bytes, MSG_DONTWAIT);
    if (got <= 0) {
      way.ended = way.ended || got == 0 || errno != EAGAIN;
      return;
    }
    std::string_view rest{bytes, static_cast<std::size_t>(got)};
    way.counter.feed(rest);
    {
      const std::lock_guard lock{mutex_};
      (upwards ? counts_.bytes_up : counts_.bytes_down) += rest.size();
      (upwards ? counts_.commands : counts_.replies) += way.counter.whole() - std::exchange(way.counted, way.counter.whole());
    }
    way.dead = way.dead || link.cut || (upwards ? faults_.drop_up : faults_.drop_down);
    if (way.dead) {
      return;
    }
    if (!upwards && faults_.cut_after) {
      const std::size_t passed = std::min(*faults_.cut_after, rest.size());
      *faults_.cut_after -= passed;
      if (passed < rest.size()) {
        rest = rest.substr(0, passed);
        link.cut = faults_.how;
        faults_.cut_after.reset();
      }
    }
    while (!rest.empty()) {
      const std::string_view piece = rest.substr(0, faults_.piece == 0 ? rest.size() : faults_.piece);
      const Deadline soonest = std::chrono::steady_clock::now() + (upwards ? std::chrono::microseconds{0} : faults_.delay);
      const Deadline due = way.pieces.empty() ? soonest : std::max(soonest, way.pieces.back().due + faults_.pause);
      way.pieces.push_back({due, std::string(piece)});
      way.queued += piece.size();
      rest.remove_prefix(piece.size());
    }
  }

  void give(Link& link, const Fd& to, Way& way) {
    while (!way.pieces.empty() && way.pieces.front().due <= std::chrono::steady_clock::now()) {
      std::string& bytes = way.pieces.front().bytes;
      const ssize_t wrote = ::send(to.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (wrote < 0) {
        link.over = link.over || errno != EAGAIN;
        return;
      }
      way.queued -= static_cast<std::size_t>(wrote);
      bytes.erase(0, static_cast<std::size_t>(wrote));
      if (!bytes.empty()) {
        return;
      }
      way.pieces.pop_front();
    }
  }

  static void hang_up(Link& link, Cut how) {
    if (how == Cut::reset) {
      const linger now{1, 0};
      ::setsockopt(link.client.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    link.client.reset();
    link.server.reset();
    link.over = true;
  }

  int upstream_;
  const int port_;
  Fd listener_;
  Faults faults_;
  std::list<Link> links_;
  bool stop_ = false;
  Pipe waker_;
  mutable std::mutex mutex_;  ///< of what follows; the rest is the thread's
  mutable std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  std::size_t asked_ = 0;
  std::size_t done_ = 0;
  Counts counts_;
  std::thread thread_;
};

}  // namespace pulse_test
