// Tensors: contiguous memory with a shape and a type. No strides, no arithmetic.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "folio/tensor/allocator.h"
#include "folio/tensor/device.h"
#include "folio/tensor/dtype.h"
#include "folio/tensor/shape.h"

namespace folio {

/// A reference-counted handle to a row-major block of memory: copying a Tensor shares the memory. A
/// default-constructed Tensor is empty: it has no memory and converts to false.
class Tensor {
 public:
  Tensor() = default;
  /// Allocates from the device's pool; the contents are undefined. Throws Error if there is no
  /// memory left.
  Tensor(const Shape& shape, DType dtype, Device device = Device::cpu);
  /// Allocates from another pool of the device's memory.
  Tensor(const Shape& shape, DType dtype, Device device, Allocator& pool);
  Tensor(const Tensor& other);
  Tensor(Tensor&& other) noexcept;
  Tensor& operator=(Tensor other) noexcept;
  ~Tensor();

  /// A CPU tensor with the given values, row-major. Throws Error if their number is not
  /// shape.numel().
  template <class T>
  static Tensor from(const Shape& shape, const std::vector<T>& values);

  explicit operator bool() const { return block_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int64_t dim(int axis) const { return shape_[axis]; }
  int64_t numel() const { return block_ != nullptr ? shape_.numel() : 0; }
  int64_t bytes() const { return numel() * static_cast<int64_t>(size_of(dtype_)); }
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }

  void* raw() const { return data_; }
  /// The elements, in the device's memory. Throws Error if T is not the tensor's type.
  template <class T>
  T* data() const;
  /// The only element, as a double. Throws Error if there is not exactly one. Synchronizes with a
  /// GPU.
  double item() const;
  /// All elements, row-major. Synchronizes with a GPU.
  template <class T>
  std::vector<T> to_vector() const;

  /// The same memory with another shape that has the same number of elements.
  Tensor reshape(const Shape& shape) const;
  /// A part of the same memory: elements [offset, offset + shape.numel()) with the given shape.
  Tensor view(int64_t offset, const Shape& shape) const;
  /// Whether no other Tensor shares this memory.
  bool unique() const;

  /// "f32 (2, 3)".
  std::string describe() const;

 private:
  void check_type(DType wanted) const;

  MemoryBlock* block_ = nullptr;
  void* data_ = nullptr;
  Shape shape_;
  DType dtype_ = DType::f32;
  Device device_ = Device::cpu;
};

template <class T>
T* Tensor::data() const {
  check_type(dtype_of<T>);
  return static_cast<T*>(data_);
}

}  // namespace folio
