// Optimizers, which update the parameter slabs in one pass.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "folio/autograd/parameters.h"
#include "folio/io/section.h"
#include "folio/tensor/tensor.h"

namespace folio {

struct Kernels;

enum class OptimizerKind : uint8_t {
  sgd,    // with momentum betas[0]
  adam,   // decay, if any, is added to the gradient
  adamw,  // decay acts on the weights (Loshchilov and Hutter 2019)
};

/// Parameters with a learning rate or weight decay of their own.
struct ParameterGroup {
  std::string parameters = "*";  // a shell pattern over their dotted names: "blocks.*.bias"
  double lr_scale = 1.0;         // factor of the learning rate
  double weight_decay = 0.0;     // instead of OptimizerConfig::weight_decay, for all of them

  void bind(Section& section);
};

struct OptimizerConfig {
  OptimizerKind kind = OptimizerKind::adamw;
  double beta1 = 0.9, beta2 = 0.99;  // sgd: beta1 is the momentum
  double eps = 1e-8;
  double weight_decay = 0.1;  // of the parameters whose `decay` is true: matrices
  double clip = 1.0;          // largest global gradient norm; 0: no clipping
  bool shard = false;         // over ranks, see Optimizer::shard()
  std::vector<ParameterGroup> groups =
      {};  // a parameter belongs to the first that matches its name

  /// `lr`: the peak of the learning rate, which belongs to the schedule.
  void bind(Section& section, double& lr);
};

/// A part of the optimizer's state, for checkpoints: a slab that is laid out as the parameters are
/// or, if the optimizer is sharded, the concatenated ranges of this process.
struct OptimizerState {
  std::string name;  // "first_moment", "second_moment", "velocity"
  Tensor slab;
};

/// The names of the slabs of state that an optimizer of this kind keeps.
std::vector<std::string> state_names(OptimizerKind kind);

/// Consecutive elements of the parameter slabs that are updated alike.
struct UpdateRange {
  SlabRange elements;
  double lr_scale, weight_decay;
};

/// The trained parameters of `store`, in the order of the slabs, with the rate and decay of each.
/// Throws Error for a group whose pattern matches no trained parameter.
std::vector<UpdateRange> update_ranges(const ParameterStore& store, const OptimizerConfig& config);

class Optimizer {
 public:
  /// `store` must be initialized and outlive the optimizer. Throws Error for impossible options and
  /// for a group that matches no parameter.
  Optimizer(ParameterStore& store, const OptimizerConfig& config);

  /// Updates every parameter from its gradient, clipped, and starts new gradients. Parameters that
  /// no gradient reached are treated as having gradient zero. The same as measure() and update().
  /// `step` is counted from 0: Adam's bias correction depends on it.
  void step(int64_t step, double lr);

  /// The first half of step(): completes the gradients and returns their global norm before
  /// clipping.
  double measure();
  /// The same without reading the norm, which would wait for a GPU.
  void measure_on_device();
  /// Says that a captured graph has done the work of measure_on_device().
  void note_measured() { measured_ = true; }
  /// The second half of step(). Throws Error unless the gradients were measured.
  void update(int64_t step, double lr);
  /// Ends the step without an update: parameters and moments keep their values.
  void discard_gradients();

  /// Restricts this process to these ranges of the slabs: only they are updated, only their moments
  /// are kept, and only their gradients are read (ZeRO stage 1: Rajbhandari et al. 2020,
  /// arXiv:1910.02054, section 5.1). Ranges are ascending and begin at multiples of norm_piece, see
  /// kernels/kernels.h. `all_reduce` sums a tensor (f64, on the host) over all processes; in each
  /// element only one of them has a value other than 0. May be called once.
  void shard(std::vector<SlabRange> ranges, std::function<void(const Tensor&)> all_reduce);
  bool sharded() const { return static_cast<bool>(all_reduce_); }

  /// The norm that was measured last.
  double gradient_norm() const;
  /// The norm and the factor that clips, on the device: (2), of the masters' type.
  const Tensor& norm_and_scale() const { return norm_and_scale_; }

  std::vector<OptimizerState>& state() { return state_; }
  /// Computes with another table of the same device (a profiler's), which must outlive its use.
  void set_kernels(const Kernels& kernels) { kernels_ = &kernels; }

 private:
  void measure_shards();
  /// `moments_begin`: where the moments of the range begin in this process's slabs of state.
  void update(const UpdateRange& range, int64_t moments_begin, int64_t step, double lr);

  ParameterStore& store_;
  const Kernels* kernels_;
  OptimizerConfig config_;
  std::vector<UpdateRange> updates_;
  std::vector<OptimizerState> state_;
  Tensor norm_and_scale_;
  bool measured_ = false;
  std::vector<SlabRange> ranges_;  // that this process updates
  std::function<void(const Tensor&)> all_reduce_;
};

}  // namespace folio
