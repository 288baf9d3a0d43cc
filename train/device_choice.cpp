#include "folio/train/device_choice.h"

#include <fmt/core.h>

#include <string>

#include "folio/kernels/kernels.h"
#include "folio/kernels/process.h"
#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

/// Dense tensor-core peaks with f32 accumulation from NVIDIA's data sheets, in TFLOP/s; f32 is
/// TF32. The first entry whose name is part of the GPU's name applies.
struct Peak {
  std::string_view name;
  double bf16, f32;
};
constexpr Peak peaks[] = {
    {"H100 PCIe", 756.0, 378.0}, {"H100 NVL", 835.0, 417.0}, {"H100", 989.4, 494.7},
    {"H200", 989.4, 494.7},      {"GH200", 989.4, 494.7},    {"A100", 312.0, 156.0},
    {"L40S", 362.0, 183.0},      {"L40", 181.0, 90.5},       {"L4", 121.0, 60.0},
    {"A10G", 70.0, 35.0},        {"RTX 4090", 165.2, 82.6},  {"RTX 3090", 71.0, 35.6},
};

}  // namespace

Device computing_device(std::string_view wanted) {
  if (wanted == "cpu") return Device::cpu;
  const std::string reason = cuda::unavailable();
  if (reason.empty()) return Device::cuda;
  FOLIO_CHECK(wanted == "auto", "train.device", "{}", reason);
  return Device::cpu;
}

void choose_tf32(std::string_view precision, Device device) {
  const bool on = precision == "tf32";
  FOLIO_CHECK(!on || device == Device::cuda, "train.precision",
              "a CPU has no TF32; use auto, f32 or bf16");
  FOLIO_CHECK(!on || multiplies_bf16(device), "train.precision",
              "this GPU has no TF32, which needs compute capability 8.0; use auto or f32");
  set_tf32(on);
}

std::string describe_device(Device device) {
  if (device == Device::cpu) {
    return fmt::format("{} threads, {}", threads(), instruction_set().describe());
  }
  const cuda::DeviceProperties& facts = cuda::Context::get().properties();
  return fmt::format("{}, compute capability {}.{}{}, CUDA {}.{}", facts.name,
                     facts.capability / 10, facts.capability % 10,
                     multiplies_bf16(device) ? "" : " (no bf16 or TF32)", facts.runtime / 1000,
                     facts.runtime % 1000 / 10);
}

double peak_flops(std::string_view gpu_name, DType dtype) {
  for (const Peak& peak : peaks) {
    if (gpu_name.find(peak.name) != std::string_view::npos) {
      return 1e12 * (dtype == DType::bf16 ? peak.bf16 : peak.f32);
    }
  }
  return 0.0;
}

std::string flop_utilization(double tokens_per_second, double flops_per_token, DType dtype) {
  const std::string& name = cuda::Context::get().properties().name;
  const double peak = peak_flops(name, dtype);
  if (peak == 0.0) return fmt::format("unknown: the peak of {} is not listed", name);
  return fmt::format("{:.1f}% of {:.0f} TFLOP/s",
                     100.0 * tokens_per_second * flops_per_token / peak, peak * 1e-12);
}

}  // namespace folio
