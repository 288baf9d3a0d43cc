// Matrix products and attention in bf16. ctest runs these tests twice: natively if the CPU
// multiplies bf16, and through f32.
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "bf16_checks.h"

namespace folio {
namespace {

struct Size {
  int64_t m, n, k;
};

TEST(Bf16Products, Matmul) {
  for (const Size& s : {Size{1, 1, 1}, Size{3, 5, 7}, Size{17, 65, 33}, Size{1, 128, 96},
                        Size{130, 70, 257}, Size{700, 65, 64}, Size{300, 300, 1000}}) {
    for (const bool transpose_a : {false, true}) {
      for (const bool transpose_b : {false, true}) {
        SCOPED_TRACE(testing::Message()
                     << s.m << " " << s.n << " " << s.k << " " << transpose_a << transpose_b);
        expect_bf16_target({s.m, s.n}, [&](DType dtype, GradTarget c) {
          const Tensor a = coarse_tensor(transpose_a ? Shape{s.k, s.m} : Shape{s.m, s.k}, 1, dtype);
          const Tensor b = coarse_tensor(transpose_b ? Shape{s.n, s.k} : Shape{s.k, s.n}, 2, dtype);
          tested_kernels().matmul(c, a, transpose_a, b, transpose_b);
        });
      }
    }
  }
}

TEST(Bf16Products, MatmulOfStacks) {
  for (const int64_t count : {2, 20}) {  // few and many are divided among threads differently
    expect_bf16_target({count, 33, 20}, [&](DType dtype, GradTarget c) {
      tested_kernels().matmul(c, coarse_tensor({count, 33, 17}, 1, dtype), false,
                              coarse_tensor({count, 17, 20}, 2, dtype), false);
    });
    expect_bf16_target({33, 20}, [&](DType dtype, GradTarget c) {  // summed over the stack
      tested_kernels().matmul(c, coarse_tensor({count, 17, 33}, 1, dtype), true,
                              coarse_tensor({count, 17, 20}, 2, dtype), false);
    });
  }
}

TEST(Bf16Products, AnEmptyInnerDimensionGivesZeros) {
  const Tensor a({3, 0}, DType::bf16), b({0, 4}, DType::bf16);
  for (const DType type : {DType::bf16, DType::f32}) {
    const Tensor c = tensor_of({3, 4}, std::vector<double>(12, std::nan("")), type);
    tested_kernels().matmul({&c, false}, a, false, b, false);
    EXPECT_EQ(values_of(c), std::vector<double>(12, 0.0));
  }
}

TEST(Bf16Products, Linear) {
  for (const std::optional<UnaryOp> op : {std::optional<UnaryOp>(),
                                          {UnaryOp::relu},
                                          {UnaryOp::gelu},
                                          {UnaryOp::gelu_tanh},
                                          {UnaryOp::tanh}}) {
    for (const bool with_bias : {false, true}) {
      for (const bool keep : {false, true}) {
        if (keep && !op) continue;
        // The product is rounded before bias and activation.
        expect_bf16_outputs(
            [&](DType dtype) {
              const Tensor y({150, 65}, dtype), z = keep ? Tensor({150, 65}, dtype) : Tensor();
              tested_kernels().linear_forward(y, z, coarse_tensor({150, 40}, 1, dtype),
                                              coarse_tensor({65, 40}, 2, dtype, -0.3, 0.3),
                                              with_bias ? coarse_tensor({65}, 3, dtype) : Tensor(),
                                              op);
              return keep ? std::vector<Tensor>{y, z} : std::vector<Tensor>{y};
            },
            3 * one_rounding);
      }
    }
  }
}

TEST(Bf16Products, SameWithAnyThreads) {
  for (const Size& s : {Size{768, 384, 128}, Size{512, 128, 768}, Size{1000, 65, 384},
                        Size{40, 3000, 500}, Size{2000, 130, 64}}) {
    for (const bool transpose_a : {false, true}) {
      const Tensor a =
          coarse_tensor(transpose_a ? Shape{s.k, s.m} : Shape{s.m, s.k}, 1, DType::bf16);
      const Tensor b = coarse_tensor({s.k, s.n}, 2, DType::bf16);
      expect_same_with_any_threads([&] {
        const Tensor narrow({s.m, s.n}, DType::bf16),
            wide = coarse_tensor({s.m, s.n}, 3, DType::f32);
        tested_kernels().matmul({&narrow, false}, a, transpose_a, b, false);
        tested_kernels().matmul({&wide, true}, a, transpose_a, b, false);
        return std::vector<Tensor>{narrow, wide};
      });
    }
  }
}

struct Attention {
  AttentionShape shape;
  bool packed, masked;
};

/// The inputs of this type, packed or separate, and the outputs y and log_sum.
struct Heads {
  Tensor q, k, v, mask, y, log_sum;
  int64_t columns;
  bool packed;

