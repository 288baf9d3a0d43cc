// Profiles a training step op by op, next to the limits of this machine for the same shapes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "folio/kernels/matrix_product.h"
#include "folio/run/config.h"

namespace folio {

/// The forward or backward pass of an op, or the optimizer. All figures are for one step.
struct ProfileRow {
  std::string name;              // on the tape, such as "linear"
  std::string pass;              // "forward", "backward"; empty for the optimizer
  int64_t calls = 0;             // of the op
  double seconds = 0.0;          // in its kernels; on a GPU by its own clock
  double flops = 0.0;            // of its matrix products, without masked scores
  double bytes = 0.0;            // read and written by its kernels, each tensor once
  double product_seconds = 0.0;  // its matrix products alone, see Profile::product_seconds
  double copy_seconds = 0.0;     // to copy the same number of bytes, per call
};

/// A matrix product of the step, timed separately.
struct ProductTime {
  MatrixProduct product;
  double times = 0.0;    // per step; a half-used product counts half
  double seconds = 0.0;  // of one product, the best of several
};

struct Profile {
  Config config;
  Device device = Device::cpu;
  std::string machine;           // see describe_device()
  std::string products_by;       // the library of the matrix products
  int64_t steps = 0;             // timed, and the same number without timers
  int64_t tokens = 0;            // per step
  double planned_flops = 0.0;    // per step, from make_plan()
  std::vector<ProfileRow> rows;  // by time, longest first, then the optimizer
  double batch_seconds = 0.0;    // drawing the batch
  double tape_seconds = 0.0;     // the rest of the step: checks, memory, recording, closures
  double step_seconds = 0.0;     // the sum of these: the mean of the faster half of the steps
  double plain_seconds = 0.0;    // the median of steps without timers
  std::vector<ProductTime> products;
  /// The time of the step's matrix products alone, by multithreaded dnnl_sgemm, the best of
  /// several. Those of attention (one per head and sequence) are distributed over threads and count
  /// by the share that is not masked. See baseline_gemm(). On a GPU, by cuBLASLt.
  double product_seconds = 0.0;

  double flops() const;
};

/// Trains for a few steps without writing files and measures them. On a GPU, the timed steps call
/// kernels one by one; steps without timers are replayed from graphs, as in training. Throws Error
/// for an invalid config, as training does.
Profile profile(const Config& config, int64_t steps);

/// The profile as a table and as JSON.
std::string to_table(const Profile& profile);
std::string to_json(const Profile& profile);

}  // namespace folio
