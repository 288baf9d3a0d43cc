// RUN/evaluation.json: the losses over the whole validation split with which a finished run ends.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace folio {

struct FinalEvaluation {
  int64_t step = 0;  // the last
  double loss = 0.0;
  int64_t tokens = 0;                   // predicted ones
  std::optional<double> bits_per_byte;  // as in Evaluation
  // Of the best checkpoint, where it is of another step.
  std::optional<int64_t> best_step;
  std::optional<double> best_loss;
};

/// Replaces the file. Throws Error if it cannot be written.
void write_final_evaluation(const std::filesystem::path& run, const FinalEvaluation& evaluation);

/// Empty where there is none, as before the end, or it is damaged.
std::optional<FinalEvaluation> read_final_evaluation(const std::filesystem::path& run);

}  // namespace folio
