// Parameters, their names, and the flat slabs that they lie in.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "folio/autograd/variable.h"
#include "folio/tensor/tensor.h"

namespace folio {

/// How a parameter begins. Random values depend on (seed, parameter name, element) only.
struct Init {
  enum class Kind { constant, normal, uniform } kind = Kind::constant;
  double value = 0.0;  // the constant; the standard deviation; the bound of [-value, value)

  static Init zeros() { return {Kind::constant, 0.0}; }
  static Init ones() { return {Kind::constant, 1.0}; }
  static Init normal(double standard_deviation) { return {Kind::normal, standard_deviation}; }
  static Init uniform(double bound) { return {Kind::uniform, bound}; }
};

/// One tensor of a model. `value` is what ops compute with; `grad` collects its gradient; `master`
/// is what is trained and saved. They are views of the store's slabs and are empty before
/// ParameterStore::initialize(). Unless values are bf16, master and value are the same memory.
struct Parameter {
  std::string name;  // dotted: "blocks.3.attention.qkv.weight"
  Shape shape;
  Init init;
  bool trained = true;  // otherwise ops take it for a constant; set before the memory is laid out
  bool decay = false;   // weight decay acts on it: by default if its rank is at least 2
  int64_t offset = 0;   // of its first element in the slabs
  Tensor value, master, grad;
  GradSlot slot;

  /// The parameter as an input of ops.
  Variable variable() { return {value, grad ? &slot : nullptr}; }
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
 public:
  /// dtype: what ops compute with.
  explicit ParameterStore(DType dtype = DType::f32, Device device = Device::cpu)
      : dtype_(dtype), device_(device) {}
  ParameterStore(const ParameterStore&) = delete;
  ParameterStore& operator=(const ParameterStore&) = delete;

  /// A new parameter; its address stays valid. Throws Error for a name that exists, or after
  /// initialize().
  Parameter& create(std::string name, const Shape& shape, const Init& init);
  /// Lays the parameters out in slabs, whose values are the caller's to fill, and to say so with
  /// masters_changed(). Without gradients the model can be read but not trained, and no memory is
  /// taken for them. Once only.
  void allocate(bool with_gradients);
  /// The same, with gradients, and gives the parameters their first values.
  void initialize(uint64_t seed);

  std::deque<Parameter>& parameters() { return parameters_; }
  const std::deque<Parameter>& parameters() const { return parameters_; }
  /// By name; throws Error if there is none, naming the nearest.
  Parameter& find(std::string_view name);

  DType dtype() const { return dtype_; }
  Device device() const { return device_; }
  /// Number of elements, before initialize() too.
  int64_t numel() const { return numel_; }
  /// The first so many elements of the masters are trained: those that gradients have too.
  int64_t trained_numel() const;
  /// The masters.
  const Tensor& values() const { return values_; }
  /// Those that are trained, in the same memory.
  Tensor trained_values() const { return values_.view(0, {trained_numel()}); }
  /// The masters rounded to bf16; empty unless dtype() is bf16.
  const Tensor& rounded_values() const { return rounded_values_; }
  const Tensor& gradients() const { return gradients_; }

  /// After the masters were written by others than the optimizer: what ops compute with follows.
  void masters_changed();

  /// Before the first backward of a step: gradients will be overwritten, not added to.
  void start_gradients();
  /// After the last backward: gradients of parameters that nothing reached become zero.
  void finish_gradients();

 private:
  DType dtype_;
  Device device_;
  std::deque<Parameter> parameters_;
  int64_t numel_ = 0;
  Tensor values_, rounded_values_, gradients_;
};

/// A place in a model: creates parameters under a dotted name.
class Scope {
 public:
  explicit Scope(ParameterStore& store) : store_(&store) {}

  /// The scope "this.name".
  Scope operator/(std::string_view name) const;
  /// The parameter "this.name".
  Parameter& parameter(std::string_view name, const Shape& shape, const Init& init) const;
  /// The purpose of random numbers drawn at "this.name", see purpose_of().
  uint32_t site(std::string_view name) const;
  const std::string& path() const { return path_; }
  const ParameterStore& store() const { return *store_; }

 private:
  std::string join(std::string_view name) const;

  ParameterStore* store_;
  std::string path_;
};

}  // namespace folio
