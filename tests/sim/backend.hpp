// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pulse/backend/retry_schedule.hpp"
#include "pulse/concept/backend.hpp"
#include "world.hpp"

namespace pulse::sim {

class SimDelivery {
 public:
  SimDelivery(const Row& row, std::string_view data, std::uint8_t stream, bool redriven) noexcept
      : id_(row.id), count_(row.count), data_(data), event_(row.event), stream_(stream), redriven_(redriven) {}
  [[nodiscard]] std::size_t stream() const noexcept { return stream_; }
  [[nodiscard]] EntryId id() const noexcept { return id_; }
  [[nodiscard]] std::uint64_t delivery_count() const noexcept { return count_; }
  [[nodiscard]] bool redriven() const noexcept { return redriven_; }
  [[nodiscard]] std::string_view data() const noexcept { return data_; }
  [[nodiscard]] std::uint32_t event() const noexcept { return event_; }

 private:
  EntryId id_;
  std::uint64_t count_;
  std::string_view data_;
  std::uint32_t event_;
  std::uint8_t stream_;
  bool redriven_;
};

/// A member of a group of the simulated server. It talks to it as RedisSubscription does: one command a step, what it was told to settle is
/// said until the server confirms it, and after a lost connection it looks at what is pending for it, because a reply may have been lost.
class SimSubscription {
 public:
  using delivery_type = SimDelivery;

  SimSubscription(Process& process, std::size_t streams);

  Result<Batch<SimDelivery>> receive(std::size_t max, std::chrono::milliseconds wait);
  Result<Batch<SimDelivery>> claim_stale(std::chrono::milliseconds min_idle, std::size_t max);
  Status settle(const Settlement& settlement);
  Status flush(std::chrono::milliseconds wait);
  template <class Lost>
  Status extend(std::size_t first, std::size_t last, Lost lost) {
    std::vector<std::size_t> gone;
    Status extended = extend_range(first, last, gone);
    for (const std::size_t index : gone) {
      lost(index);
    }
    return extended;
  }
  void wake();
  Result<GroupState> state(std::size_t stream);

 private:
  enum class Fortune : std::uint8_t { undecided, decided, lost };
  struct Stream {
    bool recovering = true;
    EntryId recovered{};
    EntryId cursor{};
    BasicRetrySchedule<EntryId> retries{};
  };
  struct Letter {
    std::uint8_t stream;
    EntryId id;
    std::uint32_t event;
  };
  struct Ack {
    std::uint8_t stream;
    EntryId id;
  };

  Status call(Command& command);
  Status fails(Status failed);
  Command command(Command::Op op, std::size_t stream) const;
  Status say_settled(Time deadline);
  Status letter(const Letter& letter);
  Status extend_range(std::size_t first, std::size_t last, std::vector<std::size_t>& gone);
  void begin_batch();
  void decide(std::uint32_t index);
  void take(std::size_t stream, bool claimed);
  void judge(const SimDelivery& delivery, std::string_view reason) const;
  [[nodiscard]] Time now() const;

  Process* process_;
  World* world_;
  std::vector<Stream> streams_;
  std::vector<SimDelivery> batch_;
  std::vector<Fortune> fortunes_;
  std::vector<Ack> acks_;
  std::vector<Letter> letters_;
  Reply reply_;
  std::size_t vanished_ = 0;
  std::size_t turn_ = 0;
  bool connected_ = true;
  bool woken_ = false;
};

class SimBackend {
 public:
  using payload_type = std::string;
  using subscription_type = SimSubscription;
  static constexpr Capabilities capabilities{.typed = false, .durable = true, .shared = true, .fenced_acks = false};

  explicit SimBackend(Process& process) noexcept : process_(&process) {}
  Result<SimSubscription> subscribe(const SubscribeOptions& options);
  /// Events are published by the schedule itself. Errors: always.
  Result<EntryId> publish(std::string_view, std::string) { return Error{ErrorCode::denied, "the schedule publishes"}; }
  [[nodiscard]] BackendHealth health() const { return {}; }

 private:
  Process* process_;
};

static_assert(Backend<SimBackend>);

}  // namespace pulse::sim
