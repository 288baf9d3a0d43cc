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

template <class T>
struct SquaredDistance {
  T mean;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V distance = hn::Sub(x, hn::Set(d, mean));
    return hn::Mul(distance, distance);
  }
};

template <class T>
struct Normalize {
  T mean, rstd;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V gain, V bias) const {
    const V normal = hn::Mul(hn::Sub(x, hn::Set(d, mean)), hn::Set(d, rstd));
    return hn::MulAdd(normal, gain, bias);
  }
};

struct Sum {
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::Add(a, b);
  }
};

template <class T, class A = Arithmetic<T>>
HWY_INLINE void normalize_row(T* y, A* mean, A* rstd, const T* x, const T* gain, const T* bias,
                              int64_t n, double eps) {
  *mean = static_cast<A>(sum_vectors<T>(n, Identity(), x) / static_cast<double>(n));
  const double squares = sum_vectors<T>(n, SquaredDistance<A>{*mean}, x);
  *rstd = static_cast<A>(1.0 / std::sqrt(squares / static_cast<double>(n) + eps));
  const Normalize<A> normalize{*mean, *rstd};
  if (bias) {
    map_vectors<false>(y, n, normalize, x, gain, bias);
  } else {
    map_vectors<false>(y, n, normalize, x, gain, Same<A>{0});
  }
}

template <class T>
void forward_rows(const Tensor& y, const Tensor& mean, const Tensor& rstd, const Tensor& x,
                  const Tensor& gain, const Tensor& bias, double eps, int64_t begin, int64_t end) {
  using A = Arithmetic<T>;
  const int64_t n = x.shape().columns();
  for (int64_t r = begin; r < end; ++r) {
    normalize_row(elements<T>(y) + r * n, elements<A>(mean) + r, elements<A>(rstd) + r,
                  elements<const T>(x) + r * n, elements<const T>(gain), elements<const T>(bias), n,
                  eps);
  }
}

