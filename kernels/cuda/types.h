// From the types of tensors to those of kernels: f32 and bf16. f64 is only supported on the CPU.
#pragma once

#include <string_view>
#include <type_traits>

#include "folio/tensor/dtype.h"
#include "folio/tensor/tensor.h"

namespace folio::cuda {

/// Throws Error unless the tensor is f32 or bf16; `kernel` names the caller.
void check_floating(std::string_view kernel, const Tensor& tensor);
/// Throws Error unless it is f32: master weights, moments, gradients of parameters, statistics.
void check_f32(std::string_view kernel, const Tensor& tensor);

/// The tensor's elements in device memory, whose type the caller knows; null if the tensor is
/// empty.
template <class T>
T* elements(const Tensor& tensor) {
  return static_cast<T*>(tensor.raw());
}

/// A type as a function argument.
template <class T>
struct Type {
  using type = T;
};

/// Calls f(Type<T>()) for f32 or bf16. The caller has used check_floating().
template <class F>
void with_type(DType dtype, const F& f) {
  if (dtype == DType::bf16) return f(Type<bf16>());
  return f(Type<float>());
}

/// Calls f(Type<Y>(), Type<T>()) for the types of a target and of its values: the same type, or f32
/// and bf16.
template <class F>
void with_types(DType target, DType values, const F& f) {
  if (values == DType::f32) return f(Type<float>(), Type<float>());
  if (target == DType::bf16) return f(Type<bf16>(), Type<bf16>());
  return f(Type<float>(), Type<bf16>());
}

}  // namespace folio::cuda
