#include "folio/kernels/library_product.h"

#ifdef FOLIO_HAVE_ONEDNN
#include <oneapi/dnnl/dnnl.h>
#else
#include "folio/kernels/cpu/gemm.h"
#endif

#include "folio/kernels/cpu/parallel.h"
#include "folio/kernels/cpu/pieces.h"

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

}  // namespace

void library_product(const MatrixProduct& product, const Tensor& a, const Tensor& b,
                     const Tensor& c) {
  const MatrixProduct& p = product;
  const float *x = a.data<float>(), *y = b.data<float>();
  float* z = c.data<float>();
  if (p.count == 1) return multiply(p, x, y, z);
  cpu::parallel_for(p.count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      multiply(p, x + i * p.m * p.k, y + i * p.k * p.n, z + i * p.m * p.n);
    }
  });
}

}  // namespace folio
