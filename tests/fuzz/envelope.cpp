// SPDX-License-Identifier: MIT
//
// Any bytes as an envelope: the codec against itself in its forms, and against an independent parser's verdict.
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "law.hpp"
#include "pulse/codec/json.hpp"

using nlohmann::json;
using pulse::DecodeError;
using pulse::DecodeResult;
using pulse::Enforcement;
using pulse::Envelope;
using pulse::JsonCodec;
using pulse_fuzz::law;

namespace {

using Owned = pulse::OneOf<pulse::FeedbackEvent, pulse::RateAdjustment>;
using Views = pulse::OneOf<pulse::FeedbackEventView, pulse::RateAdjustmentView>;

/// What an independent parser says of the text.
struct Verdict {
  json document;
  bool grammatical = true;
  bool unknown = false;  ///< a number that no double holds: it refuses those, and we need not
  bool twice = false;    ///< a member that we know by its name, twice in one object
};

Verdict judge(std::string_view wire) {
  Verdict verdict;
  if (wire.find('\0') != std::string_view::npos || wire.starts_with("\xef\xbb\xbf")) {  // it takes the one for the end, and passes over the other
    verdict.grammatical = false;
    return verdict;
  }
  std::vector<std::set<std::string>> names;
  const auto look = [&](int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) {
      names.emplace_back();
    } else if (event == json::parse_event_t::object_end) {
      names.pop_back();
    } else if (event == json::parse_event_t::key) {
      verdict.twice = !names.back().insert(parsed.get<std::string>()).second || verdict.twice;
    }
    return true;
  };
  try {
    verdict.document = json::parse(wire, look);
  } catch (const json::parse_error&) {
    verdict.grammatical = false;
  } catch (const json::out_of_range&) {
    verdict.unknown = true;
  }
  return verdict;
}

int depth(const json& value) {
  int deepest = 0;
  if (value.is_structured()) {
    for (const json& each : value) {
      deepest = std::max(deepest, depth(each));
    }
    ++deepest;
  }
  return deepest;
}

/// Whether what is said of a grammatical text is so.
bool justified(const std::string& reason, const json& document) {
  const auto says = [&](std::string_view text) { return reason.starts_with(text); };
  const auto lacks = [&](const char* name) { return document.is_object() && !document.contains(name); };
  const auto optional_text = [](const json& in, const char* name) { return !in.contains(name) || in[name].is_string() || in[name].is_null(); };
  if (says("the text does not end with '}'") || says("an envelope is an object")) {
    return !document.is_object();
  }
  if (says("nested deeper than allowed")) {
    return depth(document) > 63;
  }
  if (says("ts is missing") || says("meta is missing") || says("payload is missing")) {
    return lacks(reason.substr(0, reason.find(' ')).c_str());
  }
  if (says("ts must be a number")) {
    return !lacks("ts") && !document["ts"].is_number();
  }
  if (says("key must be a string or null") || says("id must be a string or null")) {
    return !optional_text(document, reason.substr(0, reason.find(' ')).c_str());
  }
  if (says("meta must be an object")) {
    return !lacks("meta") && !document["meta"].is_object();
  }
  if (lacks("meta") || !document["meta"].is_object()) {
    return false;
  }
  const json& meta = document["meta"];
  if (says("meta.schema_id is missing")) {
    return !meta.contains("schema_id");
  }
  if (says("meta.schema_id must be a string")) {
    return meta.contains("schema_id") && !meta["schema_id"].is_string();
  }
  if (says("meta.hash must be a string or null")) {
    return !optional_text(meta, "hash");
  }
  return says("more headers than allowed") && meta.contains("headers") && meta["headers"].size() > 64;
}

/// What was decoded is what stands there.
template <class Event>
bool same_payload(const Event& event, const json& payload) {
  bool same = true;
  boost::hana::for_each(pulse::Describe<Event>::fields, [&](auto field) {
    const auto& value = field(event);
    const auto& there = payload.find(std::string(field.name));
    using value_type = std::remove_cvref_t<decltype(value)>;
    if (there == payload.end()) {
      same = same && value == field(Event{});
    } else if constexpr (pulse::DescribedEnum<value_type>) {
      same = same && *there == std::string(pulse::name_of(value));
    } else if constexpr (!pulse::is_nullable<value_type>) {
      same = same && *there == json(value);
    }
  });
  return same;
}

