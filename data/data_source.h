// Where batches come from.
#pragma once

#include <cstdint>

#include "folio/data/batch.h"

namespace folio {

/// The parts of the data: one is trained on, the other judges.
enum class Split : uint8_t { train, validation };

/// The samples of one split. Draws are functions of (seed, step, index) alone, so any process can
/// make any part of any batch, and the step is all the state there is.
class DataSource {
 public:
  virtual ~DataSource() = default;

  /// Samples first .. first + count - 1 of the batch of `step`, which is counted from 0. Tensors
  /// lie on the CPU.
  virtual Batch draw(int64_t step, int64_t first, int64_t count) const = 0;
  /// How many windows read the whole split once, for an evaluation.
  virtual int64_t windows() const = 0;
  /// Windows first .. first + count - 1 as a batch; fewer at the end of the split.
  virtual Batch window(int64_t first, int64_t count) const = 0;
};

}  // namespace folio
