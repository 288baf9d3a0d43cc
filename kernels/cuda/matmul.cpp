#include "folio/kernels/cuda/table.h"
#include "folio/tensor/error.h"

namespace folio::cuda {

void matmul(GradTarget, const Tensor&, bool, const Tensor&, bool) {
  fail("matmul", "not yet computed on the GPU; use device: cpu");
}

void linear_forward(const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                    const UnaryOp*) {
  fail("linear", "not yet computed on the GPU; use device: cpu");
}

}  // namespace folio::cuda
