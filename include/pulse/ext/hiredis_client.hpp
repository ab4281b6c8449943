// SPDX-License-Identifier: MIT
#pragma once

#include <hiredis/hiredis.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/concept/redis_client.hpp"
#include "pulse/redis/wire.hpp"

namespace pulse::inline v0_1 {

/// Bounds of a HiredisClient.
struct HiredisClientOptions {
  /// The most bytes that replies may take between two releases; beyond, the connection is closed with a capacity error.
  std::size_t max_bytes = std::size_t{1} << 28;
};

/// A Redis client whose replies are read by libhiredis (0.14 or 1.x; link with it), for those who have it and trust it. Of hiredis it takes
/// the reader alone, with functions of its own in place of those that make a tree of small allocations: values go into the row of replies, and
/// texts, which the reader moves about, are copied into memory that is used again. Connecting, deadlines and interrupts are Pulse's: hiredis
/// waits where nobody can end it, and its writes raise SIGPIPE. No TLS; arrays up to 8 deep. Contract: concept/redis_client.hpp
///
/// Memory: hiredis's buffer of the largest reply, and the texts. Thread safety: `interrupt` is any thread's, the rest is one's.
class HiredisClient {
 public:
  explicit HiredisClient(const RedisUrl& url, HiredisClientOptions options = {}) : wire_(url), options_(options) {}
  HiredisClient(const HiredisClient&) = delete;  // its reader knows its address
  HiredisClient& operator=(const HiredisClient&) = delete;

  Status connect(SteadyTime deadline) {
    close();
    if (Status made = wire_.connect(deadline, "HiredisClient"); !made) {
      return made;
    }
    static auto functions = functions_of<redisReplyObjectFunctions>();
    reader_.reset(::redisReaderCreateWithFunctions(&functions));
    if (!reader_) {
      return wire_.lost("hiredis has no memory for its reader");
    }
    reader_->privdata = this;
    reader_->maxbuf = 0;  // its buffer stays as large as it was needed, instead of being freed whenever it is empty
    return {};
  }

  void append(std::span<const std::string_view> words) { wire_.append(words); }
  Status flush(SteadyTime deadline) {
    Status written = wire_.flush(deadline);
    if (!written) {
      close();
    }
    return written;
  }

  Result<bool> read(RedisReplies& replies, SteadyTime deadline) {
    const std::size_t first = replies.size();
    if (!reader_) {
      return wire_.closed();
    }
    into_ = &replies;
    for (const ReplyNode& node : std::as_const(begun_)) {  // what an interrupt left of a reply
      add(node);
    }
    begun_.clear();
    while (true) {
      void* done = nullptr;
      refused_ = Refused::no;
      if (::redisReaderGetReply(reader_.get(), &done) != REDIS_OK || announces_too_much()) {
        return end(first, refusal());
      }
      if (done != nullptr) {
        return true;
      }
      if (reader_->len + used_ > options_.max_bytes) {
        return end(first, wire_.over_bound(options_.max_bytes));
      }
      const ssize_t got = ::recv(wire_.fd(), chunk_, sizeof chunk_, 0);
      if (got > 0) {
        if (::redisReaderFeed(reader_.get(), chunk_, static_cast<std::size_t>(got)) != REDIS_OK) {
          return end(first, wire_.over_bound(options_.max_bytes));
        }
        continue;
      }
      if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        return end(first, wire_.lost(got == 0 ? "the server closed the connection" : detail::system_error_text(errno)));
      }
      switch (errno == EINTR ? detail::Waited::ready : wire_.wait(deadline)) {
        case detail::Waited::ready: break;
        case detail::Waited::timed_out: return end(first, wire_.lost("no reply in time"));
        case detail::Waited::interrupted:
          begun_.assign(replies.nodes().begin() + static_cast<std::ptrdiff_t>(first), replies.nodes().end());
          replies.truncate(first);
          return false;
      }
    }
  }

  void release() {
    if (!begun_.empty()) {  // its texts stay
      std::vector<std::unique_ptr<char[]>> old = std::exchange(texts_, {});
      room_ = used_ = size_ = 0;
      for (ReplyNode& node : begun_) {
        if (node.kind == ReplyKind::text || node.kind == ReplyKind::error) {
          node.text = keep({node.text, node.size});
        }
      }
      return;
    }
    if (texts_.size() > 1) {
      texts_.erase(texts_.begin(), texts_.end() - 1);  // the last is the largest
    }
    at_ = texts_.empty() ? nullptr : texts_.back().get();
    room_ = texts_.empty() ? 0 : size_;
    used_ = 0;
  }

  void interrupt() noexcept { wire_.interrupt(); }
  /// hiredis keeps up to 1 KiB of what it has read.
  [[nodiscard]] std::size_t largest_reply() const noexcept { return options_.max_bytes > 1024 ? options_.max_bytes - 1024 : 1; }
  [[nodiscard]] int descriptor() const noexcept { return wire_ ? wire_.fd() : -1; }

  void close() noexcept {
    wire_.close();
    reader_.reset();
    begun_.clear();
  }

 private:
  enum class Refused : std::uint8_t { no, form, size };
  static constexpr std::size_t max_values = std::size_t{1} << 24;
  static constexpr int max_depth = 8;

  struct FreeReader {
    void operator()(redisReader* reader) const noexcept { ::redisReaderFree(reader); }
  };

