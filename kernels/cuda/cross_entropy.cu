#include <cstdint>

#include "folio/kernels/cuda/reduce.h"
#include "folio/kernels/device_kernels.h"

namespace folio::cuda {
namespace {

// For few classes a warp computes a row, eight rows per block; for many classes a block computes a
// row.
constexpr int few_classes = 1024, many_threads = 512, rows_of_block = 8;

struct Options {
  float smoothing, scale;
  int32_t ignored;
};

/// What a thread has seen of its classes' logits: their maximum, the sum of exp(logit - maximum),
/// and their sum.
struct Partial {
  float max = -INFINITY, exponentials = 0.0f, logits = 0.0f;

  __device__ void add(float logit) {
    logits += logit;
    if (logit > max) {
      exponentials = exponentials * expf(max - logit) + 1.0f;
      max = logit;
    } else if (logit != -INFINITY) {  // NaN ends up here and stays
      exponentials += expf(logit - max);
    }
  }
};

struct Merge {
  __device__ Partial operator()(const Partial& a, const Partial& b) const {
    const float max = Max()(a.max, b.max);
    if (max == -INFINITY) return {max, 0.0f, a.logits + b.logits};
    return {max, a.exponentials * expf(a.max - max) + b.exponentials * expf(b.max - max),
            a.logits + b.logits};
  }
};

/// Every thread of the group gets the merged value.
template <int group>
__device__ Partial merged(Partial value) {
  for (int distance = 16; distance > 0; distance /= 2) {
    const Partial other{__shfl_xor_sync(whole_warp, value.max, distance),
                        __shfl_xor_sync(whole_warp, value.exponentials, distance),
                        __shfl_xor_sync(whole_warp, value.logits, distance)};
    value = Merge()(value, other);
  }
  if constexpr (group > 32) {
    __shared__ Partial of_warp[group / 32];
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
    __syncthreads();
    value = of_warp[0];
    for (int i = 1; i < group / 32; ++i) value = Merge()(value, of_warp[i]);
  }
  return value;
}

/// Computes the loss of each row, unscaled. dx is its scaled gradient, scale (softmax - (1 -
/// epsilon) [i = target] - epsilon / V), or null if it is not needed; dx may be x. `group` threads
/// per row.
template <int group, class T>
__global__ void rows_kernel(float* loss, T* dx, const T* x, const int32_t* target, int64_t rows,
                            int64_t V, Options options) {
  const int64_t row =
      group == 32 ? int64_t{blockIdx.x} * rows_of_block + threadIdx.x / 32 : int64_t{blockIdx.x};
  if (row >= rows) return;  // the whole group returns
  const int lane = threadIdx.x % group;
  const T* logits = x + row * V;
  const int32_t wanted = target[row];
  if (wanted == options.ignored) {
    if (dx != nullptr) {
      for (int64_t i = lane; i < V; i += group) dx[row * V + i] = narrow<T>(0.0f);
    }
    if (lane == 0) loss[row] = 0.0f;
    return;
  }
  const float chosen = widen(logits[wanted]);  // before dx is written, since dx may be x
  Partial own;
  for (int64_t i = lane; i < V; i += group) {
    own.add(widen(logits[i]));
  }
  const Partial all = merged<group>(own);
  if (dx != nullptr) {
    // Every thread has read `chosen` by now, since merging synchronizes the group.
    const float factor = options.scale / all.exponentials;
    const float uniform = options.smoothing * options.scale / static_cast<float>(V);
    for (int64_t i = lane; i < V; i += group) {
      float slope = expf(widen(logits[i]) - all.max) * factor - uniform;
      if (i == wanted) slope -= (1.0f - options.smoothing) * options.scale;
      dx[row * V + i] = narrow<T>(slope);
    }
  }
  if (lane == 0) {
    const float log_sum = all.max + logf(all.exponentials);
    const float likelihood = log_sum - chosen;
    loss[row] = options.smoothing > 0.0f
                    ? (1.0f - options.smoothing) * likelihood +
                          options.smoothing * (log_sum - all.logits / static_cast<float>(V))
                    : likelihood;
  }
}

}  // namespace

void cross_entropy(const Tensor& loss, const Tensor& dlogits, const Tensor& logits,
                   const Tensor& targets, const CrossEntropyOptions& options) {
  check_floating("cross_entropy", logits);
  check_f32("cross_entropy", loss);
  const int64_t rows = logits.shape().rows(), V = logits.shape().columns();
  const Tensor losses({rows}, DType::f32, Device::cuda);
  const Options values{static_cast<float>(options.label_smoothing),
                       static_cast<float>(options.scale), options.ignored_index};
  with_type(logits.dtype(), [&]<class T>(Type<T>) {
    const auto run = [&](const Grid& grid, auto kernel) {
      launch("cross_entropy", grid, kernel, elements<float>(losses), elements<T>(dlogits),
             elements<const T>(logits), elements<const int32_t>(targets), rows, V, values);
    };
    if (V <= few_classes) {
      run({pieces_of(rows, rows_of_block), 32 * rows_of_block}, rows_kernel<32, T>);
    } else {
      run({rows, many_threads}, rows_kernel<many_threads, T>);
    }
  });
  sum_everything("cross_entropy: loss", elements<float>(loss), false, rows,
                 Terms<float>{elements<const float>(losses)}, options.scale);
}

}  // namespace folio::cuda
