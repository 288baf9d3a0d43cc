// What the two passes of attention share: the rows of one head, and the keys that its queries see.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "folio/kernels/cpu/rows.h"
#include "folio/kernels/cpu/types.h"
#include "folio/kernels/kernels.h"

namespace folio::cpu {

/// The number of queries in a strip. Their scores for all keys fit in the first-level cache, and
/// with a causal mask few scores of hidden keys are computed. A multiple of the rows that
/// gemm_in_cache() keeps in registers.
inline constexpr int64_t strip_rows = 12;

/// Rows of scratch memory are padded to a multiple of this number of columns, so that every vector
/// is whole.
inline constexpr int64_t column_unit = 16;

inline int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/// The rows of one head in one sequence: row i is data[i * stride] to data[i * stride + head_dim -
/// 1].
template <class T>
struct HeadRows {
  T* data = nullptr;
  int64_t stride = 0;
  T* operator[](int64_t row) const { return data + row * stride; }
};

/// Heads in bf16 are widened into scratch memory: the number of elements that this takes.
template <class T>
int64_t widened_elements(int64_t rows, int64_t head_dim) {
  return std::is_same_v<T, Arithmetic<T>> ? 0 : rows * head_dim;
}

/// Where the results for `rows` are computed: in place if arithmetic is done in T, otherwise in the
/// scratch memory.
template <class T>
HeadRows<Arithmetic<T>> place_for(HeadRows<T> rows, [[maybe_unused]] Arithmetic<T>* scratch,
                                  [[maybe_unused]] int64_t head_dim) {
  if constexpr (std::is_same_v<T, Arithmetic<T>>) {
    return rows;
  } else {
    return {scratch, head_dim};
  }
}

/// One head of one sequence.
struct HeadTask {
  const AttentionShape& shape;
  int64_t batch, head;

  /// The head's columns, starting at `first`, of a (B, T, W) tensor.
  template <class T>
  HeadRows<T> rows_of(const Tensor& tensor, int64_t first) const {
    const int64_t width = tensor.shape().columns();
    T* data = tensor.data<std::remove_const_t<T>>();
    return {data + batch * tensor.dim(1) * width + first + head * shape.head_dim, width};
  }

  /// The same rows in the type of arithmetic: bf16 is widened into the scratch memory.
  template <class T>
  HeadRows<const Arithmetic<T>> widened_rows_of(const Tensor& tensor, int64_t first, int64_t rows,
                                                [[maybe_unused]] Arithmetic<T>* scratch) const {
    const HeadRows<const T> narrow = rows_of<const T>(tensor, first);
    if constexpr (std::is_same_v<T, Arithmetic<T>>) {
      return narrow;
    } else {
      widen_rows(scratch, narrow.data, rows, shape.head_dim, narrow.stride);
      return {scratch, shape.head_dim};
    }
  }

  /// The head's row of a (B, heads, Tq) tensor.
  template <class T>
  T* log_sum_of(const Tensor& tensor) const {
    return tensor.data<T>() + (batch * shape.heads + head) * shape.queries;
  }

  /// The query sees keys [0, visible(query)), except those that a key mask hides.
  int64_t visible(int64_t query) const {
    if (!shape.causal) return shape.keys;
    return std::clamp<int64_t>(query + 1 + shape.keys - shape.queries, 0, shape.keys);
  }

  /// The global index of the probability of (query, key 0), for dropout.
  uint64_t probability_index(int64_t query) const {
    const int64_t row = (batch * shape.heads + head) * shape.queries + query;
    return static_cast<uint64_t>(row * shape.keys) + shape.dropout.first_index;
  }

  /// The sequence's row of a (B, Tk) mask, or null if there is no mask.
  const int32_t* key_mask_of(const Tensor& key_mask) const {
    return key_mask ? key_mask.data<int32_t>() + batch * shape.keys : nullptr;
  }
};

/// Sets the scores of hidden keys to -infinity.
template <class T>
void hide_keys(T* scores, int64_t rows, int64_t columns, int64_t stride, const int32_t* key_mask) {
  if (key_mask == nullptr) return;
  for (int64_t r = 0; r < rows; ++r) {
    T* row = scores + r * stride;
    for (int64_t j = 0; j < columns; ++j) {
      row[j] = key_mask[j] != 0 ? row[j] : -std::numeric_limits<T>::infinity();
    }
  }
}

/// The number of keys that each query of a strip sees.
struct StripVisibility {
  int64_t visible[strip_rows];
  int64_t keys = 0;  // the maximum of visible

  StripVisibility(const HeadTask& task, int64_t first_query, int64_t rows) {
    for (int64_t r = 0; r < rows; ++r) visible[r] = task.visible(first_query + r);
    keys = visible[rows - 1];
  }
};

}  // namespace folio::cpu
