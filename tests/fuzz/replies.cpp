// SPDX-License-Identifier: MIT
//
// Any replies to what RedisBackend, its subscription and RedisDedup ask: a typed error or sense, whatever a server says.
// An input is a line of calls, a letter each, then the server's bytes.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "law.hpp"
#include "pulse/backend/redis.hpp"
#include "pulse/dedup/redis_dedup.hpp"
#include "pulse/redis/resp_parser.hpp"

using namespace std::chrono_literals;
using pulse::ErrorCode;
using pulse::RedisReplies;
using pulse::Result;
using pulse::Status;
using pulse_fuzz::law;

namespace {

/// What a server says to all connections, in the order in which they read.
struct Script {
  std::string bytes;
  std::size_t at = 0;
};

/// A client whose server keeps to the script. Each reply lies in memory of its own, which goes when it may: a look at it later is seen by a sanitizer.
class ScriptedClient {
 public:
  explicit ScriptedClient(const pulse::RedisUrl&) {}
  explicit ScriptedClient(std::shared_ptr<Script> script) : script_(std::move(script)) {}

  Status connect(pulse::SteadyTime) {
    asked_.clear();
    open_ = true;
    return {};
  }
  void append(std::span<const std::string_view> words) {
    law(!words.empty(), "a command has words");
    for (const std::string_view word : words.first(words[0] == "SCRIPT" ? 1 : words.size())) {
      law(word.empty() || std::count(word.begin(), word.end(), word[0]) > 0, "a command's words can be read");
    }
    asked_.push_back(words[0] == "INFO" || words[0] == "SCRIPT" ? words[0] : words.size() > 1 && words[0] == "CLIENT" ? words[1] : std::string_view{});
  }
  Status flush(pulse::SteadyTime) { return open_ ? Status{} : Status{gone()}; }

  Result<bool> read(RedisReplies& into, pulse::SteadyTime) {
    if (!open_) {
      return gone();
    }
    law(!asked_.empty(), "only what was asked is waited for");
    const std::string_view login = asked_.front();
    asked_.erase(asked_.begin());
    if (!login.empty()) {  // the log-in of a server like others
      login == "ID" ? into.integer(7) : into.text(login == "INFO" ? "redis_version:7.0.15\r\nredis_mode:standalone\r\n" : "OK");
      return true;
    }
    const std::string_view left = std::string_view{script_->bytes}.substr(script_->at);
    held_.emplace_back(new char[left.size()]);
    std::copy(left.begin(), left.end(), held_.back().get());
    const char* at = held_.back().get();
    const std::size_t before = into.size();
    pulse::detail::RespParser parser;
    const pulse::detail::Parsed found = parser.parse(at, at + left.size(), into);
    if (found == pulse::detail::Parsed::reply) {
      script_->at += static_cast<std::size_t>(at - held_.back().get());
      return true;
    }
    into.truncate(before);
    close();
    script_->at = std::min(script_->bytes.size(), script_->at + 1);
    return found == pulse::detail::Parsed::refused ? Result<bool>{pulse::Error{ErrorCode::protocol, "no reply"}} : Result<bool>{gone()};
  }
  void release() { held_.clear(); }
  void interrupt() {}
  void close() {
    open_ = false;
    asked_.clear();
  }

 private:
  static pulse::Error gone() { return {ErrorCode::unavailable, "the script is over"}; }

