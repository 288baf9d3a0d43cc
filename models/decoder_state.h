// What a language model remembers of the texts that it writes.
#pragma once

#include <cstdint>
#include <vector>

#include "folio/tensor/tensor.h"

namespace folio {

/// Axis 0 of every tensor counts texts: keys and values of an attention layer, (h, c) of a
/// recurrent one, the last tokens of an n-gram. All texts have read the same number of tokens.
struct DecoderState {
  std::vector<Tensor> tensors;
  int64_t length = 0;  // tokens read

  int64_t texts() const { return tensors.front().dim(0); }
  /// The part of text `index`, in the same memory, as a state that has read nothing.
  DecoderState part(int64_t index) const {
    DecoderState one;
    for (const Tensor& tensor : tensors) {
      const Shape shape = tensor.shape().with(0, 1);
      one.tensors.push_back(tensor.view(index * shape.numel(), shape));
    }
    return one;
  }
};

}  // namespace folio
