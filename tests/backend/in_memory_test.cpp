// SPDX-License-Identifier: MIT
#include "pulse/backend/in_memory.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "pulse/backend/conformance.hpp"
#include "pulse/core/envelope.hpp"
#include "pulse/detail/random.hpp"

using namespace std::chrono_literals;

namespace {

using Bytes = pulse::InMemoryBackend<std::string, pulse::ManualClock>;

static_assert(pulse::Backend<Bytes> && pulse::DeadLetterStore<Bytes>);
static_assert(pulse::Backend<pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>>>);
static_assert(pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>>::capabilities.typed);

pulse::SubscribeOptions options(std::string consumer, std::vector<std::string> streams = {"s"}) {
  pulse::SubscribeOptions made;
  made.streams = std::move(streams);
  made.consumer = std::move(consumer);
  return made;
}

std::vector<std::uint32_t> upto(std::size_t n) {
  std::vector<std::uint32_t> indexes(n);
  for (std::size_t i = 0; i < n; ++i) {
    indexes[i] = static_cast<std::uint32_t>(i);
  }
  return indexes;
}

}  // namespace

// guarantee 1
TEST_CASE("the in-memory backend keeps the laws") {
  CHECK(pulse::conformance::backend([](pulse::ManualClock clock) { return std::make_unique<Bytes>(pulse::InMemoryOptions{}, clock); }) == "");
}

TEST_CASE("field bug 10: what every group acknowledged is freed, where asked for") {
  // The law of independent groups needs the entry that another group acknowledged: that is what trimming may lose, so it is left out.
  pulse::ManualClock clock;
  Bytes bus{{.trim_acked = true}, clock};
  auto one = *bus.subscribe(options("one"));
  for (int i = 0; i < 10'000; ++i) {
    REQUIRE(bus.publish("s", std::to_string(i)));
    const auto batch = one.receive(10, 0ms);
    REQUIRE(batch->deliveries.size() == 1);
    REQUIRE(batch->deliveries[0].data() == std::to_string(i));
    REQUIRE(one.settle({upto(1), {}, {}}));
  }
  CHECK(bus.length("s") < 600);
  CHECK(one.state(0)->pending == 0);
}

TEST_CASE("in memory: what is trimmed as acknowledged gives its memory back, a whole segment at once, dead letters and deletions among it") {
  using Payload = std::shared_ptr<int>;
  pulse::InMemoryBackend<Payload> bus{{.trim_acked = true}};
  constexpr std::size_t size = pulse::detail::segment_size;
  const auto payload = std::make_shared<int>(1);
  auto one = *bus.subscribe(options("one"));
  for (std::size_t i = 0; i < 20 * size; ++i) {
    REQUIRE(bus.publish("s", payload));
    REQUIRE(one.receive(1, 0ms)->deliveries.size() == 1);
    REQUIRE(one.settle({upto(1), {}, {}}));
  }
  CHECK(bus.length("s") == 0);
  CHECK(payload.use_count() <= static_cast<long>(2 * size + 1));

  std::vector<pulse::EntryId> ids;
  for (std::size_t i = 0; i < size; ++i) {
    ids.push_back(*bus.publish("s", payload));
  }
  REQUIRE(bus.erase("s", ids[5]));
  const auto deleted = *bus.publish("s", payload);
  REQUIRE(bus.publish("s", payload));
  REQUIRE(bus.erase("s", deleted));
  CHECK_FALSE(one.state(0)->lag_known);
  REQUIRE(one.receive(size - 1, 0ms)->deliveries.size() == size - 1);
  REQUIRE(one.settle({upto(size - 2), {}, {}}));
  CHECK(bus.length("s") == size);
  const std::vector<pulse::DeadLetterItem> dead{{size - 2, "why"}};
  REQUIRE(one.settle({{}, {}, dead}));
  CHECK(bus.length("s") == 1);
  CHECK(one.state(0)->lag_known);  // the deleted one is gone with them
  CHECK(one.state(0)->lag == 1);
}

TEST_CASE("field bug 1: a group made later sees the backlog, unless asked for the end") {
  Bytes bus;
  REQUIRE(bus.publish("s", "early"));
  auto all = *bus.subscribe(options("one"));
  pulse::SubscribeOptions end = options("one");
  end.group = "late";
  end.start = pulse::StartAt::end();
  auto late = *bus.subscribe(end);
  const auto early = all.receive(10, 0ms);
  REQUIRE(early->deliveries.size() == 1);
  CHECK(late.receive(10, 0ms)->deliveries.empty());
  pulse::SubscribeOptions resumed = options("one");
  resumed.group = "resumed";
  resumed.resume_after = {early->deliveries[0].id()};
  CHECK(bus.subscribe(resumed)->receive(10, 0ms)->deliveries.empty());
}

TEST_CASE("field bug 3: young heads do not hide old entries from a claim") {
  pulse::ManualClock clock;
  Bytes bus{{}, clock};
  auto one = *bus.subscribe(options("one"));
  for (int i = 0; i < 150; ++i) {
    REQUIRE(bus.publish("s", "x"));
  }
  REQUIRE(one.receive(150, 0ms)->deliveries.size() == 150);
  clock.advance(1min);
  REQUIRE(one.extend(0, 120, [](std::size_t) {}));  // the head is young again, the tail of 30 is not
  auto two = *bus.subscribe(options("two"));
  std::size_t claimed = 0;
  for (int i = 0; i < 8; ++i) {
    claimed += two.claim_stale(30s, 10)->deliveries.size();
  }
  CHECK(claimed == 30);
}

