// Finds the first op of a computation whose result is not finite.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "folio/autograd/observer.h"
#include "folio/autograd/parameters.h"

namespace folio {

/// Statistics of a tensor's elements.
struct ValueRange {
  double min = std::numeric_limits<double>::infinity();   // of the finite elements:
  double max = -std::numeric_limits<double>::infinity();  // min > max if there are none
  int64_t nan = 0, infinite = 0;                          // counts
  int64_t first_bad = -1;                                 // row-major; -1: all are finite
  double first_bad_value = 0.0;

  bool finite() const { return first_bad < 0; }
};

/// Reads every element of a CPU tensor of any type.
ValueRange range_of(const Tensor& values);

/// A tensor that an op read or wrote. `name` is the name of a parameter or describes the origin:
/// "output of linear in blocks.0.feed_forward.up", "gradient of norm.weight".
struct ObservedTensor {
  std::string name;
  Shape shape;
  DType dtype = DType::f32;
  ValueRange range;
};

/// The op that wrote the first value that is not finite.
struct FirstNonFinite {
  std::string op;
  bool backward = false;  // the value is in a gradient, not in the output
  /// The names of its parameters without their last part: "blocks.1.feed_forward.up". An op
  /// without parameters has the layer that its input comes from, and `after_layer` is set; the
  /// layer is empty if there is none.
  std::string layer;
  bool after_layer = false;
  /// Forward: its inputs and outputs. Backward: gradients of its outputs, then its inputs and
  /// outputs as they were in the forward pass; and the gradients that it wrote.
  std::vector<ObservedTensor> read, made;
  /// The index in `made` of the first tensor that is not finite, and the bad indices along its
  /// first axis in ascending order, which are empty for the gradient of a parameter and for a
  /// scalar.
  size_t culprit = 0;
  std::vector<int64_t> bad_rows;

  /// "linear in blocks.1.feed_forward.up", "sqrt after embedding", "backward of sqrt".
  std::string where() const;
};

/// A tape observer that checks every element of the inputs and results of ops until it finds one
/// that is not finite. The result depends only on the values.
class FiniteCheck : public TapeObserver {
 public:
  /// `parameters` must outlive this object and provide the names of tensors.
  explicit FiniteCheck(const ParameterStore& parameters);

  /// Must be called after Tape::clear(), which invalidates the observed variables.
  void restart();
  const std::optional<FirstNonFinite>& found() const { return found_; }

  void after_forward(const char* op, std::span<const Variable> inputs,
                     std::span<const Variable> outputs) override;
  void before_backward(const char* op, std::span<GradSlot* const> outputs) override;
  void after_backward(const char* op, std::span<GradSlot* const> outputs,
                      std::span<GradSlot* const> written) override;

 private:
  /// An op of the forward pass, for its backward pass and for the ops that read its output.
  struct SeenOp {
    std::string op, layer;
    bool after_layer = false;
    std::vector<ObservedTensor> inputs, outputs;
  };
  struct Origin {
    size_t op = 0;      // in seen_
    size_t output = 0;  // of the op
  };

  const SeenOp* maker_of(const GradSlot* slot) const;
  std::string name_of(const GradSlot* slot) const;
  void find_layer(SeenOp& op, std::span<const Variable> inputs) const;

  std::unordered_map<const GradSlot*, std::string> parameters_;
  std::vector<SeenOp> seen_;
  std::unordered_map<const GradSlot*, Origin> origins_;
  std::vector<ObservedTensor> incoming_;  // of the closure that runs
  std::optional<FirstNonFinite> found_;
};

}  // namespace folio
