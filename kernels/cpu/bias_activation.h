// What follows the matrix product of a linear layer, done to each part of it while it is in cache.
#pragma once

#include <cstdint>

#include "folio/kernels/kernels.h"

namespace folio::cpu {

/// z (rows, columns) += bias, where there is one (else null); y = activation(z), where there is one
/// (else null, and y is z), on the calling thread. Rows of both are `stride` apart. y may be z:
/// then z is lost.
void bias_activation(float* y, float* z, const float* bias, int64_t rows, int64_t columns,
                     int64_t stride, const UnaryOp* activation);
void bias_activation(double* y, double* z, const double* bias, int64_t rows, int64_t columns,
                     int64_t stride, const UnaryOp* activation);
void bias_activation(bf16* y, bf16* z, const bf16* bias, int64_t rows, int64_t columns,
                     int64_t stride, const UnaryOp* activation);

/// Whether bias_activation knows the function: relu and the gelus.
bool is_activation(UnaryOp op);

}  // namespace folio::cpu