TEST_CASE("field bug 9: pending entries that were trimmed or deleted are settled and reported, once") {
  pulse::ManualClock clock;
  Bytes bus{{}, clock};
  std::vector<pulse::EntryId> ids;
  for (int i = 0; i < 5; ++i) {
    ids.push_back(*bus.publish("s", std::to_string(i)));
  }
  {
    auto one = *bus.subscribe(options("one"));
    REQUIRE(one.receive(10, 0ms)->deliveries.size() == 5);
  }
  bus.trim("s", 3);
  REQUIRE(bus.erase("s", ids[3]));
  CHECK_FALSE(bus.erase("s", ids[3]));
  CHECK(bus.length("s") == 2);
  auto one = *bus.subscribe(options("one"));
  const auto own = one.receive(10, 0ms);
  CHECK(own->deliveries.size() == 2);
  CHECK(own->vanished == 3);
  CHECK(one.state(0)->pending == 2);
  clock.advance(1min);
  CHECK(one.claim_stale(1s, 10)->vanished == 0);
}

TEST_CASE("field bug 23: a read's maximum is that of all streams together") {
  Bytes bus{{}, pulse::ManualClock{}};
  auto one = *bus.subscribe(options("one", {"a", "b", "c"}));
  for (const char* stream : {"a", "b", "c"}) {
    for (int i = 0; i < 10; ++i) {
      REQUIRE(bus.publish(stream, "x"));
    }
  }
  for (std::size_t left = 30; left > 0;) {
    const std::size_t got = one.receive(7, 0ms)->deliveries.size();
    CHECK(got == std::min<std::size_t>(7, left));
    left -= got;
  }
  auto again = *bus.subscribe(options("one", {"a", "b", "c"}));
  CHECK(again.receive(17, 0ms)->deliveries.size() == 17);  // of what was pending
  const auto rest = again.receive(30, 0ms);
  CHECK(rest->deliveries.size() == 13);
  CHECK_FALSE(rest->more);
  auto two = *bus.subscribe(options("two", {"a", "b", "c"}));
  CHECK(two.claim_stale(0ms, 7)->deliveries.size() == 7);
  const auto first = two.claim_stale(0ms, 10);
  CHECK(first->deliveries.size() == 10);
  CHECK(first->more);
  auto three = *bus.subscribe(options("three", {"a", "b", "c"}));
  const auto whole = three.claim_stale(0ms, 10);
  CHECK(whole->deliveries.back().stream() == 0);
  CHECK(whole->more);  // what the others have was not looked at
}

TEST_CASE("field bug 18: a former owner's late acknowledgement does not remove the new owner's entry") {
  pulse::ManualClock clock;
  Bytes bus{{}, clock};
  REQUIRE(bus.publish("s", "a"));
  auto slow = *bus.subscribe(options("slow"));
  REQUIRE(slow.receive(1, 0ms)->deliveries.size() == 1);
  clock.advance(1min);
  auto fast = *bus.subscribe(options("fast"));
  REQUIRE(fast.claim_stale(30s, 1)->deliveries.size() == 1);
  REQUIRE(slow.settle({upto(1), {}, {}}));
  CHECK(fast.state(0)->pending == 1);
  REQUIRE(fast.settle({upto(1), {}, {}}));
  const std::vector<pulse::RetryItem> later{{0, 0s}};
  REQUIRE(slow.settle({{}, later, {}}));  // nor does anything it says later bring back what is done
  const std::vector<pulse::DeadLetterItem> dead{{0, "why"}};
  REQUIRE(slow.settle({{}, {}, dead}));
  CHECK(bus.dead_letters("s", {}, 1)->empty());
  CHECK(slow.receive(1, 0ms)->deliveries.empty());
}

TEST_CASE("in memory: of a range that goes beyond the batch, what is in the batch is extended") {
  Bytes bus;
  auto one = *bus.subscribe(options("one"));
  for (const char* event : {"a", "b", "c"}) {
    REQUIRE(bus.publish("s", event));
  }
  REQUIRE(one.receive(3, 0ms)->deliveries.size() == 3);
  REQUIRE(bus.subscribe(options("two"))->claim_stale(0ms, 3)->deliveries.size() == 3);
  REQUIRE(bus.publish("s", "d"));
  REQUIRE(one.receive(3, 0ms)->deliveries.size() == 1);
  int lost = 0;
  REQUIRE(one.extend(0, 10, [&](std::size_t) { ++lost; }));
  CHECK(lost == 0);
}

