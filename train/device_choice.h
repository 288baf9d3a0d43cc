// On which device a run computes.
#pragma once

#include <string>
#include <string_view>

#include "folio/tensor/device.h"
#include "folio/tensor/dtype.h"

namespace folio {

/// What train.device (auto, cpu or cuda) means here: auto is the GPU where there is one. Throws
/// Error with the reason for cuda where there is none.
Device computing_device(std::string_view wanted);

/// Makes the device's products of f32 matrices round to TF32 or not, as train.precision says.
/// Throws Error for tf32 on a CPU.
void choose_tf32(std::string_view precision, Device device);

/// What computes there, for a line of text: threads and instructions of the CPU; name, compute
/// capability and CUDA's version of the GPU.
std::string description_of(Device device);

/// The dense peak of matrix products in `dtype` (bf16 or f32) of a GPU of this name, in FLOP/s, as
/// its data sheet has it; 0 where it is not known here.
double peak_flops(std::string_view gpu_name, DType dtype);

/// "41.3% of the GPU's 989 TFLOP/s", or "unknown" and why, of a model that needs flops_per_token
/// and reads so many tokens a second.
std::string utilisation(double tokens_per_second, double flops_per_token, DType dtype);

}  // namespace folio
