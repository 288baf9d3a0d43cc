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
  switch (dtype) {
    case DType::f32:
      return 4;
    case DType::bf16:
      return 2;
    case DType::i32:
      return 4;
    case DType::f64:
      return 8;
  }
  return 0;
}

constexpr std::string_view name_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::bf16:
      return "bf16";
    case DType::i32:
      return "i32";
    case DType::f64:
      return "f64";
  }
  return "?";
}

/// The type in which kernels compute, and keep sums, statistics and the gradients of parameters,
/// for values of type `dtype`: f32 for bf16, otherwise the type itself.
constexpr DType accumulator_of(DType dtype) { return dtype == DType::bf16 ? DType::f32 : dtype; }

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<bf16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};

/// The DType of a C++ type: dtype_of<float> == DType::f32.
template <class T>
inline constexpr DType dtype_of = DTypeOf<T>::value;

}  // namespace folio
