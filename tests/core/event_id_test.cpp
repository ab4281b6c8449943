// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <limits>
#include <set>
#include <string>

#include "pulse/core/context.hpp"
#include "pulse/core/entry_id.hpp"
#include "pulse/core/event_id.hpp"
#include "pulse/detail/siphash.hpp"
#include "pulse/detail/uuid.hpp"

using pulse::EntryId;
using pulse::EventId;

namespace {

std::string hex(pulse::detail::Hash128 hash) {
  std::string out;
  for (const std::uint64_t word : {hash.low, hash.high}) {
    for (int i = 0; i < 8; ++i) {
      const auto byte = static_cast<unsigned>(word >> (8 * i) & 255);
      out += "0123456789ABCDEF"[byte >> 4];
      out += "0123456789ABCDEF"[byte & 15];
    }
  }
  return out;
}

}  // namespace

TEST_CASE("siphash: the official vectors of SipHash-2-4-128") {
  const auto of_length = [](std::size_t n) {
    std::string input;
    for (std::size_t i = 0; i < n; ++i) {
      input += static_cast<char>(i);
    }
    return hex(pulse::detail::SipHash128{0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL}(input));
  };
  CHECK(of_length(0) == "A3817F04BA25A8E66DF67214C7550293");
  CHECK(of_length(1) == "DA87C1D86B99AF44347659119B22FC45");
  CHECK(of_length(7) == "A1F1EBBED8DBC153C0B84AA61FF08239");
  CHECK(of_length(8) == "3B62A9BA6258F5610F83E264F31497B4");
  CHECK(of_length(9) == "264499060AD9BAABC47F8B02BB6D71ED");
  CHECK(of_length(15) == "5493E99933B0A8117E08EC0F97CFC3D9");
  CHECK(of_length(16) == "6EE2A4CA67B054BBFD3315BF85230577");
  CHECK(of_length(63) == "5150D1772F50834A503E069A973FBD7C");
}

TEST_CASE("event id: pinned values, which journals and shared stores keep") {
  CHECK(EventId::from_text("1700000000000-7") == EventId{1'700'000'000'000, 7});
  CHECK(EventId::from_entry({1'700'000'000'000, 7}) == EventId{1'700'000'000'000, 7});
  CHECK(EventId::from_text("123e4567-e89b-42d3-a456-426614174000") == EventId{0x123e4567e89b42d3, 0xa456426614174000});
  CHECK(EventId::from_text("123E4567-E89B-42D3-A456-426614174000") == EventId{0x123e4567e89b42d3, 0xa456426614174000});
  // Hashes: computed by another implementation of SipHash under the key "pulse-id" 0d 00 00 00 00 00 31 76 2d (little-endian words).
  CHECK(EventId::from_text("") == EventId{0x6aa14a855476d35a, 0xe0ac00a6bc96efda});
  CHECK(EventId::from_text("order-42") == EventId{0xc29c26a184c52879, 0xdec4e28dfb62d5c0});
  CHECK(EventId::from_text("1-0x") == EventId{0xd706c183f4ba3869, 0xd2853d168499f4f7});
  CHECK(EventId::from_entry({5, std::uint64_t{1} << 63}) == EventId{0xa3a06322f9608b29, 0xe2209c83713a8424});
}

TEST_CASE("event id: the three kinds never meet") {
  const auto kind = [](std::string_view text) { return EventId::from_text(text).low >> 62; };
  CHECK(kind("0-0") < 2);
  CHECK(kind("18446744073709551615-9223372036854775807") < 2);
  CHECK(kind("123e4567-e89b-42d3-8456-426614174000") == 2);
  for (const char* other : {"", "a", "01-1", "1-01", "1-", "-1", "1--1", "+1-1", "1-1 ", "18446744073709551616-0", "1-9223372036854775808",
                            "123e4567-e89b-42d3-c456-426614174000",  // not of the RFC 9562 variant
                            "123e4567-e89b-42d3-0456-426614174000", "123e4567-e89b-42d3-a456-42661417400g", "123e4567ae89ba42d3aa456a426614174000",
                            "{123e4567-e89b-42d3-a456-426614174000}"}) {
    CAPTURE(other);
    CHECK(kind(other) == 3);
  }
}

