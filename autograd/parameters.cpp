#include "folio/autograd/parameters.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "folio/kernels/kernels.h"
#include "folio/tensor/copy.h"
#include "folio/tensor/error.h"
#include "folio/tensor/nearest.h"
#include "folio/tensor/random.h"

namespace folio {
namespace {

/// The first values of a parameter, to its place in `masters`, which are the CPU's.
template <class T>
void draw(const Parameter& parameter, const Tensor& masters, uint64_t seed) {
  const RandomStream stream{.seed = seed, .purpose = purpose_of(parameter.name), .step = 0};
  T* values = masters.data<T>() + parameter.offset;
  const int64_t n = parameter.shape.numel();
  const double value = parameter.init.value;
  switch (parameter.init.kind) {
    case Init::Kind::constant:
      std::fill(values, values + n, T(value));
      break;
    case Init::Kind::normal:
      for (int64_t i = 0; i < n; i += 2) {  // a pair costs as much as one
        const auto [first, second] = stream.normals(i / 2);
        values[i] = T(value * first);
        if (i + 1 < n) values[i + 1] = T(value * second);
      }
      break;
    case Init::Kind::uniform:
      for (int64_t i = 0; i < n; ++i) values[i] = T(value * (2.0 * stream.uniform(i) - 1.0));
      break;
  }
}

}  // namespace

Parameter& ParameterStore::create(std::string name, const Shape& shape, const Init& init) {
  FOLIO_CHECK(!values_, name, "parameters cannot be added after initialize()");
  for (const Parameter& other : parameters_) {
    FOLIO_CHECK(other.name != name, name, "a parameter of this name exists already");
  }
  Parameter& parameter = parameters_.emplace_back();
  parameter.name = std::move(name);
  parameter.shape = shape;
  parameter.init = init;
  parameter.decay = shape.rank() >= 2;
  numel_ += shape.numel();
  return parameter;
}

int64_t ParameterStore::trained_numel() const {
  int64_t sum = 0;
  for (const Parameter& parameter : parameters_)
    sum += parameter.trained ? parameter.shape.numel() : 0;
  return sum;
}

void ParameterStore::allocate(bool with_gradients) {
  FOLIO_CHECK(!values_, "parameters", "memory was laid out already: initialize() was called twice");
  FOLIO_CHECK(numel_ > 0, "parameters", "the model has no parameters");
  const DType master = accumulator_of(dtype_);
  values_ = Tensor({numel_}, master, device_);
  if (dtype_ != master) rounded_values_ = Tensor({numel_}, dtype_, device_);
  const int64_t trained = trained_numel();
  int64_t decayed = 0, others = 0, constant = trained;
  for (const Parameter& parameter : parameters_) {
    if (parameter.trained && parameter.decay) others += parameter.shape.numel();
  }
  if (with_gradients && trained > 0) {
    gradients_ = Tensor({trained}, master, device_);
    kernels_for(device_).fill(gradients_, 0.0);
  }
  const Tensor& seen_by_ops = rounded_values_ ? rounded_values_ : values_;
  for (Parameter& parameter : parameters_) {
    int64_t& next = !parameter.trained ? constant : parameter.decay ? decayed : others;
    parameter.offset = next;
    next += parameter.shape.numel();
    parameter.master = values_.view(parameter.offset, parameter.shape);
    parameter.value = seen_by_ops.view(parameter.offset, parameter.shape);
    if (gradients_ && parameter.trained) {
      parameter.grad = gradients_.view(parameter.offset, parameter.shape);
    }
    parameter.slot = {.shape = parameter.shape,
                      .dtype = master,
                      .grad = parameter.grad,
                      .written = false,
                      .persistent = true};
  }
}

void ParameterStore::initialize(uint64_t seed) {
  allocate(true);
  const Tensor drawn = device_ == Device::cpu ? values_ : Tensor({numel_}, values_.dtype());
  for (const Parameter& parameter : parameters_) {
    if (dtype_ == DType::f64) {
      draw<double>(parameter, drawn, seed);
    } else {
      draw<float>(parameter, drawn, seed);
    }
  }
  if (device_ != Device::cpu) copy_tensor(values_, drawn);
  masters_changed();
}

void ParameterStore::masters_changed() {
  if (rounded_values_) kernels_for(device_).copy({&rounded_values_, false}, values_);
}

Parameter& ParameterStore::find(std::string_view name) {
  std::vector<std::string> names;
  for (Parameter& parameter : parameters_) {
    if (parameter.name == name) return parameter;
    names.push_back(parameter.name);
  }
  const std::string nearest = nearest_name(name, names);
  fail(name, nearest.empty() ? "no parameter has this name"
                             : fmt::format("no parameter has this name; is {} meant?", nearest));
}

void ParameterStore::start_gradients() {
  for (Parameter& parameter : parameters_) parameter.slot.written = false;
}

void ParameterStore::finish_gradients() {
  for (Parameter& parameter : parameters_) {
    if (!parameter.grad) continue;
    if (!parameter.slot.written) kernels_for(device_).fill(parameter.grad, 0.0);
    parameter.slot.written = true;
  }
}

Scope Scope::operator/(std::string_view name) const {
  Scope inner = *this;
  inner.path_ = join(name);
  return inner;
}

Parameter& Scope::parameter(std::string_view name, const Shape& shape, const Init& init) const {
  return store_->create(join(name), shape, init);
}

uint32_t Scope::site(std::string_view name) const {
  const std::string whole = join(name);
  FOLIO_CHECK(
      store_->sites_.insert(whole).second, whole,
      "a source of random numbers of this name exists already, and both would draw the same "
      "numbers; give each a scope of its own");
  return purpose_of(whole);
}

std::string Scope::join(std::string_view name) const {
  return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

}  // namespace folio
