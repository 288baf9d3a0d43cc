// The GPU's kernels, declared file by file; see kernels.h for what each does.
#pragma once

#include "folio/kernels/kernels.h"

namespace folio::cuda {

/// The filled table.
const Kernels& table();

// memory.cpp
void fill(const Tensor& y, double value);
void copy(GradTarget y, const Tensor& x);
void scale(GradTarget y, const Tensor& x, const Tensor& factor);

// unary.cpp
void unary_forward(UnaryOp op, const Tensor& y, const Tensor& x);
void unary_backward(UnaryOp op, GradTarget dx, const Tensor& x, const Tensor& y, const Tensor& dy);

// binary.cpp
void binary_forward(BinaryOp op, const Tensor& y, const Tensor& a, const Tensor& b);
void binary_backward(BinaryOp op, GradTarget da, GradTarget db, const Tensor& a, const Tensor& b,
                     const Tensor& dy);

// dropout.cpp
void dropout(GradTarget y, const Tensor& x, const DropoutMask& mask);

// reduce.cpp
void sum_forward(const Tensor& y, const Tensor& x, double factor);
void sum_backward(GradTarget dx, const Tensor& dy, double factor);
void sum_rows(GradTarget y, const Tensor& x);
void sum_first(GradTarget y, const Tensor& x);

// softmax.cpp
void softmax_forward(const Tensor& y, const Tensor& x, bool logarithm);
void softmax_backward(GradTarget dx, const Tensor& y, const Tensor& dy, bool logarithm);

// movement.cpp
void permute(GradTarget y, const Tensor& x, const std::array<int, 4>& axes);
void copy_range(GradTarget y, int64_t y_start, const Tensor& x, int64_t x_start, int64_t length,
                int axis);
void gather_rows(const Tensor& y, const Tensor& table, const Tensor& indices);
void scatter_add_rows(GradTarget dtable, const Tensor& indices, const Tensor& dy);
void embedding_forward(const Tensor& y, const Tensor& tokens, const Tensor& table,
                       const Tensor& positions);

// matmul.cpp
void matmul(GradTarget c, const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b);
void linear_forward(const Tensor& y, const Tensor& z, const Tensor& x, const Tensor& weight,
                    const Tensor& bias, const UnaryOp* activation);

// layer_norm.cpp
void layer_norm_forward(const Tensor& y, const Tensor& mean, const Tensor& rstd, const Tensor& x,
                        const Tensor& gain, const Tensor& bias, double eps);
void add_dropout_layer_norm_forward(const Tensor& sum, const Tensor& y, const Tensor& mean,
                                    const Tensor& rstd, const Tensor& residual, const Tensor& x,
                                    const Tensor& gain, const Tensor& bias, double eps,
                                    const DropoutMask& mask);
void layer_norm_backward(GradTarget dx, GradTarget dgain, GradTarget dbias, const Tensor& x,
                         const Tensor& mean, const Tensor& rstd, const Tensor& gain,
                         const Tensor& dy);

// attention.cpp
void attention_forward(const Tensor& y, const Tensor& log_sum, HeadColumns q, HeadColumns k,
                       HeadColumns v, const Tensor& key_mask, const AttentionShape& shape);
void attention_backward(HeadColumnsGrad dq, HeadColumnsGrad dk, HeadColumnsGrad dv, HeadColumns q,
                        HeadColumns k, HeadColumns v, const Tensor& key_mask, const Tensor& y,
                        const Tensor& log_sum, const Tensor& dy, const AttentionShape& shape);

// cross_entropy.cpp
void cross_entropy(const Tensor& loss, const Tensor& dlogits, const Tensor& logits,
                   const Tensor& targets, const CrossEntropyOptions& options);

// optimizer.cpp
void sum_squares(const Tensor& sums, const Tensor& gradients);
void gradient_norm(const Tensor& norm_and_scale, const Tensor& gradients, double max_norm);
void adam(const Tensor& values, const Tensor& copy, const Tensor& first_moment,
          const Tensor& second_moment, const Tensor& gradients, const Tensor& norm_and_scale,
          const AdamOptions& options);
void sgd(const Tensor& values, const Tensor& copy, const Tensor& velocity, const Tensor& gradients,
         const Tensor& norm_and_scale, const SgdOptions& options);

}  // namespace folio::cuda