TEST_CASE("in memory: a retry that another member settled meanwhile does not come, and those that are due come as many as asked for") {
  pulse::ManualClock clock;
  Bytes bus{{}, clock};
  auto one = *bus.subscribe(options("one"));
  auto two = *bus.subscribe(options("two"));
  for (const char* event : {"a", "b", "c"}) {
    REQUIRE(bus.publish("s", event));
  }
  REQUIRE(one.receive(3, 0ms)->deliveries.size() == 3);
  const std::vector<pulse::RetryItem> later{{0, 10s}, {1, 10s}, {2, 10s}};
  REQUIRE(one.settle({{}, later, {}}));
  const auto taken = two.claim_stale(0ms, 1);
  REQUIRE(taken->deliveries.size() == 1);
  CHECK(taken->more);
  REQUIRE(two.settle({upto(1), {}, {}}));
  clock.advance(10s);
  CHECK(one.receive(1, 0ms)->deliveries[0].data() == "b");
  CHECK(one.receive(1, 0ms)->deliveries[0].data() == "c");
  CHECK(one.receive(1, 0ms)->deliveries.empty());
}

TEST_CASE("a delivery stays readable while its entry is trimmed, whether it came for the first time, from before, or by a claim") {
  for (const int way : {0, 1, 2}) {
    CAPTURE(way);
    Bytes bus;
    for (int i = 0; i < 1000; ++i) {
      REQUIRE(bus.publish("s", "a text that is long enough to live on the heap " + std::to_string(i)));
    }
    auto one = *bus.subscribe(options("one"));
    auto two = *bus.subscribe(options("two"));
    if (way > 0) {
      REQUIRE(one.receive(1000, 0ms)->deliveries.size() == 1000);
      CHECK(one.receive(1000, 0ms)->deliveries.empty());  // and lets its own go
    }
    auto old = *bus.subscribe(options("one"));
    const auto batch = way == 0 ? one.receive(1000, 0ms) : way == 1 ? old.receive(1000, 0ms) : two.claim_stale(0ms, 1000);
    REQUIRE(batch->deliveries.size() == 1000);
    bus.trim("s", 0);
    for (int i = 0; i < 2000; ++i) {
      REQUIRE(bus.publish("s", "other"));
    }
    for (std::size_t i = 0; i < 1000; ++i) {
      REQUIRE(batch->deliveries[i].data() == "a text that is long enough to live on the heap " + std::to_string(i));
    }
  }
}

TEST_CASE("an entry's id is the clock's time, and ids grow although the clock stands or goes back") {
  pulse::ManualClock clock{pulse::WallTime{1'700'000'000'123ms}};
  Bytes bus{{}, clock};
  const auto before = *bus.publish("s", "a");
  CHECK(before == pulse::EntryId{1'700'000'000'123, 0});
  CHECK(*bus.publish("s", "same time") == pulse::EntryId{1'700'000'000'123, 1});
  clock.advance(1ms);
  CHECK(*bus.publish("s", "later") == pulse::EntryId{1'700'000'000'124, 0});
  clock.set_wall(pulse::WallTime{1s});
  const auto after = *bus.publish("s", "b");
  CHECK(before < after);
}

TEST_CASE("in memory: entries that were trimmed before the group read them are seen as lost, until it has caught up") {
  Bytes bus{{.max_length = 100}};
  auto one = *bus.subscribe(options("one"));
  for (int i = 0; i < 1000; ++i) {
    REQUIRE(bus.publish("s", std::to_string(i)));
    if (i == 9) {
      CHECK(one.receive(10, 0ms)->deliveries.size() == 10);
    }
  }
  CHECK(one.state(0)->trimmed_unread == 890);
  CHECK(one.state(0)->lag == 100);
  CHECK(one.receive(1000, 0ms)->deliveries.size() == 100);
  CHECK(one.state(0)->trimmed_unread == 0);
  CHECK(one.state(0)->lag == 0);
  CHECK(one.state(0)->pending == 110);
}

TEST_CASE("in memory: what is pending is found by its id after its entries were trimmed, in every group") {
  using Stream = pulse::detail::Stream<std::string>;
  struct Sink {
    std::vector<std::uint64_t> gone_at;
    void hold(const std::shared_ptr<Stream::Segment>&) {}
    void take(const Stream::Entry&, std::uint64_t, std::uint32_t) {}
    void gone(std::uint64_t position) { gone_at.push_back(position); }
  } sink;
  Stream stream;
  auto& one = *stream.create_group("one", {});
  auto& two = *stream.create_group("two", {});
  for (std::uint64_t i = 1; i <= 1000; ++i) {
    REQUIRE(stream.append(pulse::EntryId{i, 0}, "x"));
  }
  CHECK(stream.read_new(one, one.consumer("c"), 1000, 0, sink) == 1000);
  CHECK(stream.read_new(two, two.consumer("c"), 300, 0, sink) == 300);
  CHECK(stream.trim(1) == 999);
  for (const std::uint64_t ms : {1U, 256U, 257U, 999U, 1000U}) {
    const std::uint64_t position = stream.position(one, {ms, 0});
    CHECK(position == ms - 1);
    CHECK(stream.id_of(one, position) == pulse::EntryId{ms, 0});
  }
  CHECK(stream.position(two, {300, 0}) == 299);
  CHECK(stream.position(two, {600, 0}) == 768);  // the first that is in the stream's last segment: it has nothing pending between
  CHECK(stream.claim(one, 1, {5, 0}, 0, {}) == pulse::detail::Claimed::gone);
  CHECK(stream.claim(one, 1, {5, 0}, 0, {}) == pulse::detail::Claimed::no);
  CHECK(one.pending == 999);
  CHECK(stream.auto_claim(two, 1, 0, 0, 1000, false, 0, sink) == stream.end());
  CHECK(sink.gone_at.size() == 300);
  CHECK(two.list.empty() == false);  // its read position is within the last segment
  CHECK(two.pending == 0);
}

