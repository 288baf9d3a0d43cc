#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernel_checks.h"

namespace folio {
namespace {

enum class Masking { none, some, whole_rows };

/// Inputs (B, T, W), with q, k and v packed in one tensor or separate, and the expected results,
/// all in f64.
struct Problem {
  AttentionShape shape;
  bool packed;
  std::vector<double> q, k, v, dy;  // packed: q holds all three
  std::vector<int32_t> mask;        // (B, Tk) or empty
  int64_t width, margin;            // of a row; columns before the first head's
  // Expected; the gradients have the layout of the inputs, with 0 in unused columns.
  std::vector<double> y, log_sum, dq, dk, dv;

  Problem(const AttentionShape& s, bool is_packed, Masking masking)
      : shape(s), packed(is_packed), margin(is_packed ? 0 : 3) {
    const int64_t columns = shape.heads * shape.head_dim;
    width = packed ? 3 * columns : columns + margin;
    q = numbers(shape.batch * shape.queries * width, 1);
    if (!packed) k = numbers(shape.batch * shape.keys * width, 2);
    if (!packed) v = numbers(shape.batch * shape.keys * width, 3);
    dy = numbers(shape.batch * shape.queries * columns, 4);
    if (masking != Masking::none) {
      for (int64_t i = 0; i < shape.batch * shape.keys; ++i) mask.push_back(i % 3 != 1);
      if (masking == Masking::whole_rows) std::fill_n(mask.begin(), shape.keys, 0);
    }
    compute();
  }

  int64_t columns() const { return shape.heads * shape.head_dim; }
  int64_t first(int part) const { return packed ? part * columns() : margin; }
  const std::vector<double>& input(int part) const {
    return packed || part == 0 ? q : part == 1 ? k : v;
  }
  std::vector<double>& gradient(int part) { return packed || part == 0 ? dq : part == 1 ? dk : dv; }
  int64_t at(int part, int64_t b, int64_t h, int64_t row, int64_t i) const {
    const int64_t rows = part == 0 ? shape.queries : shape.keys;
    return (b * rows + row) * width + first(part) + h * shape.head_dim + i;
  }

  bool sees(int64_t b, int64_t query, int64_t key) const {
    if (shape.causal && key > query + shape.keys - shape.queries) return false;
    return mask.empty() || mask[b * shape.keys + key] != 0;
  }

  /// 0 or 1 / (1 - p).
  double kept(int64_t b, int64_t h, int64_t query, int64_t key) const {
    const DropoutMask& dropout = shape.dropout;
    const int64_t index = ((b * shape.heads + h) * shape.queries + query) * shape.keys + key;
    const uint64_t number = dropout.first_index + static_cast<uint64_t>(index);
    return dropout.stream.bits(number) < dropout.threshold() ? 0.0 : dropout.scale();
  }

  void compute() {
    y.assign(dy.size(), 0.0);
    log_sum.assign(shape.batch * shape.heads * shape.queries, 0.0);
    dq.assign(q.size(), 0.0);
    dk.assign(k.size(), 0.0);
    dv.assign(v.size(), 0.0);
    for (int64_t b = 0; b < shape.batch; ++b) {
      for (int64_t h = 0; h < shape.heads; ++h) {
        for (int64_t i = 0; i < shape.queries; ++i) compute_query(b, h, i);
      }
    }
  }

  void compute_query(int64_t b, int64_t h, int64_t i) {
    const int64_t out = (b * shape.queries + i) * columns() + h * shape.head_dim;
    std::vector<double> p(shape.keys, 0.0), dp(shape.keys, 0.0);
    double sum = 0.0, delta = 0.0;
    for (int64_t j = 0; j < shape.keys; ++j) {
      if (!sees(b, i, j)) continue;
      double score = 0.0;
      for (int64_t c = 0; c < shape.head_dim; ++c) {
        score += input(0)[at(0, b, h, i, c)] * input(1)[at(1, b, h, j, c)];
      }
      p[j] = std::exp(shape.scale * score);
      sum += p[j];
    }
    if (sum == 0.0) return;
    log_sum[(b * shape.heads + h) * shape.queries + i] = std::log(sum);
    for (int64_t j = 0; j < shape.keys; ++j) {
      p[j] /= sum;
      const double weight = p[j] * kept(b, h, i, j);
      for (int64_t c = 0; c < shape.head_dim; ++c) {
        const double value = input(2)[at(2, b, h, j, c)];
        y[out + c] += weight * value;
        dp[j] += dy[out + c] * value * kept(b, h, i, j);
        gradient(2)[at(2, b, h, j, c)] += weight * dy[out + c];
      }
      delta += p[j] * dp[j];
    }
    for (int64_t j = 0; j < shape.keys; ++j) {
      const double ds = p[j] * (dp[j] - delta) * shape.scale;
      for (int64_t c = 0; c < shape.head_dim; ++c) {
        gradient(0)[at(0, b, h, i, c)] += ds * input(1)[at(1, b, h, j, c)];
        gradient(1)[at(1, b, h, j, c)] += ds * input(0)[at(0, b, h, i, c)];
      }
    }
  }

