// SPDX-License-Identifier: MIT
#include "pulse/codec/json.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "../counting_new.hpp"
#include "pulse/codec/json_schema.hpp"

using pulse::DecodeResult;

namespace {

const std::string wire =
    R"({"ts": 1755093447.3764217, "key": "bars_1", "meta": {"schema_id": "telemetry.FeedbackEvent", "track": "v1", "headers": {"reason": "queue_high", "utilization": "0.25"}, "hash": "065db2ab497f8596bb3a740ff79f03a0b7d6efacc6663ae93d9b7b5f3d7c03cb"}, "payload": {"coordinator_id": "bars_1", "queue_size": 339563, "capacity": 993909, "level": "soft", "source": "store", "ts": 1755093447.3039854}, "id": "d581fe2a-f6b8-448b-aa0e-53d96ff2abce"})";

/// The wire with one part replaced.
std::string with(const std::string& from, const std::string& to) {
  std::string changed = wire;
  const auto at = changed.find(from);
  REQUIRE(at != std::string::npos);
  return changed.replace(at, from.size(), to);
}

template <class Event = pulse::FeedbackEvent>
std::pair<DecodeResult, std::string> decode(const std::string& text, pulse::JsonOptions options = {}) {
  pulse::JsonCodec codec{options};
  pulse::Envelope<Event> envelope;
  pulse::DecodeError error;
  const DecodeResult result = codec.decode(text, envelope, error);
  return {result, error.text};
}

}  // namespace

TEST_CASE("every member lands where it belongs") {
  pulse::JsonCodec codec;
  pulse::Envelope<pulse::FeedbackEvent> envelope;
  pulse::DecodeError error;
  REQUIRE(codec.decode(wire, envelope, error) == DecodeResult::ok);
  CHECK(envelope.ts == 1755093447.3764217);
  CHECK(*envelope.key == "bars_1");
  CHECK(*envelope.id == "d581fe2a-f6b8-448b-aa0e-53d96ff2abce");
  CHECK(envelope.meta.schema_id == "telemetry.FeedbackEvent");
  CHECK(envelope.meta.headers.size() == 2);
  CHECK(*envelope.meta.headers.find("utilization") == "0.25");
  CHECK(envelope.meta.hash->size() == 64);
  CHECK(envelope.payload == pulse::FeedbackEvent{"bars_1", 339563, 993909, pulse::BackpressureLevel::soft, "store", 1755093447.3039854});
  std::string encoded;
  codec.encode(envelope, encoded);
  pulse::Envelope<pulse::FeedbackEvent> again;
  REQUIRE(codec.decode(encoded, again, error) == DecodeResult::ok);
  CHECK(again == envelope);
}

TEST_CASE("a v2 consumer upcasts v1 from its headers; what the payload has already stays") {
  pulse::JsonCodec codec;
  pulse::Envelope<pulse::v2::FeedbackEvent> envelope;
  pulse::DecodeError error;
  REQUIRE(codec.decode(wire, envelope, error) == DecodeResult::ok);
  CHECK(*envelope.payload.reason == "queue_high");
  CHECK(*envelope.payload.utilization == 0.25);
  REQUIRE(codec.decode(with("\"source\": \"store\"", "\"reason\": \"own\""), envelope, error) == DecodeResult::ok);
  CHECK(*envelope.payload.reason == "own");
  REQUIRE(codec.decode(with("\"0.25\"", "\"2.5\""), envelope, error) == DecodeResult::ok);
  CHECK_FALSE(envelope.payload.utilization);
  REQUIRE(codec.decode(with("\"v1\"", "\"v2\""), envelope, error) == DecodeResult::ok);
  CHECK_FALSE(envelope.payload.reason);
}

TEST_CASE("a v1 consumer ignores what v2 adds") { CHECK(decode(with("\"source\"", "\"utilization\": 7, \"source\"")).first == DecodeResult::ok); }

TEST_CASE("errors name the field, what was found and what is allowed") {
  CHECK(decode(with("339563", "-1")).second.find("payload.queue_size: found -1, allowed: an integer that fits 64 bits >= 0") == 0);
  CHECK(decode(with("\"soft\"", "\"medium\"")).second.find("payload.level: found \"medium\", allowed: one of ok, soft, hard") == 0);
  CHECK(decode(with("\"queue_size\": 339563, ", "")).second == "payload.queue_size: missing, required: an integer that fits 64 bits >= 0");
  CHECK(decode(with("telemetry.FeedbackEvent", "telemetry.Nope")).second == "meta.schema_id: found \"telemetry.Nope\", allowed: telemetry.FeedbackEvent");
}

