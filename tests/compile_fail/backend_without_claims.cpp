// SPDX-License-Identifier: MIT
// expect-error: has no `pulse::Result<pulse::Batch<delivery_type>> claim_stale.*or abandoned entries are never handled
#include <pulse/concept/backend.hpp>

struct Delivery {
  std::size_t stream() const { return 0; }
  pulse::EntryId id() const { return {}; }
  std::uint64_t delivery_count() const { return 1; }
  bool redriven() const { return false; }
  std::string_view data() const { return {}; }
};
struct Membership {
  using delivery_type = Delivery;
  pulse::Result<pulse::Batch<Delivery>> receive(std::size_t, std::chrono::milliseconds) { return pulse::Batch<Delivery>{}; }
#ifdef PULSE_TWIN
  pulse::Result<pulse::Batch<Delivery>> claim_stale(std::chrono::milliseconds, std::size_t) { return pulse::Batch<Delivery>{}; }
#endif
  pulse::Status settle(const pulse::Settlement&) { return {}; }
  pulse::Status flush(std::chrono::milliseconds) { return {}; }
  template <class Lost>
  pulse::Status extend(std::size_t, std::size_t, Lost) {
    return {};
  }
  void wake() {}
  pulse::Result<pulse::GroupState> state(std::size_t) { return pulse::GroupState{}; }
};
struct Transport {
  using payload_type = std::string;
  using subscription_type = Membership;
  static constexpr pulse::Capabilities capabilities{};
  pulse::Result<Membership> subscribe(const pulse::SubscribeOptions&) { return Membership{}; }
  pulse::Result<pulse::EntryId> publish(std::string_view, std::string) { return pulse::EntryId{}; }
  pulse::BackendHealth health() const { return {}; }
};
constexpr bool asserted = pulse::assert_backend<Transport>();
