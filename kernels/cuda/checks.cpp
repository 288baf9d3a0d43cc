#include <string_view>

#include "folio/kernels/cuda/types.h"
#include "folio/tensor/error.h"

namespace folio::cuda {

void check_floating(std::string_view kernel, const Tensor& tensor) {
  FOLIO_CHECK(tensor.dtype() == DType::f32 || tensor.dtype() == DType::bf16, kernel,
              "the tensor is {}; the GPU's kernels take f32 and bf16 (f64 is computed on the CPU)",
              tensor.describe());
}

void check_f32(std::string_view kernel, const Tensor& tensor) {
  FOLIO_CHECK(tensor.dtype() == DType::f32, kernel,
              "the tensor is {}; the GPU keeps masters, moments, gradients of parameters and "
              "statistics in f32 (f64 is computed on the CPU)",
              tensor.describe());
}

}  // namespace folio::cuda
