// Attention by cuDNN: bf16, as many queries as keys, no key mask. Its plans are made once a shape.
#pragma once

#include <cstddef>

#include "folio/kernels/kernels.h"

namespace folio::cuda {

/// As cudnnGetVersion() counts: 9.15.1. Before it the backward pass of lengths that are not
/// multiples of 128 is wrong (cudnn-frontend works around it), and cmake/CudnnVersion.cmake asks
/// for the same.
inline constexpr size_t oldest_cudnn = 91501;

/// See kernels.h. They return false, and have done nothing, where cuDNN does not compute such a
/// problem. What one of them gives the other may be given, and so may plain_attention_... In bf16
/// the library rounds probabilities, and the gradients of scores, before it multiplies with them.
bool library_attention_forward(const Tensor& y, const Tensor& log_sum, HeadColumns q, HeadColumns k,
                               HeadColumns v, const Tensor& key_mask, const AttentionShape& shape);
bool library_attention_backward(HeadColumnsGrad dq, HeadColumnsGrad dk, HeadColumnsGrad dv,
                                HeadColumns q, HeadColumns k, HeadColumns v, const Tensor& key_mask,
                                const Tensor& y, const Tensor& log_sum, const Tensor& dy,
                                const AttentionShape& shape);

/// mask (any shape, bf16): 1 where an element is kept, else 0.
void draw_mask(const Tensor& mask, const DropoutMask& dropout);

}  // namespace folio::cuda
