// A table of kernels that takes CPU tensors and computes on the GPU: every test of the kernels is
// the GPU's too.
#pragma once

#include "folio/kernels/kernels.h"

namespace folio {

/// Each entry moves its tensors to the GPU, calls the GPU's kernel and moves every one of them
/// back, outputs or not: what a kernel must not touch, tests can see. f64 is left to the CPU. With
/// FOLIO_TEST_OFFSET=1 in the environment the GPU's tensors begin one element past their block's
/// beginning, so that nothing can be moved 16 bytes at a time.
const Kernels& bridged_kernels();

/// What the tests of kernels test: the CPU's table or, with FOLIO_TEST_DEVICE=cuda in the
/// environment, the bridged one.
const Kernels& tested_kernels();
/// Whether that is the bridged one.
bool tests_gpu();

}  // namespace folio
