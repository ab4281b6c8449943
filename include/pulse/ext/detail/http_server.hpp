// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "pulse/core/error.hpp"
#include "pulse/core/printable.hpp"

namespace pulse::inline v0_1 {

/// Where the endpoint listens, and its bounds.
struct HttpOptions {
  std::string address = "127.0.0.1";        ///< a numeric address of this machine; 0.0.0.0 and :: are all of them: there is neither TLS nor a password
  std::uint16_t port = 9464;                ///< 0: a free one, which port() tells
  std::size_t connections = 16;             ///< at a time, 1 to 1024; one more takes the place of the oldest that has not asked yet, or has its answer
  std::chrono::milliseconds timeout{5000};  ///< for a whole request and its answer, 1 ms to a minute; a second more to close
  std::size_t request_bytes = 8192;         ///< of a request with its headers, 256 to 65536
};

/// What is answered on a path.
struct HttpPage {
  static constexpr std::string_view plain = "text/plain; charset=utf-8";
  unsigned status = 200;
  std::string_view type = plain;
  std::string body{};
};

namespace detail {

namespace asio = boost::asio;
namespace http = boost::beast::http;

/// What one HttpEndpoint has running, all of it on one thread.
class HttpServer {
 public:
  using Answer = std::function<HttpPage(std::string_view path)>;

  HttpServer(const HttpOptions& options, Answer answer) : options_(options), answer_(std::move(answer)) {}
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer() {
    ending_ = true;
    io_.stop();
    if (thread_.joinable()) {
      thread_.join();
    }
  }

  Status start() {
    if (options_.connections < 1 || options_.connections > 1024) {
      return Error{ErrorCode::config, "HttpOptions.connections is " + std::to_string(options_.connections) + ": allowed are 1 to 1024"};
    }
    if (options_.timeout.count() < 1 || options_.timeout > std::chrono::minutes{1}) {
      return Error{ErrorCode::config, "HttpOptions.timeout is " + std::to_string(options_.timeout.count()) + " ms: allowed are 1 ms to a minute"};
    }
    if (options_.request_bytes < 256 || options_.request_bytes > 65536) {
      return Error{ErrorCode::config, "HttpOptions.request_bytes is " + std::to_string(options_.request_bytes) + ": allowed are 256 to 65536"};
    }
    boost::system::error_code error;
    const auto failed = [&](const char* what) {
      return Error{ErrorCode::unavailable, std::string(what) + " " + options_.address + ", port " + std::to_string(options_.port) + ": " + error.message()};
    };
    const auto address = asio::ip::make_address(options_.address, error);
    if (error) {
      return Error{ErrorCode::config, "HttpOptions.address is " + shown(options_.address) + ": allowed is a numeric address, as 127.0.0.1 or ::1"};
    }
    const asio::ip::tcp::endpoint where{address, options_.port};
    (void)acceptor_.open(where.protocol(), error);
    if (error) {
      return failed("cannot open a socket for");
    }
    close_on_exec(acceptor_);
    (void)acceptor_.set_option(asio::socket_base::reuse_address(true), error);  // the port of an endpoint that just stopped; never that of a living one
    (void)acceptor_.bind(where, error);
    if (!error) {
      (void)acceptor_.listen(static_cast<int>(options_.connections), error);
    }
    if (error) {
      return failed("cannot listen on");
    }
    port_ = acceptor_.local_endpoint().port();
    sessions_.reserve(options_.connections);  // no session begins that has no place there
    admit();
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error& refused) {
      return Error{ErrorCode::unavailable, std::string("cannot start the endpoint's thread: ") + refused.what()};
    }
    return {};
  }

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

