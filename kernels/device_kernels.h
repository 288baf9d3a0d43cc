// The kernels of each device as functions, declared from the one list. kernels/cpu/ and
// kernels/cuda/ define them, and kernels.cpp fills the tables with them.
#pragma once

#include "folio/kernels/kernels.h"

namespace folio::cpu {
#define FOLIO_KERNEL(name, ...) void name(__VA_ARGS__);
#include "folio/kernels/kernel_list.h"
}  // namespace folio::cpu

namespace folio::cuda {
#define FOLIO_KERNEL(name, ...) void name(__VA_ARGS__);
#include "folio/kernels/kernel_list.h"
}  // namespace folio::cuda
