// Which instructions the CPU's kernels use: the best that the CPU has, or what FOLIO_ISA allows.
#pragma once

#include <string>

namespace folio {

struct InstructionSet {
  std::string vectors;   // of the elementwise and row-wise kernels (Highway): "AVX2"
  std::string products;  // of the matrix products: "oneDNN 2.6.3 (AVX2)", "Eigen (SSE2)"
  std::string limit;     // what FOLIO_ISA says; empty where it says nothing

  /// "AVX2 kernels, matrix products by oneDNN 2.6.3 (AVX2)", and the limit if there is one.
  std::string describe() const;
};

/// The instruction set in use, chosen at the first call (kernels_for() makes one) and the same ever
/// after. The environment variable FOLIO_ISA = sse2, avx2 or avx512 forces that one for vectors and
/// matrix products alike; avx512 allows whatever the CPU adds to it (bf16, AMX). Throws Error for
/// another value, for one that the CPU lacks, or if oneDNN refuses it.
const InstructionSet& instruction_set();

}  // namespace folio
