#include "folio/kernels/cuda/table.h"

namespace folio::cuda {

const Kernels& table() {
  static constexpr Kernels kernels{
      .fill = fill,
      .copy = copy,
      .scale = scale,
      .unary_forward = unary_forward,
      .unary_backward = unary_backward,
      .binary_forward = binary_forward,
      .binary_backward = binary_backward,
      .dropout = dropout,
      .sum_forward = sum_forward,
      .sum_backward = sum_backward,
      .sum_rows = sum_rows,
      .sum_first = sum_first,
      .softmax_forward = softmax_forward,
      .softmax_backward = softmax_backward,
      .permute = permute,
      .copy_range = copy_range,
      .gather_rows = gather_rows,
      .scatter_add_rows = scatter_add_rows,
      .embedding_forward = embedding_forward,
      .matmul = matmul,
      .linear_forward = linear_forward,
      .layer_norm_forward = layer_norm_forward,
      .add_dropout_layer_norm_forward = add_dropout_layer_norm_forward,
      .layer_norm_backward = layer_norm_backward,
      .attention_forward = attention_forward,
      .attention_backward = attention_backward,
      .cross_entropy = cross_entropy,
      .sum_squares = sum_squares,
      .gradient_norm = gradient_norm,
      .adam = adam,
      .sgd = sgd,
  };
  return kernels;
}

}  // namespace folio::cuda
