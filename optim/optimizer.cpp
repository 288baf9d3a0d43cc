#include "folio/optim/optimizer.h"

#include <algorithm>
#include <cmath>

#include "folio/kernels/kernels.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

void check_options(const OptimizerConfig& config) {
  for (const double beta : {config.beta1, config.beta2}) {
    FOLIO_CHECK(beta >= 0.0 && beta < 1.0, "optimizer",
                "a beta is {}; betas must be at least 0 and below 1", beta);
  }
  FOLIO_CHECK(config.eps > 0.0, "optimizer", "eps is {}; it must be above 0", config.eps);
  FOLIO_CHECK(config.weight_decay >= 0.0, "optimizer", "weight_decay is {}; it must be at least 0",
              config.weight_decay);
  FOLIO_CHECK(config.clip >= 0.0, "optimizer", "clip is {}; it must be at least 0 (0: no clipping)",
              config.clip);
}

}  // namespace

void OptimizerConfig::bind(Section& section, double& lr) {
  section.choice<OptimizerKind>(
      "name", kind,
      {{"adamw", OptimizerKind::adamw}, {"adam", OptimizerKind::adam}, {"sgd", OptimizerKind::sgd}},
      "");
  section.number("lr", lr, above_0, "the learning rate's peak");
  section.numbers("betas", beta1, beta2, fraction,
                  "decay of the first and second moment; sgd: the first is momentum");
  // Smaller ones vanish beside a gradient of zero in f32.
  section.number("eps", eps, {1e-30, 1.0}, "added to the denominator");
  section.number("weight_decay", weight_decay, at_least_0, "of matrices only");
  section.boolean("shard", shard, "each rank keeps and updates a part (ZeRO stage 1)")
      .changeable()
      .incidental();
  section.number("clip", clip, at_least_0, "largest norm of the whole gradient; 0: no clipping");
}

std::vector<std::string> state_names(OptimizerKind kind) {
  if (kind == OptimizerKind::sgd) return {"velocity"};
  return {"first_moment", "second_moment"};
}

Optimizer::Optimizer(ParameterStore& store, const OptimizerConfig& config)
    : store_(store), kernels_(&kernels_for(store.device())), config_(config) {
  FOLIO_CHECK(
      store.gradients(), "optimizer",
      "the parameters have no gradients: they must be initialized, and some must be trained");
  for (const Parameter& parameter : store.parameters()) {
    FOLIO_CHECK(!parameter.trained || parameter.decay == (parameter.offset < store.decayed_numel()),
                parameter.name, "decay was changed after memory was laid out; set it before");
  }
  check_options(config);
  const DType master = store.values().dtype();
  for (const std::string& name : state_names(config.kind)) {
    state_.push_back({name, Tensor({store.trained_numel()}, master, store.device())});
    kernels_->fill(state_.back().slab, 0.0);
  }
  norm_and_scale_ = Tensor({2}, master, store.device());
  kernels_->fill(norm_and_scale_, 1.0);
  ranges_ = {{0, store.trained_numel()}};
  store.start_gradients();
}

void Optimizer::shard(std::vector<SlabRange> ranges, std::function<void(const Tensor&)> add_up) {
  FOLIO_CHECK(!sharded(), "optimizer", "shard() was called twice");
  int64_t count = 0, last_end = 0;
  for (const SlabRange& range : ranges) {
    FOLIO_CHECK(range.begin % norm_piece == 0 && range.begin >= last_end &&
                    range.end > range.begin && range.end <= store_.trained_numel(),
                "optimizer", "elements {} to {} are no shard of {}", range.begin, range.end,
                store_.trained_numel());
    count += range.size();
    last_end = range.end;
  }
  for (OptimizerState& state : state_) {
    const Tensor whole = state.slab;
    state.slab = Tensor({count}, whole.dtype(), whole.device());
    int64_t next = 0;
    for (const SlabRange& range : ranges) {
      const Tensor part = state.slab.view(next, {range.size()});
      kernels_->copy({&part, false}, whole.view(range.begin, {range.size()}));
      next += range.size();
    }
  }
  ranges_ = std::move(ranges);
  add_up_ = std::move(add_up);
}

