// From the types of tensors to the types of C++.
#pragma once

#include <type_traits>

#include "folio/tensor/dtype.h"

namespace folio::cpu {

/// What elements of type T are computed in, see accumulator_of().
template <class T>
using Arithmetic = std::conditional_t<std::is_same_v<T, bf16>, float, T>;

/// A type as an argument.
template <class T>
struct Type {};

/// f(Type<T>()) for a floating type.
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
      return;  // callers have checked
  }
}

/// f(Type<Y>(), Type<T>()) for a target's type and that of the values: the same, or f32 and bf16.
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
