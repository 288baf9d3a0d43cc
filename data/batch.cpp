#include "folio/data/batch.h"

#include <algorithm>

#include "folio/tensor/error.h"

namespace folio {

const Tensor& Batch::operator[](std::string_view name) const {
  const auto entry = std::ranges::find(tensors, name, &NamedTensor::name);
  FOLIO_CHECK(entry != tensors.end(), "batch", "there is no tensor \"{}\" in it", name);
  return entry->tensor;
}

bool Batch::contains(std::string_view name) const {
  return std::ranges::find(tensors, name, &NamedTensor::name) != tensors.end();
}

int64_t Batch::samples() const { return tensors.empty() ? 0 : tensors.front().tensor.dim(0); }

Batch Batch::part(int64_t first, int64_t count) const {
  Batch result;
  for (const NamedTensor& entry : tensors) {
    const Shape& whole = entry.tensor.shape();
    FOLIO_CHECK(first >= 0 && count >= 0 && first + count <= whole[0], "batch",
                "samples {} to {} were asked for, but {} has {}", first, first + count - 1,
                entry.name, whole[0]);
    const Shape shape = whole.with(0, count);
    const int64_t sample = whole[0] == 0 ? 0 : whole.numel() / whole[0];
    result.tensors.push_back({entry.name, entry.tensor.view(first * sample, shape)});
  }
  return result;
}

}  // namespace folio
