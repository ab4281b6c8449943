// SPDX-License-Identifier: MIT
#pragma once

#include <hiredis/hiredis.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include <pulse/codec/json.hpp>

#include "../json_peers.hpp"
#include "workload.hpp"

/// Loops as they are written over hiredis. Each fills the same envelope and remembers the ids in an unordered_set.
namespace bench {

using Event = pulse::Envelope<pulse::FeedbackEvent>;

#ifdef PULSE_BENCH_NLOHMANN
struct NlohmannDecoder {
  void operator()(std::string_view data, Event& event) { from_nlohmann(data, event); }
};
#endif
#ifdef PULSE_BENCH_SIMDJSON
/// It reads beyond the end of a text: what hiredis gives is copied to where that is allowed.
struct SimdjsonDecoder {
  simdjson::ondemand::parser parser;
  std::string padded;
  void operator()(std::string_view data, Event& event) {
    if (padded.size() < data.size() + simdjson::SIMDJSON_PADDING) {
      padded.resize(data.size() + simdjson::SIMDJSON_PADDING);
    }
    std::memcpy(padded.data(), data.data(), data.size());
    from_simdjson_by_member(parser, simdjson::padded_string_view{padded.data(), data.size(), padded.size()}, event);
  }
};
#endif
struct OurDecoder {
  pulse::JsonCodec codec;
  pulse::DecodeError error;
  void operator()(std::string_view data, Event& event) { require(codec.decode(data, event, error) == pulse::DecodeResult::ok); }
};

using HiredisReply = std::unique_ptr<redisReply, decltype(&::freeReplyObject)>;

class Hiredis {
 public:
  explicit Hiredis(int port) : context_(::redisConnect("127.0.0.1", port), &::redisFree) { require(context_ && context_->err == 0, "no server"); }

  HiredisReply operator()(const std::vector<std::string_view>& words) {
    append(words);
    return next();
  }
  void append(const std::vector<std::string_view>& words) {
    texts_.clear();
    sizes_.clear();
    for (const std::string_view word : words) {
      texts_.push_back(word.data());
      sizes_.push_back(word.size());
    }
    ::redisAppendCommandArgv(context_.get(), static_cast<int>(words.size()), texts_.data(), sizes_.data());
  }
  void write() {
    int done = 0;
    while (done == 0) {
      require(::redisBufferWrite(context_.get(), &done) == REDIS_OK, "the connection is lost");
    }
  }
  HiredisReply next() {
    void* reply = nullptr;
    require(::redisGetReply(context_.get(), &reply) == REDIS_OK && static_cast<redisReply*>(reply)->type != REDIS_REPLY_ERROR, "the server refuses");
    return {static_cast<redisReply*>(reply), &::freeReplyObject};
  }

 private:
  std::unique_ptr<redisContext, decltype(&::redisFree)> context_;
  std::vector<const char*> texts_;
  std::vector<std::size_t> sizes_;
};

/// Calls `each(id, data)` for the entries of a read's reply.
template <class Each>
std::size_t each_entry(const redisReply& reply, Each each) {
  if (reply.type == REDIS_REPLY_NIL) {
    return 0;
  }
  const redisReply& entries = *reply.element[0]->element[1];
  for (std::size_t i = 0; i < entries.elements; ++i) {
    const redisReply& id = *entries.element[i]->element[0];
    const redisReply& fields = *entries.element[i]->element[1];
    for (std::size_t at = 0; at + 1 < fields.elements; at += 2) {
      if (std::string_view{fields.element[at]->str, fields.element[at]->len} == "data") {
        each(std::string_view{id.str, id.len}, std::string_view{fields.element[at + 1]->str, fields.element[at + 1]->len});
      }
    }
  }
  return entries.elements;
}

inline std::vector<std::string_view> read_words(const std::string& count) {
  return {"XREADGROUP", "GROUP", group, member, "COUNT", count, "BLOCK", "1000", "STREAMS", stream, ">"};
}

/// Read, handle, acknowledge: each step waits for the one before. `ack_each`: an XACK an entry, else one a batch.
template <class Decoder, bool ack_each>
std::uint64_t hiredis_loop(Workload& load, std::size_t messages, std::size_t count, Meter& meter) {
  Hiredis redis{load.server.port()};
  Decoder decode;
  Event event;
  std::unordered_set<std::string> seen;
  const std::string number = std::to_string(count);
  std::uint64_t sum = 0;
  meter.start();
  for (std::size_t handled = 0; handled < messages;) {
    const HiredisReply reply = redis(read_words(number));
    std::vector<std::string_view> ack{"XACK", stream, group};
    handled += each_entry(*reply, [&](std::string_view id, std::string_view data) {
      decode(data, event);
      if (seen.emplace(id).second) {
        sum += static_cast<std::uint64_t>(event.payload.queue_size);
      }
      if constexpr (ack_each) {
        (void)redis({"XACK", stream, group, id});
      } else {
        ack.push_back(id);
      }
    });
    if (ack.size() > 3) {
      (void)redis(ack);
    }
  }
  meter.stop();
  return sum;
}

/// The same with two reads under way, and the acks of a batch in one write with the next read.
template <class Decoder>
std::uint64_t hiredis_pipelined(Workload& load, std::size_t messages, std::size_t count, Meter& meter) {
  Hiredis redis{load.server.port()};
  Decoder decode;
  Event event;
  std::unordered_set<std::string> seen;
  const std::string number = std::to_string(count);
  const std::vector<std::string_view> read{"XREADGROUP", "GROUP", group, member, "COUNT", number, "STREAMS", stream, ">"};
  std::uint64_t sum = 0;
  meter.start();
  redis.append(read);
  redis.append(read);
  redis.write();
  std::size_t handled = 0;
  std::size_t batches = 0;
  for (; handled < messages; ++batches) {
    if (batches >= 2) {
      (void)redis.next();
    }
    const HiredisReply reply = redis.next();
    std::vector<std::string_view> ack{"XACK", stream, group};
    handled += each_entry(*reply, [&](std::string_view id, std::string_view data) {
      decode(data, event);
      if (seen.emplace(id).second) {
        sum += static_cast<std::uint64_t>(event.payload.queue_size);
      }
      ack.push_back(id);
    });
    redis.append(ack);
    redis.append(read);
    redis.write();
  }
  for (std::size_t left = batches > 1 ? 4 : 3; left > 0; --left) {
    (void)redis.next();
  }
  meter.stop();
  return sum;
}

}  // namespace bench
