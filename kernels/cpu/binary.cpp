#include <cstdint>

#include "folio/kernels/cpu/broadcast.h"
#include "folio/kernels/cpu/pieces.h"
#include "folio/kernels/device_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "folio/kernels/cpu/binary.cpp"
#include <hwy/foreach_target.h>

#include "folio/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {
namespace {

inline constexpr auto minus = [](auto, auto a, auto b) FOLIO_SIMD { return hn::Sub(a, b); };
inline constexpr auto over = [](auto, auto a, auto b) FOLIO_SIMD { return hn::Div(a, b); };
inline constexpr auto negative = [](auto, auto dy) FOLIO_SIMD { return hn::Neg(dy); };
/// -dy a / b^2, the gradient of a / b for b.
inline constexpr auto quotient = [](auto, auto dy, auto a, auto b) FOLIO_SIMD {
  return hn::Neg(hn::Mul(hn::Div(dy, b), hn::Div(a, b)));
};

// Actions on the result of a row: each is called with (f, row, operands of f).

template <class Y>
struct MapRows {
  Y* y;
  int64_t columns, stride;
  bool accumulate;
  template <class F, class... X>
  HWY_INLINE void operator()(const F& f, int64_t row, X... x) const {
    map_vectors(accumulate, y + row * stride, columns, f, x...);
  }
};

template <class A>
struct SumRows {
  A* y;
  int64_t columns;
  bool accumulate;
  template <class F, class... X>
  HWY_INLINE void operator()(const F& f, int64_t row, X... x) const {
    map_vectors(accumulate || row > 0, y, columns, f, x...);
  }
};

template <class T>
struct SumAll {
  int64_t columns;
  double* sum;
  template <class F, class... X>
  HWY_INLINE void operator()(const F& f, int64_t, X... x) const {
    *sum += sum_vectors<T>(columns, f, x...);
  }
};

template <class T>
struct Rows {
  const T* first;
  int64_t stride;
  const T* row(int64_t r) const { return first + r * stride; }
};
template <class A>
struct OneElement {
  A value;
  Same<A> row(int64_t) const { return {value}; }
};

template <class T>
Rows<T> rows_of(const Operand& operand, const Part& part) {
  const T* memory = static_cast<const T*>(operand.memory);
  if (operand.extent == Extent::row) return {memory + part.first_column, 0};
  return {memory + part.first, part.stride};
}
template <class T>
OneElement<Arithmetic<T>> element_of(const Operand& operand) {
  return {*static_cast<const T*>(operand.memory)};
}

template <class Action, class F, class... X>
void each_row(const Action& action, const F& f, int64_t rows, X... x) {
  for (int64_t r = 0; r < rows; ++r) action(f, r, x.row(r)...);
}

/// each_row() with one more operand of any extent.
template <class T, class Action, class F, class... X>
void each_row_with(const Action& action, const F& f, const Part& part, const Operand& last,
                   X... x) {
  if (last.extent == Extent::one) {
    each_row(action, f, part.rows, x..., element_of<T>(last));
  } else {
    each_row(action, f, part.rows, x..., rows_of<T>(last, part));
  }
}

/// each_row() with two more operands.
template <class T, class Action, class F, class... X>
void each_row_with(const Action& action, const F& f, const Part& part, const Operand& a,
                   const Operand& b, X... x) {
  if (a.extent == Extent::one) {
    each_row_with<T>(action, f, part, b, x..., element_of<T>(a));
  } else {
    each_row_with<T>(action, f, part, b, x..., rows_of<T>(a, part));
  }
}

template <class T>
void forward_rows(BinaryOp op, const Tensor& y, const Operand& a, const Operand& b,
                  const Part& part) {
  const MapRows<T> action{elements<T>(y) + part.first, part.columns, part.stride, false};
  switch (op) {
    case BinaryOp::add:
      return each_row_with<T>(action, plus, part, a, b);
    case BinaryOp::subtract:
      return each_row_with<T>(action, minus, part, a, b);
    case BinaryOp::multiply:
      return each_row_with<T>(action, times, part, a, b);
    case BinaryOp::divide:
      return each_row_with<T>(action, over, part, a, b);
  }
}

template <class T, class Action>
void slope_rows(Slope slope, const Action& action, const Operand& dy, const Operand& a,
                const Operand& b, const Part& part) {
  const Rows<T> dy_rows = rows_of<T>(dy, part);
  switch (slope) {
    case Slope::plus:
      return each_row(action, identity, part.rows, dy_rows);
    case Slope::minus:
      return each_row(action, negative, part.rows, dy_rows);
    case Slope::times:
      return each_row_with<T>(action, times, part, b, dy_rows);
    case Slope::over:
      return each_row_with<T>(action, over, part, b, dy_rows);
    case Slope::quotient:
      return each_row_with<T>(action, quotient, part, a, b, dy_rows);
  }
}

void forward_part(BinaryOp op, const Tensor& y, const Operand& a, const Operand& b,
                  const Part& part) {
  with_type(y.dtype(), [&]<class T>(Type<T>) HWY_ATTR { forward_rows<T>(op, y, a, b, part); });
}

/// Writes the gradient, for an operand as large as dy.
void map_part(Slope slope, DType dtype, GradTarget target, const Operand& dy, const Operand& a,
              const Operand& b, const Part& part) {
  with_types(target.tensor->dtype(), dtype, [&]<class Y, class T>(Type<Y>, Type<T>) HWY_ATTR {
    const MapRows<Y> action{elements<Y>(*target.tensor) + part.first, part.columns, part.stride,
                            target.accumulate};
    slope_rows<T>(slope, action, dy, a, b, part);
  });
}

/// Sums the gradient over the rows of the part, into the elements of out from `offset` on.
void sum_rows_part(Slope slope, DType dtype, const Tensor& out, int64_t offset, bool accumulate,
                   const Operand& dy, const Operand& a, const Operand& b, const Part& part) {
  with_type(dtype, [&]<class T>(Type<T>) HWY_ATTR {
    using A = Arithmetic<T>;
    const SumRows<A> action{elements<A>(out) + offset, part.columns, accumulate};
    slope_rows<T>(slope, action, dy, a, b, part);
  });
}

/// Sums the gradient over the whole part.
double sum_all_part(Slope slope, DType dtype, const Operand& dy, const Operand& a, const Operand& b,
                    const Part& part) {
  double sum = 0.0;
  with_type(dtype, [&]<class T>(Type<T>) HWY_ATTR {
    slope_rows<T>(slope, SumAll<T>{part.columns, &sum}, dy, a, b, part);
  });
  return sum;
}

}  // namespace
}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace folio::cpu {

HWY_EXPORT(forward_part);
HWY_EXPORT(map_part);
HWY_EXPORT(sum_rows_part);
HWY_EXPORT(sum_all_part);

namespace {

/// Divides the result into pieces of elements, or of rows if one of the operands is one row.
struct Cut {
  int64_t count, grain, columns;  // columns: 0 for pieces of elements

  Cut(const Tensor& result, bool by_rows)
      : count(by_rows ? result.shape().rows() : result.numel()),
        grain(by_rows ? grain_rows(result.shape().columns()) : grain_elements),
        columns(by_rows ? result.shape().columns() : 0) {}

  Part part(int64_t begin, int64_t end) const {
    if (columns == 0) return {begin, 1, end - begin, 0, 0};
    return {begin * columns, end - begin, columns, columns, 0};
  }
};

void gradient(Slope slope, GradTarget target, const Tensor& dy_tensor, const Operand& a,
              const Operand& b) {
  const Operand dy(dy_tensor, dy_tensor);
  const Cut cut(dy_tensor, a.extent == Extent::row || b.extent == Extent::row);
  switch (extent_of(*target.tensor, dy_tensor)) {
    case Extent::full:
      parallel_for(cut.count, cut.grain, [&](int64_t begin, int64_t end) {
        HWY_DYNAMIC_DISPATCH(map_part)
        (slope, dy_tensor.dtype(), target, dy, a, b, cut.part(begin, end));
      });
      return;
    case Extent::row: {
      const int64_t stride = dy_tensor.shape().columns();
      sum_columns(target, dy_tensor.shape().rows(), stride,
                  [&](const Tensor& out, int64_t offset, bool accumulate, int64_t row,
                      int64_t row_end, int64_t column, int64_t column_end) {
                    const Part part{row * stride + column, row_end - row, column_end - column,
                                    stride, column};
                    HWY_DYNAMIC_DISPATCH(sum_rows_part)
                    (slope, dy_tensor.dtype(), out, offset, accumulate, dy, a, b, part);
                  });
      return;
    }
    case Extent::one: {
      const double sum = sum_over_pieces(cut.count, cut.grain, [&](int64_t begin, int64_t end) {
        return HWY_DYNAMIC_DISPATCH(sum_all_part)(slope, dy_tensor.dtype(), dy, a, b,
                                                  cut.part(begin, end));
      });
      set_element(*target.tensor, 0, target.accumulate ? sum + target.tensor->item() : sum);
    }
  }
}

}  // namespace

void binary_forward(BinaryOp op, const Tensor& y, const Tensor& a_tensor, const Tensor& b_tensor) {
  check_floating("binary", y);
  const Operand a(a_tensor, y), b(b_tensor, y);
  const Cut cut(y, a.extent == Extent::row || b.extent == Extent::row);
  parallel_for(cut.count, cut.grain, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(forward_part)(op, y, a, b, cut.part(begin, end));
  });
}

void binary_backward(BinaryOp op, GradTarget da, GradTarget db, const Tensor& a_tensor,
                     const Tensor& b_tensor, const Tensor& dy) {
  check_floating("binary", dy);
  const Operand none;
  const bool sum = op == BinaryOp::add || op == BinaryOp::subtract;
  if (da) {
    const Slope slope = sum ? Slope::plus : op == BinaryOp::multiply ? Slope::times : Slope::over;
    gradient(slope, da, dy, none, sum ? none : Operand(b_tensor, dy));
  }
  if (db) {
    switch (op) {
      case BinaryOp::add:
        return gradient(Slope::plus, db, dy, none, none);
      case BinaryOp::subtract:
        return gradient(Slope::minus, db, dy, none, none);
      case BinaryOp::multiply:
        return gradient(Slope::times, db, dy, none, Operand(a_tensor, dy));
      case BinaryOp::divide:
        return gradient(Slope::quotient, db, dy, Operand(a_tensor, dy), Operand(b_tensor, dy));
    }
  }
}

}  // namespace folio::cpu
#endif