bool same_document(const Envelope<Owned>& envelope, const json& document) {
  const json& meta = document["meta"];
  const auto same_text = [](const pulse::Nullable<std::string>& text, const json& in, const char* name) {
    const auto found = in.find(name);
    return text ? found != in.end() && *found == *text : found == in.end() || found->is_null();
  };
  bool same = envelope.ts == document["ts"].get<double>() && same_text(envelope.key, document, "key") && same_text(envelope.id, document, "id") &&
              same_text(envelope.meta.hash, meta, "hash") && meta["schema_id"] == envelope.meta.schema_id &&
              meta.value("track", "v1") == pulse::name_of(envelope.meta.track) &&
              envelope.meta.headers.size() == (meta.contains("headers") ? meta["headers"].size() : 0);
  for (const auto& [name, value] : envelope.meta.headers) {
    same = same && meta["headers"].value(name, json{}) == value;
  }
  return same && envelope.payload.visit([&](const auto& event) { return same_payload(event, document["payload"]); });
}

template <class Payload>
DecodeResult decode(JsonCodec& codec, std::string_view wire, Envelope<Payload>& envelope, DecodeError& error) {
  const DecodeResult result = codec.decode(wire, envelope, error);
  law(result == error.result, "the result is told twice alike");
  if (result == DecodeResult::malformed || result == DecodeResult::invalid) {
    pulse_fuzz::readable(error.text, 400);
  }
  return result;
}

bool good(DecodeResult result) { return result == DecodeResult::ok || result == DecodeResult::warned; }

/// What is decoded is written, and reads back the same.
template <class Payload>
std::string round_trip(JsonCodec& codec, const Envelope<Payload>& envelope) {
  std::string written;
  codec.encode(envelope, written);
  JsonCodec other;
  Envelope<Payload> again;
  DecodeError error;
  law(other.decode(written, again, error) == DecodeResult::ok && again == envelope, "what is decoded is encoded so that it reads back", written);
  return written;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view wire{reinterpret_cast<const char*>(data), size};
  // Reused from input to input, as a consumer does: nothing of one may show in the next.
  static JsonCodec strict;
  static JsonCodec lenient{{.enforcement = Enforcement::warn}};
  static Envelope<Owned> envelope;
  static Envelope<Views> view;
  static Envelope<pulse::v2::FeedbackEvent> second;
  DecodeError error;

  const DecodeResult result = decode(strict, wire, envelope, error);
  const std::string reason = error.text;
  const Verdict verdict = judge(wire);
  if (!verdict.unknown) {
    law(result == DecodeResult::malformed || verdict.grammatical, "what we accept is JSON", wire);
    law(result != DecodeResult::malformed || !verdict.grammatical || verdict.twice || justified(reason, verdict.document),
        "what is JSON is refused for a reason", reason);
    law(result != DecodeResult::ok || same_document(envelope, verdict.document), "what is decoded is what stands there", wire);
  }
  std::string written;
  if (result == DecodeResult::ok) {
    written = round_trip(strict, envelope);
  }

  const DecodeResult let_through = decode(lenient, wire, envelope, error);
  law((let_through == DecodeResult::ok) == (result == DecodeResult::ok) && (let_through == DecodeResult::malformed) == (result == DecodeResult::malformed),
      "what is lenient differs in breaches of the schema only", wire);

  law(decode(strict, wire, view, error) == result && (good(result) || error.text == reason), "views are read as texts are", error.text);
  if (result == DecodeResult::ok) {
    std::string from_views;
    strict.encode(view, from_views);
    law(from_views == written, "views say what texts say", from_views);
  }

  if (decode(strict, wire, second, error) == DecodeResult::ok) {
    (void)round_trip(strict, second);
    law(result == DecodeResult::ok, "v1 ignores what v2 adds", wire);
  }
  return 0;
}