TEST_CASE("a name of the wire cannot break out of the line of its error message") {
  const char* const want = "meta.schema_id: found \"forged?log? line?\", allowed: telemetry.FeedbackEvent";
  CHECK(decode(with("telemetry.FeedbackEvent", "forged\\nlog\\u001b line\x7f")).second == want);
  CHECK(decode(with("telemetry.FeedbackEvent", std::string(65, 'n'))).second ==
        "meta.schema_id: found \"" + std::string(64, 'n') + "...\", allowed: telemetry.FeedbackEvent");
  const std::string c1 =
      "a\xc2\x85"  // next line, and what begins a terminal's command, as UTF-8 has them
      "b\xc2\x9b"
      "31m\xc2\xa0";
  CHECK(decode(with("telemetry.FeedbackEvent", c1)).second == "meta.schema_id: found \"a?b?31m\xc2\xa0\", allowed: telemetry.FeedbackEvent");
  for (const std::string& character : {std::string("\xc3\xa9"), std::string("\xe2\x82\xac"), std::string("\xf0\x9f\x98\x80")}) {
    for (std::size_t before = 61; before < 64; ++before) {  // never cut within a character
      const std::string whole = std::string(before, 'x') + (before + character.size() <= 64 ? character : "");
      CHECK(decode(with("telemetry.FeedbackEvent", std::string(before, 'x') + character + "zzzz")).second.starts_with("meta.schema_id: found \"" + whole));
      if (whole.size() == before) {
        CHECK(decode(with("telemetry.FeedbackEvent", std::string(before, 'x') + character + "zzzz")).second ==
              "meta.schema_id: found \"" + whole + "...\", allowed: telemetry.FeedbackEvent");
      }
    }
  }
}

namespace {
template <int Most>
struct Below {
  static constexpr int bound = Most;
  template <class V>
  static constexpr bool holds(const V& value) noexcept {
    return value < static_cast<V>(Most);
  }
};
struct Bounds {
  std::int64_t most = 0;
  double large = 0;
  double small = 1;
  std::int64_t own = 0;
};
}  // namespace
template <>
struct pulse::Describe<Bounds> {
  static constexpr auto schema_id = pulse::FixedString{"test.Bounds"};
  static constexpr pulse::Track track = pulse::Track::v1;
  static constexpr auto fields = boost::hana::make_tuple(pulse::Field<"most", &Bounds::most, pulse::AtMost<2147483647>, pulse::Defaulted>{},
                                                         pulse::Field<"large", &Bounds::large, pulse::AtMost<1e17>, pulse::Defaulted>{},
                                                         pulse::Field<"small", &Bounds::small, pulse::GreaterThan<1e-7>, pulse::Defaulted>{},
                                                         pulse::Field<"own", &Bounds::own, Below<100>, pulse::Defaulted>{});
};

TEST_CASE("errors say which way a bound goes, and its value in full") {
  const auto refused = [](const std::string& payload) {
    const auto [result, why] = decode<Bounds>(R"({"ts": 1, "meta": {"schema_id": "test.Bounds"}, "payload": {)" + payload + "}}");
    CHECK(result == DecodeResult::invalid);
    return why.substr(0, why.find(" (at byte"));
  };
  CHECK(refused("\"most\": 3000000000") == "payload.most: found 3000000000, allowed: an integer that fits 64 bits <= 2147483647");
  CHECK(refused("\"large\": 1e18") == "payload.large: found 1e18, allowed: a number <= 1e+17");
  CHECK(refused("\"small\": 0") == "payload.small: found 0, allowed: a number > 1e-07");
  CHECK(refused("\"own\": 150") == "payload.own: found 150, allowed: an integer that fits 64 bits within the rule of bound 100");
  CHECK(pulse::json_schema<Bounds>().find(R"("own":{"type":"integer","default":0})") != std::string::npos);
}

TEST_CASE("a breach of the grammar after a breach of the schema is malformed") {
  CHECK(decode(with("339563", "-1")).first == DecodeResult::invalid);
  CHECK(decode(with("339563", "-1") + "x").first == DecodeResult::malformed);
}