  Heads(const Attention& a, DType dtype)
      : columns(a.shape.heads * a.shape.head_dim), packed(a.packed) {
    const int64_t width = packed ? 3 * columns : columns;
    q = coarse_tensor({a.shape.batch, a.shape.queries, width}, 1, dtype, -2.0, 2.0);
    k = packed ? q : coarse_tensor({a.shape.batch, a.shape.keys, width}, 2, dtype, -2.0, 2.0);
    v = packed ? q : coarse_tensor({a.shape.batch, a.shape.keys, width}, 3, dtype);
    if (a.masked) mask = random_indices({a.shape.batch, a.shape.keys}, 4, 2);
    y = Tensor({a.shape.batch, a.shape.queries, columns}, dtype);
    log_sum = Tensor({a.shape.batch, a.shape.heads, a.shape.queries}, accumulator_of(dtype));
    tested_kernels().attention_forward(y, log_sum, part(0), part(1), part(2), mask, a.shape);
  }
  /// Makes y and log_sum the same numbers in both types, for the backward pass.
  void take_results_of(const Heads& exact) {
    const Tensor coarse_y = tensor_of(y.shape(), values_of(exact.y), DType::bf16);
    const Tensor f32 = tensor_of(log_sum.shape(), values_of(exact.log_sum), DType::f32);
    y = tensor_of(y.shape(), values_of(coarse_y), y.dtype());
    log_sum = tensor_of(f32.shape(), values_of(f32), log_sum.dtype());
  }
  HeadColumns part(int i) const {
    return {i == 0 ? &q : i == 1 ? &k : &v, packed ? i * columns : 0};
  }
};

const std::vector<Attention>& attentions() {
  const DropoutMask dropout{
      .probability = 0.2, .stream = {.seed = 3, .purpose = 4}, .first_index = 5};
  static const std::vector<Attention> all = {
      {{2, 3, 33, 33, 16, true, 0.25, {}}, true, false},
      {{2, 2, 2, 2, 16, true, 0.25, {}}, true, false},
      {{2, 2, 70, 70, 20, true, 0.2, dropout}, true, true},
      {{1, 2, 5, 19, 8, false, 0.35, dropout}, false, true},
      {{1, 1, 7, 7, 12, false, 0.3, {}}, false, false},
  };
  return all;
}

/// On a GPU, cuDNN also rounds the factors of its products.
double attention_tolerance() { return (tests_gpu() ? 2 : 1) * one_rounding; }

TEST(Bf16Products, AttentionForward) {
  for (const Attention& attention : attentions()) {
    expect_bf16_outputs(
        [&](DType dtype) {
          const Heads heads(attention, dtype);
          return std::vector<Tensor>{heads.y, heads.log_sum};
        },
        attention_tolerance());
  }
}

TEST(Bf16Products, AttentionBackward) {
  for (const Attention& attention : attentions()) {
    const Heads exact(attention, DType::f64);
    for (int part = 0; part < (attention.packed ? 1 : 3); ++part) {
      SCOPED_TRACE(part);
      const Tensor& input = part == 0 ? exact.q : part == 1 ? exact.k : exact.v;
      expect_bf16_target(
          input.shape(),
          [&](DType dtype, GradTarget target) {
            Heads heads(attention, dtype);
            heads.take_results_of(exact);
            const Tensor dy = coarse_tensor(exact.y.shape(), 6, dtype);
            const auto place = [&](int i) -> HeadColumnsGrad {
              if (attention.packed) return {target, i * heads.columns};
              return {i == part ? target : GradTarget{}, 0};
            };
            tested_kernels().attention_backward(place(0), place(1), place(2), heads.part(0),
                                                heads.part(1), heads.part(2), heads.mask, heads.y,
                                                heads.log_sum, dy, attention.shape);
          },
          attention_tolerance());
    }
  }
}

TEST(Bf16Products, AttentionAddsThreeGradientsOfOneTensor) {
  const Attention attention{{1, 2, 9, 9, 8, true, 0.35, {}}, false, false};
  Heads exact(attention, DType::f64);
  exact.k = exact.v = exact.q;
  tested_kernels().attention_forward(exact.y, exact.log_sum, exact.part(0), exact.part(1),
                                     exact.part(2), Tensor(), attention.shape);
  expect_bf16_target(
      {1, 9, 16},
      [&](DType dtype, GradTarget target) {
        Heads heads(attention, dtype);
        heads.k = heads.v = heads.q;
        heads.take_results_of(exact);
        const Tensor dy = coarse_tensor(heads.y.shape(), 6, dtype);
        tested_kernels().attention_backward({target}, {target}, {target}, heads.part(0),
                                            heads.part(1), heads.part(2), Tensor(), heads.y,
                                            heads.log_sum, dy, attention.shape);
      },
      4 * one_rounding);  // each of the three is rounded as it is added
}

TEST(Bf16Products, AttentionIsTheSameWithAnyThreads) {
  expect_same_with_any_threads([&] {
    const Attention& attention = attentions()[1];
    const Heads heads(attention, DType::bf16);
    const Tensor d(heads.q.shape(), DType::bf16),
        dy = coarse_tensor(heads.y.shape(), 6, DType::bf16);
    const auto place = [&](int i) { return HeadColumnsGrad{{&d, false}, i * heads.columns}; };
    tested_kernels().attention_backward(place(0), place(1), place(2), heads.part(0), heads.part(1),
                                        heads.part(2), heads.mask, heads.y, heads.log_sum, dy,
                                        attention.shape);
    return std::vector<Tensor>{heads.y, heads.log_sum, d};
  });
}

}  // namespace
}  // namespace folio