void Optimizer::step(int64_t step, double lr) {
  measure();
  update(step, lr);
}

double Optimizer::measure() {
  measure_on_device();
  return gradient_norm();
}

void Optimizer::measure_on_device() {
  store_.finish_gradients();
  measured_ = true;
  if (sharded()) {
    measure_shards();
  } else {
    kernels_->gradient_norm(norm_and_scale_, store_.gradients(), config_.clip);
  }
}

// The same sums in the same order as in gradient_norm, from whoever has them.
void Optimizer::measure_shards() {
  const int64_t pieces = (store_.trained_numel() + norm_piece - 1) / norm_piece;
  const auto pieces_of = [](const SlabRange& range) {
    return (range.size() + norm_piece - 1) / norm_piece;
  };
  int64_t own_pieces = 0;
  for (const SlabRange& range : ranges_) own_pieces += pieces_of(range);
  const Tensor own({own_pieces}, DType::f64, store_.device());
  int64_t next = 0;
  for (const SlabRange& range : ranges_) {
    kernels_->sum_squares(own.view(next, {pieces_of(range)}),
                          store_.gradients().view(range.begin, {range.size()}));
    next += pieces_of(range);
  }
  const Tensor sums = Tensor::from({pieces}, std::vector<double>(static_cast<size_t>(pieces)));
  const std::vector<double> here = own.to_vector<double>();
  next = 0;
  for (const SlabRange& range : ranges_) {
    std::copy_n(here.begin() + next, pieces_of(range),
                sums.data<double>() + range.begin / norm_piece);
    next += pieces_of(range);
  }
  add_up_(sums);
  double squares = 0.0;
  for (const double sum : sums.to_vector<double>()) squares += sum;
  const double norm = std::sqrt(squares);
  kernels_->fill(norm_and_scale_.view(0, {1}), norm);
  kernels_->fill(norm_and_scale_.view(1, {1}), clip_scale(norm, config_.clip));
}

void Optimizer::discard_gradients() {
  measured_ = false;
  store_.start_gradients();
}

void Optimizer::update(int64_t step, double lr) {
  FOLIO_CHECK(measured_, "optimizer", "update() was called without measure() before it");
  measured_ = false;
  // The slabs begin with the parameters that decay.
  const int64_t decayed = store_.decayed_numel();
  int64_t moments = 0;  // where those of the range begin
  for (const SlabRange& range : ranges_) {
    const int64_t middle = std::clamp(decayed, range.begin, range.end);
    update({range.begin, middle}, moments, step, lr, config_.weight_decay);
    update({middle, range.end}, moments + middle - range.begin, step, lr, 0.0);
    moments += range.size();
  }
  store_.start_gradients();
}

void Optimizer::update(const SlabRange& range, int64_t moments_begin, int64_t step, double lr,
                       double weight_decay) {
  if (range.size() == 0) return;
  const auto part = [&](const Tensor& slab) {
    return slab ? slab.view(range.begin, {range.size()}) : Tensor();
  };
  const auto moments = [&](size_t i) { return state_[i].slab.view(moments_begin, {range.size()}); };
  if (config_.kind == OptimizerKind::sgd) {
    kernels_->sgd(
        part(store_.values()), part(store_.rounded_values()), moments(0), part(store_.gradients()),
        norm_and_scale_,
        {.lr = lr, .momentum = config_.beta1, .weight_decay = weight_decay, .step = step + 1});
  } else {
    kernels_->adam(part(store_.values()), part(store_.rounded_values()), moments(0), moments(1),
                   part(store_.gradients()), norm_and_scale_,
                   {.lr = lr,
                    .beta1 = config_.beta1,
                    .beta2 = config_.beta2,
                    .eps = config_.eps,
                    .weight_decay = weight_decay,
                    .decoupled = config_.kind == OptimizerKind::adamw,
                    .step = step + 1});
  }
}

double Optimizer::gradient_norm() const { return norm_and_scale_.view(0, Shape{1}).item(); }

}  // namespace folio
