// SPDX-License-Identifier: MIT
#include "pulse/codec/json_schema.hpp"

#include <doctest/doctest.h>

#include <string>

#include "pulse/core/feedback.hpp"

TEST_CASE("the schema follows from the description, word for word") {
  CHECK(pulse::json_schema<pulse::RateAdjustment>() ==
        R"({"$schema_id":"telemetry.RateAdjustment","$track":"v1","type":"object",)"
        R"("$defs":{"BackpressureLevel":{"enum":["ok","soft","hard"],"type":"string"}},"properties":{)"
        R"("provider":{"type":"string","description":"Provider whose rate changes"},)"
        R"("scale":{"type":"number","minimum":0,"maximum":1,"description":"Share of the full rate"},)"
        R"("reason":{"$ref":"#/$defs/BackpressureLevel","description":"Back-pressure level behind it"},)"
        R"("ts":{"type":"number","description":"Unix epoch seconds"}},"required":["provider","scale","reason","ts"]})");
}

namespace {
enum class Side { buy, sell };
enum class Kind { market, limit };
struct Order {
  Side side = Side::buy;
  pulse::Nullable<Kind> kind{};
};
}  // namespace
template <>
struct pulse::DescribeEnum<Side> {
  static constexpr std::string_view names[] = {"buy", "sell"};
};
template <>
struct pulse::DescribeEnum<Kind> {
  static constexpr std::string_view names[] = {"market", "limit"};
};
template <>
struct pulse::Describe<Order> {
  static constexpr auto schema_id = pulse::FixedString{"test.Order"};
  static constexpr pulse::Track track = pulse::Track::v1;
  static constexpr auto fields = boost::hana::make_tuple(pulse::Field<"side", &Order::side>{}, pulse::Field<"kind", &Order::kind>{});
};

TEST_CASE("enums that nobody named stand at their properties, each with its own words") {
  CHECK(pulse::json_schema<Order>() ==
        R"({"$schema_id":"test.Order","$track":"v1","type":"object","properties":{"side":{"enum":["buy","sell"],"type":"string"},)"
        R"("kind":{"anyOf":[{"enum":["market","limit"],"type":"string"},{"type":"null"}],"default":null}},"required":["side"]})");
}

#if __has_include(<nlohmann/json.hpp>)
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

using nlohmann::json;

TEST_CASE("v2 adds optional members to v1 and changes none") {
  const json v1 = json::parse(pulse::json_schema<pulse::FeedbackEvent>());
  const json v2 = json::parse(pulse::json_schema<pulse::v2::FeedbackEvent>());
  for (const auto& [name, property] : v1["properties"].items()) {
    CHECK(v2["properties"][name] == property);
  }
  CHECK(v2["required"] == v1["required"]);
  CHECK(v2["properties"].size() == v1["properties"].size() + 2);
  CHECK(v2["properties"]["utilization"]["maximum"] == 1);
  CHECK(v2["properties"]["utilization"]["default"].is_null());
}

TEST_CASE("FeedbackEvent v1 is the registry's own schema") {
  const char* root = std::getenv("PULSE_THIRD_PARTY");
  std::ifstream file(root == nullptr ? "" : std::string(root) + "/wire/telemetry.FeedbackEvent.v1.schema.json");
  if (!file) {
    MESSAGE("skipped: PULSE_THIRD_PARTY names no folder with the registry's schema");
    return;
  }
  const json theirs = json::parse(file);
  const json ours = json::parse(pulse::json_schema<pulse::FeedbackEvent>());
  const auto bare = [](json value) {
    for (const char* prose : {"title", "description"}) {
      value.erase(prose);
    }
    return value;
  };
  CHECK(ours["type"] == theirs["type"]);
  CHECK(ours["$schema_id"] == theirs["$schema_id"]);
  CHECK(ours["$track"] == theirs["$track"]);
  CHECK(ours["required"].get<std::set<std::string>>() == theirs["required"].get<std::set<std::string>>());
  CHECK(ours["properties"].size() == theirs["properties"].size());
  for (const auto& [name, property] : theirs["properties"].items()) {
    CAPTURE(name);
    CHECK(bare(ours["properties"][name]) == bare(property));
  }
  CHECK(bare(ours["$defs"]["BackpressureLevel"]) == bare(theirs["$defs"]["BackpressureLevel"]));
}
#endif
