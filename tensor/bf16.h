// bf16: the upper half of a float, with its range and seven bits of fraction.
#pragma once

#include <bit>
#include <cstdint>

namespace folio {

/// The bits of the bf16 nearest to `value`, ties to even; NaN becomes a quiet NaN.
constexpr uint16_t bf16_bits(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (value != value) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

/// A storage type: it converts to float implicitly, which is exact, and arithmetic is done in
/// float.
class bf16 {
 public:
  bf16() = default;
  /// Rounds as bf16_bits() does.
  constexpr explicit bf16(float value) : bits_(bf16_bits(value)) {}
  constexpr operator float() const { return std::bit_cast<float>(uint32_t{bits_} << 16); }
  constexpr uint16_t bits() const { return bits_; }

 private:
  uint16_t bits_;
};
static_assert(sizeof(bf16) == 2);

}  // namespace folio
