// Reference curves: the validation loss of several seeds of one recipe, step by step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace folio {

struct ReferencePoint {
  int64_t step = 0;
  double mean = 0.0;
  double deviation = 0.0;  // standard deviation over the seeds, with n - 1
};

struct ReferenceBand {
  std::string name;  // of the recipe
  int64_t seeds = 0;
  int64_t tokens_per_step = 0;
  std::vector<ReferencePoint> points;
};

/// Reads a file of benchmarks/reference/. Throws Error naming it and what is wrong.
ReferenceBand read_reference(const std::filesystem::path& path);

}  // namespace folio
