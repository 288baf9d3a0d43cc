// The parameters, FLOPs and memory of a config, before anything runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "folio/run/config.h"
#include "folio/tensor/shape.h"

namespace folio {

struct PlanLine {
  std::string category;
  int64_t bytes = 0;
};

/// A parameter, or the same one of every block: "blocks.N.attention.qkv.weight".
struct PlanParameter {
  std::string name;
  Shape shape;
  int64_t copies = 0;
};

struct Plan {
  std::vector<PlanParameter> table;
  int64_t parameters = 0;
  int64_t decayed_parameters = 0;
  int64_t tokens_per_step = 0;
  double flops_per_token = 0.0;  // forward and backward, of matrix products
  // At the peak of a step; on a GPU it is reserved for the whole run.
  std::vector<PlanLine> memory;
  std::string memory_note = {};  // empty, or a line

  int64_t memory_bytes() const;
};

/// Makes the model in placeholder memory and runs a step with kernels that only count. Attention
/// scores that a backward pass recomputes are not counted, since that depends on the kernel. Throws
/// Error as make_model() does.
Plan make_plan(const Config& config, int64_t vocabulary);

}  // namespace folio
