// The work of each kernel call, from its arguments: the bytes of its tensors and its matrix
// products.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "folio/kernels/kernels.h"
#include "folio/kernels/matrix_product.h"

namespace folio {

/// A matrix product, and the share of it that is used: about half of the scores under a causal
/// mask.
struct PartialProduct {
  MatrixProduct product;
  double share = 1.0;

  double flops() const { return share * product.flops(); }
};

/// The bytes and products of one kernel call.
struct KernelWork {
  double bytes = 0.0;
  std::vector<PartialProduct> products = {};

  double flops() const {
    double sum = 0.0;
    for (const PartialProduct& product : products) sum += product.flops();
    return sum;
  }
};

/// A tensor is read or written once; a tensor that is added to is read and written.
inline double bytes_of(const Tensor& tensor) {
  return tensor ? static_cast<double>(tensor.bytes()) : 0.0;
}
inline double bytes_of(const GradTarget& target) {
  return target ? (target.accumulate ? 2.0 : 1.0) * bytes_of(*target.tensor) : 0.0;
}
template <class Other>
double bytes_of(const Other&) {
  return 0.0;
}

/// The work of entry E of the table with these arguments. By default, every tensor is moved once
/// and no matrices are multiplied; the specializations follow.
template <class E, class... Argument>
KernelWork work_of(E, const Argument&... argument) {
  return {.bytes = (0.0 + ... + bytes_of(argument))};
}

KernelWork work_of(Entry<&Kernels::copy_range>, const GradTarget& y, const int64_t& y_start,
                   const Tensor& x, const int64_t& x_start, const int64_t& length, const int& axis);
KernelWork work_of(Entry<&Kernels::gather_rows>, const Tensor& y, const Tensor& table,
                   const Tensor& indices);
KernelWork work_of(Entry<&Kernels::scatter_add_rows>, const GradTarget& dtable,
                   const Tensor& indices, const Tensor& dy);
KernelWork work_of(Entry<&Kernels::embedding_forward>, const Tensor& y, const Tensor& tokens,
                   const Tensor& table, const Tensor& positions);
KernelWork work_of(Entry<&Kernels::matmul>, const GradTarget& c, const Tensor& a,
                   const bool& transpose_a, const Tensor& b, const bool& transpose_b);
KernelWork work_of(Entry<&Kernels::linear_forward>, const Tensor& y, const Tensor& z,
                   const Tensor& x, const Tensor& weight, const Tensor& bias,
                   const std::optional<UnaryOp>& activation);
KernelWork work_of(Entry<&Kernels::attention_forward>, const Tensor& y, const Tensor& log_sum,
                   const HeadColumns& q, const HeadColumns& k, const HeadColumns& v,
                   const Tensor& key_mask, const AttentionShape& shape);
KernelWork work_of(Entry<&Kernels::attention_backward>, const HeadColumnsGrad& dq,
                   const HeadColumnsGrad& dk, const HeadColumnsGrad& dv, const HeadColumns& q,
                   const HeadColumns& k, const HeadColumns& v, const Tensor& key_mask,
                   const Tensor& y, const Tensor& log_sum, const Tensor& dy,
                   const AttentionShape& shape);
KernelWork work_of(Entry<&Kernels::adam>, const Tensor& values, const Tensor& copy,
                   const Tensor& first_moment, const Tensor& second_moment, const Tensor& gradients,
                   const Tensor& norm_and_scale, const AdamOptions& options);
KernelWork work_of(Entry<&Kernels::sgd>, const Tensor& values, const Tensor& copy,
                   const Tensor& velocity, const Tensor& gradients, const Tensor& norm_and_scale,
                   const SgdOptions& options);

}  // namespace folio
