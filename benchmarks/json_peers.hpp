// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include <pulse/core/envelope.hpp>
#include <pulse/core/feedback.hpp>

#include "bench.hpp"
#if __has_include(<nlohmann/json.hpp>)
#include <nlohmann/json.hpp>
#define PULSE_BENCH_NLOHMANN
#endif
#ifdef PULSE_BENCH_SIMDJSON
#include <simdjson.h>
#endif

/// The feedback envelope as general JSON libraries read it: into the same struct, with all that ours finds in it.
namespace bench {

#ifdef PULSE_BENCH_NLOHMANN
inline void from_nlohmann(std::string_view text, pulse::Envelope<pulse::FeedbackEvent>& e) {
  const auto d = nlohmann::json::parse(text);
  const auto text_or_null = [](const nlohmann::json& object, const char* name, pulse::Nullable<std::string>& out) {
    const auto found = object.find(name);
    out.reset();
    if (found != object.end() && !found->is_null()) {
      out.emplace() = found->get_ref<const std::string&>();
    }
  };
  e.ts = d.at("ts");
  text_or_null(d, "key", e.key);
  text_or_null(d, "id", e.id);
  const auto& meta = d.at("meta");
  e.meta.schema_id = meta.at("schema_id").get_ref<const std::string&>();
  require(e.meta.schema_id == pulse::schema_id_of<pulse::FeedbackEvent>);
  require(pulse::value_of(meta.at("track").get_ref<const std::string&>(), e.meta.track));
  e.meta.headers.clear();
  for (const auto& [name, value] : meta.at("headers").items()) {
    e.meta.headers.set(name, value.get_ref<const std::string&>());
  }
  text_or_null(meta, "hash", e.meta.hash);
  const auto& p = d.at("payload");
  e.payload.coordinator_id = p.at("coordinator_id").get_ref<const std::string&>();
  e.payload.queue_size = p.at("queue_size");
  e.payload.capacity = p.at("capacity");
  require(pulse::value_of(p.at("level").get_ref<const std::string&>(), e.payload.level));
  e.payload.source = p.at("source").get_ref<const std::string&>();
  e.payload.ts = p.at("ts");
}
#endif

#ifdef PULSE_BENCH_SIMDJSON
inline std::string_view text_of(simdjson::simdjson_result<simdjson::ondemand::value> value) { return value.get_string(); }

template <class Nullable>
void text_or_null(simdjson::simdjson_result<simdjson::ondemand::value> value, Nullable& out) {
  if (value.is_null()) {
    out.reset();
  } else {
    out.emplace() = text_of(value);
  }
}

template <class Headers>
void headers_of(simdjson::simdjson_result<simdjson::ondemand::value> value, Headers& out) {
  out.clear();
  for (auto field : value.get_object()) {
    const std::string_view name = field.unescaped_key();
    out.set(name, text_of(field.value()));
  }
}

// As its documentation shows first: by key, in the order of the writer; another order costs it a second look.
template <class Env>
void from_simdjson_by_key(simdjson::ondemand::parser& parser, simdjson::padded_string_view text, Env& e) {
  auto d = parser.iterate(text);
  e.ts = d["ts"].get_double();
  text_or_null(d["key"], e.key);
  auto meta = d["meta"].get_object();
  e.meta.schema_id = text_of(meta["schema_id"]);
  require(e.meta.schema_id == pulse::schema_id_of<pulse::FeedbackEvent>);
  require(pulse::value_of(text_of(meta["track"]), e.meta.track));
  headers_of(meta["headers"], e.meta.headers);
  text_or_null(meta["hash"], e.meta.hash);
  auto p = d["payload"].get_object();
  e.payload.coordinator_id = text_of(p["coordinator_id"]);
  e.payload.queue_size = p["queue_size"].get_int64();
  e.payload.capacity = p["capacity"].get_int64();
  require(pulse::value_of(text_of(p["level"]), e.payload.level));
  e.payload.source = text_of(p["source"]);
  e.payload.ts = p["ts"].get_double();
  e.id.reset();
  if (auto id = d["id"]; id.error() == simdjson::SUCCESS) {
    text_or_null(id, e.id);
  }
}

// One pass over the members as they come, which is what a reader of any order does, and which sees members that appear twice.
template <class Env>
void from_simdjson_by_member(simdjson::ondemand::parser& parser, simdjson::padded_string_view text, Env& e) {
  auto d = parser.iterate(text);
  e.key.reset();
  e.id.reset();
  for (auto field : d.get_object()) {
    const std::string_view name = field.unescaped_key();
    if (name == "ts") {
      e.ts = field.value().get_double();
    } else if (name == "key") {
      text_or_null(field.value(), e.key);
    } else if (name == "meta") {
      e.meta.hash.reset();
      for (auto inner : field.value().get_object()) {
        const std::string_view member = inner.unescaped_key();
        if (member == "schema_id") {
          e.meta.schema_id = text_of(inner.value());
          require(e.meta.schema_id == pulse::schema_id_of<pulse::FeedbackEvent>);
        } else if (member == "track") {
          require(pulse::value_of(text_of(inner.value()), e.meta.track));
        } else if (member == "headers") {
          headers_of(inner.value(), e.meta.headers);
        } else if (member == "hash") {
          text_or_null(inner.value(), e.meta.hash);
        }
      }
    } else if (name == "payload") {
      for (auto inner : field.value().get_object()) {
        const std::string_view member = inner.unescaped_key();
        if (member == "coordinator_id") {
          e.payload.coordinator_id = text_of(inner.value());
        } else if (member == "queue_size") {
          e.payload.queue_size = inner.value().get_int64();
        } else if (member == "capacity") {
          e.payload.capacity = inner.value().get_int64();
        } else if (member == "level") {
          require(pulse::value_of(text_of(inner.value()), e.payload.level));
        } else if (member == "source") {
          e.payload.source = text_of(inner.value());
        } else if (member == "ts") {
          e.payload.ts = inner.value().get_double();
        }
      }
    } else if (name == "id") {
      text_or_null(field.value(), e.id);
    }
  }
}
#endif

}  // namespace bench
