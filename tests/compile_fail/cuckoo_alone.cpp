// SPDX-License-Identifier: MIT
// guarantee 3: a Cuckoo alone, without consent
// expect-error: may take a new event for a duplicate and so lose it.*pulse::AllowLoss
#include <pulse/dedup/cuckoo.hpp>
#include <pulse/dedup/fifo_window.hpp>
#include <pulse/dedup/tiered.hpp>

#ifdef PULSE_TWIN
constexpr bool with_consent = pulse::assert_dedup<pulse::AllowLoss<pulse::Cuckoo>>();
constexpr bool as_a_filter = pulse::assert_dedup<pulse::Tiered<pulse::Cuckoo, pulse::FifoWindow>>();
#else
constexpr bool alone = pulse::assert_dedup<pulse::Cuckoo>();
#endif
