#include <cstdint>

#include "folio/kernels/cuda/reduce.h"
#include "folio/kernels/device_kernels.h"

namespace folio::cuda {
namespace {

constexpr int width = 4, threads = 256;

// --- the norm ------------------------------------------------------------------------------------

/// In double from the start: the squares of small gradients underflow in f32.
__global__ void squares_kernel(double* partial, const float* gradients, int64_t n, bool packed) {
  const int64_t begin = blockIdx.x * sum_piece;
  const int64_t end = begin + sum_piece < n ? begin + sum_piece : n;
  double sum = 0.0;
  const auto add = [&](float g) { sum += static_cast<double>(g) * static_cast<double>(g); };
  for (int64_t i = begin + threadIdx.x * width; i < end; i += sum_threads * width) {
    if (packed && i + width <= end) {
      const Pack<float, width> pack = load_pack<width>(gradients + i);
      for (int j = 0; j < width; ++j) add(pack.at[j]);
    } else {
      for (int64_t j = i; j < i + width && j < end; ++j) add(gradients[j]);
    }
  }
  sum = block_reduce<Add, sum_threads>(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

__global__ void norm_kernel(float* norm_and_scale, const double* partial, int64_t count,
                            double max_norm) {
  // The partial sums are added in order, so that ranks that have only some of them compute the same
  // norm. All threads load them.
  __shared__ double fetched[sum_threads];
  double sum = 0.0;
  for (int64_t first = 0; first < count; first += sum_threads) {
    if (first + threadIdx.x < count) fetched[threadIdx.x] = partial[first + threadIdx.x];
    __syncthreads();
    const int64_t here = count - first < sum_threads ? count - first : sum_threads;
    for (int i = 0; threadIdx.x == 0 && i < here; ++i) sum += fetched[i];
    __syncthreads();  // before the next ones are loaded
  }
  if (threadIdx.x != 0) return;
  const double norm = sqrt(sum);
  norm_and_scale[0] = static_cast<float>(norm);
  // A norm of NaN must not pass as a small one.
  norm_and_scale[1] =
      static_cast<float>(max_norm == 0.0 || norm <= max_norm ? 1.0 : max_norm / norm);
}

// --- updates -------------------------------------------------------------------------------------

/// The learning rate and step: the kernel's arguments or, in a captured graph, values in device
/// memory.
struct StepSource {
  const StepValues* device;
  double lr, lr_scale;
  int64_t step;

  template <class Options>
  explicit StepSource(const Options& options)
      : device(step_values()), lr(options.lr), lr_scale(options.lr_scale), step(options.step) {}
  __device__ StepSource now() const {
    StepSource result = *this;
    if (device != nullptr) {
      result.lr = device->lr;
      result.step = device->optimizer_step;
    }
    result.lr *= lr_scale;
    return result;
  }
};

struct AdamSettings {
  StepSource source;
  double beta1, beta2, eps, weight_decay;
  bool decoupled;
};

/// The factors that are the same for every element of an Adam step.
struct AdamFactors {
  float beta1, beta2, rest1, rest2;  // rest is 1 - beta
  float rate, inverse_root, eps;     // lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
  float shrink, decay;               // applied to the values; added to the gradient

  __device__ static AdamFactors of(const AdamSettings& s) {
    const StepSource now = s.source.now();
    const double t = static_cast<double>(now.step);
    const double correction1 = 1.0 - pow(s.beta1, t), correction2 = 1.0 - pow(s.beta2, t);
    return {static_cast<float>(s.beta1),
            static_cast<float>(s.beta2),
            static_cast<float>(1.0 - s.beta1),
            static_cast<float>(1.0 - s.beta2),
            static_cast<float>(now.lr / correction1),
            static_cast<float>(1.0 / sqrt(correction2)),
            static_cast<float>(s.eps),
            static_cast<float>(s.decoupled ? 1.0 - now.lr * s.weight_decay : 1.0),
            static_cast<float>(s.decoupled ? 0.0 : s.weight_decay)};
  }
  __device__ void operator()(float& value, float& m, float& v, float gradient, float scale) const {
    const float g = fmaf(decay, value, gradient * scale);
    m = fmaf(beta1, m, rest1 * g);
    v = fmaf(beta2, v, rest2 * (g * g));
    const float root = fmaf(sqrtf(v), inverse_root, eps);
    value = fmaf(-rate, m / root, value * shrink);
  }
};

/// Updates `count` elements from i on, and stores them, rounded, in copy unless it is null.
template <int count>
__device__ void adam_elements(int64_t i, float* values, bf16* copy, float* first, float* second,
                              const float* gradients, float scale, const AdamFactors& factors) {
  Pack<float, count> value = load_pack<count>(values + i), m = load_pack<count>(first + i),
                     v = load_pack<count>(second + i);
  const Pack<float, count> g = load_pack<count>(gradients + i);
  Pack<bf16, count> rounded;
  for (int j = 0; j < count; ++j) {
    factors(value.at[j], m.at[j], v.at[j], g.at[j], scale);
    rounded.at[j] = narrow<bf16>(value.at[j]);
  }
  store_pack(values + i, value);
  store_pack(first + i, m);
  store_pack(second + i, v);
  if (copy != nullptr) store_pack(copy + i, rounded);
}

/// If the norm is not finite nothing is changed: the device skips the step.
__global__ void adam_kernel(float* values, bf16* copy, float* first, float* second,
                            const float* gradients, const float* norm_and_scale, int64_t n,
                            bool packed, AdamSettings settings) {
  __shared__ AdamFactors shared_factors;  // doubles are slow, so one thread computes them
  if (threadIdx.x == 0) shared_factors = AdamFactors::of(settings);
  __syncthreads();
  if (!isfinite(norm_and_scale[0])) return;
  const AdamFactors factors = shared_factors;
  const float scale = norm_and_scale[1];
  const int64_t i = (int64_t{blockIdx.x} * threads + threadIdx.x) * width;
  if (packed && i + width <= n) {
    adam_elements<width>(i, values, copy, first, second, gradients, scale, factors);
  } else {
    for (int64_t j = i; j < i + width && j < n; ++j) {
      adam_elements<1>(j, values, copy, first, second, gradients, scale, factors);
    }
  }
}

struct SgdSettings {
  StepSource source;
  float momentum, decay;
};

template <int count>
__device__ void sgd_elements(int64_t i, float* values, bf16* copy, float* velocity,
                             const float* gradients, float scale, float rate, bool begins,
                             const SgdSettings& settings) {
  Pack<float, count> value = load_pack<count>(values + i), kept;
  if (velocity != nullptr && !begins) kept = load_pack<count>(velocity + i);
  const Pack<float, count> slope = load_pack<count>(gradients + i);
  Pack<bf16, count> rounded;
  for (int j = 0; j < count; ++j) {
    float g = fmaf(settings.decay, value.at[j], slope.at[j] * scale);
    if (velocity != nullptr && !begins) g = fmaf(settings.momentum, kept.at[j], g);
    kept.at[j] = g;
    value.at[j] = fmaf(-rate, g, value.at[j]);
    rounded.at[j] = narrow<bf16>(value.at[j]);
  }
  if (velocity != nullptr) store_pack(velocity + i, kept);
  store_pack(values + i, value);
  if (copy != nullptr) store_pack(copy + i, rounded);
}

__global__ void sgd_kernel(float* values, bf16* copy, float* velocity, const float* gradients,
                           const float* norm_and_scale, int64_t n, bool packed,
                           SgdSettings settings) {
  if (!isfinite(norm_and_scale[0])) return;
  const StepSource now = settings.source.now();
  const float scale = norm_and_scale[1], rate = static_cast<float>(now.lr);
  const bool begins = now.step <= 1;
  const int64_t i = (int64_t{blockIdx.x} * threads + threadIdx.x) * width;
  if (packed && i + width <= n) {
    sgd_elements<width>(i, values, copy, velocity, gradients, scale, rate, begins, settings);
  } else {
    for (int64_t j = i; j < i + width && j < n; ++j) {
      sgd_elements<1>(j, values, copy, velocity, gradients, scale, rate, begins, settings);
    }
  }
}

template <class... Tensors>
bool in_packs(const Tensors&... slabs) {
  return (aligned(slabs.raw(), static_cast<size_t>(width) * size_of(slabs.dtype())) && ...);
}

}  // namespace

void sum_squares(const Tensor& sums, const Tensor& gradients) {
  static_assert(sum_piece == norm_piece);
  check_f32("sum_squares", gradients);
  const int64_t n = gradients.numel();
  launch("sum_squares", {pieces_of(n, sum_piece), sum_threads}, squares_kernel,
         elements<double>(sums), elements<const float>(gradients), n, in_packs(gradients));
}

void gradient_norm(const Tensor& norm_and_scale, const Tensor& gradients, double max_norm) {
  check_f32("gradient_norm", gradients);
  const int64_t n = gradients.numel(), pieces = pieces_of(n, sum_piece);
  const Tensor room = room_for_doubles(pieces > 0 ? pieces : 1);
  double* partial = elements<double>(room);
  launch("gradient_norm", {pieces, sum_threads}, squares_kernel, partial,
         elements<const float>(gradients), n, in_packs(gradients));
  launch("gradient_norm: sum", {1, sum_threads}, norm_kernel, elements<float>(norm_and_scale),
         partial, pieces, max_norm);
}

void adam(const Tensor& values, const Tensor& copy, const Tensor& first_moment,
          const Tensor& second_moment, const Tensor& gradients, const Tensor& norm_and_scale,
          const AdamOptions& options) {
  check_f32("adam", values);
  const int64_t n = values.numel();
  launch("adam", {pieces_of(n, threads * width), threads}, adam_kernel, elements<float>(values),
         elements<bf16>(copy), elements<float>(first_moment), elements<float>(second_moment),
         elements<const float>(gradients), elements<const float>(norm_and_scale), n,
         in_packs(values, copy, first_moment, second_moment, gradients),
         AdamSettings{StepSource(options), options.beta1, options.beta2, options.eps,
                      options.weight_decay, options.decoupled});
}

void sgd(const Tensor& values, const Tensor& copy, const Tensor& velocity, const Tensor& gradients,
         const Tensor& norm_and_scale, const SgdOptions& options) {
  check_f32("sgd", values);
  const int64_t n = values.numel();
  launch("sgd", {pieces_of(n, threads * width), threads}, sgd_kernel, elements<float>(values),
         elements<bf16>(copy), elements<float>(velocity), elements<const float>(gradients),
         elements<const float>(norm_and_scale), n, in_packs(values, copy, velocity, gradients),
         SgdSettings{StepSource(options), static_cast<float>(options.momentum),
                     static_cast<float>(options.weight_decay)});
}

}  // namespace folio::cuda
