#include "folio/kernels/kernels.h"

#include <atomic>

#include "folio/kernels/cpu/gemm.h"
#include "folio/kernels/cpu/table.h"
#include "folio/kernels/cuda/table.h"
#include "folio/kernels/instruction_set.h"
#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

const Kernels& gpu_table() {
#ifdef FOLIO_HAVE_CUDA
  cuda::Context::get();  // or the reason why there is none
  return cuda::table();
#else
  fail("device", cuda::unavailable());
#endif
}

std::atomic<bool> tf32_on = false;

}  // namespace

const Kernels& kernels_for(Device device) {
  instruction_set();  // chosen before any kernel runs
  switch (device) {
    case Device::cpu:
      return cpu::table();
    case Device::cuda:
      return gpu_table();
  }
  return cpu::table();
}

bool multiplies_bf16(Device device) {
  switch (device) {
    case Device::cpu:
      return cpu::multiplies_bf16();
    case Device::cuda:
      return cuda::Context::get().facts().capability >= 80;
  }
  return false;
}

void set_tf32(bool on) { tf32_on = on; }
bool tf32() { return tf32_on; }

}  // namespace folio
