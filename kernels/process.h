// Settings of the process that its kernels obey. Other state of the process is made on first use
// and then constant: the GPU's context and the memory pools (tensor/), and the libraries' handles
// and plans (in the files that use them).
#pragma once

#include <string>

namespace folio {

/// Sets the number of threads that the CPU's kernels use; 0 keeps OpenMP's default. Has no effect
/// in a build without OpenMP. Results do not depend on it.
void set_threads(int count);
/// The number of threads that kernels use now; 1 in a build without OpenMP.
int threads();

/// Whether a GPU's products of f32 matrices may round their operands to TF32, which has 10 bits of
/// fraction. That is much faster from compute capability 8.0 on. False until set.
void set_tf32(bool on);
bool tf32();

/// The instructions that the CPU's kernels use.
struct InstructionSet {
  std::string vectors;   // of the elementwise and row-wise kernels (Highway): "AVX2"
  std::string products;  // of the matrix products: "oneDNN 2.6.3 (AVX2)", "Eigen (SSE2)"
  std::string limit;     // the value of FOLIO_ISA; empty if it is not set

  /// "AVX2 kernels, matrix products by oneDNN 2.6.3 (AVX2)", and the limit if there is one.
  std::string describe() const;
};

/// The instruction set in use: the best that the CPU has, or what FOLIO_ISA allows. It is chosen at
/// the first call (kernels_for() makes one) and never changes. The environment variable FOLIO_ISA =
/// sse2, avx2 or avx512 selects that one for vectors and matrix products alike; avx512 includes the
/// CPU's extensions of it (bf16, AMX). Throws Error for any other value, for an instruction set
/// that the CPU does not have, and if oneDNN refuses it.
const InstructionSet& instruction_set();

}  // namespace folio
