// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "pulse/core/event_id.hpp"
#include "pulse/core/metric_family.hpp"

namespace pulse::inline v0_1::engine {

/// What is known of a stream while its deliveries are handled.
struct StreamFacts {
  std::string key;
  EventId salt{};  ///< zero where there is one stream only
  LabelSlot<StreamLabel> slot{};
};

}  // namespace pulse::inline v0_1::engine
