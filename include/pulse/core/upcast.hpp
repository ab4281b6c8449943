// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "pulse/core/envelope.hpp"

namespace pulse::inline v0_1 {

/// Gives a v2 FeedbackEvent what v1 carries in headers: `reason`, and `utilization` as read by `parse` (text in, number out, false
/// when it is none); a utilization outside 0..1 leaves it null. What the event has already stays.
template <class Text, class Parse>
void upcast(const BasicHeaders<Text>& headers, v2::BasicFeedbackEvent<Text>& event, Parse parse) {
  if (const Text* reason = headers.find("reason"); reason != nullptr && !event.reason) {
    event.reason.emplace() = *reason;
  }
  double value;
  if (const Text* text = headers.find("utilization");
      text != nullptr && !event.utilization && parse(std::string_view{*text}, value) && value >= 0 && value <= 1) {
    event.utilization.emplace() = value;
  }
}

}  // namespace pulse::inline v0_1
