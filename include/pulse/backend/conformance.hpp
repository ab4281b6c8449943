// SPDX-License-Identifier: MIT
#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "pulse/backend/conformance/ids.hpp"
#include "pulse/backend/conformance/members.hpp"
#include "pulse/backend/conformance/streams.hpp"
#include "pulse/backend/conformance/waking.hpp"
#include "pulse/concept/backend.hpp"
#include "pulse/core/clock.hpp"
#include "pulse/core/readiness.hpp"

/// The laws of Backend, executable and bound to no test framework, for any backend of bytes whose time can be moved by hand. In a test
/// of one's own:
///
///     CHECK(pulse::conformance::backend([](pulse::ManualClock clock) { return std::make_unique<MyBackend>(clock); }) == "");
namespace pulse::inline v0_1::conformance {

/// Moves the clock; see `backend`.
struct AdvanceClock {
  void operator()(ManualClock& clock, std::chrono::milliseconds by) const { clock.advance(by); }
};

/// Returns "" or the first law that was broken, with what was seen. `make(clock)` gives a pointer-like to a new, empty backend;
/// `pass(clock, by)` lets time pass, for a backend whose time is not the clock's alone: a server's; the streams are "s", "t" and "u". A receive that is to
/// end at once, and has not within `patience`, breaks its law.
template <class Make, class Pass = AdvanceClock>
[[nodiscard]] std::string backend(Make make, Pass pass = {}, std::chrono::milliseconds patience = std::chrono::seconds{10}) {
  using namespace std::chrono_literals;
  using backend_laws::at;
  using backend_laws::text;
  const std::vector<std::uint32_t> first{0};
  std::string law;
  const auto broken = [&](const std::string& what, const std::string& wanted, const std::string& got) {
    law = backend_laws::differs(what, wanted, got);
    return !law.empty();
  };
  ManualClock clock;
  {
    auto b = make(clock);
    (void)b->publish("s", "a");
    (void)b->publish("s", "b");
    auto one = *b->subscribe(at("one"));
    if (broken("a new group sees the backlog, in order", "a:1 b:1 ", text(one.receive(10, 0ms)))) {
      return law;
    }
    if (broken("what is pending is not delivered again by itself", "", text(one.receive(10, 0ms)))) {
      return law;
    }
    auto again = *b->subscribe(at("one"));
    if (broken("a restart sees its own pending entries first, and burns no delivery", "a:1 b:1 ", text(again.receive(10, 0ms)))) {
      return law;
    }
    (void)again.settle({first, {}, {}});
    (void)again.flush(1s);
    auto third = *b->subscribe(at("one"));
    if (broken("what is acknowledged is gone, what is not stays", "b:1 ", text(third.receive(10, 0ms)))) {
      return law;
    }
    (void)b->publish("s", "c");
    auto counted = at("one");
    counted.count_recoveries = true;
    (void)b->subscribe(at("one"))->receive(10, 0ms);
    auto fourth = *b->subscribe(counted);
    if (broken("where recoveries count, own pending entries come one at a time, counted", "b:2 ", text(fourth.receive(10, 0ms)))) {
      return law;
    }
    auto late = *b->subscribe(at("one", "other"));
    if (broken("groups are independent", "a:1 b:1 c:1 ", text(late.receive(10, 0ms)))) {
      return law;
    }
  }
  {
    auto b = make(clock);
    auto one = *b->subscribe(at("one"));
    auto two = *b->subscribe(at("two"));
    for (const char* event : {"a", "b", "c"}) {
      (void)b->publish("s", event);
    }
    if (broken("a receive gives at most what was asked for", "a:1 b:1 ", text(one.receive(2, 0ms)))) {
      return law;
    }
    if (broken("members of a group share without overlap", "c:1 ", text(two.receive(10, 0ms)))) {
      return law;
    }
    (void)two.settle({first, {}, {}});
    (void)two.flush(1s);
    pass(clock, 10s);
    int lost = 0;
    (void)one.extend(0, 1, [&](std::size_t) { ++lost; });
    if (broken("a claim takes only what has idled, and counts", "b:2 ", text(two.claim_stale(10s, 10)))) {
      return law;
    }
    pass(clock, 1s);
    (void)one.extend(0, 2, [&](std::size_t index) { lost += static_cast<int>(index) * 10; });
    if (lost != 10) {
      return "extending reports exactly the entries that another consumer owns";
    }
    const auto state = two.state(0);
    if (!state || state->pending != 2) {
      return "state counts what is pending of the group";
    }
  }
  {
    auto b = make(clock);
    auto one = *b->subscribe(at("one"));
    for (int i = 0; i < 30; ++i) {
      (void)b->publish("s", std::to_string(i));
    }
    (void)one.receive(30, 0ms);
    pass(clock, 1min);
    auto two = *b->subscribe(at("two"));
    std::size_t claimed = 0;
    for (int calls = 0; calls < 10; ++calls) {
      const auto batch = two.claim_stale(1min, 7);
      claimed += batch ? batch->deliveries.size() : 0;
    }
    if (claimed != 30) {
      return "claims go on where they stopped until all is claimed: got " + std::to_string(claimed) + " of 30";
    }
  }
  {
    auto b = make(clock);
    auto one = *b->subscribe(at("one"));
    (void)b->publish("s", "a");
    (void)one.receive(1, 0ms);
    const std::vector<RetryItem> retry{{0, 500ms}};
    (void)one.settle({{}, retry, {}});
    pass(clock, 499ms);
    if (broken("a retry does not come before its delay", "", text(one.receive(1, 0ms)))) {
      return law;
    }
    pass(clock, 1ms);
    if (broken("a retry comes after its delay, counted", "a:2 ", text(one.receive(1, 0ms)))) {
      return law;
    }
    const std::vector<RetryItem> wait{{0, 500ms, false}};
    (void)one.settle({{}, wait, {}});
    (void)one.settle({{}, wait, {}});  // as after an error, where it had been done
    pass(clock, 500ms);
    if (broken("a retry of what was not tried is not counted, however often it is said", "a:2 ", text(one.receive(1, 0ms)))) {
      return law;
    }
    if (broken("a retry that was said twice comes once", "", text(one.receive(1, 0ms)))) {
      return law;
    }
    (void)b->publish("s", "b");
    (void)one.receive(1, 0ms);
    (void)one.settle({{}, retry, {}});
    (void)one.settle({{}, retry, {}});
    pass(clock, 500ms);
    if (broken("a retry that counts and was said twice is counted once", "b:2 ", text(one.receive(2, 0ms)))) {
      return law;
    }
  }
  {
    auto b = make(clock);
    auto one = *b->subscribe(at("one"));
    auto two = *b->subscribe(at("two"));
    const auto settled_to = [&](const std::vector<EntryId>& ids) {
      const auto state = one.state(0);
      for (std::size_t i = ids.size(); state && i > 0; --i) {
        if (ids[i - 1] <= state->acked_up_to) {
          return std::to_string(i);
        }
      }
      return std::string(state ? "0" : "error");
    };
    std::vector<EntryId> ids;
    for (const char* event : {"a", "b", "c", "d"}) {
      ids.push_back(*b->publish("s", event));
    }
    (void)one.receive(1, 0ms);
    (void)two.receive(2, 0ms);
    (void)two.settle({first, {}, {}});
    (void)two.flush(1s);
    if (broken("what is settled behind an entry that is pending does not count as acked up to", "0", settled_to(ids))) {
      return law;
    }
    (void)one.settle({first, {}, {}});
    (void)one.flush(1s);
    if (broken("everything is acked up to the oldest entry that is pending, whoever has it", "2", settled_to(ids))) {
      return law;
    }
    auto late = at("late", "late");
    late.resume_after = {ids[1]};
    if (broken("a new group goes on after the entry it is told", "c:1 d:1 ", text(b->subscribe(late)->receive(10, 0ms)))) {
      return law;
    }
    late.group = "other";
    late.resume_after = {EntryId::max()};
    if (broken("a new group that is told an id the stream never had begins at the beginning", "a:1 b:1 c:1 d:1 ", text(b->subscribe(late)->receive(10, 0ms)))) {
      return law;
    }
  }
  if constexpr (DeadLetterStore<std::remove_cvref_t<decltype(*make(clock))>>) {
    auto b = make(clock);
    auto one = *b->subscribe(at("one"));
    const auto id = b->publish("s", "poison");
    (void)one.receive(1, 0ms);
    const std::vector<DeadLetterItem> dead{{0, "because"}};
    (void)one.settle({{}, {}, dead});
    (void)one.settle({{}, {}, dead});  // as after an error, where it had been done
    (void)one.flush(1s);
    const auto letters = b->dead_letters("s", {}, 10);
    if (!letters || letters->size() != 1 || letters->front().data != "poison" || letters->front().reason != "because" || letters->front().original_id != *id ||
        letters->front().group != "g" || letters->front().consumer != "one" || letters->front().deliveries != 1) {
      return "a dead letter keeps its data, reason, origin and deliveries";
    }
    if (const auto state = one.state(0); !state || state->pending != 0 || state->dead_letters != 1) {
      return "a dead letter is acknowledged";
    }
    const EntryId letter = letters->front().id;
    if (!b->redrive("s", letter) || b->redrive("s", letter)) {
      return "a redrive succeeds once";
    }
    if (broken("a redriven entry is delivered anew and says so", "poison:1r ", text(one.receive(1, 0ms)))) {
      return law;
    }
    (void)one.settle({{}, {}, dead});
    (void)one.flush(1s);
    const auto again = b->dead_letters("s", {}, 10);
    if (!again || again->size() != 1 || !b->purge("s", again->front().id) || b->purge("s", again->front().id) || !b->dead_letters("s", {}, 10)->empty()) {
      return "a purge removes for good, once";
    }
  }
  if (law = backend_laws::ids(make, pass); !law.empty()) {
    return law;
  }
  if (law = backend_laws::members(make, pass); !law.empty()) {
    return law;
  }
  if (law = backend_laws::streams(make, pass); !law.empty()) {
    return law;
  }
  if (law = backend_laws::waking(make, pass, patience); !law.empty()) {
    return law;
  }
  if constexpr (ArmingSubscription<typename std::remove_cvref_t<decltype(*make(clock))>::subscription_type>) {
    auto b = make(clock);
    Readiness ready;
    auto one = *b->subscribe(at("one"));
    const auto readable = [&] {
      pollfd socket{ready.descriptor(), POLLIN, 0};
      return ready.descriptor() < 0 || ::poll(&socket, 1, 30'000) == 1;
    };
    (void)one.receive(1, 0ms);
    if (const auto due = one.arm(1, 1h, ready); !due || *due != 1h) {
      return "armed with nothing to give, nothing is due before the wait is over";
    }
    if (broken("a receive that may not wait gives nothing where nothing came", "", text(one.receive(1, 0ms)))) {
      return law;
    }
    std::string got;
    (void)b->publish("s", "a");
    for (int looks = 0; got.empty() && looks < 100; ++looks) {  // it may be readable without need
      ready.clear();
      const auto due = one.arm(1, 1h, ready);
      if (!due || (due->count() > 0 && !readable())) {
        return "an armed subscription is readable once an entry has come";
      }
      got = text(one.receive(1, 0ms));
    }
    if (broken("what it became readable for is received", "a:1 ", got)) {
      return law;
    }
  }
  return "";
}

}  // namespace pulse::inline v0_1::conformance
