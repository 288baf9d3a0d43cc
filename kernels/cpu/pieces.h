// Access to elements of tensors whose type was checked, and sums over fixed pieces.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "folio/kernels/cpu/parallel.h"
#include "folio/kernels/cpu/types.h"
#include "folio/kernels/grad_target.h"
#include "folio/tensor/error.h"
#include "folio/tensor/tensor.h"

namespace folio::cpu {

/// Throws Error unless the tensor is of a floating type.
inline void check_floating(std::string_view kernel, const Tensor& tensor) {
  FOLIO_CHECK(tensor.dtype() != DType::i32, kernel,
              "the CPU computes in bf16, f32 and f64, not in {}", name_of(tensor.dtype()));
}

/// The tensor's elements without the check of data<T>(), for code that must not throw; null if the
/// tensor is empty.
template <class T>
T* elements(const Tensor& tensor) {
  return static_cast<T*>(tensor.raw());
}

/// tensor[index] = value, rounded to the tensor's type.
inline void set_element(const Tensor& tensor, int64_t index, double value) {
  with_type(tensor.dtype(), [&]<class T>(Type<T>) {
    elements<T>(tensor)[index] = static_cast<T>(static_cast<Arithmetic<T>>(value));
  });
}

/// The sum of body(begin, end) -> double over fixed pieces of [0, count), added in order.
template <class Body>
double sum_over_pieces(int64_t count, int64_t grain, const Body& body) {
  if (count <= grain) return count > 0 ? body(int64_t{0}, count) : 0.0;
  const int64_t pieces = (count + grain - 1) / grain;
  const Tensor partial({pieces}, DType::f64);
  double* sums = elements<double>(partial);
  parallel_for(count, grain,
               [&](int64_t begin, int64_t end) { sums[begin / grain] = body(begin, end); });
  double sum = 0.0;
  for (int64_t piece = 0; piece < pieces; ++piece) sum += sums[piece];
  return sum;
}

/// Divides rows that are to be summed into pieces. Each piece is summed in the accumulator's type,
/// and the sums of the pieces in double.
struct RowPieces {
  int64_t rows, size, count;

  /// Pieces of few rows give an accurate sum; pieces of many rows give few partial sums.
  RowPieces(int64_t row_count, int64_t columns)
      : rows(row_count),
        size(std::clamp<int64_t>(grain_rows(columns), 32, 256)),
        count(std::max<int64_t>(1, (row_count + size - 1) / size)) {}

  int64_t begin(int64_t piece) const { return piece * size; }
  int64_t end(int64_t piece) const { return std::min(rows, (piece + 1) * size); }
};

/// y (columns) = or += the sum of `pieces` rows of partial (an accumulator). The first row starts
/// at element `first`, and they are `stride` elements apart.
void add_pieces(GradTarget y, const Tensor& partial, int64_t first, int64_t pieces, int64_t stride);

/// The number of columns that sum_columns() sums at a time: few enough to stay in the first-level
/// cache.
inline constexpr int64_t column_block = 512;

/// y (columns) = or += a sum over rows. body(out, offset, accumulate, row_begin, row_end,
/// column_begin, column_end) sums those rows and columns, in the order of the rows, into the
/// elements of out (an accumulator) from `offset` on. row_begin is less than row_end.
template <class Body>
void sum_columns(GradTarget y, int64_t rows, int64_t columns, const Body& body) {
  if (rows * columns == 0) {
    if (!y.accumulate) std::memset(y.tensor->raw(), 0, static_cast<size_t>(y.tensor->bytes()));
    return;
  }
  const RowPieces pieces(rows, columns);
  const int64_t blocks = (columns + column_block - 1) / column_block;
  const DType accumulator = accumulator_of(y.tensor->dtype());
  const bool direct = pieces.count == 1 && y.tensor->dtype() == accumulator;
  const Tensor partial = direct ? *y.tensor : Tensor({pieces.count, columns}, accumulator);
  const int64_t grain = std::max<int64_t>(
      1, grain_elements / (std::min(rows, pieces.size) * std::min(columns, column_block)));
  parallel_for(pieces.count * blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t piece = task / blocks, column = task % blocks * column_block;
      body(partial, piece * columns + column, direct && y.accumulate, pieces.begin(piece),
           pieces.end(piece), column, std::min(columns, column + column_block));
    }
  });
  if (!direct) add_pieces(y, partial, 0, pieces.count, columns);
}

}  // namespace folio::cpu
