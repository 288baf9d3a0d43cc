// The device on which a run computes.
#pragma once

#include <string>
#include <string_view>

#include "folio/tensor/device.h"
#include "folio/tensor/dtype.h"

namespace folio {

/// The device for train.device (auto, cpu or cuda); auto is the GPU if there is one. Throws Error
/// with the reason if cuda is wanted but cannot be used.
Device computing_device(std::string_view wanted);

/// Enables TF32 in the device's f32 matrix products if train.precision is tf32, otherwise disables
/// it. Throws Error for tf32 if the device does not support it.
void choose_tf32(std::string_view precision, Device device);

/// One line: the CPU's number of threads and instruction set, or the GPU's name, compute capability
/// and CUDA version.
std::string describe_device(Device device);

/// A GPU's peak of dense matrix products in `dtype` (bf16 or f32) by its data sheet, in FLOP/s; 0
/// if the GPU is not listed.
double peak_flops(std::string_view gpu_name, DType dtype);

/// Model FLOP utilization: "41.3% of 989 TFLOP/s", or "unknown" with the reason.
std::string flop_utilization(double tokens_per_second, double flops_per_token, DType dtype);

}  // namespace folio
