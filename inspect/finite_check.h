// Finds the first op of a computation that makes a value which is not finite.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "folio/autograd/observer.h"
#include "folio/autograd/parameters.h"

namespace folio {

/// What a tensor's elements are like.
struct ValueRange {
  double min = std::numeric_limits<double>::infinity();   // of the finite elements:
  double max = -std::numeric_limits<double>::infinity();  // min > max if there are none
  int64_t nan = 0, infinite = 0;                          // how many are so
  int64_t first_bad = -1;                                 // row-major; -1: all are finite
  double first_bad_value = 0.0;

  bool finite() const { return first_bad < 0; }
};

/// Reads every element of a CPU tensor of any type.
ValueRange range_of(const Tensor& values);

/// A tensor that an op read or made. `name` is a parameter's own name, or says where the tensor
/// comes from: "output of linear in blocks.0.feed_forward.up", "gradient of norm.weight".
struct ObservedTensor {
  std::string name;
  Shape shape;
  DType dtype = DType::f32;
  ValueRange range;
};

/// The op that made the first value that is not finite.
struct FirstNonFinite {
  std::string op;
  bool backward = false;  // in a gradient that it wrote, not in its output
  /// The names of its parameters without their last part: "blocks.1.feed_forward.up". An op
  /// without parameters has the layer that its input comes from, and `after_layer` is set; the
  /// layer is empty if there is none.
  std::string layer;
  bool after_layer = false;
  /// Forward: its inputs and outputs. Backward: gradients of its outputs, then its inputs and
  /// outputs as they were in the forward pass; and the gradients that it wrote.
  std::vector<ObservedTensor> read, made;
  /// Which of `made` is the first that is not finite, and the indices along its first axis at which
  /// it is not, ascending. Empty for the gradient of a parameter, and for a scalar.
  size_t culprit = 0;
  std::vector<int64_t> bad_rows;

  /// "linear in blocks.1.feed_forward.up", "sqrt after embedding", "backward of sqrt".
  std::string where() const;
};

/// An observer of a tape that looks at every element of everything that ops read and make, until it
/// has found one that is not finite. What it finds depends on the values alone.
class FiniteCheck : public TapeObserver {
 public:
  /// `parameters`, which must outlive this, give names to what ops read.
  explicit FiniteCheck(const ParameterStore& parameters);

  /// To be called after Tape::clear(), which makes the variables that were seen invalid.
  void restart();
  const std::optional<FirstNonFinite>& found() const { return found_; }

  void after_forward(const char* op, std::span<const Variable> inputs,
                     std::span<const Variable> outputs) override;
  void before_backward(const char* op, std::span<GradSlot* const> outputs) override;
  void after_backward(const char* op, std::span<GradSlot* const> outputs,
                      std::span<GradSlot* const> written) override;

 private:
  /// An op of the forward pass, as its backward and its output's readers need it.
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
