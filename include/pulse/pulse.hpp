// SPDX-License-Identifier: MIT
#pragma once

/// Everything for consuming and publishing in memory, and for back-pressure end to end. Needs the standard library and Boost.Hana.
/// Opt-in, by their own headers: text exposition of metrics, JSON Schema, conformance suites.

#include "pulse/version.hpp"  // first: it says what compiler is needed

#include "pulse/backend/in_memory.hpp"
#include "pulse/consumer.hpp"
#include "pulse/control/feedback_bus.hpp"
#include "pulse/control/feedback_handler.hpp"
#include "pulse/control/handlers.hpp"
#include "pulse/control/rate_coordinator.hpp"
#include "pulse/core/config.hpp"
#include "pulse/core/keys.hpp"
#include "pulse/dedup/fifo_window.hpp"
#include "pulse/dedup/lru_window.hpp"
#include "pulse/dedup/no_dedup.hpp"
#include "pulse/dedup/seen_set.hpp"
#include "pulse/dedup/ttl_window.hpp"
#include "pulse/dedup/watermark.hpp"
#include "pulse/metrics/no_metrics.hpp"
#include "pulse/metrics/prometheus.hpp"
#include "pulse/metrics/tee.hpp"
#include "pulse/publisher.hpp"
#include "pulse/runtime.hpp"