 private:
  /// A connection: one request, one answer. It lives as long as an operation on it does, and no longer than the timeout and the one for its close.
  class Session : public std::enable_shared_from_this<Session> {
   public:
    Session(HttpServer& server, asio::ip::tcp::socket socket) : server_(server), stream_(std::move(socket)), buffer_(server.options_.request_bytes) {
      parser_.body_limit(0);
      parser_.header_limit(static_cast<std::uint32_t>(server.options_.request_bytes));
      server_.sessions_.push_back(this);
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session() { server_.ended(this); }

    /// Whether nobody loses an answer when it is closed.
    [[nodiscard]] bool idle() const noexcept { return idle_; }
    void close() { stream_.close(); }

    void begin() {
      stream_.expires_after(server_.options_.timeout);  // for all that follows
      http::async_read_header(stream_, buffer_, parser_, [self = shared_from_this()](boost::system::error_code error, std::size_t) { self->answer(error); });
    }

   private:
    void answer(boost::system::error_code error) {
      HttpPage page;
      if (error == http::error::header_limit || error == http::error::buffer_overflow) {
        page = {431, HttpPage::plain, "the request is too large\n"};
      } else if (error == http::error::body_limit) {
        page = {413, HttpPage::plain, "no request here has a body\n"};
      } else if (error.category() == http::make_error_code(http::error::bad_method).category() && error != http::error::end_of_stream &&
                 error != http::error::partial_message) {
        page = {400, HttpPage::plain, "this is no HTTP request\n"};
      } else if (error) {
        return;  // gone, or too slow
      } else if (parser_.get().method() != http::verb::get && parser_.get().method() != http::verb::head) {
        page = {405, HttpPage::plain, "GET and HEAD only\n"};
        response_.set(http::field::allow, "GET, HEAD");
      } else {
        page = server_.page(parser_.get().target());
      }
      idle_ = false;
      response_.result(page.status);
      response_.set(http::field::content_type, page.type);
      response_.set(http::field::cache_control, "no-store");
      response_.keep_alive(false);
      response_.content_length(page.body.size());
      if (parser_.get().method() != http::verb::head) {
        response_.body() = std::move(page.body);
      }
      http::async_write(stream_, response_, [self = shared_from_this()](boost::system::error_code failed, std::size_t) {
        if (!failed) {
          (void)self->stream_.socket().shutdown(asio::socket_base::shutdown_send, failed);
          self->stream_.expires_after(longest_drain);
          self->drain();
          self->idle_ = true;
          self->server_.admit();
        }
      });
    }

    /// Reads on until the client has closed: a socket closed on bytes not read would take the answer back from a client that is slow to read it.
    void drain() {
      buffer_.clear();
      stream_.async_read_some(buffer_.prepare(std::min<std::size_t>(buffer_.max_size(), 4096)),
                              [self = shared_from_this()](boost::system::error_code error, std::size_t size) {
                                self->drained_ += size;
                                if (!error && self->drained_ <= largest_drained) {
                                  self->drain();
                                }
                              });
    }

    static constexpr std::size_t largest_drained = 1 << 20;
    static constexpr std::chrono::seconds longest_drain{1};

    HttpServer& server_;
    boost::beast::tcp_stream stream_;
    boost::beast::flat_buffer buffer_;
    http::request_parser<http::empty_body> parser_;
    http::response<http::string_body> response_;
    std::size_t drained_ = 0;
    bool idle_ = true;
  };

  void run() noexcept {
    while (true) {
      io_.restart();
      if (ending_) {  // looked at after the restart, which would undo the stop that follows it
        return;
      }
      try {
        if (again_) {
          io_.run_for(std::chrono::milliseconds{100});
          again_ = false;
          admit();
        } else {
          io_.run();
        }
      } catch (...) {
        continue;  // no memory for an answer: its connection is gone, the others go on
      }
    }
  }

  /// Begins with who waits, where there is room for him or can be made, and waits for the next. What fails for want of memory or of
  /// descriptors is left to `run`, which tries it again.
  void admit() noexcept {
    if (ending_) {
      return;
    }
    try {
      if (waiting_.is_open() && make_room()) {
        std::make_shared<Session>(*this, std::move(waiting_))->begin();
      }
      if (!waiting_.is_open() && !accepting_) {
        acceptor_.async_accept([this](boost::system::error_code error, asio::ip::tcp::socket socket) {
          accepting_ = false;
          if (error) {
            return later();
          }
          close_on_exec(socket);
          waiting_ = std::move(socket);
          admit();
        });
        accepting_ = true;
      }
    } catch (...) {
      later();
    }
  }

  /// Not at once: what is wanting would be wanting still.
  void later() noexcept {
    again_ = true;
    io_.stop();
  }

  /// Closes the oldest idle session where all places are taken: clients that connect and say nothing must not keep a probe from its answer.
  bool make_room() {
    if (sessions_.size() < options_.connections) {
      return true;
    }
    const auto oldest = std::find_if(sessions_.begin(), sessions_.end(), [](const Session* session) { return session->idle(); });
    if (oldest == sessions_.end()) {
      return false;
    }
    (*oldest)->close();
    sessions_.erase(oldest);
    return true;
  }

  void ended(const Session* session) noexcept {
    std::erase(sessions_, session);
    admit();
  }

  HttpPage page(std::string_view target) const {
    try {
      return answer_(target.substr(0, target.find('?')));
    } catch (const std::exception& exception) {
      return {500, HttpPage::plain, std::string(exception.what()) + '\n'};
    } catch (...) {
      return {500, HttpPage::plain, "an exception that is no std::exception\n"};
    }
  }

  template <class Socket>
  static void close_on_exec(Socket& socket) {
    ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
  }

  const HttpOptions options_;
  Answer answer_;
  std::atomic<bool> ending_{false};
  std::vector<Session*> sessions_;  // the oldest first; before io_, whose end ends them
  bool accepting_ = false;
  bool again_ = false;
  std::uint16_t port_ = 0;
  asio::io_context io_{1};
  asio::ip::tcp::acceptor acceptor_{io_};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  asio::ip::tcp::socket waiting_{io_};  // accepted, and no place is free yet
  std::thread thread_;
};

}  // namespace detail

}  // namespace pulse::inline v0_1
