// Activations that the backward pass computes again instead of finding them kept (Chen et al. 2016,
// "Training deep nets with sublinear memory cost", arXiv:1604.06174).
#pragma once

#include <array>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include "folio/autograd/tape.h"

namespace folio {

/// Puts a tape into the mode that a piece was first computed in; back again at its end.
class ReplayMode {
 public:
  ReplayMode(Tape& tape, bool training, const StepContext& context)
      : tape_(tape),
        recording_(tape.recording()),
        training_(tape.training()),
        context_(tape.context()) {
    tape.set_recording(true);
    tape.set_training(training);
    tape.set_context(context);
  }
  ~ReplayMode() {
    tape_.set_recording(recording_);
    tape_.set_training(training_);
    tape_.set_context(context_);
  }
  ReplayMode(const ReplayMode&) = delete;
  ReplayMode& operator=(const ReplayMode&) = delete;

 private:
  Tape& tape_;
  bool recording_, training_;
  StepContext context_;
};

/// function(tape, inputs), an array of one or two variables, of which nothing but the inputs (and
/// what the function captures) stays alive for the backward pass. There it runs again, recording,
/// with the same dropout masks. What it records then is run back next, so every gradient, that of a
/// parameter too, collects in the order in which it would have without: the bits are the same.
/// Inputs and outputs may be empty. The function must compute the same each time; what it refers to
/// must live until the backward pass.
template <size_t count, class Function>
auto recompute(Tape& tape, const std::array<Variable, count>& inputs, Function function) {
  using Outputs = std::invoke_result_t<Function&, Tape&, const std::array<Variable, count>&>;
  constexpr size_t output_count = std::tuple_size_v<Outputs>;
  static_assert(output_count == 1 || output_count == 2);
  if (!tape.recording()) return function(tape, inputs);
  Outputs outputs;
  {
    const NoRecording no_recording(tape);
    outputs = function(tape, inputs);
  }
  std::array<GradSlot*, output_count> slots{};
  for (size_t i = 0; i < output_count; ++i) {
    if (!outputs[i].value) continue;
    outputs[i] = tape.output_of(std::move(outputs[i].value), inputs);
    slots[i] = outputs[i].slot;
  }
  tape.record("recompute", outputs.front(), output_count > 1 ? outputs.back() : Variable{},
              [inputs, slots, function = std::move(function), training = tape.training(),
               context = tape.context()](Tape& tape) mutable {
                const ReplayMode mode(tape, training, context);
                const Outputs again = function(tape, inputs);
                for (size_t i = 0; i < output_count; ++i) {
                  if (tape.grad(slots[i])) tape.pass_grad(again[i].slot, tape.grad(slots[i]));
                }
              });
  return outputs;
}

}  // namespace folio
