// Element types of tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "folio/tensor/bf16.h"

namespace folio {

/// f32 is for training, f64 for gradient checks on the CPU, i32 for tokens; bf16 is for activations
/// and the compute copy of the weights if the device multiplies bf16.
enum class DType : uint8_t { f32, bf16, i32, f64 };

/// Bytes of one element.
constexpr size_t size_of(DType dtype) {
  return dtype == DType::f64 ? 8 : dtype == DType::bf16 ? 2 : 4;
}

constexpr std::string_view name_of(DType dtype) {
  constexpr std::string_view names[] = {"f32", "bf16", "i32", "f64"};
  return names[static_cast<size_t>(dtype)];
}

/// The type in which kernels compute, and keep sums, statistics and the gradients of parameters,
/// for values of type `dtype`: f32 for bf16, otherwise the type itself.
constexpr DType accumulator_of(DType dtype) { return dtype == DType::bf16 ? DType::f32 : dtype; }

namespace detail {
constexpr DType dtype_of_element(const float*) { return DType::f32; }
constexpr DType dtype_of_element(const bf16*) { return DType::bf16; }
constexpr DType dtype_of_element(const int32_t*) { return DType::i32; }
constexpr DType dtype_of_element(const double*) { return DType::f64; }
}  // namespace detail

/// The DType of a C++ type: dtype_of<float> == DType::f32.
template <class T>
inline constexpr DType dtype_of = detail::dtype_of_element(static_cast<const T*>(nullptr));

}  // namespace folio
