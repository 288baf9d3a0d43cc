// gemm(): the one function that the CPU's matrix products go through.
#pragma once

#include <cstdint>
#include <functional>

#include "folio/kernels/matrix_product.h"

namespace folio::cpu {

/// Called when a tile of C is complete, on the thread that computed it and while it is in that
/// thread's cache: `rows` rows from `row` on, `columns` columns from `column` on.
using TileDone = std::function<void(int64_t row, int64_t rows, int64_t column, int64_t columns)>;

/// Computes the product from the arrays a and b into c. An overwritten C is not read. Outside of a
/// parallel region it uses all threads, inside of one only the calling thread. `done` is called
/// for every tile of a single product (count = 1).
void gemm(const MatrixProduct& product, const void* a, const void* b, void* c,
          const TileDone& done = {});

/// Whether this CPU multiplies bf16 natively, through oneDNN, as far as FOLIO_ISA allows.
bool multiplies_bf16();

// The implementations behind gemm(), for one product.

/// f32 through oneDNN if it was built in; f64, and f32 otherwise, through Eigen; A B^T with few
/// rows of A through gemm_few_rows(). For T = float and double.
template <class T>
void gemm_tiled(const MatrixProduct& product, const T* a, const T* b, T* c, const TileDone& done);

/// bf16 through oneDNN if multiplies_bf16(), otherwise as the f32 product of the widened operands.
void gemm_bf16(const MatrixProduct& product, const bf16* a, const bf16* b, void* c,
               const TileDone& done);

}  // namespace folio::cpu
