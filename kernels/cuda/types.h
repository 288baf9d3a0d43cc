// From the types of tensors to those of kernels: f32 and bf16. f64 is the CPU's.
#pragma once

#include <string_view>
#include <type_traits>

#include "folio/tensor/dtype.h"
#include "folio/tensor/tensor.h"

namespace folio::cuda {

/// Throws Error unless the tensor is f32 or bf16; `kernel` names the caller.
void check_floating(std::string_view kernel, const Tensor& tensor);
/// Throws Error unless it is f32: masters, moments, gradients of parameters, statistics.
void check_f32(std::string_view kernel, const Tensor& tensor);

/// The tensor's elements, in the GPU's memory; null for an empty tensor. The caller knows their
/// type.
template <class T>
T* elements(const Tensor& tensor) {
  return static_cast<T*>(tensor.raw());
}

/// A type as an argument.
template <class T>
struct Type {
  using type = T;
};

/// f(Type<T>()) for f32 and bf16; check_floating() comes first.
template <class F>
void with_type(DType dtype, const F& f) {
  if (dtype == DType::bf16) return f(Type<bf16>());
  return f(Type<float>());
}

/// f(Type<Y>(), Type<T>()) for a target's type and that of the values: the same, or f32 and bf16.
template <class F>
void with_types(DType target, DType values, const F& f) {
  if (values == DType::f32) return f(Type<float>(), Type<float>());
  if (target == DType::bf16) return f(Type<bf16>(), Type<bf16>());
  return f(Type<float>(), Type<bf16>());
}

}  // namespace folio::cuda
