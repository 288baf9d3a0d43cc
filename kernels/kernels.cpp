#include "folio/kernels/kernels.h"

#include "folio/kernels/cpu/gemm.h"
#include "folio/kernels/cpu/table.h"
#include "folio/kernels/instruction_set.h"

namespace folio {

const Kernels& kernels_for(Device device) {
  instruction_set();  // chosen before any kernel runs
  switch (device) {
    case Device::cpu: return cpu::table();
  }
  return cpu::table();
}

bool multiplies_bf16(Device device) {
  switch (device) {
    case Device::cpu: return cpu::multiplies_bf16();
  }
  return false;
}

}  // namespace folio
