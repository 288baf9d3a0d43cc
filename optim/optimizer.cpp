#include "folio/optim/optimizer.h"

#include <fnmatch.h>

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
  for (const ParameterGroup& group : config.groups) {
    FOLIO_CHECK(group.lr_scale >= 0.0 && group.weight_decay >= 0.0, "optimizer",
                "group {}: lr_scale is {} and weight_decay {}; both must be at least 0",
                group.parameters, group.lr_scale, group.weight_decay);
  }
  FOLIO_CHECK(config.clip >= 0.0, "optimizer", "clip is {}; it must be at least 0 (0: no clipping)",
              config.clip);
}

std::string names_of(const std::vector<const Parameter*>& parameters) {
  std::string names;
  for (const Parameter* parameter : parameters)
    names += (names.empty() ? "" : ", ") + parameter->name;
  return names;
}

}  // namespace

void ParameterGroup::bind(Section& section) {
  section.text("parameters", parameters, false, "");
  section.number("lr_scale", lr_scale, at_least_0, "");
  section.number("weight_decay", weight_decay, at_least_0, "");
}

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
  section.list(
      "groups", groups,
      "[{parameters: PATTERN, lr_scale: 1, weight_decay: 0}, ...]; the first match counts");
}

std::vector<UpdateRange> update_ranges(const ParameterStore& store, const OptimizerConfig& config) {
  std::vector<const Parameter*> trained;
  for (const Parameter& parameter : store.parameters()) {
    if (parameter.trained) trained.push_back(&parameter);
  }
  const auto matches = [](const ParameterGroup& group, const Parameter& parameter) {
    return ::fnmatch(group.parameters.c_str(), parameter.name.c_str(), 0) == 0;
  };
  for (const ParameterGroup& group : config.groups) {
    FOLIO_CHECK(std::ranges::any_of(trained, [&](auto* p) { return matches(group, *p); }),
                "optimizer.groups", "no trained parameter is named {}; the names are: {}",
                group.parameters, names_of(trained));
  }
  std::ranges::sort(trained, {}, &Parameter::offset);
  std::vector<UpdateRange> ranges;
  for (const Parameter* parameter : trained) {
    const auto group = std::ranges::find_if(
        config.groups, [&](const ParameterGroup& group) { return matches(group, *parameter); });
    const bool grouped = group != config.groups.end();
    const double lr_scale = grouped ? group->lr_scale : 1.0;
    const double weight_decay = grouped            ? group->weight_decay
                                : parameter->decay ? config.weight_decay
                                                   : 0.0;
    const int64_t end = parameter->offset + parameter->shape.numel();
    if (!ranges.empty() && ranges.back().lr_scale == lr_scale &&
        ranges.back().weight_decay == weight_decay) {
      ranges.back().elements.end = end;
    } else {
      ranges.push_back({{parameter->offset, end}, lr_scale, weight_decay});
    }
  }
  return ranges;
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
  check_options(config);
  updates_ = update_ranges(store, config);
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

void Optimizer::shard(std::vector<SlabRange> ranges,
                      std::function<void(const Tensor&)> all_reduce) {
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
  all_reduce_ = std::move(all_reduce);
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

// The sums of gradient_norm in the same order, of which each process has some.
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
  all_reduce_(sums);
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
  int64_t moments = 0;  // where those of the process's range begin
  for (const SlabRange& own : ranges_) {
    for (const UpdateRange& update_range : updates_) {
      UpdateRange part = update_range;
      part.elements = {std::max(part.elements.begin, own.begin),
                       std::min(part.elements.end, own.end)};
      if (part.elements.size() <= 0) continue;
      update(part, moments + part.elements.begin - own.begin, step, lr);
    }
    moments += own.size();
  }
  store_.start_gradients();
}

void Optimizer::update(const UpdateRange& range, int64_t moments_begin, int64_t step, double lr) {
  const int64_t begin = range.elements.begin;
  const Shape shape{range.elements.size()};
  const auto part = [&](const Tensor& slab) { return slab ? slab.view(begin, shape) : Tensor(); };
  const auto moments = [&](size_t i) { return state_[i].slab.view(moments_begin, shape); };
  if (config_.kind == OptimizerKind::sgd) {
    kernels_->sgd(part(store_.values()), part(store_.rounded_values()), moments(0),
                  part(store_.gradients()), norm_and_scale_,
                  {.lr = lr,
                   .lr_scale = range.lr_scale,
                   .momentum = config_.beta1,
                   .weight_decay = range.weight_decay,
                   .step = step + 1});
  } else {
    kernels_->adam(part(store_.values()), part(store_.rounded_values()), moments(0), moments(1),
                   part(store_.gradients()), norm_and_scale_,
                   {.lr = lr,
                    .lr_scale = range.lr_scale,
                    .beta1 = config_.beta1,
                    .beta2 = config_.beta2,
                    .eps = config_.eps,
                    .weight_decay = range.weight_decay,
                    .decoupled = config_.kind == OptimizerKind::adamw,
                    .step = step + 1});
  }
}

double Optimizer::gradient_norm() const { return norm_and_scale_.view(0, Shape{1}).item(); }

}  // namespace folio
