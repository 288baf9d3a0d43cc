// Measures a model on a split.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "folio/autograd/tape.h"
#include "folio/comm/communicator.h"
#include "folio/data/data_source.h"
#include "folio/models/model.h"
#include "folio/tasks/task.h"

namespace folio {

struct Evaluation {
  double loss = 0.0;  // mean over all targets, in nats, without label smoothing
  std::map<std::string, double> means = {};  // over targets, of each of Task::measures()
  int64_t targets = 0;
  bool whole_split = false;

  double perplexity() const;
  /// Bits per byte of text, which compares models with different tokenizers. `text_bytes` is the
  /// number of bytes of the whole split (Task::text_bytes()); requires whole_split.
  std::optional<double> bits_per_byte(std::optional<int64_t> text_bytes) const;
};

/// Evaluates the windows of `source`, `batch` at a time. If max_batches > 0, evaluates only that
/// many batches, which are evenly spaced and always the same. Ranks divide the batches; all get the
/// result, with the bits of a single process. Throws Error if there are no targets.
Evaluation evaluate(const Task& task, const Model& model, Tape& tape, const DataSource& source,
                    int64_t batch, int64_t max_batches = 0, Communicator& ranks = single_process());

}  // namespace folio
