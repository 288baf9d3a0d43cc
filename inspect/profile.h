// Where a training step's time goes: op by op, beside what this machine can do at the same shapes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "folio/kernels/library_product.h"
#include "folio/run/config.h"

namespace folio {

/// An op's forward or backward pass, or the optimizer. All figures are of one step.
struct ProfileRow {
  std::string name;              // as the tape calls it: "linear"
  std::string pass;              // "forward", "backward"; empty for the optimizer
  int64_t calls = 0;             // of the op
  double seconds = 0.0;          // in its kernels; on a GPU by its own clock
  double flops = 0.0;            // of its matrix products; what a causal mask hides is not counted
  double bytes = 0.0;            // of the tensors that its kernels read and write, each once
  double product_seconds = 0.0;  // its matrix products alone, see Profile::product_seconds
  double copy_seconds = 0.0;     // copying as many bytes, call by call
};

/// One of the step's different matrix products, timed alone.
struct ProductTime {
  MatrixProduct product;
  double times = 0.0;    // how often a step wants it; half of it counts half
  double seconds = 0.0;  // of one, the best of several
};

struct Profile {
  Config config;
  Device device = Device::cpu;
  std::string machine;           // what computes, see description_of()
  std::string products_by;       // the library that multiplies
  int64_t steps = 0;             // that were timed, and as many without any clock in them
  int64_t tokens = 0;            // a step
  double planned_flops = 0.0;    // a step, by make_plan()
  std::vector<ProfileRow> rows;  // the longest first, the optimizer last
  double batch_seconds = 0.0;    // drawing the batch
  double tape_seconds = 0.0;     // what is left of the step: checks, memory, recording, closures
  double step_seconds = 0.0;   // the sum of all of these: the mean of the faster half of the steps
  double plain_seconds = 0.0;  // a step without clocks, the median
  std::vector<ProductTime> products;
  /// GEMM time: the step's matrix products alone, each by plain dnnl_sgemm with its own threads,
  /// the best of several; attention's (one a head and sequence) shared among threads whole, of
  /// which the part counts that the mask shows. See library_product(). On a GPU by cuBLASLt.
  double product_seconds = 0.0;

  double flops() const;
};

/// Trains for a few steps (in memory; nothing is written) and measures. On a GPU the timed steps
/// are made by calls; those without clocks are replayed from graphs, as in training. Throws Error
/// for a bad config, as training does.
Profile profile(const Config& config, int64_t steps);

/// A table for people, and everything as JSON.
std::string to_table(const Profile& profile);
std::string to_json(const Profile& profile);

}  // namespace folio
