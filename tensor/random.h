// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011). A number depends only on (seed, purpose, step, index),
// never on the thread or process that draws it.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

namespace folio {

/// Ten rounds of Philox on a 128-bit counter with a 64-bit key.
constexpr std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter,
                                             std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    if (round > 0) {
      key[0] += 0x9E3779B9u;
      key[1] += 0xBB67AE85u;
    }
    const uint64_t product0 = uint64_t{0xD2511F53u} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(product0)};
  }
  return counter;
}

/// The purpose of a stream, a hash of a name such as "blocks.3.dropout" (FNV-1a, 32 bits).
constexpr uint32_t purpose_of(std::string_view name) {
  uint32_t hash = 2166136261u;
  for (char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return hash;
}

/// The upper 64 bits of a 128-bit product.
constexpr uint64_t multiply_high(uint64_t a, uint64_t b) {
  const uint64_t a_high = a >> 32, a_low = a & 0xFFFFFFFFu;
  const uint64_t b_high = b >> 32, b_low = b & 0xFFFFFFFFu;
  const uint64_t middle = a_high * b_low + (a_low * b_low >> 32);
  return a_high * b_high + (middle >> 32) + ((a_low * b_high + (middle & 0xFFFFFFFFu)) >> 32);
}

/// A sequence of random numbers indexed from 0 to 2^64 - 1.
struct RandomStream {
  uint64_t seed = 0;
  uint32_t purpose = 0;
  uint32_t step = 0;

  /// The four numbers 4 * block .. 4 * block + 3.
  constexpr std::array<uint32_t, 4> block(uint64_t block) const {
    return philox4x32(
        {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), step, purpose},
        {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  }
  /// Number `index`: 32 random bits.
  constexpr uint32_t bits(uint64_t index) const { return block(index / 4)[index % 4]; }
  /// Uniform in [0, 1) with 53 bits, from numbers 2 * index and 2 * index + 1.
  constexpr double uniform(uint64_t index) const {
    const auto b = block(index / 2);
    return uniform_of(b[index % 2 * 2], b[index % 2 * 2 + 1]);
  }
  /// An integer in [0, limit), limit >= 1, by the high half of a 128-bit product (Lemire 2019
  /// without rejection: the bias is below limit / 2^64).
  constexpr uint64_t below(uint64_t limit, uint64_t index) const {
    const auto b = block(index / 2);
    const uint64_t bits64 = (uint64_t{b[index % 2 * 2]} << 32) | b[index % 2 * 2 + 1];
    return multiply_high(bits64, limit);
  }
  /// Standard normals 2 * pair and 2 * pair + 1, from the uniforms of the same numbers
  /// (Box-Muller).
  std::array<double, 2> normals(uint64_t pair) const {
    const auto b = block(pair);
    const double radius = std::sqrt(-2.0 * std::log1p(-uniform_of(b[0], b[1])));
    const double angle = 6.283185307179586477 * uniform_of(b[2], b[3]);
    return {radius * std::cos(angle), radius * std::sin(angle)};
  }
  double normal(uint64_t index) const { return normals(index / 2)[index % 2]; }

  /// 64 random bits as a number in [0, 1).
  static constexpr double uniform_of(uint32_t high, uint32_t low) {
    return static_cast<double>(((uint64_t{high} << 32) | low) >> 11) * 0x1p-53;
  }
};

/// The parameters of dropout: element i, counted globally, is dropped if bits(i) < probability *
/// 2^32, and kept elements are scaled by 1 / (1 - probability).
struct DropoutMask {
  double probability = 0.0;  // 0 <= probability < 1; 0 keeps everything
  RandomStream stream;
  uint64_t first_index = 0;  // global index of the tensor's first element

  constexpr uint32_t threshold() const { return static_cast<uint32_t>(probability * 4294967296.0); }
  constexpr double scale() const { return 1.0 / (1.0 - probability); }
};

}  // namespace folio
