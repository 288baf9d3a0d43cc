// What a training step reads.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "folio/io/safetensors.h"
#include "folio/tensor/tensor.h"

namespace folio {

/// Tensors by name: "tokens", "targets", "source", "mask", ... Axis 0 of each counts samples.
struct Batch {
  std::vector<NamedTensor> tensors;

  /// Throws Error if there is no tensor of this name.
  const Tensor& operator[](std::string_view name) const;
  bool contains(std::string_view name) const;
  /// The length of axis 0; 0 for a batch without tensors.
  int64_t samples() const;
  /// Samples first .. first + count - 1, in the same memory.
  Batch part(int64_t first, int64_t count) const;
};

/// Targets of this value do not count: padding, prompts, the end of a text.
inline constexpr int32_t ignored_target = -1;

}  // namespace folio
