// Attention: by cuDNN where it computes such a problem, else by kernels of our own.
#include "folio/kernels/cuda/attention_library.h"
#include "folio/kernels/cuda/attention_plain.h"
#include "folio/kernels/cuda/table.h"
#include "folio/kernels/cuda/types.h"

namespace folio::cuda {

void attention_forward(const Tensor& y, const Tensor& log_sum, HeadColumns q, HeadColumns k,
                       HeadColumns v, const Tensor& key_mask, const AttentionShape& shape) {
  check_floating("attention", y);
  if (library_attention_forward(y, log_sum, q, k, v, key_mask, shape)) return;
  plain_attention_forward(y, log_sum, q, k, v, key_mask, shape);
}

void attention_backward(HeadColumnsGrad dq, HeadColumnsGrad dk, HeadColumnsGrad dv, HeadColumns q,
                        HeadColumns k, HeadColumns v, const Tensor& key_mask, const Tensor& y,
                        const Tensor& log_sum, const Tensor& dy, const AttentionShape& shape) {
  check_floating("attention", y);
  if (library_attention_backward(dq, dk, dv, q, k, v, key_mask, y, log_sum, dy, shape)) return;
  plain_attention_backward(dq, dk, dv, q, k, v, key_mask, y, log_sum, dy, shape);
}

}  // namespace folio::cuda
