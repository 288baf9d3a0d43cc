// Elements of tensors whose type was checked, and sums made in pieces.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "folio/kernels/cpu/parallel.h"
#include "folio/tensor/error.h"
#include "folio/tensor/tensor.h"

namespace folio::cpu {

/// Throws Error unless the tensor is f32 or f64.
inline void check_floating(std::string_view kernel, const Tensor& tensor) {
  FOLIO_CHECK(tensor.dtype() == DType::f32 || tensor.dtype() == DType::f64, kernel,
              "the CPU computes in f32 and f64, not in {}", name_of(tensor.dtype()));
}

/// The elements without data<T>()'s check, for pieces that may not throw; null if empty.
template <class T>
T* elements(const Tensor& tensor) {
  return static_cast<T*>(tensor.raw());
}

/// body(begin, end) -> double, summed over fixed pieces of [0, count) in their order.
template <class Body>
double sum_over_pieces(int64_t count, int64_t grain, const Body& body) {
  if (count <= grain) return count > 0 ? body(int64_t{0}, count) : 0.0;
  const int64_t pieces = (count + grain - 1) / grain;
  const Tensor partial({pieces}, DType::f64);
  double* sums = elements<double>(partial);
  parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    sums[begin / grain] = body(begin, end);
  });
  double sum = 0.0;
  for (int64_t piece = 0; piece < pieces; ++piece) sum += sums[piece];
  return sum;
}

/// Rows that are to be summed, cut into pieces: each piece is summed in the tensor's type, the
/// pieces' sums in double.
struct RowPieces {
  int64_t rows, size, count;

  /// Few enough rows a piece for an accurate sum, enough that the partial sums are few.
  RowPieces(int64_t row_count, int64_t columns)
      : rows(row_count),
        size(std::clamp<int64_t>(grain_rows(columns), 32, 256)),
        count(std::max<int64_t>(1, (row_count + size - 1) / size)) {}

  int64_t begin(int64_t piece) const { return piece * size; }
  int64_t end(int64_t piece) const { return std::min(rows, (piece + 1) * size); }
};

/// y (columns) = or += the sum over pieces of partial: pieces rows, `stride` elements apart.
void add_pieces(GradTarget y, const Tensor& partial, int64_t first, int64_t pieces,
                int64_t stride);

}  // namespace folio::cpu
