// Functions of single elements, and reading and writing them. The same functions run on the GPU, in
// the test doubles and in tests that compare them with f64.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "folio/kernels/cuda/step_values.h"
#include "folio/kernels/kernels.h"
#include "folio/tensor/cuda.h"

namespace folio::cuda {

// --- types ---------------------------------------------------------------------------------------

__host__ __device__ inline float widen(float x) { return x; }
__host__ __device__ inline float widen(bf16 x) { return x; }

/// Converts float to T, rounding to nearest even.
template <class T>
__host__ __device__ inline T narrow(float x) {
  return T(x);
}

/// `count` adjacent elements, which are moved 16 bytes at a time.
template <class T, int count>
struct alignas(count * sizeof(T) < 16 ? count * sizeof(T) : 16) Pack {
  T at[count];
};

/// Whether the memory is aligned for a pack of `bytes` bytes.
__host__ __device__ inline bool aligned(const void* memory, size_t bytes) {
  return reinterpret_cast<uintptr_t>(memory) % (bytes < 16 ? bytes : 16) == 0;
}

template <int count, class T>
__host__ __device__ inline Pack<T, count> load_pack(const T* memory) {
  Pack<T, count> pack;
  if constexpr (sizeof(pack) % 16 == 0) {
    for (size_t i = 0; i < sizeof(pack) / 16; ++i) {
      const uint4 bits = reinterpret_cast<const uint4*>(memory)[i];
      memcpy(reinterpret_cast<char*>(pack.at) + 16 * i, &bits, 16);
    }
  } else {
    pack = *reinterpret_cast<const Pack<T, count>*>(memory);
  }
  return pack;
}

template <int count, class T>
__host__ __device__ inline void store_pack(T* memory, const Pack<T, count>& pack) {
  if constexpr (sizeof(pack) % 16 == 0) {
    for (size_t i = 0; i < sizeof(pack) / 16; ++i) {
      uint4 bits;
      memcpy(&bits, reinterpret_cast<const char*>(pack.at) + 16 * i, 16);
      reinterpret_cast<uint4*>(memory)[i] = bits;
    }
  } else {
    *reinterpret_cast<Pack<T, count>*>(memory) = pack;
  }
}

// --- functions of one variable -------------------------------------------------------------------

/// 1 / (1 + e^-x), and 1 minus that without cancellation.
struct Sigmoid {
  float value, complement;
};
__host__ __device__ inline Sigmoid sigmoid(float x) {
  const float e = expf(-fabsf(x));
  const float larger = 1.0f / (1.0f + e), smaller = e * larger;
  return x >= 0.0f ? Sigmoid{larger, smaller} : Sigmoid{smaller, larger};
}

/// The value of a UnaryOp.
__host__ __device__ inline float unary_value(UnaryOp op, float x) {
  switch (op) {
    case UnaryOp::exp:
      return expf(x);
    case UnaryOp::log:
      return logf(x);
    case UnaryOp::sqrt:
      return sqrtf(x);
    case UnaryOp::tanh:
      return tanhf(x);
    case UnaryOp::sigmoid:
      return sigmoid(x).value;
    case UnaryOp::relu:
      return x <= 0.0f ? 0.0f : x;  // NaN is passed through
    case UnaryOp::gelu:
      return 0.5f * x * erfcf(-0.70710678118654752f * x);
    case UnaryOp::gelu_tanh: {
      // (1 + tanh(u)) / 2 = sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3).
      const float u = 1.59576912160573071f * (x + 0.044715f * x * x * x);
      return x * sigmoid(u).value;
    }
  }
  return 0.0f;
}

/// The derivative of a UnaryOp: from y alone for exp, sqrt, tanh and sigmoid, from x for the
/// others.
__host__ __device__ inline float unary_slope(UnaryOp op, float x, float y) {
  switch (op) {
    case UnaryOp::exp:
      return y;
    case UnaryOp::log:
      return 1.0f / x;
    case UnaryOp::sqrt:
      return 0.5f / y;
    case UnaryOp::tanh:
      return 1.0f - y * y;
    case UnaryOp::sigmoid:
      return y * (1.0f - y);
    case UnaryOp::relu:
      return x <= 0.0f ? 0.0f : 1.0f;
    case UnaryOp::gelu:
      return 0.5f * erfcf(-0.70710678118654752f * x) +
             x * 0.39894228040143268f * expf(-0.5f * x * x);
    case UnaryOp::gelu_tanh: {
      const float square = x * x;
      const Sigmoid gate = sigmoid(x * (1.59576912160573071f + 0.0713548162726f * square));
      const float u_slope = 1.59576912160573071f + 3.0f * 0.0713548162726f * square;
      return gate.value + x * gate.value * gate.complement * u_slope;
    }
  }
  return 0.0f;
}

__host__ __device__ constexpr bool slope_from_output(UnaryOp op) {
  return op == UnaryOp::exp || op == UnaryOp::sqrt || op == UnaryOp::tanh || op == UnaryOp::sigmoid;
}

// --- dropout -------------------------------------------------------------------------------------

/// A DropoutMask as a kernel argument. In a captured graph the step's offset is read from the
/// device.
struct Dropper {
  RandomStream stream;
  uint64_t first_index = 0;
  uint32_t threshold = 0;  // 0 keeps everything
  float scale = 1.0f;
  const StepValues* values = nullptr;

  Dropper() = default;
  explicit Dropper(const DropoutMask& mask)
      : stream(mask.stream),
        first_index(mask.first_index),
        threshold(mask.threshold()),
        scale(static_cast<float>(mask.scale())),
        values(step_values()) {}

  /// Adds the step offset at the time that the kernel runs; the functions below are for the result.
  __device__ Dropper resolved() const {
    Dropper now = *this;
    if (values != nullptr) now.stream.step += values->step_offset;
    return now;
  }
  /// Drops or scales x, which is element `index` of the tensor.
  __device__ float operator()(float x, uint64_t index) const {
    if (threshold == 0) return x;
    return stream.bits(first_index + index) >= threshold ? x * scale : 0.0f;
  }
  /// The same for elements index to index + count - 1; faster if first_index + index is a multiple
  /// of four.
  template <int count>
  __device__ void apply(float (&x)[count], uint64_t index) const {
    if (threshold == 0) return;
    const uint64_t first = first_index + index;
    if constexpr (count % 4 == 0) {
      if (first % 4 == 0) {
        for (int i = 0; i < count; i += 4) {
          const std::array<uint32_t, 4> bits = stream.block((first + i) / 4);
          for (int j = 0; j < 4; ++j) x[i + j] = bits[j] >= threshold ? x[i + j] * scale : 0.0f;
        }
        return;
      }
    }
    for (int i = 0; i < count; ++i) x[i] = (*this)(x[i], index + i);
  }
};

}  // namespace folio::cuda
