// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include <string>

#include "pulse/core/trace.hpp"

using pulse::TraceParent;

namespace {
constexpr std::string_view good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

bool parses(std::string text) { return TraceParent::parse(text).has_value(); }
std::string with(std::size_t at, char c) {
  std::string text{good};
  text[at] = c;
  return text;
}
}  // namespace

TEST_CASE("traceparent: its parts") {
  constexpr auto parsed = TraceParent::parse(good);
  static_assert(parsed);
  CHECK(parsed->trace_id == "4bf92f3577b34da6a3ce929d0e0e4736");
  CHECK(parsed->parent_id == "00f067aa0ba902b7");
  CHECK(parsed->flags == "01");
  CHECK(parsed->sampled);
  CHECK(!TraceParent::parse(with(54, '2'))->sampled);
}

TEST_CASE("traceparent: what is none") {
  CHECK(!parses(""));
  CHECK(!parses(std::string(good.substr(0, 54))));
  CHECK(!parses(std::string(good) + "-"));
  CHECK(!parses(std::string(good) + "0"));
  CHECK(!parses("00-00000000000000000000000000000000-00f067aa0ba902b7-01"));
  CHECK(!parses("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"));
  CHECK(!parses(with(3, 'A')));
  CHECK(!parses(with(3, 'g')));
  for (const std::size_t dash : {2U, 35U, 52U}) {
    CHECK(!parses(with(dash, '0')));
  }
  CHECK(!parses(with(54, 'x')));
}

TEST_CASE("traceparent: a later version is read as this one, with what it has behind left out; version ff is none") {
  const std::string later = "cc" + std::string(good.substr(2));
  CHECK(parses(later));
  CHECK(parses(later + "-what-comes-then"));
  CHECK(!parses(later + "what-comes-then"));
  CHECK(!parses("ff" + std::string(good.substr(2))));
}
