// SPDX-License-Identifier: MIT
//
// The recorded samples, each with its expected result; read by an independent parser where there is one.
#include <doctest/doctest.h>

#include "pulse/codec/json.hpp"

#if __has_include(<nlohmann/json.hpp>)
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "pulse/detail/random.hpp"

#ifndef PULSE_TEST_DATA
#define PULSE_TEST_DATA "tests/data"
#endif

using nlohmann::json;

namespace {

std::vector<json> samples() {
  std::ifstream file(PULSE_TEST_DATA "/envelopes.jsonl");
  std::vector<json> all;
  for (std::string line; std::getline(file, line);) {
    all.push_back(json::parse(line));
  }
  return all;
}

const char* word(pulse::DecodeResult result) {
  switch (result) {
    case pulse::DecodeResult::ok: return "ok";
    case pulse::DecodeResult::warned: return "warned";
    case pulse::DecodeResult::malformed: return "malformed";
    case pulse::DecodeResult::invalid: return "invalid";
  }
  return "?";
}

/// The document as its defaults complete it: what our encoder writes of it.
json completed(json document) {
  document.emplace("key", nullptr);
  json& meta = document["meta"];
  meta.emplace("track", "v1");
  meta.emplace("headers", json::object());
  meta.emplace("hash", nullptr);
  json& payload = document["payload"];
  if (meta["schema_id"] == "telemetry.FeedbackEvent") {
    payload.emplace("source", "store");
  }
  document.erase("trace");  // an unknown field
  return document;
}

}  // namespace

TEST_CASE_TEMPLATE("all samples decode or are refused as they say, and what is decoded is what was sent", Payload,
                   pulse::OneOf<pulse::FeedbackEvent, pulse::RateAdjustment>, pulse::OneOf<pulse::FeedbackEventView, pulse::RateAdjustmentView>) {
  const auto all = samples();
  REQUIRE(all.size() == 72);
  pulse::JsonCodec codec;
  pulse::Envelope<Payload> envelope;  // reused: nothing of one sample may show in the next
  pulse::DecodeError error;
  for (const json& sample : all) {
    CAPTURE(sample["name"].get<std::string>());
    const std::string wire = sample["wire"];
    CHECK(word(codec.decode(wire, envelope, error)) == sample["expect"].get<std::string>());
    if (sample["expect"] != "ok") {
      CHECK_FALSE(error.text.empty());
      continue;
    }
    std::string encoded;
    codec.encode(envelope, encoded);
    json want = completed(sample["decoded"]);
    json got = json::parse(encoded);
    if (want["meta"]["schema_id"] == "telemetry.FeedbackEvent") {
      want["payload"].erase("reason");  // a v1 consumer ignores what v2 adds
    }
    CHECK(got == want);
  }
}

TEST_CASE("seeded mutations: whatever we accept an independent parser accepts, and means the same") {
  constexpr std::uint64_t seed = 20'240'607;
  pulse::detail::SplitMix64 random{seed};
  const auto all = samples();
  pulse::JsonCodec codec;
  pulse::Envelope<pulse::OneOf<pulse::FeedbackEvent, pulse::RateAdjustment>> envelope;
  pulse::DecodeError error;
  int accepted = 0;
  for (int i = 0; i < 60'000; ++i) {
    std::string wire = all[random.up_to(all.size() - 1)]["wire"];
    if (wire.empty() || wire.size() > 2000) {
      continue;
    }
    for (std::uint64_t edits = random.up_to(3); edits > 0; --edits) {
      const auto at = static_cast<std::size_t>(random.up_to(wire.size() - 1));
      const char* const pieces[] = {"\"", "\\",   "{",    "}",       "[",       "]",        ",",    ":", "0",  "1e5", "-",
                                    ".",  "null", "true", "\\u00e9", "\\ud800", "\xc3\xa9", "\xff", " ", "\n", "\x01"};
      switch (random.up_to(2)) {
        case 0: wire.erase(at, random.up_to(3)); break;
        case 1: wire.insert(at, pieces[random.up_to(std::size(pieces) - 1)]); break;
        default: wire[at] = static_cast<char>(random.up_to(255)); break;
      }
      if (wire.empty()) {
        wire = " ";
      }
    }
    const auto result = codec.decode(wire, envelope, error);
    json other;
    bool grammatical = true;
    try {
      other = json::parse(wire);
    } catch (const json::parse_error&) {
      grammatical = false;
    } catch (const json::out_of_range&) {
      // A number that no double holds: refused there, a breach of the schema here.
      REQUIRE(result != pulse::DecodeResult::ok);
    }
    CAPTURE(seed);
    CAPTURE(wire);
    if (result != pulse::DecodeResult::malformed) {
      REQUIRE(grammatical);
    }
    if (result == pulse::DecodeResult::ok) {
      ++accepted;
      REQUIRE(envelope.ts == other["ts"].get<double>());
      std::string encoded;
      codec.encode(envelope, encoded);
      const json again = json::parse(encoded);
      for (const auto& [name, value] : again["payload"].items()) {
        if (other["payload"].contains(name)) {
          REQUIRE(value == other["payload"][name]);
        }
      }
    }
  }
  CHECK(accepted > 5000);
}

TEST_CASE("seeded doubles: read as another library reads them, written so that they read back") {
  pulse::detail::SplitMix64 random{7};
  for (int i = 0; i < 200'000; ++i) {
    std::string text = std::to_string(random() >> random.up_to(63));
    if (random.up_to(1) != 0) {
      text.insert(random.up_to(text.size() - 1) + 1, ".");
      text += "0";
    }
    if (random.up_to(3) == 0) {
      text += "e" + std::to_string(static_cast<int>(random.up_to(640)) - 320);
    }
    pulse::detail::JsonNumber number;
    REQUIRE(pulse::detail::scan_number(text.data(), text.data() + text.size(), number) == text.data() + text.size());
    double ours = -1;
    CAPTURE(text);
    if (pulse::detail::to_double(number, ours)) {
      REQUIRE(ours == std::strtod(text.c_str(), nullptr));
      std::string written;
      pulse::detail::append_double(written, ours);
      REQUIRE(std::strtod(written.c_str(), nullptr) == ours);
    } else {
      REQUIRE(std::isinf(std::strtod(text.c_str(), nullptr)));
    }
  }
}
#endif
