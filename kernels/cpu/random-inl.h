// Philox4x32-10 on vectors, with the same bits as tensor/random.h, and dropout. Compiled once for
// every instruction set.
#if defined(FOLIO_KERNELS_CPU_RANDOM_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef FOLIO_KERNELS_CPU_RANDOM_INL_H
#undef FOLIO_KERNELS_CPU_RANDOM_INL_H
#else
#define FOLIO_KERNELS_CPU_RANDOM_INL_H
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "folio/kernels/cpu/vector-inl.h"
#include "folio/tensor/random.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// The number of random numbers generated at a time; the buffer fits in the first-level cache.
inline constexpr int64_t random_chunk = 1024;
/// The size of the buffer: a chunk, the unused numbers of its first block, and the rest of its last
/// vector.
inline constexpr int64_t random_room = random_chunk + 4 + HWY_MAX_BYTES;

/// Fills bits with numbers 4 * first_block, 4 * first_block + 1, ... of the stream: at least
/// `blocks` blocks of four, rounded up to whole vectors. bits must be aligned to a vector.
HWY_INLINE void random_blocks(const RandomStream& stream, uint64_t first_block, int64_t blocks,
                              uint32_t* bits) {
#if HWY_TARGET == HWY_SCALAR
  for (int64_t block = 0; block < blocks; ++block) {
    const auto words = stream.block(first_block + static_cast<uint64_t>(block));
    std::copy(words.begin(), words.end(), bits + 4 * block);
  }
#else
  const hn::ScalableTag<uint64_t> d64;
  const hn::Repartition<uint32_t, decltype(d64)> d32;
  const int64_t lanes = lanes_of(d64);  // blocks at a time
  // Each 64-bit lane computes one block, with its 32-bit words in the lower halves; the upper
  // halves are arbitrary, since MulEven ignores them. In each pair of lanes, the first lane
  // computes a block of the first half and the second lane one of the second half, so that
  // interleaving the words of a pair puts them in order.
  HWY_ALIGN uint64_t offsets[HWY_MAX_BYTES / 8];
  for (int64_t lane = 0; lane < lanes; ++lane) {
    offsets[lane] = static_cast<uint64_t>(lane / 2 + (lane % 2 == 0 ? 0 : lanes / 2));
  }
  const auto offset = hn::Load(d64, offsets);
  const auto multiplier0 = hn::BitCast(d32, hn::Set(d64, 0xD2511F53u));
  const auto multiplier1 = hn::BitCast(d32, hn::Set(d64, 0xCD9E8D57u));
  const auto low_half = hn::Set(d64, 0xFFFFFFFFu);
  for (int64_t block = 0; block < blocks; block += lanes) {
    const auto index = hn::Add(hn::Set(d64, first_block + static_cast<uint64_t>(block)), offset);
    auto c0 = index, c1 = hn::ShiftRight<32>(index);
    auto c2 = hn::Set(d64, uint64_t{stream.step}), c3 = hn::Set(d64, uint64_t{stream.purpose});
    uint32_t key0 = static_cast<uint32_t>(stream.seed);
    uint32_t key1 = static_cast<uint32_t>(stream.seed >> 32);
    for (int round = 0; round < 10; ++round) {
      const auto product0 = hn::MulEven(hn::BitCast(d32, c0), multiplier0);
      const auto product1 = hn::MulEven(hn::BitCast(d32, c2), multiplier1);
      c0 = hn::Xor3(hn::ShiftRight<32>(product1), c1, hn::Set(d64, uint64_t{key0}));
      c2 = hn::Xor3(hn::ShiftRight<32>(product0), c3, hn::Set(d64, uint64_t{key1}));
      c1 = product1;
      c3 = product0;
      key0 += 0x9E3779B9u;
      key1 += 0xBB67AE85u;
    }
    const auto words01 = hn::Or(hn::And(c0, low_half), hn::ShiftLeft<32>(c1));
    const auto words23 = hn::Or(hn::And(c2, low_half), hn::ShiftLeft<32>(c3));
    uint32_t* out = bits + 4 * block;
    hn::Store(hn::BitCast(d32, hn::InterleaveLower(d64, words01, words23)), d32, out);
    hn::Store(hn::BitCast(d32, hn::InterleaveUpper(d64, words01, words23)), d32, out + 2 * lanes);
  }
#endif
}

/// The lanes of d for which bits < threshold.
template <class D>
HWY_INLINE hn::Mask<D> dropped_lanes(D d, const uint32_t* bits, uint32_t threshold) {
  if constexpr (sizeof(hn::TFromD<D>) == 4) {
    const hn::RebindToUnsigned<D> du;
    return hn::RebindMask(d, hn::Lt(hn::LoadU(du, bits), hn::Set(du, threshold)));
  } else {
    const hn::RebindToUnsigned<D> du;
    const auto wide = hn::PromoteTo(du, hn::LoadU(hn::Rebind<uint32_t, D>(), bits));
    return hn::RebindMask(d, hn::Lt(wide, hn::Set(du, uint64_t{threshold})));
  }
}

/// Random bits as an operand of map_vectors(): the mask of those below the threshold.
struct DroppedBits {
  const uint32_t* bits;
  uint32_t threshold;
  DroppedBits operator+(int64_t i) const { return {bits + i, threshold}; }
};
template <class D>
HWY_INLINE hn::Mask<D> load_all(D d, DroppedBits dropped) {
  return dropped_lanes(d, dropped.bits, dropped.threshold);
}
template <class D>
HWY_INLINE hn::Mask<D> load_part(D d, DroppedBits dropped, int64_t) {
  return dropped_lanes(d, dropped.bits, dropped.threshold);
}

/// y = x * mask.scale() where the mask keeps an element, else 0, plus base[i] if there is a base
/// (at most one pointer). Element i has number first_index + i in the mask's stream. y may be x or
/// the base.
template <class Y, class T, class... Base>
HWY_INLINE void dropout_vectors(Y* y, const T* x, int64_t n, const DropoutMask& mask,
                                uint64_t first_index, Base... base) {
  HWY_ALIGN uint32_t numbers[random_room];
  const auto factor = static_cast<Arithmetic<T>>(mask.scale());
  const auto drop = [=](auto d, auto dropped, auto v, auto... added) FOLIO_SIMD {
    v = hn::IfThenZeroElse(dropped, hn::Mul(v, hn::Set(d, factor)));
    ((v = hn::Add(added, v)), ...);
    return v;
  };
  for (int64_t begin = 0; begin < n; begin += random_chunk) {
    const int64_t count = std::min(random_chunk, n - begin);
    const uint64_t first = first_index + static_cast<uint64_t>(begin);
    const int64_t skip = static_cast<int64_t>(first % 4);
    random_blocks(mask.stream, first / 4, (skip + count + 3) / 4, numbers);
    const DroppedBits dropped{numbers + skip, mask.threshold()};
    map_vectors<false>(y + begin, count, drop, dropped, x + begin, (base + begin)...);
  }
}

}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
