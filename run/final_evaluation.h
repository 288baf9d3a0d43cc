// RUN/evaluation.json: the losses of a finished run over the whole validation split.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace folio {

struct FinalEvaluation {
  int64_t step = 0;  // the last
  double loss = 0.0;
  int64_t tokens = 0;                        // predicted ones
  std::optional<double> bits_per_byte = {};  // see Evaluation
  std::optional<int64_t> best_step = {};     // of the best checkpoint, if it is of another step
  std::optional<double> best_loss = {};
};

/// Replaces the file. Throws Error if it cannot be written.
void write_final_evaluation(const std::filesystem::path& run, const FinalEvaluation& evaluation);

/// Empty if the file is missing, as in an unfinished run, or damaged.
std::optional<FinalEvaluation> read_final_evaluation(const std::filesystem::path& run);

}  // namespace folio
