// SPDX-License-Identifier: MIT
//
// Decoding and encoding the feedback envelope, against general JSON libraries that fill the same struct. Every decode is checked.
#include <cstdlib>
#include <string>

#include <pulse/codec/json.hpp>

#include "../tests/counting_new.hpp"
#include "bench.hpp"
#include "json_peers.hpp"
#if __has_include(<boost/json/src.hpp>)
#include <boost/json/src.hpp>
#define PULSE_BENCH_BOOST_JSON
#endif

namespace {

using bench::require;

// 332 bytes, as a store's registry writes it.
const std::string wire =
    R"({"ts": 1755093447.3764217, "key": "eth", "meta": {"schema_id": "telemetry.FeedbackEvent", "track": "v1", "headers": {}, "hash": "5727c57e3dd80f1142f7f932bd28e6b396608e857a45ec4eea46d7f6c6dee3de"}, "payload": {"coordinator_id": "eth", "queue_size": 850, "capacity": 1000, "level": "soft", "source": "store", "ts": 1755093447.303985}})";
const std::string reordered =
    R"({"payload": {"ts": 1755093447.303985, "source": "store", "level": "soft", "capacity": 1000, "queue_size": 850, "coordinator_id": "eth"}, "meta": {"hash": "5727c57e3dd80f1142f7f932bd28e6b396608e857a45ec4eea46d7f6c6dee3de", "headers": {}, "track": "v1", "schema_id": "telemetry.FeedbackEvent"}, "key": "eth", "ts": 1755093447.3764217})";

template <class Env>
bool right(const Env& e) {
  return e.ts == 1755093447.3764217 && e.payload.ts == 1755093447.303985 && e.payload.queue_size == 850 && e.payload.capacity == 1000 &&
         e.payload.level == pulse::BackpressureLevel::soft && e.meta.hash->size() == 64 && *e.key == e.payload.coordinator_id;
}

#ifdef PULSE_BENCH_BOOST_JSON
void from_boost(const boost::json::value& v, pulse::Envelope<pulse::FeedbackEvent>& e) {
  const auto view = [](const boost::json::value& value) { return std::string_view{value.as_string()}; };
  const auto text_or_null = [&](const boost::json::object& object, std::string_view name, pulse::Nullable<std::string>& out) {
    const auto* found = object.if_contains(name);
    out.reset();
    if (found != nullptr && !found->is_null()) {
      out.emplace() = view(*found);
    }
  };
  const auto& d = v.as_object();
  e.ts = d.at("ts").to_number<double>();
  text_or_null(d, "key", e.key);
  text_or_null(d, "id", e.id);
  const auto& meta = d.at("meta").as_object();
  e.meta.schema_id = view(meta.at("schema_id"));
  require(e.meta.schema_id == pulse::schema_id_of<pulse::FeedbackEvent>);
  require(pulse::value_of(view(meta.at("track")), e.meta.track));
  e.meta.headers.clear();
  for (const auto& [name, value] : meta.at("headers").as_object()) {
    e.meta.headers.set(std::string_view{name}, view(value));
  }
  text_or_null(meta, "hash", e.meta.hash);
  const auto& p = d.at("payload").as_object();
  e.payload.coordinator_id = view(p.at("coordinator_id"));
  e.payload.queue_size = p.at("queue_size").as_int64();
  e.payload.capacity = p.at("capacity").as_int64();
  require(pulse::value_of(view(p.at("level")), e.payload.level));
  e.payload.source = view(p.at("source"));
  e.payload.ts = p.at("ts").to_number<double>();
}
#endif

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
  // The peers fill the same envelope, reused as well, with all that ours finds in it: members in any order, optional ones, headers.
#ifdef PULSE_BENCH_NLOHMANN
  decode.push_back({"nlohmann-json", [&](std::size_t count) {
                      for (std::size_t i = 0; i < count; ++i) {
                        bench::from_nlohmann(wire, owned);
                        require(right(owned));
                      }
                    }});
#endif
#ifdef PULSE_BENCH_BOOST_JSON
  decode.push_back({"Boost.JSON", [&](std::size_t count) {
                      for (std::size_t i = 0; i < count; ++i) {
                        from_boost(boost::json::parse(wire), owned);
                        require(right(owned));
                      }
                    }});
  decode.push_back({"Boost.JSON, monotonic resource", [&](std::size_t count) {
                      for (std::size_t i = 0; i < count; ++i) {
                        unsigned char memory[8192];
                        boost::json::monotonic_resource resource{memory};
                        from_boost(boost::json::parse(wire, &resource), owned);
                        require(right(owned));
                      }
                    }});
#endif
#ifdef PULSE_BENCH_SIMDJSON
  simdjson::ondemand::parser parser;
  const simdjson::padded_string padded{wire};
  decode.push_back({"simdjson On-Demand, by key", [&](std::size_t count) {
                      for (std::size_t i = 0; i < count; ++i) {
                        bench::from_simdjson_by_key(parser, padded, owned);
                        require(right(owned));
                      }
                    }});
  decode.push_back({"simdjson On-Demand, member by member", [&](std::size_t count) {
                      for (std::size_t i = 0; i < count; ++i) {
                        bench::from_simdjson_by_member(parser, padded, owned);
                        require(right(owned));
                      }
                    }});
  decode.push_back({"simdjson On-Demand, member by member, views", [&](std::size_t count) {
                      for (std::size_t i = 0; i < count; ++i) {
                        bench::from_simdjson_by_member(parser, padded, view);
                        require(right(view));
                      }
                    }});
#endif
  bench::measure(decode, n, rounds);
  for (const auto& each : decode) {
    report.row("decode: " + each.name, "time", each.ns, "ns");
    report.row("decode: " + each.name, "speed", static_cast<double>(wire.size()) * 1e3 / each.ns, "MB/s");
  }
  for (std::size_t i = 1; i < 4; ++i) {  // what is reused
    const long before = allocations;
    decode[i].run(n);
    report.row("decode: " + decode[i].name, "allocations", static_cast<double>(allocations - before) / static_cast<double>(n), "");
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
                            {"meta", {{"schema_id", owned.meta.schema_id}, {"track", "v1"}, {"headers", nlohmann::json::object()}, {"hash", *owned.meta.hash}}},
                            {"payload",
                             {{"coordinator_id", owned.payload.coordinator_id},
                              {"queue_size", owned.payload.queue_size},
                              {"capacity", owned.payload.capacity},
                              {"level", "soft"},
                              {"source", owned.payload.source},
                              {"ts", owned.payload.ts}}}};
                        const std::string text = d.dump();
                        bench::keep(text.data());
                      }
                    }});
