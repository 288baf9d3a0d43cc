// Chooses the device of a run.
#pragma once

#include <string>
#include <string_view>

#include "folio/tensor/device.h"
#include "folio/tensor/dtype.h"

namespace folio {

/// The device that train.device (auto, cpu or cuda) selects on this machine. "auto" is the GPU if
/// there is one. Throws Error with the reason for "cuda" without a usable GPU.
Device computing_device(std::string_view wanted);

/// Sets whether products of f32 matrices round their inputs to TF32, as train.precision says.
/// Throws Error for tf32 on a CPU.
void choose_tf32(std::string_view precision, Device device);

/// A line about the device: threads and instruction set of the CPU; name, compute capability and
/// CUDA version of the GPU.
std::string description_of(Device device);

/// The dense peak of matrix products in `dtype` (bf16 or f32) in FLOP/s, from the data sheet of the
/// GPU of this name; 0 if the GPU is not in the table.
double peak_flops(std::string_view gpu_name, DType dtype);

/// Model FLOPs utilisation, such as "41.3% of the GPU's 989 TFLOP/s", or "unknown" with the reason.
std::string utilisation(double tokens_per_second, double flops_per_token, DType dtype);

}  // namespace folio