/// sum = residual + dropout(x), computed row by row just before the layer norm of each row.
template <class T>
void add_dropout_rows(const Tensor& sum, const Tensor& y, const Tensor& mean, const Tensor& rstd,
                      const Tensor& residual, const Tensor& x, const Tensor& gain,
                      const Tensor& bias, double eps, const DropoutMask& mask, int64_t begin,
                      int64_t end) {
  using A = Arithmetic<T>;
  const int64_t n = x.shape().columns();
  for (int64_t r = begin; r < end; ++r) {
    T* row = elements<T>(sum) + r * n;
    const T* base = elements<const T>(residual) + r * n;
    const T* branch = elements<const T>(x) + r * n;
    if (mask.probability > 0.0) {
      dropout_vectors(row, branch, n, mask, mask.first_index + static_cast<uint64_t>(r * n), base);
    } else {
      map_vectors<false>(row, n, Sum(), branch, base);
    }
    normalize_row(elements<T>(y) + r * n, elements<A>(mean) + r, elements<A>(rstd) + r,
                  static_cast<const T*>(row), elements<const T>(gain), elements<const T>(bias), n,
                  eps);
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

  template <bool with_bias, class D, class V>
  HWY_INLINE void add(D d, int64_t i, V vx, V vdy, V vgain, V vdgain, V vdbias, V& sum, V& sum_h,
                      int64_t count) const {
    const V h = hn::Mul(hn::Sub(vx, hn::Set(d, mean)), hn::Set(d, rstd));
    const V e = hn::Mul(vdy, vgain);
    sum = hn::Add(sum, e);
    sum_h = hn::MulAdd(e, h, sum_h);
    store(hn::MulAdd(vdy, h, vdgain), d, dgain + i, count);
    if constexpr (with_bias) store(hn::Add(vdbias, vdy), d, dbias + i, count);
  }

  template <class D, class V>
  static HWY_INLINE void store(V v, D d, A* p, int64_t count) {
    if (count == lanes_of(d)) {
      hn::StoreU(v, d, p);
    } else {
      store_part(v, d, p, count);
    }
  }

  /// Adds the row to dgain and dbias, and computes the means of e and of e h.
  template <bool with_bias>
  HWY_INLINE void sums(A& mean_e, A& mean_eh) const {
    const hn::ScalableTag<A> d;
    const int64_t lanes = lanes_of(d);
    auto sum0 = hn::Zero(d), sum1 = sum0, sum_h0 = sum0, sum_h1 = sum0;
    const auto zero = hn::Zero(d);
    const auto whole = [&](int64_t i, auto& sum, auto& sum_h) HWY_ATTR {
      add<with_bias>(d, i, load_all(d, x + i), load_all(d, dy + i), load_all(d, gain + i),
                     hn::LoadU(d, dgain + i), with_bias ? hn::LoadU(d, dbias + i) : zero, sum,
                     sum_h, lanes);
    };
    int64_t i = 0;
    for (; i + 2 * lanes <= n; i += 2 * lanes) {
      whole(i, sum0, sum_h0);
      whole(i + lanes, sum1, sum_h1);
    }
    if (i + lanes <= n) {
      whole(i, sum0, sum_h0);
      i += lanes;
    }
    if (const int64_t rest = n - i; rest > 0) {
      // load_part() returns 0 for dy beyond the end of the row, so those lanes add nothing.
      add<with_bias>(d, i, load_part(d, x + i, rest), load_part(d, dy + i, rest),
                     load_part(d, gain + i, rest), load_part(d, dgain + i, rest),
                     with_bias ? load_part(d, dbias + i, rest) : zero, sum1, sum_h1, rest);
    }
    const A scale = A{1} / static_cast<A>(n);
    mean_e = scale * hn::GetLane(hn::SumOfLanes(d, hn::Add(sum0, sum1)));
    mean_eh = scale * hn::GetLane(hn::SumOfLanes(d, hn::Add(sum_h0, sum_h1)));
  }
};

template <class T>
struct Slope {
  T mean, rstd, mean_e, mean_eh;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V dy, V gain) const {
    const V scale = hn::Set(d, rstd);
    const V h = hn::Mul(hn::Sub(x, hn::Set(d, mean)), scale);
    const V centered = hn::MulSub(dy, gain, hn::Set(d, mean_e));
    return hn::Mul(scale, hn::NegMulAdd(h, hn::Set(d, mean_eh), centered));
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
    map_vectors(dx.accumulate, elements<Y>(*dx.tensor) + r * n, n,
                Slope<A>{row.mean, row.rstd, mean_e, mean_eh}, row.x, row.dy, row.gain);
  }
}

void forward_piece(const Tensor& y, const Tensor& mean, const Tensor& rstd, const Tensor& x,
                   const Tensor& gain, const Tensor& bias, double eps, int64_t begin, int64_t end) {
  with_type(x.dtype(), [&]<class T>(Type<T>) HWY_ATTR {
    forward_rows<T>(y, mean, rstd, x, gain, bias, eps, begin, end);
  });
}

void add_dropout_piece(const Tensor& sum, const Tensor& y, const Tensor& mean, const Tensor& rstd,
                       const Tensor& residual, const Tensor& x, const Tensor& gain,
                       const Tensor& bias, double eps, const DropoutMask& mask, int64_t begin,
                       int64_t end) {
  with_type(x.dtype(), [&]<class T>(Type<T>) HWY_ATTR {
    add_dropout_rows<T>(sum, y, mean, rstd, residual, x, gain, bias, eps, mask, begin, end);
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
HWY_EXPORT(add_dropout_piece);
HWY_EXPORT(backward_piece);

void layer_norm_forward(const Tensor& y, const Tensor& mean, const Tensor& rstd, const Tensor& x,
                        const Tensor& gain, const Tensor& bias, double eps) {
  check_floating("layer_norm", x);
  parallel_for(x.shape().rows(), grain_rows(x.shape().columns()), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(forward_piece)(y, mean, rstd, x, gain, bias, eps, begin, end);
  });
}

void add_dropout_layer_norm_forward(const Tensor& sum, const Tensor& y, const Tensor& mean,
                                    const Tensor& rstd, const Tensor& residual, const Tensor& x,
                                    const Tensor& gain, const Tensor& bias, double eps,
                                    const DropoutMask& mask) {
  check_floating("layer_norm", x);
  parallel_for(x.shape().rows(), grain_rows(x.shape().columns()), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(add_dropout_piece)
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
