#include <algorithm>
#include <cmath>
#include <cstdint>

#include "folio/kernels/cpu/pieces.h"
#include "folio/kernels/device_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "folio/kernels/cpu/layer_norm.cpp"
#include <hwy/foreach_target.h>

#include "folio/kernels/cpu/random-inl.h"
#include "folio/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {
namespace {

template <class T, class A = Arithmetic<T>>
HWY_INLINE void normalize_row(T* y, A& mean_out, A& rstd_out, const T* x, const T* gain,
                              const T* bias, int64_t n, double eps) {
  const A mean = static_cast<A>(sum_vectors<T>(n, identity, x) / static_cast<double>(n));
  const auto square = [=](auto d, auto v) FOLIO_SIMD {
    const auto distance = hn::Sub(v, hn::Set(d, mean));
    return hn::Mul(distance, distance);
  };
  const double squares = sum_vectors<T>(n, square, x);
  const A rstd = static_cast<A>(1.0 / std::sqrt(squares / static_cast<double>(n) + eps));
  const auto normalize = [=](auto d, auto v, auto vgain, auto vbias) FOLIO_SIMD {
    const auto normal = hn::Mul(hn::Sub(v, hn::Set(d, mean)), hn::Set(d, rstd));
    return hn::MulAdd(normal, vgain, vbias);
  };
  if (bias) {
    map_vectors<false>(y, n, normalize, x, gain, bias);
  } else {
    map_vectors<false>(y, n, normalize, x, gain, Same<A>{0});
  }
  mean_out = mean;
  rstd_out = rstd;
}

/// The layer norm of rows [begin, end) of x, or of sum = residual + dropout(x) if there is a
/// residual: each row of it is computed just before its layer norm.
template <class T>
void forward_rows(const Tensor& sum, const Tensor& y, const Tensor& mean, const Tensor& rstd,
                  const Tensor& residual, const Tensor& x, const Tensor& gain, const Tensor& bias,
                  double eps, const DropoutMask& mask, int64_t begin, int64_t end) {
  using A = Arithmetic<T>;
  const int64_t n = x.shape().columns();
  for (int64_t r = begin; r < end; ++r) {
    const T* row = elements<T>(x) + r * n;
    if (residual) {
      const T* base = elements<T>(residual) + r * n;
      T* out = elements<T>(sum) + r * n;
      if (mask.probability > 0.0) {
        dropout_vectors(out, row, n, mask, mask.first_index + static_cast<uint64_t>(r * n), base);
      } else {
        map_vectors<false>(out, n, plus, row, base);
      }
      row = out;
    }
    normalize_row(elements<T>(y) + r * n, elements<A>(mean)[r], elements<A>(rstd)[r], row,
                  elements<const T>(gain), elements<const T>(bias), n, eps);
  }
}

/// The backward pass of one row. With h = (x - mean) rstd and e = dy gain: dx = rstd (e - mean of e
/// - h mean of (e h)); dgain += dy h; dbias += dy.
template <class T>
struct BackwardRow {
  using A = Arithmetic<T>;
  const T *x, *dy, *gain;
  A mean, rstd;
  A *dgain, *dbias;  // sums so far
  int64_t n;

