// SPDX-License-Identifier: MIT
//
// Backends that each break one law, and the law that the kit must name.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "pulse/backend/conformance.hpp"
#include "pulse/backend/in_memory.hpp"
#include "pulse/testing/faulty_backend.hpp"

using namespace std::chrono_literals;

namespace {

using Bytes = pulse::InMemoryBackend<std::string, pulse::ManualClock>;
using Member = Bytes::subscription_type;

enum class Fault {
  none,
  forgets_retries_and_dead_letters,
  forgets_settlements,
  extend_tells_of_no_loss,
  claims_what_is_fresh,
  receives_one_more,
  acked_up_to_the_end,
  acked_up_to_nothing,
  resumes_nowhere,
  resumes_in_another_stream,
  recoveries_uncounted,
  ack_any_owner,
  dead_any_owner,
  retry_any_owner,
  extend_takes,
  claims_own_waiting,
  claim_bound_per_stream,
  receive_bound_per_stream,
  first_stream_only,
  start_ignored,
  end_ignored,
  options_unchecked,
  dead_letters_uncounted,
  lag_uncounted,
  wake_does_nothing,
  wake_without_a_flag,
  publish_wakes_nobody,
  ids_forgotten,
  ids_of_deliveries,
  dead_letters_repeated,
  retries_counted_again,
};

/// Which member was given an entry last, and where it stands in that one's batch.
struct Seat {
  Member* member;
  std::uint32_t index;
};

/// A delivery as a broken backend gives it.
struct Given : Member::delivery_type {
  pulse::EntryId shown;
  std::uint64_t more = 0;  ///< than it was delivered
  [[nodiscard]] pulse::EntryId id() const { return shown; }
  [[nodiscard]] std::uint64_t delivery_count() const { return Member::delivery_type::delivery_count() + more; }
};

struct Broken {
  struct subscription_type {
    using delivery_type = Given;

    auto receive(std::size_t max, std::chrono::milliseconds wait) {
      if (fault == Fault::receives_one_more) {
        ++max;
      }
      if (fault == Fault::receive_bound_per_stream) {
        max *= options.streams.size();
      }
      *receiving = true;
      auto batch = fault == Fault::publish_wakes_nobody && wait > 0ms ? asleep(max, wait) : member->receive(max, wait);
      *receiving = false;
      return seated(std::move(batch));
    }
    auto claim_stale(std::chrono::milliseconds idle, std::size_t max) {
      if (fault == Fault::claims_own_waiting && waits) {
        again = std::make_unique<Member>(as_restarted());
        return seated(again->receive(max, 0ms));
      }
      return seated(
          member->claim_stale(fault == Fault::claims_what_is_fresh ? 0ms : idle, fault == Fault::claim_bound_per_stream ? max * options.streams.size() : max));
    }
    pulse::Status settle(const pulse::Settlement& settlement) {
      waits = waits || !settlement.retries.empty();
      dead += settlement.dead_letters.size();
      for (const pulse::RetryItem& item : settlement.retries) {
        more[ids[item.index]] += item.counts && !said.insert(item.index).second && fault == Fault::retries_counted_again ? 1 : 0;
      }
      if (fault == Fault::forgets_settlements) {
        return {};
      }
      for (const std::uint32_t index : settlement.acks) {
        const std::uint32_t mine[] = {owner(index, Fault::ack_any_owner).index};
        (void)owner(index, Fault::ack_any_owner).member->settle({mine, {}, {}});
      }
      if (fault == Fault::forgets_retries_and_dead_letters) {
        return {};
      }
      for (pulse::RetryItem item : settlement.retries) {
        const Seat seat = owner(item.index, Fault::retry_any_owner);
        item.index = seat.index;
        (void)seat.member->settle({{}, {&item, 1}, {}});
      }
      for (pulse::DeadLetterItem item : settlement.dead_letters) {
        const Seat seat = owner(item.index, Fault::dead_any_owner);
        item.index = seat.index;
        (void)seat.member->settle({{}, {}, {&item, 1}});
      }
      return {};
    }
    pulse::Status flush(std::chrono::milliseconds wait) { return member->flush(wait); }
    template <class Lost>
    pulse::Status extend(std::size_t first, std::size_t last, Lost lost) {
      bool any = false;
      pulse::Status done = member->extend(first, last, [&](std::size_t index) {
        any = true;
        if (fault != Fault::extend_tells_of_no_loss) {
          lost(index);
        }
      });
      if (any && fault == Fault::extend_takes) {
        (void)as_restarted().claim_stale(0ms, 100);
      }
      return done;
    }
    void wake() {
      *woken = true;
      if (fault != Fault::wake_does_nothing && (fault != Fault::wake_without_a_flag || *receiving)) {
        member->wake();
      }
    }
    pulse::Result<pulse::GroupState> state(std::size_t stream) {
      auto told = member->state(stream);
      if (fault == Fault::acked_up_to_the_end) {
        told->acked_up_to = pulse::EntryId::max();  // whatever is pending
      }
      if (fault == Fault::acked_up_to_nothing) {
        told->acked_up_to = {};
      }
      if (fault == Fault::dead_letters_uncounted) {
        told->dead_letters = 0;
      }
      if (fault == Fault::dead_letters_repeated) {
        told->dead_letters = std::max<std::uint64_t>(told->dead_letters, dead);
      }
      if (fault == Fault::lag_uncounted) {
        told->lag = 0;
      }
      return told;
    }

