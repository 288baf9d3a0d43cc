#include "folio/kernels/cuda/attention_cudnn.h"

#include <fmt/core.h>

#include <cstdint>
#include <cstdio>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "folio/kernels/cuda/attention_graph.h"
#include "folio/kernels/cuda/libraries.h"
#include "folio/kernels/cuda/types.h"
#include "folio/tensor/cuda.h"

namespace folio::cuda {
namespace {

/// cuDNN's engines need rows and heads that are aligned to 16 bytes.
bool fits(const Tensor& tensor, int64_t first) {
  return tensor.dtype() == DType::bf16 && tensor.shape().columns() % 8 == 0 && first % 8 == 0 &&
         reinterpret_cast<uintptr_t>(tensor.raw()) % 16 == 0;
}
bool fits(const HeadColumns& columns) { return fits(*columns.tensor, columns.first); }
/// Gradients that are not needed or that accumulate are left to Folio's own kernels.
bool fits(const HeadColumnsGrad& grad) {
  return grad.target && !grad.target.accumulate && fits(*grad.target.tensor, grad.first);
}
bool overlap(const HeadColumnsGrad& a, const HeadColumnsGrad& b, int64_t columns) {
  return a.target.tensor->raw() == b.target.tensor->raw() && a.first < b.first + columns &&
         b.first < a.first + columns;
}

/// There are fused engines from compute capability 8.0 on, for up to 128 columns per head. cuDNN
/// also makes plans for a single query, but NVIDIA's cudnn-frontend refuses to run them.
bool fits(const AttentionShape& shape, const Tensor& key_mask) {
  return !key_mask && shape.batch > 0 && shape.queries > 1 && shape.queries == shape.keys &&
         shape.head_dim % 8 == 0 && shape.head_dim <= 128 &&
         Context::get().properties().capability >= 80;
}

template <class T>
void* address(const T& columns, const Tensor& tensor) {
  return static_cast<bf16*>(tensor.raw()) + columns.first;
}
void* address(const HeadColumns& c) { return address(c, *c.tensor); }
void* address(const HeadColumnsGrad& c) { return address(c, *c.target.tensor); }

AttentionPlanKey key_of(const AttentionShape& s, HeadColumns q, HeadColumns k, HeadColumns v) {
  const auto width = [](const HeadColumns& c) { return c.tensor->shape().columns(); };
  const auto step = [](const HeadColumns& c) {
    return c.tensor->dim(1) * c.tensor->shape().columns();
  };
  return {.batch = s.batch,
          .heads = s.heads,
          .length = s.queries,
          .head_dim = s.head_dim,
          .causal = s.causal,
          .dropout = s.dropout.probability > 0.0,
          .q_width = width(q),
          .k_width = width(k),
          .v_width = width(v),
          .q_step = step(q),
          .k_step = step(k),
          .v_step = step(v)};
}

using MakePlan = std::optional<CudnnPlan> (*)(const AttentionPlanKey&, const PlanTarget&,
                                              std::string*);

/// The cuDNN that was loaded may differ from the headers.
bool is_recent(std::string& why) {
  const size_t version = cudnnGetVersion();
  if (version >= oldest_cudnn) return true;
  why = fmt::format("cuDNN {} was loaded, but {} is the oldest supported version", version,
                    oldest_cudnn);
  return false;
}

/// Returns the plan for a key, made when it is first needed, or null if there is none; the first
/// time, a message on stderr says why.
template <MakePlan make>
const CudnnPlan* plan_of(const AttentionPlanKey& key) {
  static std::mutex mutex;
  static auto* const plans = new std::map<AttentionPlanKey, std::optional<CudnnPlan>>;
  const std::lock_guard lock(mutex);
  auto found = plans->find(key);
  if (found == plans->end()) {
    std::string why;
    std::optional<CudnnPlan> plan;
    if (is_recent(why)) plan = make(key, {cudnn_handle(), ""}, &why);
    if (!plan) {
      fmt::print(
          stderr,
          "note: cuDNN cannot compute attention of {} x {} heads, {} tokens, {} columns here, so "
          "Folio's own slower kernels do: {}\n",
          key.batch, key.heads, key.length, key.head_dim, why);
    }
    found = plans->emplace(key, std::move(plan)).first;
  }
  return found->second ? &*found->second : nullptr;
}

/// A plan's scalars in host memory, and the device memory that it needs while it runs.
struct Call {
  float scale, kept_scale, kept, hidden = -std::numeric_limits<float>::infinity();
  Tensor mask, workspace;

