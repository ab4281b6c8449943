// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "pulse/concept/codec.hpp"
#include "pulse/concept/controller.hpp"
#include "pulse/concept/dedup.hpp"
#include "pulse/consumer.hpp"

/// Small policies for the consumer's tests: transparent, and without the machinery of the real ones.
namespace pulse::testing {

struct Note {
  std::string text;
};

}  // namespace pulse::testing

template <>
struct pulse::Describe<pulse::testing::Note> {
  static constexpr auto schema_id = pulse::FixedString{"test.Note"};
  static constexpr Track track = Track::v1;
  static constexpr auto fields = boost::hana::make_tuple(pulse::Field<"text", &pulse::testing::Note::text>{});
};

namespace pulse::testing {

/// The bytes are the event's id and its text; "malformed", "invalid" and "warned" are what they say. Of track v2 is what ends in "v2".
struct NoteCodec {
  DecodeResult decode(std::string_view data, Envelope<Note>& envelope, DecodeError& error) {
    envelope.meta.track = data.ends_with("v2") ? Track::v2 : Track::v1;
    if (data.starts_with("malformed") || data.starts_with("invalid")) {
      error.text = "found " + std::string(data);
      return data.starts_with("malformed") ? DecodeResult::malformed : DecodeResult::invalid;
    }
    envelope.ts = 1e9;
    envelope.id.reset();
    if (!data.starts_with("no id")) {
      envelope.id = data;
    }
    envelope.payload.text = data;
    return data == "warned" ? DecodeResult::warned : DecodeResult::ok;
  }
  void encode(const Envelope<Note>& envelope, std::string& out) { out += envelope.payload.text; }
};

struct MapDedup {
  static constexpr bool exact = true;
  static constexpr bool shared = false;
  std::map<EventId, Claim> state;

  Claim claim(EventId id) {
    const auto [at, added] = state.emplace(id, Claim::leased);
    return added ? Claim::fresh : at->second;
  }
  void commit(EventId id) { state[id] = Claim::done; }
  void release(EventId id) {
    if (const auto at = state.find(id); at != state.end() && at->second == Claim::leased) {
      state.erase(at);
    }
  }
  [[nodiscard]] std::size_t size() const { return state.size(); }
};

/// Counts per outcome, and by family name.
struct CountingMetrics {
  static constexpr bool enabled = true;
  std::map<std::string, double> values;

  template <class Label>
  LabelSlot<Label> slot(std::string_view) const {
    return {};
  }
  template <class Family, class... Labels>
  void add(Family, std::uint64_t n, Labels... labels) {
    std::string name{Family::name};
    ((name += text(labels)), ...);
    values[name] += static_cast<double>(n);
  }
  template <class Family, class... Labels>
  void set(Family, double value, Labels...) {
    values[std::string(Family::name)] = value;
  }
  template <class Family, class... Labels>
  void observe(Family, std::chrono::nanoseconds, Labels...) {
    values[std::string(Family::name)] += 1;
  }
  double outcome(Outcome outcome) const {
    const auto at = values.find("pulse_consume_total/v1/" + std::string(name_of(outcome)));
    return at == values.end() ? 0 : at->second;
  }

 private:
  template <class L>
  static std::string text(LabelSlot<L>) {
    return "";
  }
  template <DescribedEnum E>
  static std::string text(E value) {
    return "/" + std::string(name_of(value));
  }
};

struct NoteHandler {
  using events = Events<Note>;
  std::function<Verdict(const Note&, const DeliveryContext&)> call;
  Verdict handle(const Note& note, const DeliveryContext& context) { return call(note, context); }
};

struct NoteTraits : DefaultTraits {
  using codec = NoteCodec;
  using clock = ManualClock;
};

}  // namespace pulse::testing