  std::string describe() const {
    return fmt::format("B {} H {} Tq {} Tk {} d {} causal {} packed {} masked {} dropout {}",
                       shape.batch, shape.heads, shape.queries, shape.keys, shape.head_dim,
                       shape.causal, packed, mask.empty() ? 0 : 1 + (mask[0] == 0),
                       shape.dropout.probability);
  }
};

/// The problem's tensors in one type.
struct Tensors {
  Tensor q, k, v, mask, dy, y, log_sum;

  Tensors(const Problem& problem, DType dtype) {
    const AttentionShape& s = problem.shape;
    q = tensor_of({s.batch, s.queries, problem.width}, problem.q, dtype);
    k = problem.packed ? q : tensor_of({s.batch, s.keys, problem.width}, problem.k, dtype);
    v = problem.packed ? q : tensor_of({s.batch, s.keys, problem.width}, problem.v, dtype);
    if (!problem.mask.empty()) mask = Tensor::from<int32_t>({s.batch, s.keys}, problem.mask);
    dy = tensor_of({s.batch, s.queries, problem.columns()}, problem.dy, dtype);
    y = Tensor(dy.shape(), dtype);
    log_sum = Tensor({s.batch, s.heads, s.queries}, dtype);
  }

  void forward(const Problem& p) const {
    tested_kernels().attention_forward(y, log_sum, {&q, p.first(0)}, {&k, p.first(1)},
                                       {&v, p.first(2)}, mask, p.shape);
  }
  void backward(const Problem& p, GradTarget dq, GradTarget dk, GradTarget dv) const {
    tested_kernels().attention_backward({dq, p.first(0)}, {dk, p.first(1)}, {dv, p.first(2)},
                                        {&q, p.first(0)}, {&k, p.first(1)}, {&v, p.first(2)}, mask,
                                        y, log_sum, dy, p.shape);
  }
};

/// A gradient tensor with other numbers in it before the kernel runs.
struct Target {
  std::vector<double> before;
  Tensor tensor;

  explicit Target(const Tensor& like)
      : before(numbers(like.numel(), 9)), tensor(tensor_of(like.shape(), before, like.dtype())) {}

