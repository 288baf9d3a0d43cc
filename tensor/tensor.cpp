#include "folio/tensor/tensor.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "folio/tensor/copy.h"
#include "folio/tensor/error.h"

namespace folio {

Tensor::Tensor(const Shape& shape, DType dtype, Device device)
    : Tensor(shape, dtype, device, allocator(device)) {}

Tensor::Tensor(const Shape& shape, DType dtype, Device device, Allocator& pool)
    : block_(pool.allocate(shape.numel() * size_of(dtype))),
      data_(block_->memory),
      shape_(shape),
      dtype_(dtype),
      device_(device) {
  block_->references.store(1, std::memory_order_relaxed);
}

Tensor::Tensor(const Tensor& other)
    : block_(other.block_),
      data_(other.data_),
      shape_(other.shape_),
      dtype_(other.dtype_),
      device_(other.device_) {
  if (block_) block_->references.fetch_add(1, std::memory_order_relaxed);
}

Tensor::Tensor(Tensor&& other) noexcept
    : block_(std::exchange(other.block_, nullptr)),
      data_(std::exchange(other.data_, nullptr)),
      shape_(std::exchange(other.shape_, Shape())),
      dtype_(other.dtype_),
      device_(other.device_) {}

Tensor& Tensor::operator=(Tensor other) noexcept {
  std::swap(block_, other.block_);
  std::swap(data_, other.data_);
  std::swap(shape_, other.shape_);
  std::swap(dtype_, other.dtype_);
  std::swap(device_, other.device_);
  return *this;
}

Tensor::~Tensor() {
  if (block_ && block_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    block_->owner->release(block_);
  }
}

template <class T>
Tensor Tensor::from(const Shape& shape, const std::vector<T>& values) {
  FOLIO_CHECK(static_cast<int64_t>(values.size()) == shape.numel(), "tensor",
              "{} values given for shape {}, which has {} elements", values.size(),
              shape.to_string(), shape.numel());
  Tensor tensor(shape, dtype_of<T>);
  std::copy(values.begin(), values.end(), tensor.data<T>());
  return tensor;
}

double Tensor::item() const {
  FOLIO_CHECK(block_ && numel() == 1, "tensor", "item() needs exactly one element; this is {}",
              describe());
  if (device_ != Device::cpu) return on_device(*this, Device::cpu).item();
  switch (dtype_) {
    case DType::f32:
      return *data<float>();
    case DType::f64:
      return *data<double>();
    case DType::i32:
      return *data<int32_t>();
    case DType::bf16:
      return *data<bf16>();
  }
  return 0.0;
}

template <class T>
std::vector<T> Tensor::to_vector() const {
  if (device_ != Device::cpu) return on_device(*this, Device::cpu).to_vector<T>();
  return std::vector<T>(data<T>(), data<T>() + numel());
}

Tensor Tensor::reshape(const Shape& shape) const {
  FOLIO_CHECK(block_ != nullptr, "reshape", "the tensor is empty; it has no data");
  FOLIO_CHECK(shape.numel() == numel(), "reshape", "{} has {} elements but {} has {}",
              shape_.to_string(), numel(), shape.to_string(), shape.numel());
  Tensor result = *this;
  result.shape_ = shape;
  return result;
}

Tensor Tensor::view(int64_t offset, const Shape& shape) const {
  FOLIO_CHECK(block_ != nullptr, "view", "the tensor is empty; it has no data");
  FOLIO_CHECK(offset >= 0 && offset + shape.numel() <= numel(), "view",
              "elements {} to {} lie outside {}", offset, offset + shape.numel(), describe());
  Tensor result = *this;
  result.shape_ = shape;
  result.data_ = static_cast<char*>(data_) + offset * static_cast<int64_t>(size_of(dtype_));
  return result;
}

bool Tensor::unique() const {
  return block_ && block_->references.load(std::memory_order_acquire) == 1;
}

std::string Tensor::describe() const {
  if (!block_) return "an empty tensor";
  return fmt::format("{} {}", name_of(dtype_), shape_.to_string());
}

void Tensor::check_type(DType wanted) const {
  FOLIO_CHECK(block_ != nullptr, "tensor", "the tensor is empty; it has no data");
  FOLIO_CHECK(dtype_ == wanted, "tensor", "the tensor is {} but is read as {}", describe(),
              name_of(wanted));
}

template Tensor Tensor::from(const Shape&, const std::vector<float>&);
template Tensor Tensor::from(const Shape&, const std::vector<double>&);
template Tensor Tensor::from(const Shape&, const std::vector<int32_t>&);
template Tensor Tensor::from(const Shape&, const std::vector<bf16>&);
template std::vector<float> Tensor::to_vector() const;
template std::vector<double> Tensor::to_vector() const;
template std::vector<int32_t> Tensor::to_vector() const;
template std::vector<bf16> Tensor::to_vector() const;

}  // namespace folio
