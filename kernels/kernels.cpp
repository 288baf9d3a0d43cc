#include "folio/kernels/kernels.h"

#include "folio/kernels/cpu/table.h"

namespace folio {

const Kernels& kernels_for(Device device) {
  switch (device) {
    case Device::cpu: return cpu::table();
  }
  return cpu::table();
}

}  // namespace folio