TEST_CASE("in memory: a position that is set back delivers again, and what was pending changes hands") {
  pulse::detail::Stream<std::string> stream;
  struct Sink {
    std::string text;
    void hold(const std::shared_ptr<pulse::detail::Stream<std::string>::Segment>&) {}
    void take(const pulse::detail::StreamEntry<std::string>& entry, std::uint64_t, std::uint32_t) { text += entry.payload; }
    void gone(std::uint64_t) {}
  } sink;
  auto& group = *stream.create_group("g", {});
  for (std::uint64_t i = 1; i <= 600; ++i) {
    REQUIRE(stream.append(pulse::EntryId{i, 0}, i < 3 ? std::to_string(i) : ""));
  }
  CHECK(stream.read_new(group, group.consumer("a"), 600, 0, sink) == 600);
  for (std::uint64_t position = 1; position < 600; ++position) {
    CHECK(group.acknowledge(position));
  }
  stream.set_position(group, {});
  CHECK(stream.read_new(group, group.consumer("b"), 600, 0, sink) == 600);
  CHECK(sink.text == "1212");
  CHECK(group.pending == 600);
  CHECK(group.pending_of(group.consumer("a")) == 0);
  CHECK(stream.remove_consumer(group, "b") == 600);
  CHECK(group.pending == 0);
  CHECK(group.segment(0) == nullptr);  // nor is a part of the list kept
  CHECK(group.segment(pulse::detail::segment_size) == nullptr);
}

TEST_CASE("in memory: a list is freed where the position moves on past what was settled, and where that was never delivered") {
  pulse::detail::Stream<std::string> stream;
  constexpr std::uint64_t size = pulse::detail::segment_size;
  struct Sink {
    int taken = 0;
    void hold(const std::shared_ptr<pulse::detail::Stream<std::string>::Segment>&) {}
    void take(const pulse::detail::StreamEntry<std::string>& entry, std::uint64_t, std::uint32_t) {
      CHECK_FALSE(entry.redriven);
      ++taken;
    }
    void gone(std::uint64_t) {}
  } sink;
  auto& group = *stream.create_group("g", {});
  for (std::uint64_t i = 1; i <= 4 * size; ++i) {
    REQUIRE(stream.append(pulse::EntryId{i, 0}, "x"));
  }
  const std::uint32_t consumer = group.consumer("c");
  CHECK(stream.read_new(group, consumer, 3 * size, 0, sink) == 3 * size);
  stream.set_position(group, {});
  for (std::uint64_t position = 0; position < 3 * size; ++position) {
    CHECK(group.acknowledge(position));
  }
  stream.set_position(group, pulse::EntryId{3 * size, 0});
  CHECK(group.list.empty());

  CHECK(stream.read_history(group, consumer, 0, 3 * size, 0, 0, false, sink) == 0);   // asked for nothing
  CHECK(stream.claim(group, consumer, {1, 0}, 0, {}) == pulse::detail::Claimed::no);  // not pending, and not forced
  CHECK(stream.read_new(group, consumer, 1, 0, sink) == 1);
  CHECK(stream.claim(group, consumer, {3 * size + 1, 0}, 0, {}) == pulse::detail::Claimed::yes);
  CHECK(group.find(3 * size)->count == 2);
  CHECK(group.find(3 * size)->delivered_ns == 0);                          // now
  CHECK(stream.read_new(group, consumer, 2 * size, 0, sink) == size - 1);  // all there is
  CHECK(sink.taken == 4 * size);

  std::string between;
  stream.for_each({3, 0}, {5, 0}, [&](const auto& entry) { between += std::to_string(entry.id.ms) + " "; });
  CHECK(between == "3 4 5 ");
}

TEST_CASE("in memory: dead letters that are brought back are kept beyond max_length until the next publish: theirs is the only copy") {
  Bytes bus{{.max_length = 3}};
  auto one = *bus.subscribe(options("one"));
  std::vector<pulse::DeadLetterItem> letter{{0, "because"}};
  for (int i = 0; i < 10; ++i) {
    REQUIRE(bus.publish("s", std::to_string(i)));
    REQUIRE(one.receive(1, 0ms)->deliveries.size() == 1);
    REQUIRE(one.settle({{}, {}, letter}));
  }
  CHECK(*bus.redrive_all("s") == 10);
  CHECK(bus.dead_letters("s", {}, 10)->empty());
  CHECK(one.receive(100, 0ms)->deliveries.size() == 10);
  CHECK(one.state(0)->trimmed_unread == 0);
  REQUIRE(bus.publish("s", "next"));
  CHECK(bus.length("s") == 3);
}

