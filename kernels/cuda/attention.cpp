// Attention: through cuDNN if it supports the problem, else by Folio's own kernels.
#include "folio/kernels/cuda/attention_cudnn.h"
#include "folio/kernels/cuda/attention_plain.h"
#include "folio/kernels/cuda/types.h"
#include "folio/kernels/device_kernels.h"

namespace folio::cuda {

void attention_forward(const Tensor& y, const Tensor& log_sum, HeadColumns q, HeadColumns k,
                       HeadColumns v, const Tensor& key_mask, const AttentionShape& shape) {
  check_floating("attention", y);
  if (cudnn_attention_forward(y, log_sum, q, k, v, key_mask, shape)) return;
  plain_attention_forward(y, log_sum, q, k, v, key_mask, shape);
}

void attention_backward(HeadColumnsGrad dq, HeadColumnsGrad dk, HeadColumnsGrad dv, HeadColumns q,
                        HeadColumns k, HeadColumns v, const Tensor& key_mask, const Tensor& y,
                        const Tensor& log_sum, const Tensor& dy, const AttentionShape& shape) {
  check_floating("attention", y);
  if (cudnn_attention_backward(dq, dk, dv, q, k, v, key_mask, y, log_sum, dy, shape)) return;
  plain_attention_backward(dq, dk, dv, q, k, v, key_mask, y, log_sum, dy, shape);
}

}  // namespace folio::cuda
