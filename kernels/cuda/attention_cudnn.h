// Attention through cuDNN: bf16, equal numbers of queries and keys, no key mask. Plans are made
// once per shape.
#pragma once

#include <cstddef>

#include "folio/kernels/kernels.h"

namespace folio::cuda {

/// The oldest supported version, in the format of cudnnGetVersion(): 9.15.1. Before that, the
/// backward pass is wrong for lengths that are not multiples of 128 (cudnn-frontend works around
/// it). cmake/CudnnVersion.cmake checks for the same version.
inline constexpr size_t oldest_cudnn = 91501;

/// See kernel_list.h. They return false without doing anything if cuDNN does not support the
/// problem. Results of one pass are valid inputs of the other, and of plain_attention_...() too. In
/// bf16, cuDNN rounds the probabilities, and the gradients of the scores, before it multiplies
/// them.
bool cudnn_attention_forward(const Tensor& y, const Tensor& log_sum, HeadColumns q, HeadColumns k,
                             HeadColumns v, const Tensor& key_mask, const AttentionShape& shape);
bool cudnn_attention_backward(HeadColumnsGrad dq, HeadColumnsGrad dk, HeadColumnsGrad dv,
                              HeadColumns q, HeadColumns k, HeadColumns v, const Tensor& key_mask,
                              const Tensor& y, const Tensor& log_sum, const Tensor& dy,
                              const AttentionShape& shape);

/// Sets mask (any shape, bf16) to 1 where an element is kept, else 0.
void draw_mask(const Tensor& mask, const DropoutMask& dropout);

}  // namespace folio::cuda
