// SPDX-License-Identifier: MIT
//
// A public suite of JSON documents, where PULSE_THIRD_PARTY names the folder that holds it: y_ must be accepted, n_ refused, i_ may be either.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "pulse/codec/json.hpp"

TEST_CASE("the parsing suite: each document as the value of an unknown field, and of a header") {
  const char* root = std::getenv("PULSE_THIRD_PARTY");
  const std::filesystem::path folder = root == nullptr ? "" : std::filesystem::path(root) / "json-suite";
  if (root == nullptr || !std::filesystem::is_directory(folder)) {
    MESSAGE("skipped: PULSE_THIRD_PARTY names no folder with json-suite");
    return;
  }
  const std::string before = R"({"ts": 1, "meta": {"schema_id": "telemetry.FeedbackEvent")";
  const std::string after = R"(, "payload": {"coordinator_id": "c", "queue_size": 1, "capacity": 2, "level": "ok", "ts": 1})";
  pulse::JsonCodec codec{{pulse::Enforcement::strict, {.max_bytes = 1 << 24}}};
  pulse::Envelope<pulse::FeedbackEvent> envelope;
  pulse::DecodeError error;
  int documents = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    const std::string name = file.path().filename().string();
    if (file.path().extension() != ".json") {
      continue;
    }
    std::ifstream in(file.path(), std::ios::binary);
    const std::string document{std::istreambuf_iterator<char>(in), {}};
    CAPTURE(name);
    ++documents;
    const auto field = codec.decode(before + "}" + after + ", \"unknown\": " + document + "}", envelope, error);
    const auto header = codec.decode(before + ", \"headers\": {\"h\": " + document + "}}" + after + "}", envelope, error);
    if (name[0] == 'y') {
      CHECK(field == pulse::DecodeResult::ok);
      CHECK(header != pulse::DecodeResult::malformed);  // only strings are headers: the others are invalid
    } else if (name[0] == 'n') {
      CHECK(field == pulse::DecodeResult::malformed);
      CHECK(header == pulse::DecodeResult::malformed);
    }
  }
  CHECK(documents > 300);
}
