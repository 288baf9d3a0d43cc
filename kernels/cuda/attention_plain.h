// Attention by Folio's own kernels: any shape, f32 and bf16, all arithmetic in f32. The tests
// compare cuDNN with it, and it is used for what cuDNN does not support.
#pragma once

#include "folio/kernels/kernels.h"

namespace folio::cuda {

/// See attention_forward and attention_backward in kernel_list.h.
void plain_attention_forward(const Tensor& y, const Tensor& log_sum, HeadColumns q, HeadColumns k,
                             HeadColumns v, const Tensor& key_mask, const AttentionShape& shape);
void plain_attention_backward(HeadColumnsGrad dq, HeadColumnsGrad dk, HeadColumnsGrad dv,
                              HeadColumns q, HeadColumns k, HeadColumns v, const Tensor& key_mask,
                              const Tensor& y, const Tensor& log_sum, const Tensor& dy,
                              const AttentionShape& shape);

}  // namespace folio::cuda
