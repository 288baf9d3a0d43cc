// Entries of the table that are not written yet: they refuse.
#include "folio/kernels/cuda/table.h"
#include "folio/tensor/error.h"

namespace folio::cuda {

void fill(const Tensor&, double) { fail("fill", "not yet computed on the GPU"); }
void copy(GradTarget, const Tensor&) { fail("copy", "not yet computed on the GPU"); }
void scale(GradTarget, const Tensor&, const Tensor&) {
  fail("scale", "not yet computed on the GPU");
}
void binary_forward(BinaryOp, const Tensor&, const Tensor&, const Tensor&) {
  fail("binary_forward", "not yet computed on the GPU");
}
void binary_backward(BinaryOp, GradTarget, GradTarget, const Tensor&, const Tensor&,
                     const Tensor&) {
  fail("binary_backward", "not yet computed on the GPU");
}
void dropout(GradTarget, const Tensor&, const DropoutMask&) {
  fail("dropout", "not yet computed on the GPU");
}
void sum_forward(const Tensor&, const Tensor&, double) {
  fail("sum_forward", "not yet computed on the GPU");
}
void sum_backward(GradTarget, const Tensor&, double) {
  fail("sum_backward", "not yet computed on the GPU");
}
void sum_rows(GradTarget, const Tensor&) { fail("sum_rows", "not yet computed on the GPU"); }
void sum_first(GradTarget, const Tensor&) { fail("sum_first", "not yet computed on the GPU"); }
void softmax_forward(const Tensor&, const Tensor&, bool) {
  fail("softmax_forward", "not yet computed on the GPU");
}
void softmax_backward(GradTarget, const Tensor&, const Tensor&, bool) {
  fail("softmax_backward", "not yet computed on the GPU");
}
void permute(GradTarget, const Tensor&, const std::array<int, 4>&) {
  fail("permute", "not yet computed on the GPU");
}
void copy_range(GradTarget, int64_t, const Tensor&, int64_t, int64_t, int) {
  fail("copy_range", "not yet computed on the GPU");
}
void gather_rows(const Tensor&, const Tensor&, const Tensor&) {
  fail("gather_rows", "not yet computed on the GPU");
}
void scatter_add_rows(GradTarget, const Tensor&, const Tensor&) {
  fail("scatter_add_rows", "not yet computed on the GPU");
}
void embedding_forward(const Tensor&, const Tensor&, const Tensor&, const Tensor&) {
  fail("embedding_forward", "not yet computed on the GPU");
}
void layer_norm_forward(const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                        const Tensor&, double) {
  fail("layer_norm_forward", "not yet computed on the GPU");
}
void add_dropout_layer_norm_forward(const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                                    const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                                    double, const DropoutMask&) {
  fail("add_dropout_layer_norm_forward", "not yet computed on the GPU");
}
void layer_norm_backward(GradTarget, GradTarget, GradTarget, const Tensor&, const Tensor&,
                         const Tensor&, const Tensor&, const Tensor&) {
  fail("layer_norm_backward", "not yet computed on the GPU");
}
void cross_entropy(const Tensor&, const Tensor&, const Tensor&, const Tensor&,
                   const CrossEntropyOptions&) {
  fail("cross_entropy", "not yet computed on the GPU");
}
void gradient_norm(const Tensor&, const Tensor&, double) {
  fail("gradient_norm", "not yet computed on the GPU");
}
void adam(const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&,
          const AdamOptions&) {
  fail("adam", "not yet computed on the GPU");
}
void sgd(const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&,
         const SgdOptions&) {
  fail("sgd", "not yet computed on the GPU");
}

}  // namespace folio::cuda
