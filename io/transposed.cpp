#include "folio/io/transposed.h"

#include <algorithm>
#include <cstdint>

#include "folio/tensor/error.h"

namespace folio {
namespace {

// Works in columns of tiles, so that a cache line of the source is used completely.
template <class T>
void transpose(const Tensor& to, const Tensor& from) {
  constexpr int64_t tile = 16;
  const int64_t rows = from.dim(0), columns = from.dim(1);
  const auto* source = static_cast<const T*>(from.raw());
  auto* target = static_cast<T*>(to.raw());
  for (int64_t first = 0; first < columns; first += tile) {
    const int64_t end = std::min(first + tile, columns);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t column = first; column < end; ++column) {
        target[column * rows + row] = source[row * columns + column];
      }
    }
  }
}

}  // namespace

Tensor transposed(const Tensor& matrix) {
  FOLIO_CHECK(matrix.shape().rank() == 2, "transposed", "{} is not a matrix", matrix.describe());
  Tensor result({matrix.dim(1), matrix.dim(0)}, matrix.dtype());
  switch (size_of(matrix.dtype())) {
    case 2:
      transpose<uint16_t>(result, matrix);
      break;
    case 4:
      transpose<uint32_t>(result, matrix);
      break;
    default:
      transpose<uint64_t>(result, matrix);
  }
  return result;
}

}  // namespace folio