TEST_CASE("integers: integral floats count, everything else is refused") {
  CHECK(decode(with("339563", "850.0")).first == DecodeResult::ok);
  CHECK(decode(with("339563", "8.5e2")).first == DecodeResult::ok);
  CHECK(decode(with("339563", "9223372036854775807")).first == DecodeResult::ok);
  CHECK(decode(with("339563", "9223372036854775808")).first == DecodeResult::invalid);
  CHECK(decode(with("339563", "1e19")).first == DecodeResult::invalid);
  CHECK(decode(with("339563", "0.5")).first == DecodeResult::invalid);
  CHECK(decode(with("339563", "00")).first == DecodeResult::malformed);
}

TEST_CASE("warn lets a broken bound through and says so; what has no value is invalid all the same") {
  const pulse::JsonOptions warn{pulse::Enforcement::warn, {}};
  CHECK(decode(with("339563", "-1"), warn).first == DecodeResult::warned);
  CHECK(decode(with("339563", "\"x\""), warn).first == DecodeResult::invalid);
  CHECK(decode(wire, warn).first == DecodeResult::ok);
}

TEST_CASE("limits are kept exactly") {
  pulse::JsonOptions options;
  options.limits.max_bytes = wire.size();
  CHECK(decode(wire, options).first == DecodeResult::ok);
  CHECK(decode(wire + " ", options).first == DecodeResult::malformed);
  const auto nested = [](int depth) {
    return with("\"ts\"", "\"z\": " + std::string(static_cast<std::size_t>(depth), '[') + std::string(static_cast<std::size_t>(depth), ']') + ", \"ts\"");
  };
  CHECK(decode(nested(63)).first == DecodeResult::ok);  // the envelope is the first of 64
  CHECK(decode(nested(64)).first == DecodeResult::malformed);
  CHECK(decode(with("\"ts\"", "\"z\": " + std::string(63, '[') + "1" + std::string(63, ']') + ", \"ts\"")).first == DecodeResult::ok);
  options = {};
  options.limits.max_headers = 2;
  CHECK(decode(wire, options).first == DecodeResult::ok);
  options.limits.max_headers = 1;
  CHECK(decode(wire, options).first == DecodeResult::malformed);
}

TEST_CASE("strings: escapes, surrogates and UTF-8 are read and checked") {
  const auto key = [](const std::string& raw) {
    pulse::JsonCodec codec;
    pulse::Envelope<pulse::FeedbackEventView> envelope;
    pulse::DecodeError error;
    const std::string text = with("\"bars_1\"", "\"" + raw + "\"");
    return codec.decode(text, envelope, error) == DecodeResult::ok ? std::string(*envelope.key) : "refused";
  };
  CHECK(key(R"(\"\\\/\b\f\n\r\t)") == "\"\\/\b\f\n\r\t");
  CHECK(key(R"(\u0041\u00df\u65e5\ud83d\ude00)") == "A\xc3\x9f\xe6\x97\xa5\xf0\x9f\x98\x80");
  CHECK(key("0123456789abcde\\n0123456789abcdef0123456789") == "0123456789abcde\n0123456789abcdef0123456789");
  CHECK(key("\xf4\x8f\xbf\xbf") == "\xf4\x8f\xbf\xbf");
  for (const char* bad : {R"(\ud83d)", R"(\ude00)", R"(\ud83d\u0041)", R"(\q)", R"(\u12g4)", R"(\u12)", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80",
                          "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\x80", "\xe2\x82", "\xff", "\x1f"}) {
    CAPTURE(bad);
    CHECK(key(bad) == "refused");
  }
}

TEST_CASE("every prefix of a document is malformed, and read without a step outside") {
  for (std::size_t length = 0; length < wire.size(); ++length) {
    const std::string exact{wire.data(), length};  // its own allocation: a sanitizer sees a step too far
    REQUIRE(decode(exact).first == DecodeResult::malformed);
    REQUIRE(decode<pulse::OneOf<pulse::FeedbackEvent, pulse::RateAdjustment>>(exact).first == DecodeResult::malformed);
  }
}

