// Attention by kernels of our own: any shape, f32 and bf16, all arithmetic in f32. It is the oracle
// of the library's, and what computes where the library is not asked.
#pragma once

#include "folio/kernels/kernels.h"

namespace folio::cuda {

/// See attention_forward and attention_backward in kernels.h.
void plain_attention_forward(const Tensor& y, const Tensor& log_sum, HeadColumns q, HeadColumns k,
                             HeadColumns v, const Tensor& key_mask, const AttentionShape& shape);
void plain_attention_backward(HeadColumnsGrad dq, HeadColumnsGrad dk, HeadColumnsGrad dv,
                              HeadColumns q, HeadColumns k, HeadColumns v, const Tensor& key_mask,
                              const Tensor& y, const Tensor& log_sum, const Tensor& dy,
                              const AttentionShape& shape);

}  // namespace folio::cuda
