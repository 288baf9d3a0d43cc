#include <cstdint>

#include "folio/kernels/cuda/reduce.h"
#include "folio/kernels/device_kernels.h"

namespace folio::cuda {
namespace {

// A warp computes a row, four rows per block. Each pass reads the row again, which is in the
// first-level cache by then.
constexpr int warps = 4, threads = 32 * warps, width = 8;

/// Calls visit(first) for this lane's parts of a row, in ascending order: `width` adjacent elements
/// if the row can be read in packs, else single elements.
template <class Visit>
__device__ void for_lane(int64_t columns, bool packed, const Visit& visit) {
  const int lane = threadIdx.x % 32;
  if (packed) {
    for (int64_t i = lane * width; i < columns; i += 32 * width)
      visit.template operator()<width>(i);
  } else {
    for (int64_t i = lane; i < columns; i += 32) visit.template operator()<1>(i);
  }
}

template <int count, class T>
__device__ void load(float (&values)[count], const T* memory) {
  const Pack<T, count> pack = load_pack<count>(memory);
  for (int i = 0; i < count; ++i) values[i] = widen(pack.at[i]);
}

template <int count, class T>
__device__ void store(T* memory, const float (&values)[count]) {
  Pack<T, count> pack;
  for (int i = 0; i < count; ++i) pack.at[i] = narrow<T>(values[i]);
  store_pack(memory, pack);
}

/// y = layer norm of row x. To be called by all lanes of the warp.
template <class T>
__device__ void normalize_row(T* y, float* mean_out, float* rstd_out, const T* x, const T* gain,
                              const T* bias, int64_t columns, float eps, bool packed) {
  float sum = 0.0f;
  for_lane(columns, packed, [&]<int count>(int64_t i) {
    float value[count];
    load(value, x + i);
    for (int j = 0; j < count; ++j) sum += value[j];
  });
  const float mean = warp_reduce<Add>(sum) / static_cast<float>(columns);
  float squares = 0.0f;
  for_lane(columns, packed, [&]<int count>(int64_t i) {
    float value[count];
    load(value, x + i);
    for (int j = 0; j < count; ++j) squares += (value[j] - mean) * (value[j] - mean);
  });
  const float variance = warp_reduce<Add>(squares) / static_cast<float>(columns);
  const float rstd = 1.0f / sqrtf(variance + eps);
  if (threadIdx.x % 32 == 0) {
    *mean_out = mean;
    *rstd_out = rstd;
  }
  for_lane(columns, packed, [&]<int count>(int64_t i) {
    float value[count], g[count], b[count] = {};
    load(value, x + i);
    load(g, gain + i);
    if (bias != nullptr) load(b, bias + i);
    for (int j = 0; j < count; ++j) value[j] = (value[j] - mean) * rstd * g[j] + b[j];
    store(y + i, value);
  });
}

template <class T>
__global__ void forward_kernel(T* y, float* mean, float* rstd, const T* x, const T* gain,
                               const T* bias, int64_t rows, int64_t columns, float eps,
                               bool packed) {
  const int64_t row = int64_t{blockIdx.x} * warps + threadIdx.x / 32;
  if (row >= rows) return;  // the whole warp returns
  normalize_row(y + row * columns, mean + row, rstd + row, x + row * columns, gain, bias, columns,
                eps, packed);
}

template <class T>
__global__ void add_dropout_kernel(T* sum, T* y, float* mean, float* rstd, const T* residual,
                                   const T* x, const T* gain, const T* bias, int64_t rows,
                                   int64_t columns, float eps, Dropper mask, bool packed) {
  const int64_t row = int64_t{blockIdx.x} * warps + threadIdx.x / 32;
  if (row >= rows) return;
  const Dropper dropper = mask.resolved();
  const int64_t first = row * columns;
  for_lane(columns, packed, [&]<int count>(int64_t i) {
    float value[count], base[count];
    load(value, x + first + i);
    load(base, residual + first + i);
    dropper.apply(value, static_cast<uint64_t>(first + i));
    for (int j = 0; j < count; ++j) value[j] += base[j];
    store(sum + first + i, value);
  });
  // Each lane reads back what it wrote itself, already rounded.
  normalize_row(y + first, mean + row, rstd + row, static_cast<const T*>(sum + first), gain, bias,
                columns, eps, packed);
}

/// With h = (x - mean) rstd and e = dy gain: dx = rstd (e - mean of e - h mean of (e h)).
template <class Y, class T>
__global__ void backward_kernel(Y* dx, bool accumulate, const T* x, const float* mean_of_row,
                                const float* rstd_of_row, const T* gain, const T* dy, int64_t rows,
                                int64_t columns, bool packed) {
  const int64_t row = int64_t{blockIdx.x} * warps + threadIdx.x / 32;
  if (row >= rows) return;
  const int64_t first = row * columns;
  const float mean = mean_of_row[row], rstd = rstd_of_row[row];
  float sum = 0.0f, sum_h = 0.0f;
  for_lane(columns, packed, [&]<int count>(int64_t i) {
    float value[count], slope[count], g[count];
    load(value, x + first + i);
    load(slope, dy + first + i);
    load(g, gain + i);
    for (int j = 0; j < count; ++j) {
      const float e = slope[j] * g[j];
      sum += e;
      sum_h += e * (value[j] - mean) * rstd;
    }
  });
  const float mean_e = warp_reduce<Add>(sum) / static_cast<float>(columns);
  const float mean_eh = warp_reduce<Add>(sum_h) / static_cast<float>(columns);
  for_lane(columns, packed, [&]<int count>(int64_t i) {
    float value[count], slope[count], g[count], out[count] = {};
    load(value, x + first + i);
    load(slope, dy + first + i);
    load(g, gain + i);
    if (accumulate) load(out, dx + first + i);
    for (int j = 0; j < count; ++j) {
      const float h = (value[j] - mean) * rstd;
      out[j] += rstd * (slope[j] * g[j] - mean_e - h * mean_eh);
    }
    store(dx + first + i, out);
  });
}

/// The terms of dgain: dy h.
template <class T>
struct GainTerms {
  const T *x, *dy;
  const float *mean, *rstd;
  int64_t columns;
  __device__ float operator()(int64_t i) const {
    const int64_t row = i / columns;
    return widen(dy[i]) * (widen(x[i]) - mean[row]) * rstd[row];
  }
};

/// Whether the rows of `columns` elements of all these tensors can be moved in packs.
template <class... Tensors>
bool in_packs(int64_t columns, const Tensors&... tensors) {
  return columns % width == 0 &&
         (aligned(tensors.raw(), static_cast<size_t>(width) * size_of(tensors.dtype())) && ...);
}

}  // namespace

void layer_norm_forward(const Tensor& y, const Tensor& mean, const Tensor& rstd, const Tensor& x,
                        const Tensor& gain, const Tensor& bias, double eps) {
  check_floating("layer_norm", x);
  const int64_t rows = x.shape().rows(), columns = x.shape().columns();
  with_type(x.dtype(), [&]<class T>(Type<T>) {
    launch("layer_norm_forward", {pieces_of(rows, warps), threads}, forward_kernel<T>,
           elements<T>(y), elements<float>(mean), elements<float>(rstd), elements<const T>(x),
           elements<const T>(gain), elements<const T>(bias), rows, columns, static_cast<float>(eps),
           in_packs(columns, y, x, gain, bias));
  });
}

void add_dropout_layer_norm_forward(const Tensor& sum, const Tensor& y, const Tensor& mean,
                                    const Tensor& rstd, const Tensor& residual, const Tensor& x,
                                    const Tensor& gain, const Tensor& bias, double eps,
                                    const DropoutMask& mask) {
  check_floating("layer_norm", x);
  const int64_t rows = x.shape().rows(), columns = x.shape().columns();
  with_type(x.dtype(), [&]<class T>(Type<T>) {
    launch("add_dropout_layer_norm_forward", {pieces_of(rows, warps), threads},
           add_dropout_kernel<T>, elements<T>(sum), elements<T>(y), elements<float>(mean),
           elements<float>(rstd), elements<const T>(residual), elements<const T>(x),
           elements<const T>(gain), elements<const T>(bias), rows, columns, static_cast<float>(eps),
           Dropper(mask), in_packs(columns, sum, y, residual, x, gain, bias));
  });
}

void layer_norm_backward(GradTarget dx, GradTarget dgain, GradTarget dbias, const Tensor& x,
                         const Tensor& mean, const Tensor& rstd, const Tensor& gain,
                         const Tensor& dy) {
  check_floating("layer_norm", x);
  const int64_t rows = x.shape().rows(), columns = x.shape().columns();
  if (dx) {
    with_types(dx.tensor->dtype(), x.dtype(), [&]<class Y, class T>(Type<Y>, Type<T>) {
      launch("layer_norm_backward", {pieces_of(rows, warps), threads}, backward_kernel<Y, T>,
             elements<Y>(*dx.tensor), dx.accumulate, elements<const T>(x),
             elements<const float>(mean), elements<const float>(rstd), elements<const T>(gain),
             elements<const T>(dy), rows, columns, in_packs(columns, *dx.tensor, x, gain, dy));
    });
  }
  if (dgain) {
    with_types(dgain.tensor->dtype(), x.dtype(), [&]<class Y, class T>(Type<Y>, Type<T>) {
      sum_columns("layer_norm_backward: gain", elements<Y>(*dgain.tensor), dgain.accumulate, rows,
                  columns,
                  GainTerms<T>{elements<const T>(x), elements<const T>(dy),
                               elements<const float>(mean), elements<const float>(rstd), columns});
    });
  }
  if (dbias) {
    with_types(dbias.tensor->dtype(), x.dtype(), [&]<class Y, class T>(Type<Y>, Type<T>) {
      sum_columns("layer_norm_backward: bias", elements<Y>(*dbias.tensor), dbias.accumulate, rows,
                  columns, Terms<T>{elements<const T>(dy)});
    });
  }
}

}  // namespace folio::cuda
