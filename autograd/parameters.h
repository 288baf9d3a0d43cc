// Parameters, their names, and the flat slabs that they lie in.
#pragma once

#include <cmath>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "folio/autograd/variable.h"
#include "folio/tensor/error.h"
#include "folio/tensor/tensor.h"

namespace folio {

/// The initial values of a parameter. Random ones depend on (seed, parameter name, element) only.
struct Init {
  enum class Kind { constant, normal, uniform } kind = Kind::constant;
  double value = 0.0;  // the constant; the standard deviation; the bound of [-value, value)

  static Init zeros() { return {Kind::constant, 0.0}; }
  static Init ones() { return {Kind::constant, 1.0}; }
  static Init normal(double standard_deviation) { return {Kind::normal, standard_deviation}; }
  static Init uniform(double bound) { return {Kind::uniform, bound}; }
  /// Uniform with variance 2 / (inputs + outputs) (Glorot and Bengio 2010, equation 16).
  static Init glorot(int64_t inputs, int64_t outputs) {
    return uniform(std::sqrt(6.0 / static_cast<double>(inputs + outputs)));
  }
  /// Normal with variance 2 / inputs, for ReLU (He et al. 2015, equation 10).
  static Init he(int64_t inputs) { return normal(std::sqrt(2.0 / static_cast<double>(inputs))); }
};

/// A tensor of a model. Ops compute with `value`, `grad` accumulates its gradient, and `master` is
/// trained and saved. They are views of the store's slabs, and empty before memory is laid out.
/// Unless values are bf16, master and value are the same memory.
struct Parameter {
  std::string name;  // dotted: "blocks.3.attention.qkv.weight"
  Shape shape;
  Init init;
  bool trained = true;  // otherwise ops take it for a constant; set before the memory is laid out
  bool decay = false;   // weight decay acts on it: by default if its rank is at least 2
  int64_t offset = 0;   // of its first element in the slabs
  Tensor value, master, grad;
  GradSlot slot;

  /// The parameter as an input of ops. Throws Error before ParameterStore::initialize().
  Variable variable() {
    FOLIO_CHECK(value, name, "the parameter has no memory yet; call initialize() on its store");
    return {value, grad ? &slot : nullptr};
  }
};

/// The variable of a parameter that a layer may lack.
inline std::optional<Variable> optional_variable(Parameter* parameter) {
  return parameter != nullptr ? std::optional(parameter->variable()) : std::nullopt;
}

/// Elements [begin, end) of the slabs.
struct SlabRange {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
  bool operator==(const SlabRange&) const = default;
};

/// Owns every parameter of a model. Masters and gradients are one allocation each, a slab. The
/// trained parameters that decay come first, so that the optimizer updates them in one pass, then
/// the other trained ones, each in order of creation. Parameters that are not trained follow in the
/// masters only.
///
/// In bf16, masters and gradients are f32, and a third slab holds the masters rounded to bf16: the
/// copy that ops compute with. The optimizer writes both in one pass.
class ParameterStore {
  friend class Scope;

 public:
  /// dtype: what ops compute with.
  explicit ParameterStore(DType dtype = DType::f32, Device device = Device::cpu)
      : dtype_(dtype), device_(device) {}
  ParameterStore(const ParameterStore&) = delete;
  ParameterStore& operator=(const ParameterStore&) = delete;

  /// A new parameter; its address stays valid. Throws Error for a name that exists, or after
  /// initialize().
  Parameter& create(std::string name, const Shape& shape, const Init& init);
  /// Lays the parameters out in slabs. The caller must fill the masters and call masters_changed().
  /// Without gradients the model cannot be trained, and no memory is allocated for them. May be
  /// called once.
  void allocate(bool with_gradients);
  /// Lays the parameters out, with gradients, and sets their initial values.
  void initialize(uint64_t seed);

  std::deque<Parameter>& parameters() { return parameters_; }
  const std::deque<Parameter>& parameters() const { return parameters_; }
  /// The parameter of this name. Throws Error, with the nearest name, if there is none.
  Parameter& find(std::string_view name);

  DType dtype() const { return dtype_; }
  Device device() const { return device_; }
  /// The number of elements, also before memory is laid out.
  int64_t numel() const { return numel_; }
  /// The number of trained elements, which are the first of the slab of masters.
  int64_t trained_numel() const;
  /// The masters.
  const Tensor& values() const { return values_; }
  /// The masters of trained parameters, in the same memory.
  Tensor trained_values() const { return values_.view(0, {trained_numel()}); }
  /// The masters rounded to bf16; empty unless dtype() is bf16.
  const Tensor& rounded_values() const { return rounded_values_; }
  const Tensor& gradients() const { return gradients_; }

  /// Must be called after the masters were written by code other than the optimizer: updates the
  /// values that ops compute with.
  void masters_changed();

  /// Must be called before the first backward pass of a step, which then overwrites gradients.
  void start_gradients();
  /// Must be called after the last backward pass: sets the gradients of parameters that no gradient
  /// reached to zero.
  void finish_gradients();

 private:
  DType dtype_;
  Device device_;
  std::deque<Parameter> parameters_;
  std::set<std::string, std::less<>> sites_;
  int64_t numel_ = 0;
  Tensor values_, rounded_values_, gradients_;
};

/// A dotted name, under which a layer creates its parameters.
class Scope {
 public:
  explicit Scope(ParameterStore& store) : store_(&store) {}

  /// The scope "this.name".
  Scope operator/(std::string_view name) const;
  /// The parameter "this.name".
  Parameter& parameter(std::string_view name, const Shape& shape, const Init& init) const;
  /// The key of random numbers drawn at "this.name", see purpose_of(). Throws Error if the name was
  /// used before, because two dropouts of one site would have the same mask.
  uint32_t site(std::string_view name) const;
  const std::string& path() const { return path_; }
  const ParameterStore& store() const { return *store_; }

 private:
  std::string join(std::string_view name) const;

  ParameterStore* store_;
  std::string path_;
};

}  // namespace folio
