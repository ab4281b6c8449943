// SPDX-License-Identifier: MIT
// expect-error: the Backend's subscription cannot be moved.*std::unique_ptr. See docs/reference/backend.md
#include <atomic>

#include <pulse/pulse.hpp>

struct Membership {
  struct delivery_type {
    std::size_t stream() const { return 0; }
    pulse::EntryId id() const { return {}; }
    std::uint64_t delivery_count() const { return 1; }
    bool redriven() const { return false; }
    std::string_view data() const { return {}; }
  };
  using Deliveries = pulse::Result<pulse::Batch<delivery_type>>;
  Deliveries receive(std::size_t, std::chrono::milliseconds) { return pulse::Batch<delivery_type>{}; }
  Deliveries claim_stale(std::chrono::milliseconds, std::size_t) { return pulse::Batch<delivery_type>{}; }
  pulse::Status settle(const pulse::Settlement&) { return {}; }
  pulse::Status flush(std::chrono::milliseconds) { return {}; }
  template <class Lost>
  pulse::Status extend(std::size_t, std::size_t, Lost) {
    return {};
  }
  void wake() {}
  pulse::Result<pulse::GroupState> state(std::size_t) { return pulse::GroupState{}; }
#ifndef PULSE_TWIN
  std::atomic<bool> woken{false};
#endif
};
struct Transport {
  using payload_type = std::string;
  using subscription_type = Membership;
  static constexpr pulse::Capabilities capabilities{};
  pulse::Result<Membership> subscribe(const pulse::SubscribeOptions&) { return pulse::Error{}; }
  pulse::Result<pulse::EntryId> publish(std::string_view, std::string) { return pulse::EntryId{}; }
  pulse::BackendHealth health() const { return {}; }
};
struct Rates {
  void apply(const pulse::RateAdjustment&) {}
};

int main() {
  Transport transport;
  Rates rates;
  pulse::Consumer consumer{transport, pulse::FifoWindow{64}, pulse::NoMetrics{}, rates};
  return consumer.run() ? 0 : 1;
}