  /// The functions that hiredis calls for each value; what they return stands for the whole reply, nothing makes hiredis give up. A template,
  /// because 1.x has more of them than 0.14.
  template <class Functions>
  static Functions functions_of() {
    Functions made{};
    made.createString = [](const redisReadTask* task, char* text, std::size_t size) -> void* { return self(task).take_text(task->type, {text, size}); };
    made.createArray = [](const redisReadTask* task, auto elements) -> void* {
      return task->type == REDIS_REPLY_ARRAY ? self(task).take_array(static_cast<std::size_t>(elements)) : self(task).refuse(Refused::form);
    };
    made.createInteger = [](const redisReadTask* task, long long number) -> void* {
      self(task).into_->integer(number);
      return task->privdata;
    };
    made.createNil = [](const redisReadTask* task) -> void* {
      self(task).into_->nil();
      return task->privdata;
    };
    made.freeObject = [](void*) {};
    if constexpr (requires { made.createDouble; }) {  // RESP3, for which nobody asked
      made.createDouble = [](const redisReadTask* task, double, char*, std::size_t) -> void* { return self(task).refuse(Refused::form); };
      made.createBool = [](const redisReadTask* task, int) -> void* { return self(task).refuse(Refused::form); };
    }
    return made;
  }
  static HiredisClient& self(const redisReadTask* task) noexcept { return *static_cast<HiredisClient*>(task->privdata); }

  void* refuse(Refused why) noexcept {
    refused_ = why;
    return nullptr;
  }
  void* take_text(int type, std::string_view text) {
    // hiredis does not look at what ends a text.
    if (text.data()[text.size()] != '\r' || text.data()[text.size() + 1] != '\n' ||
        (type != REDIS_REPLY_STRING && type != REDIS_REPLY_STATUS && type != REDIS_REPLY_ERROR)) {
      return refuse(Refused::form);
    }
    if (used_ + text.size() > options_.max_bytes) {
      return refuse(Refused::size);
    }
    const std::string_view kept{keep(text), text.size()};
    type == REDIS_REPLY_ERROR ? into_->error(kept) : into_->text(kept);
    return this;
  }
  void* take_array(std::size_t elements) {
    values_ = reader_->ridx == 0 ? elements : values_ + elements;
    if (elements > max_values || values_ > max_values) {
      return refuse(Refused::size);
    }
    if (reader_->ridx >= max_depth) {  // 0.14 refuses it by itself; 1.x would allocate for each level
      return refuse(Refused::form);
    }
    into_->array(static_cast<std::uint32_t>(elements));
    return this;
  }

  /// Copies a text to where it stays until `release`.
  const char* keep(std::string_view text) {
    if (room_ < text.size()) {
      size_ = std::max({text.size(), size_ * 2, std::size_t{64} * 1024});
      texts_.emplace_back(new char[size_]);  // not make_unique: it would write zeros first
      at_ = texts_.back().get();
      room_ = size_;
    }
    if (!text.empty()) {
      std::memcpy(at_, text.data(), text.size());
    }
    at_ += text.size();
    room_ -= text.size();
    used_ += text.size();
    return at_ - text.size();
  }

  void add(const ReplyNode& node) {
    switch (node.kind) {
      case ReplyKind::nil: return into_->nil();
      case ReplyKind::integer: return into_->integer(node.integer);
      case ReplyKind::text: return into_->text({node.text, node.size});
      case ReplyKind::error: return into_->error({node.text, node.size});
      case ReplyKind::array: return into_->array(node.size);
    }
  }

  /// Whether the text that hiredis waits for is larger than what it may be: it would take all of it first.
  bool announces_too_much() noexcept {
#if HIREDIS_MAJOR >= 1
    const bool waits = reader_->ridx >= 0 && reader_->task[reader_->ridx]->type == REDIS_REPLY_STRING;
#else
    const bool waits = reader_->ridx >= 0 && reader_->rstack[reader_->ridx].type == REDIS_REPLY_STRING;
#endif
    std::size_t size = 0;
    for (std::size_t at = reader_->pos; waits && at < reader_->len && reader_->buf[at] >= '0' && reader_->buf[at] <= '9' && size <= options_.max_bytes; ++at) {
      size = size * 10 + static_cast<std::size_t>(reader_->buf[at] - '0');
    }
    if (size > options_.max_bytes) {
      refused_ = Refused::size;
    }
    return size > options_.max_bytes;
  }

  [[nodiscard]] Error refusal() const {
    if (refused_ == Refused::size || (refused_ == Refused::no && reader_->err == REDIS_ERR_OOM)) {
      return wire_.over_bound(options_.max_bytes);
    }
    return Error{ErrorCode::protocol,
                 wire_.url().address() + " answers what is no Redis reply: " +
                     (refused_ == Refused::form ? "a text that does not end, a type that nobody asked for, or arrays nested too deep" : reader_->errstr)};
  }
  Error end(std::size_t first, Error error) {
    into_->truncate(first);
    close();
    return error;
  }

  detail::RedisWire wire_;
  HiredisClientOptions options_;
  std::unique_ptr<redisReader, FreeReader> reader_;
  RedisReplies* into_ = nullptr;  ///< where values go, during a read
  std::vector<ReplyNode> begun_;  ///< of a reply that was interrupted
  std::size_t values_ = 0;        ///< elements announced in the reply
  Refused refused_ = Refused::no;
  std::vector<std::unique_ptr<char[]>> texts_;  ///< the last is where the next text goes
  std::size_t size_ = 0;                        ///< of that
  char* at_ = nullptr;
  std::size_t room_ = 0;
  std::size_t used_ = 0;  ///< bytes of texts since the last release
  char chunk_[64 * 1024];
};

}  // namespace pulse::inline v0_1