#endif
#ifdef PULSE_BENCH_BOOST_JSON
  encode.push_back({"Boost.JSON", [&](std::size_t count) {
                      for (std::size_t i = 0; i < count; ++i) {
                        const boost::json::value d{
                            {"ts", owned.ts},
                            {"key", *owned.key},
                            {"meta", {{"schema_id", owned.meta.schema_id}, {"track", "v1"}, {"headers", boost::json::object{}}, {"hash", *owned.meta.hash}}},
                            {"payload",
                             {{"coordinator_id", owned.payload.coordinator_id},
                              {"queue_size", owned.payload.queue_size},
                              {"capacity", owned.payload.capacity},
                              {"level", "soft"},
                              {"source", owned.payload.source},
                              {"ts", owned.payload.ts}}}};
                        const std::string text = boost::json::serialize(d);
                        bench::keep(text.data());
                      }
                    }});
#endif
  bench::measure(encode, n, rounds);
  pulse::Envelope<pulse::FeedbackEvent> again;
  require(codec.decode(out, again, error) == pulse::DecodeResult::ok && again == owned);
  for (const auto& each : encode) {
    report.row("encode: " + each.name, "time", each.ns, "ns");
    report.row("encode: " + each.name, "speed", static_cast<double>(out.size()) * 1e3 / each.ns, "MB/s");
  }
  for (std::size_t i = 1; i < encode.size(); ++i) {
    report.row("encode: pulse", "ratio", encode[0].ns, "ns", encode[i].name, encode[i].ns / encode[0].ns);
  }
  return 0;
}
