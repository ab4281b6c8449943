// SPDX-License-Identifier: MIT
//
// Decoding and encoding the feedback envelope, against general JSON libraries that fill the same struct. Every decode is checked.
#include <cstdlib>
#include <string>

#include <pulse/codec/json.hpp>

#include "bench.hpp"
#if __has_include(<nlohmann/json.hpp>)
#include <nlohmann/json.hpp>
#define PULSE_BENCH_NLOHMANN
#endif
#if __has_include(<boost/json/src.hpp>)
#include <boost/json/src.hpp>
#define PULSE_BENCH_BOOST_JSON
#endif
#ifdef PULSE_BENCH_SIMDJSON
#include <simdjson.h>
#endif

namespace {

const std::string wire =
    R"({"ts": 1755093447.3764217, "key": "bars_1", "meta": {"schema_id": "telemetry.FeedbackEvent", "track": "v1", "headers": {}, "hash": null}, "payload": {"coordinator_id": "bars_coordinator_number_1", "queue_size": 339563, "capacity": 993909, "level": "soft", "source": "store", "ts": 1755093447.3039854}, "id": "d581fe2a-f6b8-448b-aa0e-53d96ff2abce"})";
const std::string reordered =
    R"({"id": "d581fe2a-f6b8-448b-aa0e-53d96ff2abce", "payload": {"ts": 1755093447.3039854, "source": "store", "level": "soft", "capacity": 993909, "queue_size": 339563, "coordinator_id": "bars_coordinator_number_1"}, "meta": {"hash": null, "headers": {}, "track": "v1", "schema_id": "telemetry.FeedbackEvent"}, "key": "bars_1", "ts": 1755093447.3764217})";

void require(bool right) {
  if (!right) {
    std::fprintf(stderr, "codec: wrong result\n");
    std::exit(1);
  }
}

template <class Env>
bool right(const Env& e) {
  return e.ts == 1755093447.3764217 && e.payload.queue_size == 339563 && e.payload.level == pulse::BackpressureLevel::soft && e.id->size() == 36;
}

}  // namespace