  Call(const AttentionShape& s, const CudnnPlan& plan)
      : scale(static_cast<float>(s.scale)),
        kept_scale(static_cast<float>(s.dropout.scale())),
        kept(static_cast<float>(1.0 - s.dropout.probability)),
        workspace({plan.workspace() / 4 + 1}, DType::f32, Device::cuda) {
    if (s.dropout.probability > 0.0) {
      mask = Tensor({s.batch, s.heads, s.queries, s.keys}, DType::bf16, Device::cuda);
      draw_mask(mask, s.dropout);
    }
  }

  void run(const CudnnPlan& plan, const AttentionPlanKey& key,
           std::vector<std::pair<int64_t, void*>> memory) {
    if (is_dry_run()) return;
    memory.emplace_back(memory_scale, &scale);
    if (key.causal) memory.emplace_back(memory_hidden, &hidden);
    if (key.dropout) {
      memory.emplace_back(memory_mask, mask.raw());
      memory.emplace_back(memory_kept_scale, &kept_scale);
    }
    plan.run(cudnn_handle(), memory, workspace.raw());
  }
};

}  // namespace

bool cudnn_attention_forward(const Tensor& y, const Tensor& log_sum, HeadColumns q, HeadColumns k,
                             HeadColumns v, const Tensor& key_mask, const AttentionShape& shape) {
  if (!fits(y, 0) || !fits(q) || !fits(k) || !fits(v) || !fits(shape, key_mask) ||
      reinterpret_cast<uintptr_t>(log_sum.raw()) % 16 != 0) {
    return false;
  }
  const AttentionPlanKey key = key_of(shape, q, k, v);
  const CudnnPlan* plan = plan_of<attention_forward_plan>(key);
  if (plan == nullptr) return false;
  Call(shape, *plan)
      .run(*plan, key,
           {{memory_q, address(q)},
            {memory_k, address(k)},
            {memory_v, address(v)},
            {memory_y, y.raw()},
            {memory_log_sum, log_sum.raw()}});
  return true;
}

bool cudnn_attention_backward(HeadColumnsGrad dq, HeadColumnsGrad dk, HeadColumnsGrad dv,
                              HeadColumns q, HeadColumns k, HeadColumns v, const Tensor& key_mask,
                              const Tensor& y, const Tensor& log_sum, const Tensor& dy,
                              const AttentionShape& shape) {
  if (!fits(y, 0) || !fits(dy, 0) || !fits(q) || !fits(k) || !fits(v) || !fits(dq) || !fits(dk) ||
      !fits(dv) || !fits(shape, key_mask) || reinterpret_cast<uintptr_t>(log_sum.raw()) % 16 != 0) {
    return false;
  }
  const int64_t columns = shape.heads * shape.head_dim;
  if (overlap(dq, dk, columns) || overlap(dq, dv, columns) || overlap(dk, dv, columns)) {
    return false;
  }
  AttentionPlanKey key = key_of(shape, q, k, v);
  const auto width = [](const HeadColumnsGrad& c) { return c.target.tensor->shape().columns(); };
  key.dq_width = width(dq);
  key.dk_width = width(dk);
  key.dv_width = width(dv);
  key.dq_step = dq.target.tensor->dim(1) * key.dq_width;
  key.dk_step = dk.target.tensor->dim(1) * key.dk_width;
  key.dv_step = dv.target.tensor->dim(1) * key.dv_width;
  const CudnnPlan* plan = plan_of<attention_backward_plan>(key);
  if (plan == nullptr) return false;
  const Tensor row_sums({shape.batch, shape.heads, shape.queries}, DType::f32, Device::cuda);
  Call call(shape, *plan);
  call.run(*plan, key,
           {{memory_q, address(q)},
            {memory_k, address(k)},
            {memory_v, address(v)},
            {memory_y, y.raw()},
            {memory_log_sum, log_sum.raw()},
            {memory_dy, dy.raw()},
            {memory_dq, address(dq)},
            {memory_dk, address(dk)},
            {memory_dv, address(dv)},
            {memory_row_sums, row_sums.raw()},
            {memory_kept, &call.kept}});
  return true;
}

}  // namespace folio::cuda
