// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>

#include "pulse/core/config.hpp"
#include "pulse/core/delivery.hpp"

namespace {

using Env = std::map<std::string, std::string>;

auto from(const Env& env) {
  return pulse::PulseConfig::from_env([&](const char* name) -> const char* {
    const auto at = env.find(name);
    return at == env.end() ? nullptr : at->second.c_str();
  });
}

std::string error_of(const Env& env) {
  const auto config = from(env);
  REQUIRE(!config);
  CHECK(config.error().code == pulse::ErrorCode::config);
  return config.error().message;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("config: nothing set gives the documented defaults") {
  const auto config = from({});
  REQUIRE(config);
  CHECK(config->enabled);
  CHECK(config->backend == "inmem");
  CHECK(config->redis_url == "redis://localhost:6379/0");
  CHECK(config->name_space == "mdp");
  CHECK(config->track == pulse::Track::v1);
  CHECK(config->group == pulse::SubscribeOptions{}.group);
  CHECK(config->consumer == pulse::SubscribeOptions{}.consumer);
  CHECK(config->publisher_token.empty());
  CHECK(config->feedback.enable);
  CHECK(config->feedback.provider == "ibkr");
  CHECK(config->feedback.scale(pulse::BackpressureLevel::ok) == 1.0);
  CHECK(config->feedback.scale(pulse::BackpressureLevel::soft) == 0.5);
  CHECK(config->feedback.scale(pulse::BackpressureLevel::hard) == 0.0);
}

TEST_CASE("config: every variable is read") {
  const auto config = from({{"PULSE_ENABLED", "False"},
                            {"EVENT_BUS_BACKEND", "redis"},
                            {"REDIS_URL", "rediss://u:p@h:1/2"},
                            {"MD_NAMESPACE", "x.y"},
                            {"SCHEMA_TRACK", "v2"},
                            {"PULSE_GROUP", "pipeline-cpp"},
                            {"PULSE_CONSUMER", "host-7:1"},
                            {"PUBLISHER_TOKEN", "t"},
                            {"MDP_FB_ENABLE_FEEDBACK", "0"},
                            {"MDP_FB_PROVIDER_NAME", "Interactive Brokers"},
                            {"MDP_FB_SCALE_OK", "0.9"},
                            {"MDP_FB_SCALE_SOFT", ".25"},
                            {"MDP_FB_SCALE_HARD", "0.05"}});
  REQUIRE(config);
  CHECK(!config->enabled);
  CHECK(config->backend == "redis");
  CHECK(config->redis_url == "rediss://u:p@h:1/2");
  CHECK(config->name_space == "x.y");
  CHECK(config->track == pulse::Track::v2);
  CHECK(config->group == "pipeline-cpp");
  CHECK(config->consumer == "host-7:1");
  CHECK(config->publisher_token == "t");
  CHECK(!config->feedback.enable);
  CHECK(config->feedback.provider == "Interactive Brokers");
  CHECK(config->feedback.scale_ok == 0.9);
  CHECK(config->feedback.scale_soft == 0.25);
  CHECK(config->feedback.scale_hard == 0.05);
}

TEST_CASE("config: an empty variable is as if it were not set") {
  const auto config = from({{"PULSE_ENABLED", ""}, {"REDIS_URL", ""}, {"MDP_FB_SCALE_OK", ""}, {"MD_NAMESPACE", ""}});
  REQUIRE(config);
  CHECK(config->enabled);
  CHECK(config->name_space == "mdp");
}

TEST_CASE("config: a bad value is named with its variable, the value and what is allowed") {
  CHECK(error_of({{"PULSE_ENABLED", "maybe"}}) == "PULSE_ENABLED is \"maybe\"; allowed is true or false (also 1/0, yes/no, on/off)");
  CHECK(error_of({{"SCHEMA_TRACK", "V1"}}) == "SCHEMA_TRACK is \"V1\"; allowed is v1 or v2");
  for (const char* bad : {"1.1", "-0.1", "nan", "inf", "0,5", "1e-3", "abc", ".", "0.5 ", " 0.5", "0.5.5", "1000000000000000", "0x1"}) {
    CAPTURE(bad);
    const std::string message = error_of({{"MDP_FB_SCALE_SOFT", bad}});
    CHECK(message == "MDP_FB_SCALE_SOFT is \"" + std::string(bad) + "\"; allowed is a decimal number from 0 to 1, such as 0.5");
  }
  CHECK(has(error_of({{"MD_NAMESPACE", "a b"}}), "MD_NAMESPACE is \"a b\""));
  for (const char* variable : {"PULSE_GROUP", "PULSE_CONSUMER"}) {
    CHECK(from({{variable, std::string(128, 'x')}}));
    CHECK(error_of({{variable, "a\tb"}}) == std::string(variable) + " is \"a?b\"; allowed is a name of 1 to 128 printable bytes");
    CHECK(has(error_of({{variable, std::string(129, 'x')}}), variable));
  }
  CHECK(has(error_of({{"MD_NAMESPACE", "a\nforged line"}}), "\"a?forged line\""));  // one line, whatever the value
  CHECK(has(error_of({{"MD_NAMESPACE", std::string(1000, 'x')}}), "xxx...\""));
  const auto shown = [](const std::string& bytes) {
    const std::string message = error_of({{"MD_NAMESPACE", bytes}});
    return message.substr(17, message.find("\"; allowed") - 17);
  };
  for (const char* whole : {"\xc2\xa0", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    CHECK(shown(whole) == whole);
  }
  for (const char* none : {"\x80", "\xc1\xbf", "\xc2", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe1\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf1\x80\x80",
                           "\xf5\x80\x80\x80", "\xff"}) {
    CHECK(shown(none) == std::string(std::string_view(none).size(), '?'));
  }
  CHECK(shown("\xc2\x80z\xc2\x9f") == "?z?");
}

TEST_CASE("config: a share may have as many digits as its writer likes") {
  const auto config =
      from({{"MDP_FB_SCALE_OK", "1.00000000000000000"}, {"MDP_FB_SCALE_SOFT", "0.3333333333333333"}, {"MDP_FB_SCALE_HARD", ".12345678901234567890"}});
  REQUIRE(config);
  CHECK(config->feedback.scale_ok == 1);
  CHECK(std::abs(config->feedback.scale_soft - 1.0 / 3) < 1e-15);
  CHECK(config->feedback.scale_hard == 0.123456789012345);
  CHECK(from({{"MDP_FB_SCALE_OK", "0000000000000001.0"}, {"MDP_FB_SCALE_HARD", "0." + std::string(400, '0') + "1"}})->feedback.scale_hard == 0);
  CHECK(from({{"MDP_FB_SCALE_HARD", "0.0000000001234567890125"}})->feedback.scale_hard == 0.0000000001234567890125);
}

TEST_CASE("config: a worse level may not have a greater scale") {
  CHECK(has(error_of({{"MDP_FB_SCALE_OK", "0.4"}}), "1 >= ok >= soft >= hard >= 0"));
  CHECK(has(error_of({{"MDP_FB_SCALE_HARD", "0.6"}}), "MDP_FB_SCALE_HARD"));
  pulse::FeedbackSettings settings;
  settings.scale_soft = std::numeric_limits<double>::quiet_NaN();
  CHECK(!pulse::check(settings));
  settings = {};
  settings.provider.clear();
  CHECK(!pulse::check(settings));
  CHECK(pulse::check(pulse::FeedbackSettings{}));
}

TEST_CASE("config: no secret is ever in a message") {
  const std::string secret = "s3cr3t";
  for (const std::string url :
       {"redis://u:s3cr3t@h:99999", "redis://:s3cr3t@", "http://u:s3cr3t@h", "redis://s3cr3t@h", "u:s3cr3t@h", "redis://u:s3cr3t%zz@h", "redis://u:s3cr3t@h/x",
        "redis://u:s3@cr3ts3cr3t@h/x", "redis://h?password=s3cr3t", "redis://u:s3cr3t/x@h/y", "redis://u:a?s3cr3t@h/y", "u:s3cr3t@redis://h",
        "redis://h:6379/0?password=p@s3cr3t", "redis://:s3cr3t", "redis://:s3cr3t/0", "redis://u:s3cr3t", ":s3cr3t://x@localhost", "unix://u?s3cr3t@x/y"}) {
    CAPTURE(url);
    const std::string message = error_of({{"REDIS_URL", url}, {"PUBLISHER_TOKEN", secret}});
    CHECK(!has(message, secret));
    CHECK(has(message, "REDIS_URL"));
    CHECK(!has(pulse::redacted(url), secret));
  }
  CHECK(!has(error_of({{"PULSE_ENABLED", "x"}, {"PUBLISHER_TOKEN", secret}}), secret));
  CHECK(pulse::redacted("redis://user:pw@host:1/2") == "redis://***@host:1/2");
  CHECK(pulse::redacted("redis://host:1/2") == "redis://host:1/2");
  CHECK(pulse::redacted("redis://[::1]") == "redis://[::1]");
  CHECK(pulse::redacted("redis://[::1]:1") == "redis://[::1]:1");
  CHECK(pulse::redacted("redis://12345") == "redis://12345");
  CHECK(pulse::redacted("redis://:12345") == "redis://***");  // digits may be a password
  CHECK(pulse::redacted("redis://h:6379/0?password=p@x") == "redis://***");
}

TEST_CASE("redis url: its parts") {
  using pulse::RedisUrl;
  const auto ok = [](std::string_view text) {
    auto url = RedisUrl::parse(text);
    REQUIRE_MESSAGE(url.has_value(), text);
    return std::move(*url);
  };
  CHECK(ok("redis://localhost:6379/0") == RedisUrl{});
  CHECK(ok("redis://h") == RedisUrl{false, "", "", "h", 6379, 0, ""});
  CHECK(ok("redis://h/") == RedisUrl{false, "", "", "h", 6379, 0, ""});
  CHECK(ok("rediss://u:p%40%2F@h:7000/15") == RedisUrl{true, "u", "p@/", "h", 7000, 15, ""});
  CHECK(ok("redis://:pw@[::1]:1") == RedisUrl{false, "", "pw", "::1", 1, 0, ""});
  CHECK(ok("redis://[fe80::1]") == RedisUrl{false, "", "", "fe80::1", 6379, 0, ""});
  CHECK(ok("unix:///run/redis.sock").path == "/run/redis.sock");
  CHECK(ok("unix:///run/redis@1/redis.sock").path == "/run/redis@1/redis.sock");
  CHECK(ok("unix://u:p%40@/run/redis.sock?db=3") == RedisUrl{false, "u", "p@", "localhost", 6379, 3, "/run/redis.sock"});
  CHECK(ok("redis://h:7000").address() == "h:7000");
  CHECK(ok("redis://[::1]").address() == "[::1]:6379");
  CHECK(ok("unix:///run/redis.sock?db=3").address() == "/run/redis.sock");
  for (const char* bad : {"",
                          "redis",
                          "redis:",
                          "redis://",
                          "redis:///1",
                          "redis://h:0",
                          "redis://h:65536",
                          "redis://h:",
                          "redis://h:x",
                          "redis://h/-1",
                          "redis://h/65536",
                          "redis://[::1",
                          "redis://[::1]x",
                          "redis://a b",
                          "redis://h#f",
                          "unix://tmp/s",
                          "unix://",
                          "unix:///tmp/s?db=x",
                          "unix:///tmp/s?timeout=1",
                          "unix://u@/tmp/s",
                          "unix:///tmp/a\nb",
                          "redis://h:6379/0?password=p@ss",
                          "redis://u:a?b@h",
                          "redis://h/99999999999999999999"}) {
    CAPTURE(bad);
    CHECK(!RedisUrl::parse(bad));
  }
}
