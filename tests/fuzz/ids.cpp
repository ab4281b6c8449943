// SPDX-License-Identifier: MIT
//
// Any text as a stream id and as an event id, against a slow reading of the same text.
#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>

#include "law.hpp"
#include "pulse/core/event_id.hpp"

using pulse::EntryId;
using pulse::EventId;
using pulse_fuzz::law;

namespace {

/// "ms-seq", each a decimal without a zero in front that 64 bits hold: by length and by comparing texts.
bool is_entry_id(std::string_view text) {
  const auto number = [](std::string_view part) {
    constexpr std::string_view most = "18446744073709551615";
    return !part.empty() && std::all_of(part.begin(), part.end(), [](unsigned char c) { return std::isdigit(c) != 0; }) &&
           (part.size() == 1 || part[0] != '0') && (part.size() < most.size() || (part.size() == most.size() && part <= most));
  };
  const auto dash = text.find('-');
  return dash != std::string_view::npos && number(text.substr(0, dash)) && number(text.substr(dash + 1));
}

bool is_uuid(std::string_view text) {
  bool right = text.size() == 36;
  for (std::size_t i = 0; right && i < text.size(); ++i) {
    right = i == 8 || i == 13 || i == 18 || i == 23 ? text[i] == '-' : std::isxdigit(static_cast<unsigned char>(text[i])) != 0;
  }
  return right && std::string_view{"89abAB"}.find(text[19]) != std::string_view::npos;  // the RFC 9562 variant
}

std::string hex(std::uint64_t value) {
  std::string out;
  for (int shift = 60; shift >= 0; shift -= 4) {
    out += "0123456789abcdef"[value >> shift & 15];
  }
  return out;
}

void entry(EntryId id) {
  EntryId again;
  law(pulse::parse_entry_id(to_string(id), again) && again == id, "an entry id that is written reads back", to_string(id));
  if (id != EntryId::max()) {
    law(id.next() > id, "the next entry id is greater", to_string(id));
    law(EventId::from_entry(id.next()) != EventId::from_entry(id), "two entry ids are two event ids", to_string(id));
  }
  law(EventId::from_text(to_string(id)) == EventId::from_entry(id), "an entry id's text is the event id of the entry", to_string(id));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const EntryId before{1, 2};
  EntryId id = before;
  const bool read = pulse::parse_entry_id(text, id);
  law(read == is_entry_id(text), "an entry id is what looks like one", text);
  law(read ? to_string(id) == text : id == before, "an entry id is read exactly, or nothing is touched", text);

  const EventId event = EventId::from_text(text);
  law(event == EventId::from_text(text), "an event id is a function of the text", text);
  constexpr EventId salt = pulse::detail::hash_event_id("a stream");
  law(!event.within(salt).is_entry(), "with a salt no event id looks like an entry's", text);
  law(event.within({}) == event, "no salt changes nothing", text);
  if (read) {
    law(event == EventId::from_entry(id), "a stream id's event id is exact", text);
  } else if (is_uuid(text)) {
    std::string digits{text};
    std::transform(digits.begin(), digits.end(), digits.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    std::erase(digits, '-');
    law(hex(event.high) + hex(event.low) == digits, "a UUID is its sixteen bytes", text);
  } else {
    law(event.low >> 62 == 3, "any other text is hashed into a space of its own", text);
  }
  pulse_fuzz::Input numbers{data, size};
  entry({numbers.number(8), numbers.number(8)});
  return 0;
}