TEST_CASE("a reused envelope is decoded into without an allocation") {
  pulse::JsonCodec codec;
  pulse::Envelope<pulse::FeedbackEvent> envelope;
  pulse::Envelope<pulse::FeedbackEventView> view;
  pulse::DecodeError error;
  const std::string escaped = with("\"bars_1\"", "\"b\\u00e4rs_and_more_than_fits_a_short_string\"");
  for (int i = 0; i < 3; ++i) {
    REQUIRE(codec.decode(escaped, envelope, error) == DecodeResult::ok);
    REQUIRE(codec.decode(escaped, view, error) == DecodeResult::ok);
    REQUIRE(codec.decode(with("\"hash\": \"065", "\"hash_\": \"065"), envelope, error) == DecodeResult::ok);  // null in between
  }
  const long before = allocations;
  for (int i = 0; i < 100; ++i) {
    (void)codec.decode(escaped, envelope, error);
    (void)codec.decode(escaped, view, error);
  }
  CHECK(allocations == before);
}

TEST_CASE("numbers keep their kind and value") {
  const auto written = [](double value) {
    std::string out;
    pulse::detail::append_double(out, value);
    return out;
  };
  CHECK(written(0.0) == "0.0");
  CHECK(written(-0.0) == "-0.0");
  CHECK(written(1.0) == "1.0");
  CHECK(written(0.1) == "0.1");
  CHECK(written(1755093447.3764217) == "1755093447.3764217");
  CHECK(written(1e300) == "1e+300");
  CHECK(written(5e-324) == "5e-324");
}

TEST_CASE("numbers beyond a double: too large is refused, too small is zero, however they are spelled") {
  const std::string zeros(400, '0');
  for (const std::string& large : std::vector<std::string>{"1e400", "1" + zeros, "1" + zeros + "e-10", "1" + zeros + ".5"}) {
    CHECK(decode(with("1755093447.3764217", large)).first == DecodeResult::malformed);
  }
  for (const std::string& small : std::vector<std::string>{"1e-400", "0." + zeros + "1", "0." + zeros + "1e10", "-1e-999999999999"}) {
    CHECK(decode(with("1755093447.3764217", small)).first == DecodeResult::ok);
  }
  CHECK(decode(with("1755093447.3764217", "0." + zeros + "1e400")).first == DecodeResult::ok);
}

TEST_CASE("views stay where they are when a payload comes before its meta and both have escapes") {
  std::string text = R"({"key": "k\u0041", "payload": {"coordinator_id": ")";
  for (int i = 0; i < 200; ++i) {
    text += "\\u00e9";
  }
  text +=
      R"(", "queue_size": 1, "capacity": 2, "level": "ok", "ts": 1}, "meta": {"schema_id": "telemetry.FeedbackEvent", "headers": {"h\u0042": "v\u0043"}}, "ts": 1})";
  pulse::JsonCodec codec;
  pulse::Envelope<pulse::OneOf<pulse::FeedbackEventView, pulse::RateAdjustmentView>> envelope;
  pulse::DecodeError error;
  REQUIRE(codec.decode(text, envelope, error) == DecodeResult::ok);
  CHECK(*envelope.key == "kA");
  REQUIRE(envelope.meta.headers.find("hB") != nullptr);
  CHECK(*envelope.meta.headers.find("hB") == "vC");
  CHECK(envelope.payload.get_if<pulse::FeedbackEventView>()->coordinator_id.size() == 400);
}

TEST_CASE("a field that stands twice in a payload is refused, also where the payload comes before its meta") {
  const std::string payload = R"("payload": {"coordinator_id": "a", "queue_size": 1, "capacity": 2, "level": "ok", "ts": 1, "queue_size": 3})";
  const std::string meta = R"("meta": {"schema_id": "telemetry.FeedbackEvent"})";
  for (const std::string& text : {R"({"ts": 1, )" + meta + ", " + payload + "}", R"({"ts": 1, )" + payload + ", " + meta + "}"}) {
    const auto [one, why] = decode(text);
    CHECK(one == DecodeResult::malformed);
    CHECK(why.starts_with("a member that decides meaning appears twice"));
    const auto [one_of, why_not] = decode<pulse::OneOf<pulse::RateAdjustment, pulse::FeedbackEvent>>(text);
    CHECK(one_of == DecodeResult::malformed);
    CHECK(why_not == why);
  }
}

TEST_CASE("of equal header names the last one counts") {
  pulse::JsonCodec codec;
  pulse::Envelope<pulse::FeedbackEvent> envelope;
  pulse::DecodeError error;
  REQUIRE(codec.decode(with("\"utilization\": \"0.25\"", "\"reason\": \"last\""), envelope, error) == DecodeResult::ok);
  CHECK(envelope.meta.headers.size() == 1);
  CHECK(*envelope.meta.headers.find("reason") == "last");
}
