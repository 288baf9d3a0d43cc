#include "folio/inspect/profile_work.h"

#include <algorithm>

namespace folio {
namespace {

/// Bytes of `elements` elements of the tensor's type.
double bytes(double elements, const Tensor& like) {
  return elements * static_cast<double>(size_of(like.dtype()));
}

/// The share of (query, key) pairs in which the query sees the key; query i sees i + 1 + keys -
/// queries of them under a causal mask.
double visible_share(const AttentionShape& shape) {
  if (!shape.causal) return 1.0;
  double seen = 0.0;
  for (int64_t i = 0; i < shape.queries; ++i) {
    seen +=
        static_cast<double>(std::clamp<int64_t>(i + 1 + shape.keys - shape.queries, 0, shape.keys));
  }
  return seen / static_cast<double>(std::max<int64_t>(1, shape.queries * shape.keys));
}

double rows_bytes(const AttentionShape& shape, int64_t rows, const Tensor& like) {
  return bytes(static_cast<double>(shape.batch * rows * shape.heads * shape.head_dim), like);
}

double grad_bytes(const HeadColumnsGrad& grad, const AttentionShape& shape, int64_t rows) {
  if (!grad.target) return 0.0;
  return (grad.target.accumulate ? 2.0 : 1.0) * rows_bytes(shape, rows, *grad.target.tensor);
}

/// A product (M, N, K) for each head and sequence, of which the unmasked share counts. On a CPU,
/// heads in bf16 are computed in f32.
PartialProduct of_heads(const AttentionShape& shape, const Tensor& like, bool transpose_a,
                        bool transpose_b, int64_t m, int64_t n, int64_t k) {
  const DType values = like.device() == Device::cpu ? DType::f32 : like.dtype();
  const MatrixProduct product{.values = values,
                              .result = values,
                              .transpose_a = transpose_a,
                              .transpose_b = transpose_b,
                              .m = m,
                              .n = n,
                              .k = k,
                              .count = shape.batch * shape.heads};
  return {product.dense(), visible_share(shape)};
}

}  // namespace

KernelWork work_of(Entry<&Kernels::copy_range>, const GradTarget& y, const int64_t&,
                   const Tensor& x, const int64_t&, const int64_t& length, const int& axis) {
  if (!y) return {};
  const auto part =
      static_cast<double>(length) / static_cast<double>(std::max<int64_t>(1, x.dim(axis)));
  return {.bytes = (y.accumulate ? 3.0 : 2.0) * part * bytes_of(x)};
}

KernelWork work_of(Entry<&Kernels::gather_rows>, const Tensor& y, const Tensor&,
                   const Tensor& indices) {
  return {.bytes = 2.0 * bytes_of(y) + bytes_of(indices)};
}

KernelWork work_of(Entry<&Kernels::scatter_add_rows>, const GradTarget& dtable,
                   const Tensor& indices, const Tensor& dy) {
  if (!dtable) return {};
  // Rows are read and written. Unless it accumulates, the whole table is zeroed first.
  const double zeroed = dtable.accumulate ? 0.0 : bytes_of(*dtable.tensor);
  return {.bytes = zeroed + 3.0 * bytes_of(dy) + bytes_of(indices)};
}

KernelWork work_of(Entry<&Kernels::embedding_forward>, const Tensor& y, const Tensor& tokens,
                   const Tensor&, const Tensor&) {
  return {.bytes = 3.0 * bytes_of(y) + bytes_of(tokens)};
}

KernelWork work_of(Entry<&Kernels::matmul>, const GradTarget& c, const Tensor& a,
                   const bool& transpose_a, const Tensor& b, const bool& transpose_b) {
  if (!c) return {};
  return {.bytes = bytes_of(c) + bytes_of(a) + bytes_of(b),
          .products = {{matmul_product(c, a, transpose_a, b, transpose_b).dense()}}};
}

KernelWork work_of(Entry<&Kernels::linear_forward>, const Tensor& y, const Tensor& z,
                   const Tensor& x, const Tensor& weight, const Tensor& bias,
                   const std::optional<UnaryOp>&) {
  return {.bytes = bytes_of(y) + bytes_of(z) + bytes_of(x) + bytes_of(weight) + bytes_of(bias),
          .products = {{linear_product(y, x, weight).dense()}}};
}

KernelWork work_of(Entry<&Kernels::attention_forward>, const Tensor& y, const Tensor& log_sum,
                   const HeadColumns&, const HeadColumns&, const HeadColumns&,
                   const Tensor& key_mask, const AttentionShape& shape) {
  const int64_t q = shape.queries, k = shape.keys, d = shape.head_dim;
  return {.bytes = bytes_of(y) + bytes_of(log_sum) + rows_bytes(shape, q, y) +
                   2.0 * rows_bytes(shape, k, y) + bytes_of(key_mask),
          .products = {of_heads(shape, y, false, true, q, k, d),     // scores = Q K^T
                       of_heads(shape, y, false, false, q, d, k)}};  // y = P V
}

// Recomputed scores are not counted, since they depend on the kernel.
KernelWork work_of(Entry<&Kernels::attention_backward>, const HeadColumnsGrad& dq,
                   const HeadColumnsGrad& dk, const HeadColumnsGrad& dv, const HeadColumns&,
                   const HeadColumns&, const HeadColumns&, const Tensor& key_mask, const Tensor& y,
                   const Tensor& log_sum, const Tensor& dy, const AttentionShape& shape) {
  const int64_t q = shape.queries, k = shape.keys, d = shape.head_dim;
  KernelWork work{.bytes = bytes_of(y) + bytes_of(dy) + bytes_of(log_sum) + bytes_of(key_mask) +
                           rows_bytes(shape, q, y) + 2.0 * rows_bytes(shape, k, y) +
                           grad_bytes(dq, shape, q) + grad_bytes(dk, shape, k) +
                           grad_bytes(dv, shape, k)};
  if (dq.target || dk.target)
    work.products.push_back(of_heads(shape, y, false, true, q, k, d));                // dP
  if (dv.target) work.products.push_back(of_heads(shape, y, true, false, k, d, q));   // P^T dY
  if (dq.target) work.products.push_back(of_heads(shape, y, false, false, q, d, k));  // dS K
  if (dk.target) work.products.push_back(of_heads(shape, y, true, false, k, d, q));   // dS^T Q
  return work;
}

KernelWork work_of(Entry<&Kernels::adam>, const Tensor& values, const Tensor& copy,
                   const Tensor& first_moment, const Tensor& second_moment, const Tensor& gradients,
                   const Tensor&, const AdamOptions&) {
  return {.bytes = bytes_of(gradients) + bytes_of(copy) +
                   2.0 * (bytes_of(values) + bytes_of(first_moment) + bytes_of(second_moment))};
}

KernelWork work_of(Entry<&Kernels::sgd>, const Tensor& values, const Tensor& copy,
                   const Tensor& velocity, const Tensor& gradients, const Tensor&,
                   const SgdOptions&) {
  return {.bytes =
              bytes_of(gradients) + bytes_of(copy) + 2.0 * (bytes_of(values) + bytes_of(velocity))};
}

}  // namespace folio
