// SPDX-License-Identifier: MIT
//
// Any environment: lines of NAME=VALUE; a line without a name is a URL by itself.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "law.hpp"
#include "pulse/core/config.hpp"

using pulse::ErrorCode;
using pulse::PulseConfig;
using pulse::RedisUrl;
using pulse_fuzz::law;

namespace {

constexpr std::string_view forms = "; allowed is redis[s]://[[user]:password@]host[:port][/db] or unix://[[user]:password@]/path[?db=N]";

std::string encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0) {
      out += c;
    } else {
      out += '%';
      out += "0123456789ABCDEF"[byte >> 4];
      out += "0123456789ABCDEF"[byte & 15];
    }
  }
  return out;
}

std::string written(const RedisUrl& url) {
  const std::string who = url.user.empty() && url.password.empty() ? "" : encoded(url.user) + ':' + encoded(url.password) + '@';
  return url.path.empty() ? (url.tls ? "rediss://" : "redis://") + who + url.address() + '/' + std::to_string(url.db)
                          : "unix://" + who + url.path + "?db=" + std::to_string(url.db);
}

/// The same URL with other secrets: everything before the last '@' but the marks that give a URL its form.
std::string with_other_secrets(std::string url) {
  const auto at = url.rfind('@');
  const auto scheme = url.find("://");
  for (std::size_t i = scheme == std::string::npos || scheme > at ? 0 : scheme; at != std::string::npos && i < at; ++i) {
    url[i] = std::isalnum(static_cast<unsigned char>(url[i])) != 0 ? 'x' : url[i];
  }
  return url;
}

void url(const std::string& text) {
  const std::string shown = pulse::redacted(text);
  if (!text.empty()) {
    pulse_fuzz::readable(shown, text.size() + 6);
  }
  law(shown == pulse::redacted(with_other_secrets(text)), "what is shown of a URL does not depend on its secrets", text);
  const auto parsed = RedisUrl::parse(text);
  if (!parsed) {
    const std::string& message = parsed.error().message;
    law(parsed.error().code == ErrorCode::config, "a bad URL is a bad setting", message);
    law(message.starts_with('"' + shown + "\": ") && message.ends_with(forms), "a bad URL is shown redacted, with what is allowed", message);
    law(message.size() <= shown.size() + forms.size() + 150, "what is wrong with a URL is said briefly", message);
    return;
  }
  law(!parsed->host.empty() && parsed->port > 0 && parsed->db <= 65535 && parsed->path.size() <= 107, "a URL's parts are within their bounds", text);
  const auto again = RedisUrl::parse(written(*parsed));
  law(again && *again == *parsed, "a URL that is written reads back", written(*parsed));
}

using Variables = std::map<std::string, std::string>;

pulse::Result<PulseConfig> read(const Variables& variables) {
  return PulseConfig::from_env([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

void environment(Variables variables) {
  const auto config = read(variables);
  const std::string token = variables["PUBLISHER_TOKEN"];
  const std::string url = variables["REDIS_URL"];
  variables["PUBLISHER_TOKEN"] = "another";
  variables["REDIS_URL"] = with_other_secrets(url);
  const auto other = read(variables);
  if (!config) {
    const std::string& message = config.error().message;
    law(config.error().code == ErrorCode::config, "a bad value is a bad setting", message);
    pulse_fuzz::readable(message, 400 + url.size());
    law(message.find("MD") == 0 || message.find("PULSE_") == 0 || message.find("EVENT_") == 0 || message.find("SCHEMA_") == 0 || message.find("REDIS_") == 0,
        "a bad value is told with its variable", message);
    law(message.find("allowed is") != std::string::npos, "and with what is allowed", message);
    // Where the other secrets make another error (a '%' that is followed by no digits any more), it is of the URL as well.
    law(!other && (other.error().message == message || message.find("REDIS_URL") == 0), "an error does not depend on secrets", message);
    return;
  }
  const pulse::FeedbackSettings& feedback = config->feedback;
  law(static_cast<bool>(pulse::check(feedback)), "what is read can be used");
  law(1 >= feedback.scale_ok && feedback.scale_ok >= feedback.scale_soft && feedback.scale_soft >= feedback.scale_hard && feedback.scale_hard >= 0,
      "a worse level has no greater scale");
  const auto same = [&](const char* name, const std::string& value, const char* otherwise) {
    law(value == (variables[name].empty() ? otherwise : variables[name]), "a name is taken as it is", name);
  };
  same("EVENT_BUS_BACKEND", config->backend, "inmem");
  same("MD_NAMESPACE", config->name_space, "mdp");
  same("PULSE_GROUP", config->group, "pipeline");
  same("PULSE_CONSUMER", config->consumer, "consumer-1");
  same("MDP_FB_PROVIDER_NAME", feedback.provider, "ibkr");
  const auto share = [&](const char* name, double value) {
    const std::string& text = variables[name];
    const double theirs = std::strtod(text.c_str(), nullptr);
    law(text.empty() || (text.size() <= 16 ? value == theirs : std::abs(value - theirs) < 2e-15), "a share is read as the C library reads it", text);
  };
  share("MDP_FB_SCALE_OK", feedback.scale_ok);
  share("MDP_FB_SCALE_SOFT", feedback.scale_soft);
  share("MDP_FB_SCALE_HARD", feedback.scale_hard);
  law(config->publisher_token == token && config->redis_url == (url.empty() ? "redis://localhost:6379/0" : url), "secrets are taken as they are");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  pulse_fuzz::Input input{data, size};
  Variables variables;
  while (!input.done()) {
    std::string line = input.text('\n');
    const auto equals = line.find('=');
    if (equals != std::string::npos && line.find("://") > equals) {
      const std::string value = line.substr(equals + 1);
      variables[line.substr(0, equals)] = value.c_str();  // an environment has no zero bytes
    } else {
      url(line);
    }
  }
  environment(std::move(variables));
  return 0;
}
