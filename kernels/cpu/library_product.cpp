#include "folio/kernels/library_product.h"

#ifdef FOLIO_HAVE_ONEDNN
#include <oneapi/dnnl/dnnl.h>

#include "folio/kernels/cpu/bf16_product.h"
#endif

#include "folio/kernels/cpu/gemm.h"
#include "folio/kernels/cpu/parallel.h"
#include "folio/kernels/cpu/pieces.h"
#include "folio/kernels/kernels.h"

namespace folio {
namespace {

void multiply(const MatrixProduct& p, const float* a, const float* b, float* c) {
  const int64_t lda = p.transpose_a ? p.m : p.k, ldb = p.transpose_b ? p.k : p.n;
  const float beta = p.accumulate ? 1.0f : 0.0f;
#ifdef FOLIO_HAVE_ONEDNN
  dnnl_sgemm(p.transpose_a ? 'T' : 'N', p.transpose_b ? 'T' : 'N', p.m, p.n, p.k, 1.0f, a, lda, b,
             ldb, beta, c, p.n);
#else
  cpu::gemm(p.transpose_a, p.transpose_b, p.m, p.n, p.k, 1.0f, a, lda, b, ldb, beta, c, p.n);
#endif
}

template <class C>
void multiply(const MatrixProduct& p, const bf16* a, const bf16* b, C* c) {
  const int64_t lda = p.transpose_a ? p.m : p.k, ldb = p.transpose_b ? p.k : p.n;
#ifdef FOLIO_HAVE_ONEDNN
  if (multiplies_bf16(Device::cpu)) {
    const auto product = cpu::bf16_product({.transpose_a = p.transpose_a,
                                            .transpose_b = p.transpose_b,
                                            .accumulate = p.accumulate,
                                            .wide = std::is_same_v<C, float>,
                                            .m = p.m,
                                            .n = p.n,
                                            .k = p.k,
                                            .lda = lda,
                                            .ldb = ldb,
                                            .ldc = p.n,
                                            .shared = p.count == 1});
    return (*product)(a, b, c);
  }
#endif
  cpu::gemm(p.transpose_a, p.transpose_b, p.m, p.n, p.k, a, lda, b, ldb, p.accumulate, c, p.n);
}

template <class C, class T>
void multiply_all(const MatrixProduct& p, const Tensor& a, const Tensor& b, const Tensor& c) {
  const T *x = a.data<T>(), *y = b.data<T>();
  C* z = c.data<C>();
  if (p.count == 1) return multiply(p, x, y, z);
  cpu::parallel_for(p.count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      multiply(p, x + i * p.m * p.k, y + i * p.k * p.n, z + i * p.m * p.n);
    }
  });
}

}  // namespace

void library_product(const MatrixProduct& product, const Tensor& a, const Tensor& b,
                     const Tensor& c) {
  if (product.values == DType::f32) return multiply_all<float, float>(product, a, b, c);
  if (product.result == DType::f32) return multiply_all<float, bf16>(product, a, b, c);
  multiply_all<bf16, bf16>(product, a, b, c);
}

}  // namespace folio