    Member as_restarted() { return *bus->subscribe(options); }
    pulse::Result<pulse::Batch<Member::delivery_type>> asleep(std::size_t max, std::chrono::milliseconds wait) {
      for (const pulse::SteadyTime until = clock.steady() + wait; clock.steady() < until && !*woken;) {
        std::this_thread::sleep_for(1ms);
      }
      return member->receive(max, 0ms);
    }
    pulse::Result<pulse::Batch<delivery_type>> seated(pulse::Result<pulse::Batch<Member::delivery_type>> batch) {
      ids.clear();
      said.clear();
      given.clear();
      for (const auto& delivery : batch->deliveries) {
        const pulse::EntryId id = delivery.id();
        (*seats)[id] = {member.get(), static_cast<std::uint32_t>(ids.size())};
        ids.push_back(id);
        pulse::EntryId shown = fault == Fault::ids_forgotten ? pulse::EntryId{} : id;
        shown.seq += fault == Fault::ids_of_deliveries ? delivery.delivery_count() - 1 : 0;
        given.push_back({delivery, shown, more[id]});
      }
      return pulse::Batch<delivery_type>{given, batch->vanished, batch->more};
    }
    Seat owner(std::uint32_t index, Fault whoever) { return fault == whoever ? seats->at(ids[index]) : Seat{member.get(), index}; }

    Fault fault;
    Bytes* bus;
    pulse::ManualClock clock;
    pulse::SubscribeOptions options;
    std::shared_ptr<std::map<pulse::EntryId, Seat>> seats;
    std::unique_ptr<Member> member;
    std::vector<pulse::EntryId> ids{};
    std::vector<Given> given{};
    std::set<std::uint32_t> said{};                  ///< of the batch, to be retried
    std::map<pulse::EntryId, std::uint64_t> more{};  ///< see Given
    std::size_t dead = 0;
    bool waits = false;
    std::unique_ptr<Member> again{};
    std::unique_ptr<std::atomic<bool>> woken = std::make_unique<std::atomic<bool>>(false);
    std::unique_ptr<std::atomic<bool>> receiving = std::make_unique<std::atomic<bool>>(false);
  };
  using payload_type = std::string;
  static constexpr pulse::Capabilities capabilities = Bytes::capabilities;

  Broken(Fault which, pulse::ManualClock time) : fault(which), clock(time), bus({}, time) {}

  pulse::Result<subscription_type> subscribe(pulse::SubscribeOptions wanted) {
    if (fault == Fault::recoveries_uncounted) {
      wanted.count_recoveries = false;
    }
    if (fault == Fault::resumes_nowhere) {
      wanted.resume_after.clear();
    }
    if (fault == Fault::resumes_in_another_stream && !wanted.resume_after.empty()) {
      wanted.start.after = wanted.resume_after[0];  // whatever the stream had
      wanted.resume_after.clear();
    }
    if (fault == Fault::start_ignored) {
      wanted.start.after = {};
    }
    if (fault == Fault::end_ignored) {
      wanted.start.newest = false;
    }
    if (fault == Fault::options_unchecked && !pulse::check(wanted)) {
      wanted.streams = {"s"};
    }
    if (fault == Fault::first_stream_only && !wanted.streams.empty()) {
      wanted.streams.resize(1);
    }
    auto made = bus.subscribe(wanted);
    if (!made) {
      return std::move(made).error();
    }
    return subscription_type{fault, &bus, clock, wanted, seats, std::make_unique<Member>(std::move(*made))};
  }
  pulse::Result<pulse::EntryId> publish(std::string_view stream, std::string payload) { return bus.publish(stream, std::move(payload)); }
  [[nodiscard]] pulse::BackendHealth health() const { return bus.health(); }

