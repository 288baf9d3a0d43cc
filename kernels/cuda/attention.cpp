#include "folio/kernels/cuda/table.h"
#include "folio/tensor/error.h"

namespace folio::cuda {

void attention_forward(const Tensor&, const Tensor&, HeadColumns, HeadColumns, HeadColumns,
                       const Tensor&, const AttentionShape&) {
  fail("attention", "not yet computed on the GPU; use device: cpu");
}

void attention_backward(HeadColumnsGrad, HeadColumnsGrad, HeadColumnsGrad, HeadColumns, HeadColumns,
                        HeadColumns, const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                        const AttentionShape&) {
  fail("attention", "not yet computed on the GPU; use device: cpu");
}

}  // namespace folio::cuda