// guarantee 9
TEST_CASE("max_length drops the oldest") {
  pulse::ManualClock clock;
  Bytes bus{{.max_length = 3}, clock};
  auto one = *bus.subscribe(options("one"));
  for (int i = 0; i < 10; ++i) {
    REQUIRE(bus.publish("s", std::to_string(i)));
  }
  const auto batch = one.receive(10, 0ms);
  REQUIRE(batch->deliveries.size() == 3);
  CHECK(batch->deliveries[0].data() == "7");
  Bytes newest{{.max_length = 1}, clock};
  REQUIRE(newest.publish("s", "a"));
  REQUIRE(newest.publish("s", "b"));
  CHECK(newest.length("s") == 1);
}

TEST_CASE("wrong subscriptions are refused by name") {
  Bytes bus;
  CHECK_FALSE(bus.subscribe(options("one", {})));
  const auto twice = bus.subscribe(options("one", {"a", "b", "a"}));
  REQUIRE_FALSE(twice);
  CHECK(twice.error().message.find("\"a\" is named twice") != std::string::npos);
  CHECK_FALSE(bus.subscribe(options("")));
  auto apart = options("one", {"a", "b"});
  apart.resume_after = {{1, 0}};
  const auto unlike = bus.subscribe(apart);
  REQUIRE_FALSE(unlike);
  CHECK(unlike.error().message.find("1 ids for 2 streams") != std::string::npos);
  apart.resume_after.clear();
  apart.resume_marks.resize(3);
  const auto unmarked = bus.subscribe(apart);
  REQUIRE_FALSE(unmarked);
  CHECK(unmarked.error().code == pulse::ErrorCode::config);
  CHECK(unmarked.error().message.find("3 marks for 2 streams") != std::string::npos);
}

TEST_CASE("several streams take turns") {
  Bytes bus;
  auto one = *bus.subscribe(options("one", {"busy", "quiet"}));
  for (int i = 0; i < 100; ++i) {
    REQUIRE(bus.publish("busy", "x"));
  }
  REQUIRE(bus.publish("quiet", "y"));
  bool quiet = false;
  for (int reads = 0; reads < 2; ++reads) {
    const auto batch = one.receive(10, 0ms);
    for (const auto& delivery : batch->deliveries) {
      quiet = quiet || delivery.stream() == 1;
    }
  }
  CHECK(quiet);
  auto all = options("all", {"a", "b", "c"});
  all.group = "other";
  auto three = *bus.subscribe(all);
  for (int i = 0; i < 12; ++i) {
    REQUIRE(bus.publish(all.streams[static_cast<std::size_t>(i % 3)], "x"));
  }
  std::string order;
  for (int reads = 0; reads < 6; ++reads) {
    order += all.streams[three.receive(1, 0ms)->deliveries[0].stream()];
  }
  CHECK(order == "abcabc");
}

TEST_CASE("random commands agree with a naive model") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    pulse::detail::SplitMix64 random{seed};
    pulse::ManualClock clock;
    Bytes bus{{.trim_acked = random.up_to(1) == 1}, clock};
    struct Pending {
      std::string owner;
      std::uint64_t count;
    };
    std::map<std::string, Pending> pending;  // by data, which is unique
    std::set<std::string> acked;
    std::uint64_t published = 0;
    std::uint64_t delivered = 0;
    auto a = *bus.subscribe(options("a"));
    auto b = *bus.subscribe(options("b"));
    for (int step = 0; step < 3000; ++step) {
      auto& member = random.up_to(1) == 0 ? a : b;
      const std::string name = &member == &a ? "a" : "b";
      if (random.up_to(2) == 0) {
        REQUIRE(bus.publish("s", std::to_string(published++)));
        continue;
      }
      const bool claim = random.up_to(3) == 0;
      clock.advance(std::chrono::milliseconds{random.up_to(2000)});
      const auto batch = claim ? member.claim_stale(5s, 8) : member.receive(random.up_to(9) + 1, 0ms);
      REQUIRE(batch);
      std::vector<std::uint32_t> acks;
      for (std::size_t i = 0; i < batch->deliveries.size(); ++i) {
        const auto& delivery = batch->deliveries[i];
        const std::string data{delivery.data()};
        REQUIRE(acked.count(data) == 0);  // what is acknowledged never comes back
        const auto known = pending.find(data);
        if (known == pending.end()) {
          REQUIRE_FALSE(claim);
          REQUIRE(data == std::to_string(delivered++));  // new entries in order, none skipped
          pending[data] = {name, 1};
        } else {
          REQUIRE(claim);
          known->second = {name, known->second.count + 1};
        }
        REQUIRE(delivery.delivery_count() == pending[data].count);
        if (random.up_to(3) != 0) {
          acks.push_back(static_cast<std::uint32_t>(i));
          pending.erase(data);
          acked.insert(data);
        }
      }
      REQUIRE(member.settle({acks, {}, {}}));
      REQUIRE(member.state(0)->pending == pending.size());
    }
  }
}