  Fault fault;
  pulse::ManualClock clock;
  Bytes bus;
  std::shared_ptr<std::map<pulse::EntryId, Seat>> seats = std::make_shared<std::map<pulse::EntryId, Seat>>();
};
static_assert(pulse::Backend<Broken> && !pulse::DeadLetterStore<Broken>);

std::string laws(Fault fault) {
  // What ends at once does so in far less; only the wakes that are broken wait that long.
  const auto patience = fault == Fault::wake_does_nothing || fault == Fault::wake_without_a_flag || fault == Fault::publish_wakes_nobody ? 200ms : 10'000ms;
  return pulse::conformance::backend([&](pulse::ManualClock clock) { return std::make_unique<Broken>(fault, clock); }, pulse::conformance::AdvanceClock{},
                                     patience);
}

}  // namespace

// guarantee 1, 5, 7: a backend that breaks a law of the contract, one for each law
TEST_CASE("the kit of backends names the law that is broken") {
  const auto names = [](Fault fault, std::string_view law) {
    CAPTURE(static_cast<int>(fault));
    const std::string named = laws(fault);
    CHECK_MESSAGE((law.empty() ? named.empty() : named.starts_with(law)), named);
  };
  names(Fault::none, "");
  names(Fault::forgets_retries_and_dead_letters, "a retry comes after its delay");
  names(Fault::forgets_settlements, "what is acknowledged is gone");
  names(Fault::extend_tells_of_no_loss, "extending reports exactly");
  names(Fault::claims_what_is_fresh, "a claim takes only what has idled");
  names(Fault::receives_one_more, "a receive gives at most what was asked for");
  names(Fault::acked_up_to_the_end, "what is settled behind");
  names(Fault::acked_up_to_nothing, "everything is acked up to");
  names(Fault::resumes_nowhere, "a new group goes on after");
  names(Fault::resumes_in_another_stream, "a new group that is told an id");
  names(Fault::recoveries_uncounted, "where recoveries count");
  names(Fault::ack_any_owner, "an acknowledgement by a former owner changes nothing");
  names(Fault::dead_any_owner, "a dead letter of a former owner is none");
  names(Fault::retry_any_owner, "a retry of a former owner comes to nobody");
  names(Fault::extend_takes, "extending never takes back");
  names(Fault::claims_own_waiting, "who waits to retry an entry does not claim it");
  names(Fault::claim_bound_per_stream, "a claim gives at most what was asked for, of all streams together");
  names(Fault::receive_bound_per_stream, "a receive gives at most what was asked for, of all streams together");
  names(Fault::first_stream_only, "a receive leaves out no stream");
  names(Fault::start_ignored, "a new group begins after the entry of its start");
  names(Fault::end_ignored, "a new group that begins at the end");
  names(Fault::options_unchecked, "a subscription to no stream is refused");
  names(Fault::lag_uncounted, "state counts what the group has not been given");
  names(Fault::dead_letters_uncounted, "a dead letter is counted by state");
  names(Fault::wake_does_nothing, "a wake ends the next receive at once");
  names(Fault::wake_without_a_flag, "a wake ends the next receive at once");
  names(Fault::publish_wakes_nobody, "a waiting receive gives an entry that comes");
  names(Fault::ids_forgotten, "a delivery has the id that its publish returned");
  names(Fault::ids_of_deliveries, "a retry has the id of its entry");
  names(Fault::dead_letters_repeated, "a dead letter that was said twice is there once");
  names(Fault::retries_counted_again, "a retry that counts and was said twice is counted once");
}

TEST_CASE("the backend of faults, without any, keeps the laws") {
  struct Faultless {
    explicit Faultless(pulse::ManualClock clock) : bus({}, clock) {}
    Bytes bus;
    pulse::testing::FaultyBackend<Bytes> backend{bus, {.one_in = 0}};
    pulse::testing::FaultyBackend<Bytes>& operator*() { return backend; }
    pulse::testing::FaultyBackend<Bytes>* operator->() { return &backend; }
  };
  CHECK(pulse::conformance::backend([](pulse::ManualClock clock) { return Faultless{clock}; }) == "");
}
