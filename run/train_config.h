// The section `train` of a config.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "folio/io/section.h"
#include "folio/layers/block.h"

namespace folio {

/// How the gradients of micro-batches and ranks are summed.
enum class Reduce : uint8_t {
  fast,     // each rank accumulates the gradients of its micro-batches; then ranks are summed
  ordered,  // the gradients of micro-batches are summed in order, on any number of ranks
};

/// What to do if the loss or the gradient norm is not finite; see inspect/blackbox.h.
enum class OnNonFinite : uint8_t { stop, skip };

struct TrainConfig {
  int64_t steps = 2000;
  int64_t batch = 12;      // B, over all ranks and micro-batches
  int64_t accumulate = 1;  // micro-batches per step; must divide batch
  uint64_t seed = 1337;
  std::string init_from;           // initial weights, see run/initial_weights.h; "": random
  std::string device = "auto";     // auto | cpu | cuda
  std::string precision = "auto";  // auto | f32 | tf32 (f32 on a CPU) | bf16, see computing_type()
  int64_t threads = 0;             // 0: OpenMP's default, or a rank's share of the processors
  Reduce reduce = Reduce::fast;
  double bucket_mb = 25.0;      // size of gradient buckets, in 10^6 bytes
  bool overlap = true;          // of reduction and backward pass
  double rank_timeout = 300.0;  // seconds that ranks wait for another one; 0: forever
  OnNonFinite on_non_finite = OnNonFinite::stop;
  int64_t max_skips = 10;       // refused updates in the whole run
  double spike_guard = 0.0;     // z-score above which a gradient norm is a spike; 0: disabled
  int64_t spike_window = 100;   // steps from which the z-score is computed
  int64_t steps_in_flight = 4;  // on a GPU
  double label_smoothing = 0.0;
  int64_t log_every = 1;      // steps between lines in metrics.jsonl; 0: never, as below
  int64_t eval_every = 250;   // steps
  int64_t eval_batches = 20;  // per evaluation; 0: the whole split
  int64_t checkpoint_every = 500;
  int64_t keep_last = 3;  // number of step checkpoints; 0: all
  std::vector<int64_t> sample_at = {0, 250, 2000};
  std::string sample_prompt = "\n";
  int64_t sample_tokens = 200;
  double sample_temperature = 0.8;
  bool tensorboard = false;               // write event files, see tensorboard.h
  Recompute recompute = Recompute::none;  // of activations, in the backward pass

  void bind(Section& section);
};

}  // namespace folio
