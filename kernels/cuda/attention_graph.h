// Attention as graphs of cuDNN operations, in the pattern that cuDNN's fused engines recognise.
// Queries, keys and values may be packed or separate.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>

#include "folio/kernels/cuda/cudnn_graph.h"

namespace folio::cuda {

/// What the plans for attention depend on. Heads are adjacent in rows of `..._width` elements;
/// sequences are `..._step` elements apart.
struct AttentionPlanKey {
  int64_t batch = 0, heads = 0, length = 0, head_dim = 0;
  bool causal = false, dropout = false;
  int64_t q_width = 0, k_width = 0, v_width = 0;
  int64_t q_step = 0, k_step = 0, v_step = 0;
  int64_t dq_width = 0, dk_width = 0, dv_width = 0;  // of the backward pass
  int64_t dq_step = 0, dk_step = 0, dv_step = 0;

  auto operator<=>(const AttentionPlanKey&) const = default;
};

/// The ids of the plans' memory.
enum AttentionMemory : int64_t {
  memory_q = 1,
  memory_k,
  memory_v,
  memory_y,
  memory_log_sum,
  memory_dy,
  memory_dq,
  memory_dk,
  memory_dv,
  memory_row_sums,    // (B, heads, T, 1) f32: scratch of the backward pass
  memory_mask,        // (B, heads, T, T) bf16: 0 or 1, with dropout
  memory_scale,       // f32 scalars in host memory: the scale of the scores,
  memory_kept_scale,  // 1 / (1 - p),
  memory_kept,        // 1 - p,
  memory_hidden,      // -infinity
};

std::optional<CudnnPlan> attention_forward_plan(const AttentionPlanKey& key,
                                                const PlanTarget& target,
                                                std::string* why = nullptr);
std::optional<CudnnPlan> attention_backward_plan(const AttentionPlanKey& key,
                                                 const PlanTarget& target,
                                                 std::string* why = nullptr);

}  // namespace folio::cuda
