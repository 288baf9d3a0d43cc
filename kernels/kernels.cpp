#include "folio/kernels/kernels.h"

#include "folio/kernels/cpu/gemm.h"
#include "folio/kernels/device_kernels.h"
#include "folio/kernels/process.h"
#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

constexpr Kernels cpu_kernels{
#define FOLIO_KERNEL(name, ...) .name = cpu::name,
#include "folio/kernels/kernel_list.h"
};

#ifdef FOLIO_HAVE_CUDA
constexpr Kernels cuda_kernels{
#define FOLIO_KERNEL(name, ...) .name = cuda::name,
#include "folio/kernels/kernel_list.h"
};
#endif

}  // namespace

const Kernels& kernels_for(Device device) {
  instruction_set();  // must be chosen before any kernel runs
  if (device == Device::cpu) return cpu_kernels;
#ifdef FOLIO_HAVE_CUDA
  cuda::Context::get();  // throws if there is no usable GPU
  return cuda_kernels;
#else
  fail("device", cuda::unavailable());
#endif
}

bool multiplies_bf16(Device device) {
  if (device == Device::cpu) return cpu::multiplies_bf16();
  return cuda::Context::get().properties().capability >= 80;
}

}  // namespace folio