// guarantee 1
TEST_CASE("threads: nothing published is lost, nothing acknowledged twice") {
  pulse::InMemoryBackend<std::string> bus{{.trim_acked = true}};
  constexpr int each = 5000;
  std::atomic<int> left{2 * each};
  std::vector<std::atomic<int>> times(2 * each);
  {
    auto group = *bus.subscribe(options("warm-up"));  // the group exists before anything is published
  }
  const auto publish = [&](int from) {
    for (int i = from; i < from + each; ++i) {
      (void)bus.publish("s", std::to_string(i));
    }
  };
  const auto consume = [&](const char* name) {
    auto member = *bus.subscribe(options(name));
    while (left > 0) {
      const auto batch = member.receive(50, 5ms);
      for (const auto& delivery : batch->deliveries) {
        ++times[static_cast<std::size_t>(std::stoi(delivery.data()))];
        --left;
      }
      (void)member.settle({upto(batch->deliveries.size()), {}, {}});
    }
  };
  std::thread one([&] { publish(0); });
  std::thread two([&] { publish(each); });
  std::thread three([&] { consume("three"); });
  std::thread four([&] { consume("four"); });
  one.join();
  two.join();
  three.join();
  four.join();
  int wrong = 0;
  for (const auto& n : times) {
    wrong += n == 1 ? 0 : 1;
  }
  CHECK(wrong == 0);
}

TEST_CASE("a claim over many vanished entries frees their list and goes on") {
  pulse::ManualClock clock;
  Bytes bus{{}, clock};
  {
    auto one = *bus.subscribe(options("one"));
    for (int i = 0; i < 2000; ++i) {
      REQUIRE(bus.publish("s", std::to_string(i)));
    }
    REQUIRE(one.receive(2000, 0ms)->deliveries.size() == 2000);
  }
  bus.trim("s", 10);
  clock.advance(1min);
  auto two = *bus.subscribe(options("two"));
  std::size_t vanished = 0;
  std::size_t claimed = 0;
  for (int i = 0; i < 200; ++i) {  // what vanished counts, as in a reply of Redis
    const auto batch = two.claim_stale(30s, 10);
    CHECK(batch->vanished + batch->deliveries.size() == 10);
    CHECK(batch->more == (i < 199));
    vanished += batch->vanished;
    claimed += batch->deliveries.size();
  }
  CHECK(vanished == 1990);
  CHECK(claimed == 10);
}

TEST_CASE("a later retry is not fired by an earlier one's time, and a restart ends the wait") {
  pulse::ManualClock clock;
  Bytes bus{{}, clock};
  REQUIRE(bus.publish("s", "a"));
  auto one = *bus.subscribe(options("one"));
  auto two = *bus.subscribe(options("two"));
  const std::vector<pulse::RetryItem> soon{{0, 10s}};
  const std::vector<pulse::RetryItem> late{{0, 60s}};
  REQUIRE(one.receive(1, 0ms)->deliveries.size() == 1);
  REQUIRE(one.settle({{}, soon, {}}));
  clock.advance(1s);
  REQUIRE(two.claim_stale(1s, 1)->deliveries.size() == 1);
  clock.advance(2s);
  REQUIRE(one.claim_stale(1s, 1)->deliveries.size() == 1);
  REQUIRE(one.settle({{}, late, {}}));
  clock.advance(8s);
  CHECK(one.receive(1, 0ms)->deliveries.empty());
  clock.advance(52s);
  CHECK(one.receive(1, 0ms)->deliveries.size() == 1);
  REQUIRE(one.settle({{}, late, {}}));
  auto again = *bus.subscribe(options("one"));
  CHECK(again.receive(1, 0ms)->deliveries.size() == 1);  // from before, and left unsettled
  clock.advance(1min);
  CHECK(again.claim_stale(30s, 1)->deliveries.size() == 1);
}

TEST_CASE("in memory: a delay that is no time at all is bounded by nothing and a year") {
  pulse::ManualClock clock;
  Bytes bus{{}, clock};
  auto one = *bus.subscribe(options("one"));
  REQUIRE(bus.publish("s", "a"));
  REQUIRE(one.receive(1, 0ms)->deliveries.size() == 1);
  const std::vector<pulse::RetryItem> never{{0, std::chrono::milliseconds::max()}};
  REQUIRE(one.settle({{}, never, {}}));
  CHECK(one.receive(1, 0ms)->deliveries.empty());
  clock.advance(pulse::RetryItem::longest);
  REQUIRE(one.receive(1, 0ms)->deliveries.size() == 1);
  const std::vector<pulse::RetryItem> before{{0, std::chrono::milliseconds::min()}};
  REQUIRE(one.settle({{}, before, {}}));
  CHECK(one.receive(1, 0ms)->deliveries.size() == 1);
}

TEST_CASE("in memory: a retry beyond the bound on those that wait stays pending, and comes with a claim") {
  pulse::ManualClock clock;
  pulse::InMemoryOptions few;
  few.max_retries = 1;
  Bytes bus{few, clock};
  REQUIRE(bus.publish("s", "a"));
  REQUIRE(bus.publish("s", "b"));
  auto one = *bus.subscribe(options("one"));
  const std::vector<pulse::RetryItem> both{{0, 1s}, {1, 1s}};
  REQUIRE(one.receive(2, 0ms)->deliveries.size() == 2);
  REQUIRE(one.settle({{}, both, {}}));
  clock.advance(1s);
  const auto timely = one.receive(2, 0ms);
  REQUIRE(timely->deliveries.size() == 1);
  CHECK(timely->deliveries[0].data() == "a");
  CHECK(one.receive(2, 0ms)->deliveries.empty());
  CHECK(one.state(0)->pending == 2);
  clock.advance(30s);
  std::string claimed;
  const auto taken = one.claim_stale(30s, 10);
  for (const auto& delivery : taken->deliveries) {
    claimed += delivery.data();
  }
  CHECK(claimed.find('b') != std::string::npos);
}

