// Evaluates a model on a split.
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
  std::map<std::string, double> means = {};  // of all of Task::measures(), the loss included
  int64_t targets = 0;                       // number of targets that count
  bool whole_split = false;

  double perplexity() const;
  /// Bits per byte of text, which can be compared between tokenizers; nothing unless the whole
  /// split was read. Its targets stand for `text_bytes` bytes, see Task::text_bytes().
  std::optional<double> bits_per_byte(std::optional<int64_t> text_bytes) const;
};

/// Reads the windows of `source` once, `batch` windows at a time; if max_batches > 0, only that
/// many batches, spread evenly over the split and always the same. The batches are divided among
/// the ranks, and every rank gets the result, with the bits that a single process gets. Throws
/// Error if no target counts.
Evaluation evaluate(const Task& task, const Model& model, Tape& tape, const DataSource& source,
                    int64_t batch, int64_t max_batches = 0, Communicator& ranks = single_process());

}  // namespace folio
