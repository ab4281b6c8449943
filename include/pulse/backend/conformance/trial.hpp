// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "pulse/core/delivery.hpp"

/// What the laws of Backend are written with.
namespace pulse::inline v0_1::conformance::backend_laws {

/// The options of a member of a group.
inline SubscribeOptions at(std::string consumer, std::string group = "g", std::vector<std::string> streams = {"s"}) {
  SubscribeOptions options;
  options.streams = std::move(streams);
  options.group = std::move(group);
  options.consumer = std::move(consumer);
  return options;
}

/// A batch as "data:count " of each delivery, "data:countr " where it was redriven.
template <class Batch>
std::string text(const Batch& batch) {
  std::string out;
  if (!batch) {
    return "error: " + batch.error().message;
  }
  for (const auto& delivery : batch->deliveries) {
    out += std::string(delivery.data()) + ":" + std::to_string(delivery.delivery_count()) + (delivery.redriven() ? "r " : " ");
  }
  return out;
}

/// "" where it is as wanted, else the law with both.
inline std::string differs(const std::string& law, const std::string& wanted, const std::string& got) {
  return got == wanted ? "" : law + ": wanted \"" + wanted + "\", got \"" + got + "\"";
}

}  // namespace pulse::inline v0_1::conformance::backend_laws
