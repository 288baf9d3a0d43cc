#include "folio/optim/optimizer.h"

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
  FOLIO_CHECK(config.weight_decay >= 0.0, "optimizer",
              "weight_decay is {}; it must be at least 0", config.weight_decay);
  FOLIO_CHECK(config.clip >= 0.0, "optimizer",
              "clip is {}; it must be at least 0 (0: no clipping)", config.clip);
}

}  // namespace

Optimizer::Optimizer(ParameterStore& store, const OptimizerConfig& config)
    : store_(store), kernels_(&kernels_for(store.device())), config_(config) {
  FOLIO_CHECK(store.values(), "optimizer", "the parameters must be initialized first");
  check_options(config);
  std::vector<std::string> names = {"first_moment", "second_moment"};
  if (config.kind == OptimizerKind::sgd) names = {"velocity"};
  const DType master = store.values().dtype();
  for (std::string& name : names) {
    state_.push_back({std::move(name), Tensor({store.numel()}, master, store.device())});
    kernels_->fill(state_.back().slab, 0.0);
  }
  norm_and_scale_ = Tensor({2}, master, store.device());
  kernels_->fill(norm_and_scale_, 1.0);
  store.start_gradients();
}

void Optimizer::step(double lr) {
  measure();
  update(lr);
}

double Optimizer::measure() {
  measure_on_device();
  return gradient_norm();
}

void Optimizer::measure_on_device() {
  store_.finish_gradients();
  measured_ = true;
  kernels_->gradient_norm(norm_and_scale_, store_.gradients(), config_.clip);
}

void Optimizer::skip() {
  ++steps_;
  measured_ = false;
  store_.start_gradients();
}

void Optimizer::update(double lr) {
  FOLIO_CHECK(measured_, "optimizer", "update() was called without measure() before it");
  measured_ = false;
  ++steps_;
  // The slabs begin with the parameters that decay.
  const int64_t decayed = store_.decayed_numel();
  const auto update = [&](int64_t begin, int64_t end, double weight_decay) {
    if (begin == end) return;
    const auto part = [&](const Tensor& slab) {
      return slab ? slab.view(begin, {end - begin}) : Tensor();
    };
    if (config_.kind == OptimizerKind::sgd) {
      kernels_->sgd(
          part(store_.values()), part(store_.rounded_values()), part(state_[0].slab),
          part(store_.gradients()), norm_and_scale_,
          {.lr = lr, .momentum = config_.beta1, .weight_decay = weight_decay, .step = steps_});
    } else {
      kernels_->adam(part(store_.values()), part(store_.rounded_values()), part(state_[0].slab),
                     part(state_[1].slab), part(store_.gradients()), norm_and_scale_,
                     {.lr = lr,
                      .beta1 = config_.beta1,
                      .beta2 = config_.beta2,
                      .eps = config_.eps,
                      .weight_decay = weight_decay,
                      .decoupled = config_.kind == OptimizerKind::adamw,
                      .step = steps_});
    }
  };
  update(0, decayed, config_.weight_decay);
  update(decayed, store_.numel(), 0.0);
  store_.start_gradients();
}

double Optimizer::gradient_norm() const { return norm_and_scale_.view(0, Shape{1}).item(); }

}  // namespace folio
