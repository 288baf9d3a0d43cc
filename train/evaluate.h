// How a model does on a whole split.
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
  double loss = 0.0;                         // mean over all targets, nats, without label smoothing
  std::map<std::string, double> means = {};  // of each of Task::measures(), the loss included
  int64_t targets = 0;                       // that count
  bool whole_split = false;

  double perplexity() const;
  /// Bits for a byte of the text, by which models of different tokenizers can be compared: where
  /// the whole split was read, whose targets stand for `text_bytes` bytes (Task::text_bytes()).
  std::optional<double> bits_per_byte(std::optional<int64_t> text_bytes) const;
};

/// Reads the windows of `source` once, `batch` windows at a time. max_batches > 0: only that many
/// batches, spread evenly over the split (always the same). The ranks share the batches out; the
/// result has the bits of one process, on each of them. Throws Error where no target counts.
Evaluation evaluate(const Task& task, const Model& model, Tape& tape, const DataSource& source,
                    int64_t batch, int64_t max_batches = 0, Communicator& ranks = single_process());

}  // namespace folio