int main(int argc, char** argv) {
  bench::Report report{"codec", argc, argv};
  std::printf("envelope: %zu bytes\n", wire.size());
  const std::size_t n = report.quick ? 20'000 : 100'000;
  const int rounds = report.quick ? 7 : 21;

  pulse::JsonCodec codec;
  pulse::DecodeError error;
  pulse::Envelope<pulse::FeedbackEvent> owned;
  pulse::Envelope<pulse::FeedbackEventView> view;
  std::vector<bench::Case> decode;
  decode.push_back({"do nothing: touch every byte", [&](std::size_t count) {
                      for (std::size_t i = 0; i < count; ++i) {
                        unsigned sum = 0;
                        for (const char c : wire) {
                          sum += static_cast<unsigned char>(c);
                        }
                        bench::keep(sum);
                      }
                    }});
  const auto ours = [&](auto& envelope, const std::string& text) {
    return [&codec, &error, &envelope, &text](std::size_t count) {
      for (std::size_t i = 0; i < count; ++i) {
        require(codec.decode(text, envelope, error) == pulse::DecodeResult::ok && right(envelope));
      }
    };
  };
  decode.push_back({"pulse, owned, reused", ours(owned, wire)});
  decode.push_back({"pulse, owned, reused, other order", ours(owned, reordered)});
  decode.push_back({"pulse, views", ours(view, wire)});
  decode.push_back({"pulse, owned, fresh", [&](std::size_t count) {
                      for (std::size_t i = 0; i < count; ++i) {
                        pulse::Envelope<pulse::FeedbackEvent> fresh;
                        require(codec.decode(wire, fresh, error) == pulse::DecodeResult::ok && right(fresh));
                      }
                    }});
  const std::size_t peers = decode.size();
#ifdef PULSE_BENCH_NLOHMANN
  decode.push_back({"nlohmann-json", [&](std::size_t count) {
                      for (std::size_t i = 0; i < count; ++i) {
                        const auto d = nlohmann::json::parse(wire);
                        pulse::Envelope<pulse::FeedbackEvent> e;
                        e.ts = d["ts"];
                        e.key = d["key"].get_ref<const std::string&>();
                        e.id = d["id"].get_ref<const std::string&>();
                        e.meta.schema_id = d["meta"]["schema_id"].get_ref<const std::string&>();
                        const auto& p = d["payload"];
                        e.payload.coordinator_id = p["coordinator_id"].get_ref<const std::string&>();
                        e.payload.queue_size = p["queue_size"];
                        e.payload.capacity = p["capacity"];
                        require(pulse::value_of(p["level"].get_ref<const std::string&>(), e.payload.level));
                        e.payload.source = p["source"].get_ref<const std::string&>();
                        e.payload.ts = p["ts"];
                        require(right(e));
                      }
                    }});
#endif
#ifdef PULSE_BENCH_BOOST_JSON
  decode.push_back({"Boost.JSON", [&](std::size_t count) {
                      for (std::size_t i = 0; i < count; ++i) {
                        const boost::json::value v = boost::json::parse(wire);
                        const auto& d = v.as_object();
                        pulse::Envelope<pulse::FeedbackEvent> e;
                        e.ts = d.at("ts").as_double();
                        e.key = std::string_view{d.at("key").as_string()};
                        e.id = std::string_view{d.at("id").as_string()};
                        e.meta.schema_id = std::string_view{d.at("meta").at("schema_id").as_string()};
                        const auto& p = d.at("payload").as_object();
                        e.payload.coordinator_id = std::string_view{p.at("coordinator_id").as_string()};
                        e.payload.queue_size = p.at("queue_size").as_int64();
                        e.payload.capacity = p.at("capacity").as_int64();
                        require(pulse::value_of(std::string_view{p.at("level").as_string()}, e.payload.level));
                        e.payload.source = std::string_view{p.at("source").as_string()};
                        e.payload.ts = p.at("ts").as_double();
                        require(right(e));
                      }
                    }});
#endif
#ifdef PULSE_BENCH_SIMDJSON
  simdjson::ondemand::parser parser;
  const simdjson::padded_string padded{wire};
  decode.push_back({"simdjson On-Demand", [&](std::size_t count) {
                      for (std::size_t i = 0; i < count; ++i) {
                        auto document = parser.iterate(padded);
                        owned.ts = document["ts"].get_double();
                        owned.key.emplace() = std::string_view{document["key"].get_string()};
                        auto meta = document["meta"].get_object();
                        owned.meta.schema_id = std::string_view{meta["schema_id"].get_string()};
                        require(pulse::value_of(std::string_view{meta["track"].get_string()}, owned.meta.track));
                        auto p = document["payload"].get_object();
                        owned.payload.coordinator_id = std::string_view{p["coordinator_id"].get_string()};
                        owned.payload.queue_size = p["queue_size"].get_int64();
                        owned.payload.capacity = p["capacity"].get_int64();
                        require(pulse::value_of(std::string_view{p["level"].get_string()}, owned.payload.level));
                        owned.payload.source = std::string_view{p["source"].get_string()};
                        owned.payload.ts = p["ts"].get_double();
                        owned.id.emplace() = std::string_view{document["id"].get_string()};
                        require(right(owned));
                      }
                    }});
#endif
  bench::measure(decode, n, rounds);
  for (std::size_t i = 0; i < decode.size(); ++i) {
    report.row("decode: " + decode[i].name, "time", decode[i].ns, "ns");
  }
  for (std::size_t i = 1; i < peers; ++i) {
    for (std::size_t j = peers; j < decode.size(); ++j) {
      report.row("decode: " + decode[i].name, "ratio", decode[i].ns, "ns", decode[j].name, decode[j].ns / decode[i].ns);
    }
  }

  require(codec.decode(wire, owned, error) == pulse::DecodeResult::ok);
  std::string out;
  std::vector<bench::Case> encode;
  encode.push_back({"pulse", [&](std::size_t count) {
                      for (std::size_t i = 0; i < count; ++i) {
                        out.clear();
                        codec.encode(owned, out);
                        bench::keep(out.data());
                      }
                    }});
#ifdef PULSE_BENCH_NLOHMANN
  encode.push_back({"nlohmann-json", [&](std::size_t count) {
                      for (std::size_t i = 0; i < count; ++i) {
                        const nlohmann::json d{
                            {"ts", owned.ts},
                            {"key", *owned.key},
                            {"meta", {{"schema_id", owned.meta.schema_id}, {"track", "v1"}, {"headers", nlohmann::json::object()}, {"hash", nullptr}}},
                            {"payload",
                             {{"coordinator_id", owned.payload.coordinator_id},
                              {"queue_size", owned.payload.queue_size},
                              {"capacity", owned.payload.capacity},
                              {"level", "soft"},
                              {"source", owned.payload.source},
                              {"ts", owned.payload.ts}}},
                            {"id", *owned.id}};
                        const std::string text = d.dump();
                        bench::keep(text.data());
                      }
                    }});
#endif
  bench::measure(encode, n, rounds);
  pulse::Envelope<pulse::FeedbackEvent> again;
  require(codec.decode(out, again, error) == pulse::DecodeResult::ok && again == owned);
  for (const auto& each : encode) {
    report.row("encode: " + each.name, "time", each.ns, "ns", &each == &encode[0] && encode.size() > 1 ? encode[1].name : "", encode.back().ns / each.ns);
  }
  return 0;
}