TEST_CASE("trimming what is acknowledged goes on after a deletion moved the beginning") {
  pulse::ManualClock clock;
  Bytes bus{{.trim_acked = true}, clock};
  auto one = *bus.subscribe(options("one"));
  const auto first = *bus.publish("s", "first");
  REQUIRE(bus.publish("s", "second"));
  REQUIRE(bus.erase("s", first));
  for (int i = 0; i < 5000; ++i) {
    REQUIRE(bus.publish("s", std::to_string(i)));
    const auto batch = one.receive(10, 0ms);
    REQUIRE(one.settle({upto(batch->deliveries.size()), {}, {}}));
  }
  CHECK(bus.length("s") < 600);
}

TEST_CASE("in memory: an entry that stays pending keeps its own part of the list, not those after it") {
  pulse::detail::StreamGroup group;
  constexpr std::uint64_t size = pulse::detail::segment_size;
  group.next = 3 * size;
  for (std::uint64_t position = 0; position < 3 * size; ++position) {
    auto& part = group.list.reach(position);
    part.records[position % size].owner = 1;
    ++part.pending;
    ++group.pending;
  }
  for (std::uint64_t position = 1; position < 3 * size; ++position) {
    CHECK_FALSE(group.acknowledge(position, 2));
    CHECK(group.acknowledge(position, 1));
  }
  CHECK(group.pending == 1);
  CHECK(group.segment(0) != nullptr);
  CHECK(group.segment(size) == nullptr);
  CHECK(group.segment(2 * size) == nullptr);
  group.acknowledge(0);
  CHECK(group.list.empty());
  CHECK_FALSE(group.acknowledge(0, 1));
  (void)group.list.reach(9 * size);  // after a gap
  CHECK(group.segment(9 * size) != nullptr);
  CHECK(group.list.begin() == 9 * size);
  CHECK(group.list.end() == 10 * size);
  CHECK(pulse::detail::StreamGroup{}.list.empty());
}

TEST_CASE("field bug 7: a consumer that has entries pending is not removed, and one that has none leaves no name behind") {
  pulse::ManualClock clock;
  Bytes bus{{}, clock};
  auto gone = *bus.subscribe(options("gone"));
  auto stays = *bus.subscribe(options("stays"));
  const std::string group = options("gone").group;
  REQUIRE(bus.publish("s", "one"));
  REQUIRE(gone.receive(10, 0ms)->deliveries.size() == 1);
  const auto refused = bus.remove_consumer("s", group, "gone");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == pulse::ErrorCode::capacity);
  CHECK(refused.error().message.find("1 entries pending") != std::string::npos);
  clock.advance(60s);
  REQUIRE(stays.claim_stale(30s, 10)->deliveries.size() == 1);
  CHECK(bus.remove_consumer("s", group, "gone"));
  CHECK(bus.consumers("s", group) == std::vector<std::string>{"stays"});
  REQUIRE(stays.settle({upto(1), {}, {}}));
  CHECK(stays.state(0)->pending == 0);
  CHECK(bus.remove_consumer("s", group, "gone").error().code == pulse::ErrorCode::not_found);
  CHECK(bus.remove_consumer("s", "nope", "stays").error().code == pulse::ErrorCode::not_found);
  // A name that comes later gets a number of its own: it does not own what the first one had.
  auto later = *bus.subscribe(options("later"));
  REQUIRE(bus.publish("s", "two"));
  REQUIRE(gone.receive(10, 0ms)->deliveries.size() == 1);
  CHECK_FALSE(bus.subscribe(options("later"))->receive(10, 0ms)->deliveries.size() == 1);
}

TEST_CASE("field bug 14: a blocked receive is interrupted at once") {
  Bytes bus;
  auto one = *bus.subscribe(options("one"));
  std::thread waker([&] {
    std::this_thread::sleep_for(20ms);
    one.wake();
  });
  const auto begin = std::chrono::steady_clock::now();
  CHECK(one.receive(10, 60s)->deliveries.empty());
  CHECK(std::chrono::steady_clock::now() - begin < 30s);
  waker.join();
}

