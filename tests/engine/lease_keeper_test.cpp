// SPDX-License-Identifier: MIT
#include "pulse/engine/lease_keeper.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>

#include "pulse/core/error.hpp"

using namespace std::chrono_literals;

namespace {

struct FakeSubscription {
  std::atomic<int> beats{0};
  std::atomic<std::size_t> last{0};
  std::size_t loses = ~std::size_t{0};

  template <class Lost>
  pulse::Status extend(std::size_t first, std::size_t end, Lost lost) {
    last = end;
    for (std::size_t i = first; i < end; ++i) {
      if (i == loses) {
        lost(i);
      }
    }
    ++beats;
    return {};
  }
};

struct Wild {
  template <class Lost>
  pulse::Status extend(std::size_t, std::size_t end, Lost lost) {
    lost(end);
    lost(~std::size_t{0});
    return {};
  }
};

using Keeper = pulse::engine::LeaseKeeper<FakeSubscription, pulse::ManualClock>;

void until(const auto& condition) {
  while (!condition()) {
    std::this_thread::sleep_for(1ms);
  }
}

}  // namespace

// guarantee 7
TEST_CASE("field bug 5: a long batch is extended every interval, whole, and asks to settle") {
  pulse::ManualClock clock;
  FakeSubscription subscription;
  std::atomic<bool> attention{false};
  Keeper keeper{10s, 8, clock, attention};
  keeper.start();
  keeper.open(subscription, 5);
  CHECK_FALSE(keeper.settle_due());
  for (int beat = 1; beat <= 3; ++beat) {
    clock.advance(10s);
    until([&] { return subscription.beats >= beat; });
  }
  CHECK(subscription.last == 5);
  CHECK(subscription.beats == 3);
  keeper.close();
  CHECK(keeper.settle_due());
  CHECK_FALSE(keeper.settle_due());
}

TEST_CASE("a backend that names a delivery no batch has marks nothing") {
  Wild subscription;
  std::atomic<bool> attention{false};
  pulse::engine::LeaseKeeper<Wild, pulse::ManualClock> keeper{10s, 8, pulse::ManualClock{}, attention};
  keeper.open(subscription, 7);
  keeper.beat();
  CHECK_FALSE(keeper.any_lost());
  CHECK_FALSE(keeper.lost_flags()[7].load());
}

// guarantee 7
TEST_CASE("a lease that is lost is known as lost, and forgotten with the batch") {
  pulse::ManualClock clock;
  FakeSubscription subscription;
  subscription.loses = 2;
  std::atomic<bool> attention{false};
  Keeper keeper{10s, 4, clock, attention};  // full with the batch: a flag too far is out of bounds
  keeper.start();
  CHECK_FALSE(keeper.any_lost());
  keeper.open(subscription, 4);
  CHECK_FALSE(keeper.any_lost());
  clock.advance(11s);
  until([&] { return attention.load(); });
  CHECK(keeper.any_lost());
  CHECK_FALSE(keeper.lost_flags()[1].load());
  CHECK(keeper.lost_flags()[2].load());
  keeper.close();
  keeper.open(subscription, 4);
  CHECK_FALSE(keeper.any_lost());
  CHECK_FALSE(keeper.lost_flags()[2].load());
  keeper.close();
}

TEST_CASE("nothing is extended after close") {
  pulse::ManualClock clock;
  FakeSubscription subscription;
  std::atomic<bool> attention{false};
  Keeper keeper{10s, 8, clock, attention};
  keeper.start();
  keeper.open(subscription, 4);
  keeper.close();
  clock.advance(100s);
  std::this_thread::sleep_for(20ms);
  CHECK(subscription.beats == 0);
}

TEST_CASE("without an interval there is no thread and no beat") {
  struct CountingClock : pulse::ManualClock {
    std::shared_ptr<std::atomic<int>> asked = std::make_shared<std::atomic<int>>(0);
    pulse::SteadyTime steady() const {
      ++*asked;
      return ManualClock::steady();
    }
  } clock;
  FakeSubscription subscription;
  std::atomic<bool> attention{false};
  pulse::engine::LeaseKeeper<FakeSubscription, CountingClock> keeper{0ms, 8, clock, attention};
  keeper.start();
  std::this_thread::sleep_for(20ms);  // a thread would have looked at the clock by now
  CHECK(*clock.asked == 0);
  keeper.open(subscription, 4);
  clock.advance(100s);
  keeper.beat();
  CHECK(subscription.beats == 0);
  CHECK_FALSE(keeper.any_lost());
  keeper.close();
}

TEST_CASE("a batch's first beat comes an interval after it was opened, however short that is") {
  pulse::ManualClock clock;
  FakeSubscription subscription;
  std::atomic<bool> attention{false};
  Keeper keeper{1ms, 8, clock, attention};
  keeper.start();
  clock.advance(100s);
  keeper.open(subscription, 4);
  std::this_thread::sleep_for(20ms);  // of the machine's: on the clock no time passes
  CHECK(subscription.beats == 0);
  clock.advance(1ms);
  until([&] { return subscription.beats >= 1; });
  keeper.close();
  clock.advance(100s);
  std::this_thread::sleep_for(20ms);
  CHECK(subscription.beats == 1);
}

TEST_CASE("stopping does not wait for the next beat") {
  FakeSubscription subscription;
  std::atomic<bool> attention{false};
  pulse::engine::LeaseKeeper<FakeSubscription, pulse::SystemClock> keeper{1h, 8, pulse::SystemClock{}, attention};
  keeper.start();
  keeper.open(subscription, 4);
  std::this_thread::sleep_for(20ms);  // its thread waits by now, most of the time
  keeper.stop();
  CHECK(subscription.beats == 0);
}

TEST_CASE("without its thread, a batch is extended when somebody says so") {
  pulse::ManualClock clock;
  FakeSubscription subscription;
  std::atomic<bool> attention{false};
  Keeper keeper{10s, 8, clock, attention};
  keeper.beat();
  CHECK(subscription.beats == 0);
  keeper.open(subscription, 4);
  keeper.beat();
  CHECK(subscription.beats == 1);
  CHECK(subscription.last == 4);
  CHECK(attention.load());
  CHECK(keeper.settle_due());
  keeper.close();
  keeper.beat();
  CHECK(subscription.beats == 1);
}
