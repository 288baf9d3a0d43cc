// bf16: the upper half of a float, seven bits of fraction and a float's whole range.
#pragma once

#include <bit>
#include <cstdint>

namespace folio {

/// The bits of the bf16 nearest to `value`, of two as near the even one; NaN stays NaN, quiet.
constexpr uint16_t bf16_bits(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (value != value) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

/// Storage only: it widens to float by itself, which loses nothing, and there arithmetic is done.
class bf16 {
 public:
  bf16() = default;
  /// Rounds, see bf16_bits().
  constexpr explicit bf16(float value) : bits_(bf16_bits(value)) {}
  constexpr operator float() const { return std::bit_cast<float>(uint32_t{bits_} << 16); }
  constexpr uint16_t bits() const { return bits_; }

 private:
  uint16_t bits_;
};
static_assert(sizeof(bf16) == 2);

}  // namespace folio