  /// Adds the row to dgain and dbias, and computes the means of e and of e h.
  template <bool with_bias>
  HWY_INLINE void sums(A& mean_e, A& mean_eh) const {
    const hn::ScalableTag<A> d;
    const int64_t lanes = lanes_of(d);
    auto sum0 = hn::Zero(d), sum1 = sum0, sum_h0 = sum0, sum_h1 = sum0;
    const auto add = [&](const auto& at, auto& sum, auto& sum_h) FOLIO_SIMD {
      const auto h = hn::Mul(hn::Sub(at.load(x), hn::Set(d, mean)), hn::Set(d, rstd));
      const auto slope = at.load(dy), e = hn::Mul(slope, at.load(gain));
      sum = hn::Add(sum, e);
      sum_h = hn::MulAdd(e, h, sum_h);
      at.store(hn::MulAdd(slope, h, at.load(dgain)), dgain);
      if constexpr (with_bias) at.store(hn::Add(at.load(dbias), slope), dbias);
    };
    using Whole = WholeVector<decltype(d)>;
    int64_t i = 0;
    for (; i + 2 * lanes <= n; i += 2 * lanes) {
      add(Whole{d, i}, sum0, sum_h0);
      add(Whole{d, i + lanes}, sum1, sum_h1);
    }
    if (i + lanes <= n) {
      add(Whole{d, i}, sum0, sum_h0);
      i += lanes;
    }
    // Beyond the end of the row dy is loaded as 0, so those lanes add nothing.
    if (i < n) add(PartialVector<decltype(d)>{d, i, n - i}, sum1, sum_h1);
    const A scale = A{1} / static_cast<A>(n);
    mean_e = scale * hn::GetLane(hn::SumOfLanes(d, hn::Add(sum0, sum1)));
    mean_eh = scale * hn::GetLane(hn::SumOfLanes(d, hn::Add(sum_h0, sum_h1)));
  }
};

template <class Y, class T, class A = Arithmetic<T>>
HWY_INLINE void backward_rows(GradTarget dx, A* dgain, A* dbias, const Tensor& x,
                              const Tensor& mean, const Tensor& rstd, const Tensor& gain,
                              const Tensor& dy, int64_t begin, int64_t end) {
  const int64_t n = x.shape().columns();
  std::fill(dgain, dgain + n, A{0});
  if (dbias) std::fill(dbias, dbias + n, A{0});
  for (int64_t r = begin; r < end; ++r) {
    const BackwardRow<T> row{elements<const T>(x) + r * n,
                             elements<const T>(dy) + r * n,
                             elements<const T>(gain),
                             elements<const A>(mean)[r],
                             elements<const A>(rstd)[r],
                             dgain,
                             dbias,
                             n};
    A mean_e, mean_eh;
    if (dbias) {
      row.template sums<true>(mean_e, mean_eh);
    } else {
      row.template sums<false>(mean_e, mean_eh);
    }
    if (!dx) continue;
    const auto slope = [&](auto d, auto x_, auto dy_, auto gain_) FOLIO_SIMD {
      const auto scale = hn::Set(d, row.rstd);
      const auto h = hn::Mul(hn::Sub(x_, hn::Set(d, row.mean)), scale);
      const auto centered = hn::MulSub(dy_, gain_, hn::Set(d, mean_e));
      return hn::Mul(scale, hn::NegMulAdd(h, hn::Set(d, mean_eh), centered));
    };
    map_vectors(dx.accumulate, elements<Y>(*dx.tensor) + r * n, n, slope, row.x, row.dy, row.gain);
  }
}

void forward_piece(const Tensor& sum, const Tensor& y, const Tensor& mean, const Tensor& rstd,
                   const Tensor& residual, const Tensor& x, const Tensor& gain, const Tensor& bias,
                   double eps, const DropoutMask& mask, int64_t begin, int64_t end) {
  with_type(x.dtype(), [&]<class T>(Type<T>) HWY_ATTR {
    forward_rows<T>(sum, y, mean, rstd, residual, x, gain, bias, eps, mask, begin, end);
  });
}

/// Stores the piece's sums for dgain in the elements of partial from `offset` on, followed by those
/// for dbias if with_bias is set.
void backward_piece(GradTarget dx, const Tensor& partial, int64_t offset, bool with_bias,
                    const Tensor& x, const Tensor& mean, const Tensor& rstd, const Tensor& gain,
                    const Tensor& dy, int64_t begin, int64_t end) {
  const int64_t n = x.shape().columns();
  const DType target = dx ? dx.tensor->dtype() : x.dtype();
  with_types(target, x.dtype(), [&]<class Y, class T>(Type<Y>, Type<T>) HWY_ATTR {
    Arithmetic<T>* sums = elements<Arithmetic<T>>(partial) + offset;
    backward_rows<Y, T>(dx, sums, with_bias ? sums + n : nullptr, x, mean, rstd, gain, dy, begin,
                        end);
  });
}

}  // namespace
}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace folio::cpu {

HWY_EXPORT(forward_piece);
HWY_EXPORT(backward_piece);

void layer_norm_forward(const Tensor& y, const Tensor& mean, const Tensor& rstd, const Tensor& x,
                        const Tensor& gain, const Tensor& bias, double eps) {
  add_dropout_layer_norm_forward({}, y, mean, rstd, {}, x, gain, bias, eps, {});
}

void add_dropout_layer_norm_forward(const Tensor& sum, const Tensor& y, const Tensor& mean,
                                    const Tensor& rstd, const Tensor& residual, const Tensor& x,
                                    const Tensor& gain, const Tensor& bias, double eps,
                                    const DropoutMask& mask) {
  check_floating("layer_norm", x);
  parallel_for(x.shape().rows(), grain_rows(x.shape().columns()), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(forward_piece)
    (sum, y, mean, rstd, residual, x, gain, bias, eps, mask, begin, end);
  });
}

void layer_norm_backward(GradTarget dx, GradTarget dgain, GradTarget dbias, const Tensor& x,
                         const Tensor& mean, const Tensor& rstd, const Tensor& gain,
                         const Tensor& dy) {
  check_floating("layer_norm", x);
  const int64_t columns = x.shape().columns();
  const RowPieces pieces(x.shape().rows(), columns);
  const bool with_bias = static_cast<bool>(dbias);
  const int64_t stride = with_bias ? 2 * columns : columns;
  const Tensor partial({pieces.count, stride}, accumulator_of(x.dtype()));
  const int64_t grain = std::max<int64_t>(1, grain_rows(columns) / pieces.size);
  parallel_for(pieces.count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      HWY_DYNAMIC_DISPATCH(backward_piece)
      (dx, partial, piece * stride, with_bias, x, mean, rstd, gain, dy, pieces.begin(piece),
       pieces.end(piece));
    }
  });
  if (dgain) add_pieces(dgain, partial, 0, pieces.count, stride);
  if (dbias) add_pieces(dbias, partial, columns, pieces.count, stride);
}

}  // namespace folio::cpu
#endif