TEST_CASE("idempotency key: the producer's id, the entry's where it gave none or was redriven, and never an entry's for a text that reads like one") {
  pulse::BasicEnvelopeHeader<std::string> envelope;
  const auto key = [&](const char* id, bool redriven = false) {
    envelope.id = id;
    return pulse::idempotency_key(envelope, {5, 6}, redriven);
  };
  const EventId entry = EventId::from_entry({5, 6});
  CHECK(pulse::idempotency_key(envelope, {5, 6}, false) == entry);
  CHECK(key("") == entry);
  CHECK(key("order-42", true) == entry);
  CHECK(key("order-42") == EventId::from_text("order-42"));
  CHECK(key("123e4567-e89b-42d3-a456-426614174000") == EventId{0x123e4567e89b42d3, 0xa456426614174000});
  for (const char* like : {"5-6", "0-0", "1700000000000-7", "18446744073709551615-9223372036854775807"}) {
    CAPTURE(like);
    CHECK((key(like).low >> 62) == 3);
    CHECK(key(like) == key(like));
  }
  CHECK(key("1700000000000-7") != key("1700000000000-8"));
}

TEST_CASE("event id: within a stream it stays one to one, and looks like no entry's") {
  const EventId salt = EventId::from_text("mdp:mdp.telemetry.feedback");
  const EventId id = EventId::from_entry({1, 2});
  CHECK(id.within(salt) != id);
  CHECK(id.within(salt) != EventId::from_entry({1, 3}).within(salt));
  CHECK(id.within({}) == id);
  CHECK(id.is_entry());
  CHECK(!id.within(salt).is_entry());
  CHECK(!EventId::from_text("123e4567-e89b-42d3-a456-426614174000").is_entry());
  CHECK(!EventId::from_text("order-42").is_entry());
  // What the XOR alone would make an entry's of: 16 bits of these are the salt's.
  const EventId uuid{salt.high ^ 77, (std::uint64_t{2} << 62) | 5};
  const EventId hash{salt.high ^ 77, (std::uint64_t{3} << 62) | 5};
  CHECK(!uuid.within(salt).is_entry());
  CHECK(!hash.within(salt).is_entry());
  CHECK(uuid.within(salt) != hash.within(salt));
  CHECK(uuid.within(salt) != EventId{77, 5}.within(salt));
  CHECK(uuid.within(salt) == uuid.within(salt));
}

TEST_CASE("entry id: the canonical form only, and in the order of streams") {
  EntryId id{1, 1};
  for (const char* bad :
       {"", "-", "1", "1-", "-1", "01-1", "1-01", "1-1-1", " 1-1", "1-1 ", "+1-1", "a-1", "18446744073709551616-0", "1-18446744073709551616"}) {
    CAPTURE(bad);
    CHECK(!pulse::parse_entry_id(bad, id));
    CHECK(id == EntryId{1, 1});
  }
  REQUIRE(pulse::parse_entry_id("18446744073709551615-18446744073709551615", id));
  CHECK(id == EntryId::max());
  CHECK(to_string(EntryId{12, 34}) == "12-34");
  REQUIRE(pulse::parse_entry_id("0-0", id));
  CHECK(id == EntryId::min());
  CHECK(EntryId{1, 9} < EntryId{1, 10});
  CHECK(EntryId{9, 0} < EntryId{10, 0});
  CHECK(EntryId{1, 9} < EntryId{2, 0});
  CHECK(EntryId{1, 9}.next() == EntryId{1, 10});
  CHECK(EntryId{1, std::numeric_limits<std::uint64_t>::max()}.next() == EntryId{2, 0});
}

TEST_CASE("uuid: version 4, and recognised as a UUID") {
  pulse::detail::UuidGenerator generate;
  std::string one;
  std::string two;
  generate.next(one);
  generate.next(two);
  CHECK(one != two);
  CHECK(one.size() == 36);
  CHECK(one[14] == '4');
  CHECK((EventId::from_text(one).low >> 62) == 2);
}

TEST_CASE("uuid: a process that was forked makes ids of its own, and so do its sisters and its children") {
  pulse::detail::UuidGenerator generate;
  std::string id;
  generate.next(id);
  std::set<std::string> all{id};
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const auto tell = [&] {
    generate.next(id);
    return ::write(ends[1], id.data(), 36) == 36;
  };
  for (int child = 0; child < 2; ++child) {
    const ::pid_t made = ::fork();
    if (made == 0) {
      const bool told = tell() && tell();
      const ::pid_t grandchild = ::fork();
      if (grandchild == 0) {
        ::_exit(tell() ? 0 : 1);
      }
      int status = 1;
      ::_exit(told && ::waitpid(grandchild, &status, 0) == grandchild && status == 0 && tell() ? 0 : 1);
    }
    REQUIRE(made > 0);
    int status = 1;
    REQUIRE(::waitpid(made, &status, 0) == made);
    REQUIRE(status == 0);
  }
  REQUIRE(tell());
  for (int i = 0; i < 9; ++i) {
    char text[36];
    REQUIRE(::read(ends[0], text, 36) == 36);
    all.emplace(text, 36);
  }
  ::close(ends[0]);
  ::close(ends[1]);
  CHECK(all.size() == 10);
}
