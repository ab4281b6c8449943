// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
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
#include <thread>
#include <utility>

#include "pulse/core/error.hpp"

namespace pulse::inline v0_1 {

/// Where the endpoint listens, and its bounds.
struct HttpOptions {
  std::string address = "127.0.0.1";        ///< a numeric address of this machine; 0.0.0.0 and :: are all of them: there is neither TLS nor a password
  std::uint16_t port = 9464;                ///< 0: a free one, which port() tells
  std::size_t connections = 16;             ///< at a time, 1 to 1024; more wait in the system's queue until one ends
  std::chrono::milliseconds timeout{5000};  ///< for a whole request and its answer, 1 ms to a minute
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
      return Error{ErrorCode::config, "HttpOptions.address is \"" + options_.address + "\": allowed is a numeric address, as 127.0.0.1 or ::1"};
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
    accept();
    thread_ = std::thread([this] { run(); });
    return {};
  }

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

 private:
  /// A connection: one request, one answer. It lives as long as an operation on it does, and no longer than the timeout.
  class Session : public std::enable_shared_from_this<Session> {
   public:
    Session(HttpServer& server, asio::ip::tcp::socket socket) : server_(server), stream_(std::move(socket)), buffer_(server.options_.request_bytes) {
      ++server_.open_;
      parser_.body_limit(0);
      parser_.header_limit(static_cast<std::uint32_t>(server.options_.request_bytes));
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session() { server_.ended(); }

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
          self->drain();
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

    HttpServer& server_;
    boost::beast::tcp_stream stream_;
    boost::beast::flat_buffer buffer_;
    http::request_parser<http::empty_body> parser_;
    http::response<http::string_body> response_;
    std::size_t drained_ = 0;
  };

  void run() {
    while (!ending_) {
      try {
        io_.run();
        return;
      } catch (...) {  // no memory for a connection: it is gone, the others go on
        accept();
      }
    }
  }

  void accept() {
    if (accepting_ || ending_ || open_ >= options_.connections) {
      return;
    }
    accepting_ = true;
    acceptor_.async_accept([this](boost::system::error_code error, asio::ip::tcp::socket socket) {
      accepting_ = false;
      if (error) {  // out of descriptors, say: not at once again
        retry_.expires_after(std::chrono::milliseconds{100});
        retry_.async_wait([this](boost::system::error_code) { accept(); });
        return;
      }
      close_on_exec(socket);
      std::make_shared<Session>(*this, std::move(socket))->begin();
      accept();
    });
  }

  void ended() {
    --open_;
    accept();
  }

  HttpPage page(std::string_view target) const noexcept {
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
  std::size_t open_ = 0;
  bool accepting_ = false;
  std::uint16_t port_ = 0;
  asio::io_context io_{1};
  asio::ip::tcp::acceptor acceptor_{io_};
  asio::steady_timer retry_{io_};
  std::thread thread_;
};

}  // namespace detail

}  // namespace pulse::inline v0_1
