#include "folio/kernels/baseline_gemm.h"

#include <cstdint>

#include "folio/kernels/cpu/gemm.h"
#include "folio/kernels/cpu/parallel.h"

#ifdef FOLIO_HAVE_ONEDNN
#include <oneapi/dnnl/dnnl.h>

#include "folio/kernels/cpu/onednn_matmul_bf16.h"
#endif

namespace folio {
namespace {

void multiply(const MatrixProduct& p, const char* a, const char* b, char* c) {
#ifdef FOLIO_HAVE_ONEDNN
  if (p.values == DType::f32) {
    dnnl_sgemm(p.transpose_a ? 'T' : 'N', p.transpose_b ? 'T' : 'N', p.m, p.n, p.k, 1.0f,
               reinterpret_cast<const float*>(a), p.lda, reinterpret_cast<const float*>(b), p.ldb,
               p.accumulate ? 1.0f : 0.0f, reinterpret_cast<float*>(c), p.ldc);
    return;
  }
  if (cpu::multiplies_bf16()) {
    const auto primitive = cpu::onednn_matmul_bf16(p, /*all_threads=*/p.count == 1);
    (*primitive)(reinterpret_cast<const bf16*>(a), reinterpret_cast<const bf16*>(b), c);
    return;
  }
#endif
  MatrixProduct one = p;
  one.count = 1;
  cpu::gemm(one, a, b, c);
}

}  // namespace

void baseline_gemm(const MatrixProduct& p, const Tensor& a, const Tensor& b, const Tensor& c) {
  const auto value = static_cast<int64_t>(size_of(p.values));
  const auto result = static_cast<int64_t>(size_of(p.result));
  cpu::parallel_for(p.count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      multiply(p, static_cast<const char*>(a.raw()) + i * p.stride_a * value,
               static_cast<const char*>(b.raw()) + i * p.stride_b * value,
               static_cast<char*>(c.raw()) + i * p.stride_c * result);
    }
  });
}

}  // namespace folio
