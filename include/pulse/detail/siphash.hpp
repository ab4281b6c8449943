// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pulse::inline v0_1::detail {

struct Hash128 {
  std::uint64_t low;
  std::uint64_t high;
};

/// SipHash-2-4 with 128 bits of output (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012; the 128-bit variant
/// of their reference code). Well-defined on any byte order. Complexity: linear, about a cycle and a half a byte.
class SipHash128 {
 public:
  constexpr SipHash128(std::uint64_t key0, std::uint64_t key1) noexcept
      : v0_(0x736f6d6570736575ULL ^ key0), v1_(0x646f72616e646f6dULL ^ key1 ^ 0xee), v2_(0x6c7967656e657261ULL ^ key0), v3_(0x7465646279746573ULL ^ key1) {}

  [[nodiscard]] constexpr Hash128 operator()(std::string_view text) noexcept {
    const std::size_t whole = text.size() & ~std::size_t{7};
    for (std::size_t at = 0; at < whole; at += 8) {
      absorb(word(text.substr(at, 8)));
    }
    absorb(word(text.substr(whole)) | std::uint64_t{text.size()} << 56);
    v2_ ^= 0xee;
    const std::uint64_t low = finish();
    v1_ ^= 0xdd;
    return {low, finish()};
  }

 private:
  static constexpr std::uint64_t word(std::string_view bytes) noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    }
    return value;
  }

  constexpr void round() noexcept {
    v0_ += v1_;
    v1_ = std::rotl(v1_, 13) ^ v0_;
    v0_ = std::rotl(v0_, 32);
    v2_ += v3_;
    v3_ = std::rotl(v3_, 16) ^ v2_;
    v0_ += v3_;
    v3_ = std::rotl(v3_, 21) ^ v0_;
    v2_ += v1_;
    v1_ = std::rotl(v1_, 17) ^ v2_;
    v2_ = std::rotl(v2_, 32);
  }

  constexpr void absorb(std::uint64_t m) noexcept {
    v3_ ^= m;
    round();
    round();
    v0_ ^= m;
  }

  constexpr std::uint64_t finish() noexcept {
    for (int i = 0; i < 4; ++i) {
      round();
    }
    return v0_ ^ v1_ ^ v2_ ^ v3_;
  }

  std::uint64_t v0_, v1_, v2_, v3_;
};

}  // namespace pulse::inline v0_1::detail
