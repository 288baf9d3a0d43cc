// Makes with the real cuDNN, and without a GPU, the plans of attention that the configs need: cuDNN
// chooses an engine for a GPU that is described to it and compiles its kernels. Fails where one
// cannot be made. Runs with the driver's double as libcuda.so.1.
#include <fmt/core.h>

#include <cstdint>
#include <string>

#include "folio/kernels/cuda/attention_graph.h"
#include "folio/kernels/cuda/libraries.h"
#include "folio/tensor/error.h"

namespace folio::cuda {

void check(cudnnStatus_t status, const char* call) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char reason[1024] = "";
  cudnnGetLastErrorString(reason, sizeof(reason));
  fail(call, fmt::format("{} {}", cudnnGetErrorString(status), reason));
}

namespace {

/// A GPU as CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION has it: the CUDA device attributes of an H100
/// and an A100, with the facts that differ.
std::string gpu(const char* name, int version, int multiprocessors, int shared, int shared_optin,
                int l2) {
  return fmt::format(
      R"({{"deviceName": "{}", "deviceVer": {}, "driverVer": 13000, "multiProcessorCount": {},
"maxSharedMemoryPerSM": {}, "maxSharedMemoryPerBlockOptin": {}, "l2CacheSize": {},
"maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64],
"regsPerBlock": 65536, "smClockRateKHz": 1410000, "memClockRateKHz": 1593000, "warpSize": 32,
"maxSharedMemoryPerBlock": 49152, "reservedSharedMemoryPerBlock": 1024,
"maxRegistersPerSM": 65536, "maxCtasPerSM": 32, "maxThreadsPerBlock": 1024,
"maxThreadsPerSM": 2048, "totalGlobalMem": 85029158912, "isTccDriver": 0,
"supportCoopLaunch": 1, "cudaDeviceId": 0, "pciDeviceId": 0}})",
      name, version, multiprocessors, shared, shared_optin, l2);
}

struct Problem {
  const char* config;
  int64_t batch, heads, length, head_dim;
  bool dropout;
};

/// Whether both of a problem's plans can be made.
bool has_plans(const char* gpu_name, const std::string& json, const Problem& p) {
  const int64_t width = 3 * p.heads * p.head_dim, step = width * p.length;
  const AttentionPlanKey key{p.batch, p.heads, p.length, p.head_dim, true, p.dropout,
                             width,   width,   width,    step,       step, step,
                             width,   width,   width,    step,       step, step};
  bool all = true;
  for (const bool backward : {false, true}) {
    std::string why;
    const auto plan =
        (backward ? attention_backward_plan : attention_forward_plan)(key, {nullptr, json}, &why);
    fmt::print(
        "{}, {}, {}: {}\n", gpu_name, p.config, backward ? "backward" : "forward",
        plan ? fmt::format("a plan, workspace {} bytes", plan->workspace()) : "no plan: " + why);
    all = all && plan;
  }
  return all;
}

bool run() {
  const Problem problems[] = {{"shakespeare and nanogpt_cpu", 12, 4, 64, 32, false},
                              {"shakespeare_curve", 5, 4, 128, 32, false},
                              {"baby_gpt", 64, 6, 256, 64, true},
                              {"gpt2_124m", 4, 12, 256, 64, false},
                              {"gpt2_124m with context 1024, batch 32", 32, 12, 1024, 64, false}};
  const std::string h100 = gpu("NVIDIA H100 80GB HBM3", 900, 132, 233472, 232448, 52428800);
  const std::string a100 = gpu("NVIDIA A100-SXM4-80GB", 800, 108, 167936, 166912, 41943040);
  bool all = true;
  for (const Problem& problem : problems) all &= has_plans("H100", h100, problem);
  return has_plans("A100", a100, problems[2]) && all;
}

}  // namespace
}  // namespace folio::cuda

int main() {
  try {
    return folio::cuda::run() ? 0 : 1;
  } catch (const folio::Error& error) {
    fmt::print("{}\n", error.what());
    return 1;
  }
}
