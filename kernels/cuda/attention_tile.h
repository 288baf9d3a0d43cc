// What the two passes of plain attention share: the problem, and tiles of 32 queries by 32 keys
// that are computed by the 256 threads of a block, eight threads per row.
#pragma once

#include <cstdint>

#include "folio/kernels/cuda/reduce.h"
#include "folio/kernels/kernels.h"

namespace folio::cuda {

inline constexpr int tile_side = 32, tile_depth = 64;  // rows; columns of a head at a time
inline constexpr int row_threads = 8, attention_threads = tile_side * row_threads;
inline constexpr int own_columns = tile_depth / row_threads;  // columns per thread
inline constexpr int own_rows = tile_side / row_threads;      // rows of the other side per thread

/// The heads of a tensor in memory.
template <class T>
struct Heads {
  T* data = nullptr;
  int64_t sequence = 0;  // elements from one sequence to the next
  int64_t width = 0;     // and from one row to the next

  __device__ Heads of(int64_t batch, int64_t head, int64_t head_dim) const {
    return {data + batch * sequence + head * head_dim, 0, width};
  }
};

/// A sequence may have fewer rows than the tensor.
template <class T>
Heads<T> heads_of(const Tensor& tensor, int64_t first) {
  const int64_t width = tensor.shape().columns();
  return {elements<T>(tensor) + first, tensor.dim(1) * width, width};
}

/// AttentionShape and what is derived from it.
struct AttentionTask {
  int64_t heads, queries, keys, head_dim, depth_pieces;
  bool causal;
  float scale;
  const int32_t* key_mask;  // (B, keys) or null
  Dropper dropper;

  AttentionTask(const AttentionShape& s, const Tensor& mask)
      : heads(s.heads),
        queries(s.queries),
        keys(s.keys),
        head_dim(s.head_dim),
        depth_pieces(pieces_of(s.head_dim, tile_depth)),
        causal(s.causal),
        scale(static_cast<float>(s.scale)),
        key_mask(elements<const int32_t>(mask)),
        dropper(s.dropout) {}

  /// The query may see keys [0, visible(query)).
  __device__ int64_t visible(int64_t query) const {
    if (!causal) return keys;
    const int64_t seen = query + 1 + keys - queries;
    return seen < 0 ? 0 : seen < keys ? seen : keys;
  }
  /// Whether the query sees the key. Either may be out of range.
  __device__ bool sees(int64_t batch, int64_t query, int64_t key) const {
    return query < queries && key < visible(query) &&
           (key_mask == nullptr || key_mask[batch * keys + key] != 0);
  }
  /// The global index of the probability of (query, key).
  __device__ uint64_t index(int64_t batch_head, int64_t query, int64_t key) const {
    return static_cast<uint64_t>((batch_head * queries + query) * keys + key);
  }
};

/// 32 rows of 64 columns of a head. Four floats of padding put the reads of eight rows in different
/// banks.
struct alignas(16) Tile {  // four floats are read at a time
  float at[tile_side][tile_depth + 4];
};
/// The weights of the rows of one side for those of the other.
struct Weights {
  float at[tile_side][tile_side + 1];
};

/// The number of columns of a head in the tile that starts at first_column, rounded up to a
/// multiple of four; the added columns are 0.
__device__ inline int tile_columns_of(int64_t first_column, int64_t head_dim) {
  const int64_t left = head_dim - first_column;
  return left >= tile_depth ? tile_depth : static_cast<int>(left + 3) / 4 * 4;
}

/// Loads rows [first_row, ...) below `rows` and columns [first_column, ...) below head_dim; the
/// rest is 0. Row r is stored in row r of the tile or, if `paired`, where pair_rows() expects it.
template <bool paired, class T>
__device__ void load_tile(Tile& tile, const Heads<const T>& head, int64_t first_row, int64_t rows,
                          int64_t first_column, int64_t head_dim) {
  const int columns = tile_columns_of(first_column, head_dim);
  for (int i = threadIdx.x; i < tile_side * tile_depth; i += attention_threads) {
    const int r = i / tile_depth, c = i % tile_depth;
    if (c >= columns) continue;
    const bool inside = first_row + r < rows && first_column + c < head_dim;
    const int place = paired ? r % own_rows * row_threads + r / own_rows : r;
    tile.at[place][c] =
        inside ? widen(head.data[(first_row + r) * head.width + first_column + c]) : 0.0f;
  }
}

/// products[i] += the dot product, over `columns` columns, of this thread's row of `own` and row
/// own_rows * (the thread's place in the row) + i of `paired`.
__device__ inline void pair_rows(float (&products)[own_rows], const Tile& own, const Tile& paired,
                                 int columns) {
  const int row = threadIdx.x / row_threads, place = threadIdx.x % row_threads;
  for (int c = 0; c < columns; c += 4) {
    const Pack<float, 4> a = load_pack<4>(&own.at[row][c]);
    for (int i = 0; i < own_rows; ++i) {
      const Pack<float, 4> b = load_pack<4>(&paired.at[i * row_threads + place][c]);
      for (int j = 0; j < 4; ++j) products[i] += a.at[j] * b.at[j];
    }
  }
}

/// sums += this thread's row of weights times the first `rows` rows of `tile`, for the thread's
/// columns if they are below `columns`.
__device__ inline void add_weighted(float (&sums)[own_columns], const Weights& weights,
                                    const Tile& tile, int64_t rows, int columns) {
  const int row = threadIdx.x / row_threads, place = threadIdx.x % row_threads;
  if (place * own_columns >= columns) return;
  for (int j = 0; j < tile_side && j < rows; ++j) {
    const float weight = weights.at[row][j];
    const Pack<float, own_columns> x = load_pack<own_columns>(&tile.at[j][place * own_columns]);
    for (int c = 0; c < own_columns; ++c) sums[c] += weight * x.at[c];
  }
}

/// Reduces the values of the eight threads of a row.
template <class Op>
__device__ float row_reduce(float value) {
  for (int distance = row_threads / 2; distance > 0; distance /= 2) {
    value = Op()(value, __shfl_xor_sync(whole_warp, value, distance));
  }
  return value;
}

/// Writes those columns of a thread's row that exist.
template <class Y>
__device__ void write_columns(const Heads<Y>& head, int64_t row, int64_t rows, int64_t first_column,
                              int64_t head_dim, bool accumulate, const float (&values)[own_columns],
                              float factor) {
  if (row >= rows) return;
  const int64_t first = first_column + threadIdx.x % row_threads * own_columns;
  for (int c = 0; c < own_columns && first + c < head_dim; ++c) {
    write_sum(head.data + row * head.width + first + c, accumulate, values[c] * factor);
  }
}

/// The grid has one block per (sequence, head) in x and one per (tile, piece of the depth) in y.
inline Grid attention_grid(const AttentionShape& shape, int64_t rows) {
  return {shape.batch * shape.heads, attention_threads,
          pieces_of(rows, tile_side) * pieces_of(shape.head_dim, tile_depth)};
}

}  // namespace folio::cuda