  std::shared_ptr<Script> script_ = std::make_shared<Script>();
  std::vector<std::string_view> asked_;  // "" for what the script answers
  std::vector<std::unique_ptr<char[]>> held_;
  bool open_ = false;
};

using Backend = pulse::RedisBackend<ScriptedClient>;
using Subscription = Backend::subscription_type;

template <class R>
bool well(const R& result) {
  if (!result) {
    pulse_fuzz::readable(result.error().message, 800);
    law(result.error().code != ErrorCode::config && result.error().code != ErrorCode::stopped, "what a server says is no setting of ours",
        result.error().message);
  }
  return static_cast<bool>(result);
}

/// The batch at hand, every byte looked at.
std::size_t look(const Result<pulse::Batch<pulse::RedisDelivery>>& batch) {
  if (!well(batch)) {
    return 0;
  }
  for (const pulse::RedisDelivery& delivery : batch->deliveries) {
    law(delivery.stream() < 2 && delivery.delivery_count() > 0, "a delivery is of a stream that was asked for");
    law(std::count(delivery.data().begin(), delivery.data().end(), 'x') <= static_cast<std::ptrdiff_t>(delivery.data().size()), "its data can be read");
  }
  return batch->deliveries.size();
}

void settle(Subscription& subscription, std::size_t size) {
  std::vector<std::uint32_t> acks;
  std::vector<pulse::RetryItem> retries;
  std::vector<pulse::DeadLetterItem> letters;
  for (std::uint32_t i = 0; i < size; ++i) {
    i % 3 == 0 ? acks.push_back(i) : i % 3 == 1 ? retries.push_back({i, 0ms, true}) : letters.push_back({i, "why"});
  }
  (void)well(subscription.settle({acks, {}, {}}));
  (void)well(subscription.settle({{}, retries, letters}));
}

void call(char what, Backend& backend, Subscription& subscription, pulse::RedisDedup<ScriptedClient>& dedup, std::size_t& size) {
  const pulse::EventId ids[] = {{1, 2}, {3, 4}, {1, 2}};
  pulse::Claim claims[3] = {};
  switch (what) {
    case 'r': size = look(subscription.receive(3, 0ms)); break;
    case 'c': size = look(subscription.claim_stale(1000ms, 3)); break;
    case 's': settle(subscription, std::exchange(size, 0)); break;
    case 'f': (void)well(subscription.flush(100ms)); break;
    case 'x': (void)well(subscription.extend(0, size, [&](std::size_t at) { law(at < size, "what is lost is of the batch"); })); break;
    case 'w': subscription.wake(); break;
    case 't': (void)well(subscription.state(0)); break;
    case 'p': (void)well(backend.publish("a", "{}")); break;
    case 'd':
      if (const auto letters = backend.dead_letters("a", {}, 10); well(letters)) {
        law(std::all_of(letters->begin(), letters->end(), [](const auto& letter) { return letter.data.size() < 1 << 20; }), "dead letters can be read");
      }
      break;
    case 'v': (void)well(backend.redrive("a", {}, pulse::EntryId::max(), 5)); break;
    case 'n': (void)well(backend.consumers("a", "g")); break;
    case 'l': (void)well(backend.length("a")); break;
    case 'k': (void)well(backend.remove_consumer("a", "g", "c")); break;
    case 'm':
      (void)well(dedup.claim(ids, claims));
      dedup.commit(ids[0]);
      dedup.release(ids[1]);
      (void)well(dedup.flush(100ms));
      break;
    default: break;
  }
  law(backend.health().detail.size() < 800, "health is told briefly");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  pulse_fuzz::Input input{data, size};
  const std::string calls = input.text('\n').substr(0, 32);
  const auto script = std::make_shared<Script>();
  script->bytes = input.rest();
  const auto make = [&](const pulse::RedisUrl&) { return std::make_unique<ScriptedClient>(script); };
  Backend backend{{}, {.command_timeout = 100ms, .fenced_acks = calls.size() % 2 == 0, .trim_acked = calls.size() % 4 < 2}, {}, make};
  pulse::SubscribeOptions options{.streams = {"a", "b"}, .group = "g", .consumer = "c"};
  options.prefetch = calls.size() % 8 < 4;
  // The groups are there: what a server says to that is as good as what it says to the rest, but would end most inputs.
  const std::string prepared = ":1\r\n+none\r\n:1\r\n+none\r\n";
  script->bytes.insert(0, prepared);
  auto subscription = backend.subscribe(options);
  law(static_cast<bool>(subscription), "the groups are made");
  pulse::RedisDedup<ScriptedClient> dedup{{}, {.owner = "one"}, make({})};
  std::size_t batch = 0;
  for (const char what : calls) {
    call(what, backend, *subscription, dedup, batch);
  }
  return 0;
}