TEST_CASE("in memory: dead letters are brought back one by one, by range, or all, and in their order") {
  Bytes bus;
  auto one = *bus.subscribe(options("one"));
  for (int i = 0; i < 6; ++i) {
    REQUIRE(bus.publish("s", std::to_string(i)));
  }
  REQUIRE(one.receive(10, 0ms)->deliveries.size() == 6);
  std::vector<pulse::DeadLetterItem> dead;
  for (std::uint32_t i = 0; i < 6; ++i) {
    dead.push_back({i, "why"});
  }
  REQUIRE(one.settle({{}, {}, dead}));
  const auto letters = *bus.dead_letters("s", {}, 10);
  REQUIRE(letters.size() == 6);
  CHECK(letters[0].id == pulse::EntryId{1'700'000'000'000, 0});  // the clock's time
  CHECK(letters[5].id == pulse::EntryId{1'700'000'000'000, 5});
  CHECK(letters[5].failed_at == 1'700'000'000);
  const auto some = *bus.dead_letters("s", letters[1].id, 2);
  REQUIRE(some.size() == 2);
  CHECK(some[0].id == letters[2].id);
  const auto back = [&] {
    std::string text;
    const auto batch = one.receive(10, 0ms);
    for (const auto& delivery : batch->deliveries) {
      CHECK(delivery.redriven());
      text += delivery.data();
    }
    return text;
  };
  CHECK(bus.redrive("s", letters[5].id));
  CHECK(*bus.redrive("s", letters[1].id, letters[3].id, 2) == 2);
  CHECK(back() == "512");
  CHECK(*bus.redrive("s", letters[1].id, letters[3].id, 2) == 1);
  CHECK(*bus.redrive("s", letters[1].id, letters[3].id, 2) == 0);
  CHECK(*bus.redrive_all("s") == 2);
  CHECK(back() == "304");
  CHECK(bus.dead_letters("s", {}, 10)->empty());
}

TEST_CASE("in memory: a blocked receive ends when something is published, or comes back from the dead letters") {
  pulse::InMemoryBackend<std::string> bus;
  auto one = *bus.subscribe(options("one"));
  const auto comes = [&](auto&& bring) {
    std::thread other([&] {
      std::this_thread::sleep_for(20ms);
      bring();
    });
    const auto begin = std::chrono::steady_clock::now();
    const auto batch = one.receive(10, 60s);
    CHECK(std::chrono::steady_clock::now() - begin < 30s);
    other.join();
    REQUIRE(batch->deliveries.size() == 1);
    const std::vector<pulse::DeadLetterItem> dead{{0, "why"}};
    REQUIRE(one.settle({{}, {}, dead}));
  };
  comes([&] { REQUIRE(bus.publish("s", "a")); });
  comes([&] { CHECK(bus.redrive("s", bus.dead_letters("s", {}, 1)->front().id)); });
  comes([&] { CHECK(*bus.redrive_all("s") == 1); });
  const auto begin = std::chrono::steady_clock::now();
  std::thread waker([&] {
    std::this_thread::sleep_for(20ms);
    one.wake();
  });
  CHECK(one.receive(1, 60s)->deliveries.empty());
  waker.join();

  REQUIRE(bus.redrive_all("s"));
  REQUIRE(one.receive(1, 0ms)->deliveries.size() == 1);
  const std::vector<pulse::RetryItem> soon{{0, 20ms}};
  REQUIRE(one.settle({{}, soon, {}}));
  CHECK(one.receive(1, 60s)->deliveries.size() == 1);  // nor does it sleep through a retry
  bus.trim("s", 0);
  CHECK(bus.subscribe(options("one"))->receive(1, 60s)->vanished == 1);  // or with something to say
  CHECK(std::chrono::steady_clock::now() - begin < 30s);
  for (int i = 0; i < 20; ++i) {
    const auto called = std::chrono::steady_clock::now();
    REQUIRE(one.receive(1, 3ms)->deliveries.empty());
    REQUIRE(std::chrono::steady_clock::now() - called >= 3ms);
  }
}

TEST_CASE("in memory: a receive that finds nothing waits as long as it was told, on the clock, and until a retry is due at most") {
  pulse::ManualClock clock;
  Bytes bus{{}, clock};
  auto one = *bus.subscribe(options("one"));
  std::atomic<bool> over{false};
  std::thread time([&] {
    while (!over) {
      clock.advance(100ms);
      std::this_thread::sleep_for(1ms);
    }
  });
  const auto waited = [&](std::chrono::milliseconds wait = 5s) {
    const auto begin = clock.steady();
    const auto batch = one.receive(1, wait);
    const auto took = clock.steady() - begin;
    CHECK(took >= (batch->deliveries.empty() ? wait : 2s));
    return batch->deliveries.size();
  };
  CHECK(waited() == 0);
  CHECK(waited(1ms) == 0);
  one.wake();
  CHECK(one.receive(1, 5s)->deliveries.empty());
  CHECK(waited() == 0);  // a wake ends one
  REQUIRE(bus.publish("s", "a"));
  REQUIRE(one.receive(1, 0ms)->deliveries.size() == 1);
  const std::vector<pulse::RetryItem> later{{0, 2s}};
  REQUIRE(one.settle({{}, later, {}}));
  CHECK(waited() == 1);
  over = true;
  time.join();
}

TEST_CASE("in memory: where recoveries count, what is new comes in batches once what was pending has come") {
  Bytes bus;
  auto counted = options("one");
  counted.count_recoveries = true;
  {
    auto before = *bus.subscribe(options("one"));
    REQUIRE(bus.publish("s", "pending"));
    REQUIRE(before.receive(1, 0ms)->deliveries.size() == 1);
  }
  auto one = *bus.subscribe(counted);
  for (int i = 0; i < 5; ++i) {
    REQUIRE(bus.publish("s", "new"));
  }
  CHECK(one.receive(10, 0ms)->deliveries.size() == 1);
  CHECK(one.receive(10, 0ms)->deliveries.size() == 5);
  counted.group = "other";
  CHECK(bus.subscribe(counted)->receive(10, 0ms)->deliveries.size() == 6);
}
