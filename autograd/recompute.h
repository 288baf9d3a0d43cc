// Activation checkpointing: the backward pass computes activations again instead of keeping them
// (Chen et al. 2016, "Training deep nets with sublinear memory cost", arXiv:1604.06174).
#pragma once

#include <array>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include "folio/autograd/tape.h"

namespace folio {

/// Puts a tape into the mode of the first computation while it exists.
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

/// Returns function(tape, inputs), an array of one or two variables. Only the inputs and what the
/// function captures stay alive for the backward pass, which calls the function again, recording
/// and with the same dropout masks. Every gradient is accumulated in the same order as without
/// recomputation, so the bits are the same. Inputs and outputs may be empty. The function must
/// compute the same at each call, and what it refers to must live until the backward pass.
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