  /// Written columns are the gradient, or added to; the others are as before.
  void expect(const Problem& p, const std::vector<double>& gradient, bool accumulate,
              double tolerance) const {
    std::vector<double> expected = before;
    for (size_t i = 0; i < expected.size(); ++i) {
      const bool written = static_cast<int64_t>(i) % p.width >= p.margin;
      if (written) expected[i] = gradient[i] + (accumulate ? before[i] : 0.0);
    }
    expect_each_near(tensor, expected, tolerance);
  }
};

/// The GPU's test doubles are slow, so with them only one case in eleven of those with several
/// tiles (of 32 by 32) and three in five of the others are computed. Neither number divides the six
/// pairs of dropout and mask, so every pair is still tested with every length and head width.
bool is_skipped(const AttentionShape& shape) {
  static int several = 0, single = 0;
  if (!tests_gpu()) return false;
  return shape.queries > 32 || shape.keys > 32 ? several++ % 11 != 0 : single++ % 5 > 2;
}

void expect_attention(const AttentionShape& shape, bool packed, Masking masking) {
  if (is_skipped(shape)) return;
  const Problem p(shape, packed, masking);
  SCOPED_TRACE(p.describe());
  for (const DType dtype : floating_types) {
    SCOPED_TRACE(std::string(name_of(dtype)));
    const double tolerance = tolerance_for(dtype, 1e-5);
    const Tensors t(p, dtype);
    t.forward(p);
    expect_each_near(t.y, p.y, tolerance);
    expect_each_near(t.log_sum, p.log_sum, tolerance);
    for (const bool accumulate : {false, true}) {
      SCOPED_TRACE(accumulate ? "accumulated" : "overwritten");
      const Target dq(t.q);
      if (p.packed) {
        const GradTarget target{&dq.tensor, accumulate};
        t.backward(p, target, target, target);
        dq.expect(p, p.dq, accumulate, tolerance);
        continue;
      }
      const Target dk(t.k), dv(t.v);
      t.backward(p, {&dq.tensor, accumulate}, {&dk.tensor, accumulate}, {&dv.tensor, accumulate});
      dq.expect(p, p.dq, accumulate, tolerance);
      dk.expect(p, p.dk, accumulate, tolerance);
      dv.expect(p, p.dv, accumulate, tolerance);
    }
  }
}

AttentionShape shape_of(int64_t batch, int64_t heads, int64_t queries, int64_t keys,
                        int64_t head_dim, bool causal, double dropout) {
  return {batch,
          heads,
          queries,
          keys,
          head_dim,
          causal,
          1.0 / std::sqrt(static_cast<double>(head_dim)),
          {dropout, {42, purpose_of("attention"), 7}, 1001}};
}

TEST(Attention, AgreesWithTheFormulaPacked) {
  for (const bool causal : {false, true}) {
    for (const int64_t length : {1, 3, 5, 17, 33, 65, 130}) {
      for (const int64_t head_dim : {1, 5, 32}) {
        for (const double dropout : {0.0, 0.3}) {
          for (const Masking masking : {Masking::none, Masking::some, Masking::whole_rows}) {
            expect_attention(shape_of(2, 3, length, length, head_dim, causal, dropout), true,
                             masking);
          }
        }
      }
    }
  }
}

TEST(Attention, AgreesWithTheFormulaForSeparateKeys) {
  struct Lengths {
    int64_t queries, keys;
  };
  for (const bool causal : {false, true}) {
    for (const auto [queries, keys] :
         {Lengths{1, 17}, {5, 3}, {17, 1}, {65, 130}, {130, 33}, {13, 12}, {3, 65}}) {
      for (const int64_t head_dim : {3, 17, 64, 65}) {
        for (const double dropout : {0.0, 0.3}) {
          for (const Masking masking : {Masking::none, Masking::some, Masking::whole_rows}) {
            expect_attention(shape_of(2, 2, queries, keys, head_dim, causal, dropout), false,
                             masking);
          }
        }
      }
    }
  }
}

TEST(Attention, SkipsUnneededGradients) {
  Problem p(shape_of(2, 2, 17, 33, 5, true, 0.2), false, Masking::some);
  const Tensors t(p, DType::f64);
  t.forward(p);
  for (int wanted = 0; wanted < 8; ++wanted) {
    const Target dq(t.q), dk(t.k), dv(t.v);
    const auto target = [&](int bit, const Target& of) {
      return (wanted >> bit) % 2 == 1 ? GradTarget{&of.tensor, false} : GradTarget{};
    };
    t.backward(p, target(0, dq), target(1, dk), target(2, dv));
    if (wanted & 1) dq.expect(p, p.dq, false, 1e-13);
    if (wanted & 2) dk.expect(p, p.dk, false, 1e-13);
    if (wanted & 4) dv.expect(p, p.dv, false, 1e-13);
  }
}

TEST(Attention, AddsThreeGradientsOfOneTensor) {
  Problem p(shape_of(2, 2, 65, 65, 5, true, 0.2), false, Masking::none);
  const Tensors t(p, DType::f64);
  t.forward(p);
  std::vector<double> sum(p.dq);
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += p.dk[i] + p.dv[i];
  const Target all(t.q);
  t.backward(p, {&all.tensor, false}, {&all.tensor, true}, {&all.tensor, true});
  all.expect(p, sum, false, 1e-13);
}

TEST(Attention, WithoutQueriesClearsTheGradientsOfKeys) {
  Problem p(shape_of(2, 2, 0, 5, 3, true, 0.0), false, Masking::none);
  const Tensors t(p, DType::f32);
  t.forward(p);
  const Target dq(t.q), dk(t.k), dv(t.v);
  t.backward(p, {&dq.tensor, false}, {&dk.tensor, false}, {&dv.tensor, false});
  dk.expect(p, p.dk, false, 0.0);
  dv.expect(p, p.dv, false, 0.0);
}

/// The sum of y dy with one input element moved.
double objective(const Problem& p, DType dtype, std::vector<double> q, size_t element,
                 double step) {
  Problem moved = p;
  q[element] += step;
  moved.q = q;
  const Tensors t(moved, dtype);
  t.forward(moved);
  const std::vector<double> y = values_of(t.y);
  double sum = 0.0;
  for (size_t i = 0; i < y.size(); ++i) sum += y[i] * p.dy[i];
  return sum;
}

TEST(Attention, BackwardIsTheDerivativeOfForward) {
  for (const bool causal : {false, true}) {
    for (const double dropout : {0.0, 0.3}) {
      const Problem p(shape_of(2, 2, 17, 17, 3, causal, dropout), true, Masking::some);
      const Tensors t(p, DType::f64);
      t.forward(p);
      const Target target(t.q);
      const GradTarget grad{&target.tensor, false};
      t.backward(p, grad, grad, grad);
      const std::vector<double> gradient = values_of(target.tensor);
      constexpr double step = 1e-5;
      for (size_t i = 0; i < p.q.size(); i += 7) {
        const double difference =
            (objective(p, DType::f64, p.q, i, step) - objective(p, DType::f64, p.q, i, -step)) /
            (2.0 * step);
        ASSERT_NEAR(gradient[i], difference, 1e-8) << "element " << i;
      }
    }
  }
}

TEST(Attention, DoesNotReadKeysBeyondTheLength) {
  const Problem p(shape_of(2, 2, 3, 20, 5, true, 0.0), false, Masking::none);
  Tensors t(p, DType::f32);
  t.forward(p);
  const std::vector<double> wanted = values_of(t.y);
  // The same keys and values in tensors with room for more, which hold NaN.
  for (Tensor* tensor : {&t.k, &t.v}) {
    const std::vector<double> rows = values_of(*tensor);
    const auto count = static_cast<int64_t>(rows.size()) / 2;
    std::vector<double> roomy(2 * (count + 4 * p.width), std::nan(""));
    std::copy_n(rows.begin(), count, roomy.begin());
    std::copy_n(rows.begin() + count, count, roomy.begin() + count + 4 * p.width);
    *tensor = tensor_of({2, 24, p.width}, roomy, DType::f32);
  }
  t.forward(p);
  EXPECT_EQ(values_of(t.y), wanted);
}

TEST(Attention, HugeScoresStayFinite) {
  // Near 1e10 a score and the row's maximum are rounded by hundreds, each in its own way.
  Problem p(shape_of(1, 1, 20, 20, 3, true, 0.0), true, Masking::none);
  for (double& x : p.q) x *= 1e5;
  const Tensors t(p, DType::f32);
  t.forward(p);
  const Target target(t.q);
  const GradTarget grad{&target.tensor, false};
  t.backward(p, grad, grad, grad);
  const Tensors exact(p, DType::f64);
  exact.forward(p);
  expect_each_near(t.y, values_of(exact.y), 1e-5);  // here each query chooses one key
  for (const Tensor& tensor : {t.log_sum, target.tensor}) {
    for (const double x : values_of(tensor)) ASSERT_TRUE(std::isfinite(x));
  }
}

TEST(Attention, IsTheSameBitsForAnyNumberOfThreads) {
  const Problem p(shape_of(3, 2, 130, 130, 32, true, 0.1), true, Masking::some);
  const Tensors t(p, DType::f32);
  expect_same_with_any_threads([&] {
    Tensors fresh = t;
    fresh.y = Tensor(t.y.shape(), DType::f32);
    fresh.log_sum = Tensor(t.log_sum.shape(), DType::f32);
    fresh.forward(p);
    const Tensor gradient(t.q.shape(), DType::f32);
    const GradTarget target{&gradient, false};
    fresh.backward(p, target, target, target);
    return std::vector<Tensor>{fresh.y, fresh.log_sum, gradient};
  });
}

}  // namespace
}  // namespace folio
