// gemm(): chooses the implementation of a matrix product and shares several products among threads.
#include "folio/kernels/cpu/gemm.h"

#include <algorithm>

#include "folio/kernels/cpu/parallel.h"
#include "folio/kernels/cpu/types.h"

namespace folio::cpu {
namespace {

void gemm_one(const MatrixProduct& p, const void* a, const void* b, void* c, const TileDone& done) {
  const auto tiled = [&]<class T>(Type<T>) {
    gemm_tiled(p, static_cast<const T*>(a), static_cast<const T*>(b), static_cast<T*>(c), done);
  };
  if (p.values == DType::f32) return tiled(Type<float>());
  if (p.values == DType::f64) return tiled(Type<double>());
  gemm_bf16(p, static_cast<const bf16*>(a), static_cast<const bf16*>(b), c, done);
}

}  // namespace

void gemm(const MatrixProduct& product, const void* a, const void* b, void* c,
          const TileDone& done) {
  const auto* a_bytes = static_cast<const char*>(a);
  const auto* b_bytes = static_cast<const char*>(b);
  auto* c_bytes = static_cast<char*>(c);
  const auto value = static_cast<int64_t>(size_of(product.values));
  const auto result = static_cast<int64_t>(size_of(product.result));
  MatrixProduct one = product;
  one.count = 1;
  const auto multiply = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      gemm_one(one, a_bytes + i * product.stride_a * value, b_bytes + i * product.stride_b * value,
               c_bytes + i * product.stride_c * result, done);
    }
  };
  // Threads take whole products if there are many; gemm_one() divides a few large ones itself.
  constexpr int64_t many = 16, worth_sharing = 1'000'000;  // multiplications
  const int64_t work = product.m * product.n * product.k;
  if (product.count >= many || work < worth_sharing) {
    parallel_for(product.count, worth_sharing / (4 * std::max<int64_t>(work, 1)), multiply);
  } else {
    multiply(0, product.count);
  }
}

}  // namespace folio::cpu
