// From the types of tensors to C++ types.
#pragma once

#include <type_traits>

#include "folio/tensor/dtype.h"

namespace folio::cpu {

/// The type in which elements of type T are computed, see accumulator_of().
template <class T>
using Arithmetic = std::conditional_t<std::is_same_v<T, bf16>, float, T>;

/// A type as a function argument.
template <class T>
struct Type {};

/// Calls f(Type<T>()) for a floating type.
template <class F>
void with_type(DType dtype, const F& f) {
  switch (dtype) {
    case DType::f32:
      return f(Type<float>());
    case DType::f64:
      return f(Type<double>());
    case DType::bf16:
      return f(Type<bf16>());
    case DType::i32:
      return;  // excluded by the callers
  }
}

/// Calls f(Type<T>()) for f32 or f64.
template <class F>
void with_float_type(DType dtype, const F& f) {
  dtype == DType::f32 ? f(Type<float>()) : f(Type<double>());
}

/// Calls f(Type<Y>(), Type<T>()) for the types of a target and of its values: the same type, or f32
/// and bf16.
template <class F>
void with_types(DType target, DType values, const F& f) {
  switch (values) {
    case DType::f32:
      return f(Type<float>(), Type<float>());
    case DType::f64:
      return f(Type<double>(), Type<double>());
    case DType::bf16:
      if (target == DType::bf16) return f(Type<bf16>(), Type<bf16>());
      return f(Type<float>(), Type<bf16>());
    case DType::i32:
      return;
  }
}

}  // namespace folio::cpu
