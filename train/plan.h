// What a config will cost, before anything runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "folio/train/config.h"

namespace folio {

struct PlanLine {
  std::string category;
  int64_t bytes = 0;
};

struct Plan {
  int64_t parameters = 0;
  int64_t decayed_parameters = 0;
  double flops_per_token = 0.0;         // forward and backward, of matrix products
  std::vector<PlanLine> memory;         // by category: weights, gradients, moments, activations, ...
};

/// `config.model.vocabulary` must be set. FLOPs per token: 6 (N - positions - embeddings that are
/// only looked up) + 12 layers width context (PaLM, Chowdhery et al. 2022, appendix B, without the
/// halving for causality); see the body for the derivation of each number.
Plan make_plan(const Config& config);

}  // namespace folio
