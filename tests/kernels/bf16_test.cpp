// Rounding to bf16, and every kernel in bf16 except matrix products and attention.
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "bf16_checks.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

const std::vector<int64_t> lengths = {1, 3, 17, 65, 1000, 40000};

/// The bf16 nearest to `value`, found by comparing distances.
double nearest(float value) {
  const double exact = value;
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t below = bits & 0xFFFF0000u, above = below + 0x10000u;
  const auto as_double = [](uint32_t b) {
    // Beyond the largest finite number the next one would be 2^128, which stands for infinity.
    if ((b & 0x7FFFFFFFu) == 0x7F800000u) return (b >> 31) != 0 ? -0x1p128 : 0x1p128;
    return static_cast<double>(std::bit_cast<float>(b));
  };
  const double low = std::abs(exact - as_double(below)), high = std::abs(as_double(above) - exact);
  const bool down = low < high || (low == high && (below >> 16) % 2 == 0);
  return std::bit_cast<float>(down ? below : above);
}

TEST(Bf16, EveryPatternAndItsTiesAreRoundedToNearestEven) {
  std::vector<float> values;
  for (uint32_t upper = 0; upper < 0x10000u; ++upper) {
    for (const uint32_t lower : {0x0u, 0x1u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu}) {
      values.push_back(std::bit_cast<float>(upper << 16 | lower));
    }
  }
  const auto n = static_cast<int64_t>(values.size());
  const Tensor x = Tensor::from({n}, values), y({n}, DType::bf16);
  tested_kernels().copy({&y, false}, x);
  const std::vector<bf16> rounded = y.to_vector<bf16>();
  for (size_t i = 0; i < values.size(); ++i) {
    const float value = values[i];
    ASSERT_EQ(rounded[i].bits(), bf16(value).bits()) << "vectors and scalars differ at " << value;
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(static_cast<float>(rounded[i])));
    } else if (std::isinf(value)) {
      ASSERT_EQ(static_cast<float>(rounded[i]), value);
    } else {
      ASSERT_EQ(static_cast<float>(rounded[i]), nearest(value)) << value;
      ASSERT_EQ(std::signbit(static_cast<float>(rounded[i])), std::signbit(value));
    }
  }
}

TEST(Bf16, EveryPatternIsWidenedExactly) {
  std::vector<bf16> patterns;
  for (uint32_t upper = 0; upper < 0x10000u; ++upper) {
    const float value = std::bit_cast<float>(upper << 16);
    if (!std::isnan(value)) patterns.emplace_back(value);
  }
  const auto n = static_cast<int64_t>(patterns.size());
  const Tensor x = Tensor::from({n}, patterns), y({n}, DType::f32);
  tested_kernels().copy({&y, false}, x);
  for (int64_t i = 0; i < n; ++i) {
    ASSERT_EQ(std::bit_cast<uint32_t>(y.data<float>()[i]), uint32_t{patterns[i].bits()} << 16);
  }
}

TEST(Bf16, CopyAndScale) {
  for (const int64_t n : lengths) {
    SCOPED_TRACE(n);
    expect_bf16_target({n}, [&](DType dtype, GradTarget y) {
      tested_kernels().copy(y, coarse_tensor({n}, 1, dtype));
    });
    expect_bf16_target({n}, [&](DType dtype, GradTarget y) {
      const Tensor factor = tensor_of({}, {0.3f}, accumulator_of(dtype));
      tested_kernels().scale(y, coarse_tensor({n}, 1, dtype), factor);
    });
  }
}

TEST(Bf16, Unary) {
  for (const UnaryOp op : {UnaryOp::exp, UnaryOp::log, UnaryOp::sqrt, UnaryOp::tanh,
                           UnaryOp::sigmoid, UnaryOp::relu, UnaryOp::gelu, UnaryOp::gelu_tanh}) {
    const double low = op == UnaryOp::log || op == UnaryOp::sqrt ? 0.1 : -3.0;
    for (const int64_t n : lengths) {
      SCOPED_TRACE(testing::Message() << "op " << static_cast<int>(op) << " of " << n);
      expect_bf16_outputs([&](DType dtype) {
        const Tensor y({n}, dtype);
        tested_kernels().unary_forward(op, y, coarse_tensor({n}, 1, dtype, low, 3.0));
        return std::vector<Tensor>{y};
      });
      expect_bf16_target({n}, [&](DType dtype, GradTarget dx) {
        const Tensor source = coarse_tensor({n}, 2, dtype, 0.2, 3.0);
        tested_kernels().unary_backward(op, dx, source, source, coarse_tensor({n}, 3, dtype));
      });
    }
  }
}

TEST(Bf16, Binary) {
  const Shape full{37, 65};
  for (const BinaryOp op :
       {BinaryOp::add, BinaryOp::subtract, BinaryOp::multiply, BinaryOp::divide}) {
    for (const Shape& b_shape : {full, Shape{65}, Shape{1}}) {
      SCOPED_TRACE(testing::Message() << static_cast<int>(op) << " with " << b_shape.to_string());
      const auto a = [&](DType dtype) { return coarse_tensor(full, 1, dtype); };
      const auto b = [&](DType dtype) { return coarse_tensor(b_shape, 2, dtype, 0.5, 2.0); };
      expect_bf16_outputs([&](DType dtype) {
        const Tensor y(full, dtype);
        tested_kernels().binary_forward(op, y, a(dtype), b(dtype));
        return std::vector<Tensor>{y};
      });
      expect_bf16_target(full, [&](DType dtype, GradTarget da) {
        tested_kernels().binary_backward(op, da, {}, a(dtype), b(dtype),
                                         coarse_tensor(full, 3, dtype));
      });
      expect_bf16_target(b_shape, [&](DType dtype, GradTarget db) {
        tested_kernels().binary_backward(op, {}, db, a(dtype), b(dtype),
                                         coarse_tensor(full, 3, dtype));
      });
    }
  }
}

TEST(Bf16, Dropout) {
  const DropoutMask mask{.probability = 0.3, .stream = {.seed = 5, .purpose = 6}, .first_index = 7};
  for (const int64_t n : lengths) {
    expect_bf16_target({n}, [&](DType dtype, GradTarget y) {
      tested_kernels().dropout(y, coarse_tensor({n}, 1, dtype), mask);
    });
  }
}

TEST(Bf16, Sums) {
  for (const Shape& shape : {Shape{1, 3}, Shape{5, 17}, Shape{700, 65}, Shape{3, 5000}}) {
    SCOPED_TRACE(shape.to_string());
    const Shape rows{shape[0]}, columns{shape[1]};
    expect_bf16_outputs([&](DType dtype) {
      const Tensor all({}, dtype), each(rows, dtype), x = coarse_tensor(shape, 1, dtype);
      tested_kernels().sum_forward(all, x, 0.01);
      tested_kernels().sum_forward(each, x, 0.1);
      return std::vector<Tensor>{all, each};
    });
    expect_bf16_target(shape, [&](DType dtype, GradTarget dx) {
      tested_kernels().sum_backward(dx, coarse_tensor({}, 2, dtype), 0.3);
    });
    expect_bf16_target(shape, [&](DType dtype, GradTarget dx) {
      tested_kernels().sum_backward(dx, coarse_tensor(rows, 2, dtype), 0.3);
    });
    expect_bf16_target(columns, [&](DType dtype, GradTarget y) {
      tested_kernels().sum_rows(y, coarse_tensor(shape, 1, dtype));
    });
    expect_bf16_target({4, 6}, [&](DType dtype, GradTarget y) {
      tested_kernels().sum_first(y, coarse_tensor({shape[0], 4, 6}, 1, dtype));
    });
  }
}

TEST(Bf16, Softmax) {
  for (const Shape& shape : {Shape{2, 1}, Shape{7, 17}, Shape{40, 65}, Shape{3, 5000}}) {
    for (const bool logarithm : {false, true}) {
      SCOPED_TRACE(testing::Message() << shape.to_string() << logarithm);
      expect_bf16_outputs([&](DType dtype) {
        const Tensor y(shape, dtype);
        tested_kernels().softmax_forward(y, coarse_tensor(shape, 1, dtype, -4.0, 4.0), logarithm);
        return std::vector<Tensor>{y};
      });
      expect_bf16_target(shape, [&](DType dtype, GradTarget dx) {
        const double low = logarithm ? -9.0 : 0.0, high = logarithm ? -7.0 : 0.01;
        tested_kernels().softmax_backward(dx, coarse_tensor(shape, 2, dtype, low, high),
                                          coarse_tensor(shape, 3, dtype), logarithm);
      });
    }
  }
}

TEST(Bf16, Movement) {
  for (const std::array<int, 4>& axes : {std::array{0, 2, 1, 3}, std::array{3, 1, 0, 2}}) {
    const Shape x{3, 5, 7, 18};
    const Shape y{x[axes[0]], x[axes[1]], x[axes[2]], x[axes[3]]};
    expect_bf16_target(y, [&](DType dtype, GradTarget target) {
      tested_kernels().permute(target, coarse_tensor(x, 1, dtype), axes);
    });
  }
  expect_bf16_target({4, 5, 6}, [&](DType dtype, GradTarget y) {
    if (!y.accumulate) tested_kernels().fill(*y.tensor, 0.0);
    tested_kernels().copy_range(y, 1, coarse_tensor({4, 7, 6}, 1, dtype), 2, 3, 1);
  });
  const Tensor indices = random_indices({300}, 1, 11);
  expect_bf16_outputs([&](DType dtype) {
    const Tensor y({300, 33}, dtype), sum({6, 50, 33}, dtype);
    const Tensor table = coarse_tensor({11, 33}, 1, dtype);
    tested_kernels().gather_rows(y, table, indices);
    tested_kernels().embedding_forward(sum, indices.reshape({6, 50}), table,
                                       coarse_tensor({60, 33}, 2, dtype));
    return std::vector<Tensor>{y, sum};
  });
  // In bf16 every addition rounds, of some thirty here.
  expect_bf16_target(
      {11, 33},
      [&](DType dtype, GradTarget dtable) {
        tested_kernels().scatter_add_rows(dtable, indices, coarse_tensor({300, 33}, 3, dtype));
      },
      0.1);
}

TEST(Bf16, LayerNorm) {
  const DropoutMask mask{.probability = 0.2, .stream = {.seed = 1, .purpose = 2}, .first_index = 0};
  for (const Shape& shape : {Shape{3, 17}, Shape{700, 32}, Shape{300, 128}, Shape{4, 1000}}) {
    const Shape rows{shape[0]}, columns{shape[1]};
    const auto x = [&](DType dtype) { return coarse_tensor(shape, 1, dtype, -1.0, 3.0); };
    const auto gain = [&](DType dtype) { return coarse_tensor(columns, 2, dtype, 0.5, 1.5); };
    for (const bool with_bias : {true, false}) {
      SCOPED_TRACE(testing::Message() << shape.to_string() << with_bias);
      const auto bias = [&](DType dtype) {
        return with_bias ? coarse_tensor(columns, 3, dtype) : Tensor();
      };
      expect_bf16_outputs([&](DType dtype) {
        const Tensor y(shape, dtype);
        const Tensor mean(rows, accumulator_of(dtype)), rstd(rows, accumulator_of(dtype));
        tested_kernels().layer_norm_forward(y, mean, rstd, x(dtype), gain(dtype), bias(dtype),
                                            1e-5);
        return std::vector<Tensor>{y, mean, rstd};
      });
      // The normalised sum is that of the sum as it is stored: rounded. The statistics show it.
      const std::vector<Tensor> all = [&] {
        const DType dtype = DType::bf16;
        const Tensor sum(shape, dtype), y(shape, dtype), mean(rows, DType::f32),
            rstd = Tensor(rows, DType::f32);
        tested_kernels().add_dropout_layer_norm_forward(sum, y, mean, rstd,
                                                        coarse_tensor(shape, 5, dtype), x(dtype),
                                                        gain(dtype), bias(dtype), 1e-5, mask);
        return std::vector<Tensor>{sum, y, mean, rstd};
      }();
      const Tensor exact_sum(shape, DType::f64);
      tested_kernels().dropout({&exact_sum, false}, x(DType::f64), mask);
      tested_kernels().copy({&exact_sum, true}, coarse_tensor(shape, 5, DType::f64));
      expect_each_near(all[0], values_of(exact_sum), one_rounding);
      const Tensor y(shape, DType::f64), mean(rows, DType::f64), rstd(rows, DType::f64);
      tested_kernels().layer_norm_forward(y, mean, rstd,
                                          tensor_of(shape, values_of(all[0]), DType::f64),
                                          gain(DType::f64), bias(DType::f64), 1e-5);
      expect_each_near(all[1], values_of(y), one_rounding);
      expect_each_near(all[2], values_of(mean), 5e-5);
      expect_each_near(all[3], values_of(rstd), 5e-5);

      const auto backward = [&](DType dtype, GradTarget dx, GradTarget dgain, GradTarget dbias) {
        const Tensor some_mean = tensor_of(rows, coarse(rows[0], 6), accumulator_of(dtype));
        const Tensor some_rstd =
            tensor_of(rows, coarse(rows[0], 7, 0.5, 1.0), accumulator_of(dtype));
        tested_kernels().layer_norm_backward(dx, dgain, dbias, x(dtype), some_mean, some_rstd,
                                             gain(dtype), coarse_tensor(shape, 8, dtype));
      };
      expect_bf16_target(shape, [&](DType dtype, GradTarget t) { backward(dtype, t, {}, {}); });
      expect_bf16_target(columns, [&](DType dtype, GradTarget t) { backward(dtype, {}, t, {}); });
      if (with_bias) {
        expect_bf16_target(columns, [&](DType dtype, GradTarget t) { backward(dtype, {}, {}, t); });
      }
    }
  }
}

TEST(Bf16, CrossEntropy) {
  for (const int64_t V : {5, 65, 5000}) {
    for (const double smoothing : {0.0, 0.1}) {
      SCOPED_TRACE(testing::Message() << V << " classes, smoothing " << smoothing);
      const int64_t rows = 50;
      const Tensor targets = random_indices({rows}, 1, V);
      targets.data<int32_t>()[3] = -1;
      const CrossEntropyOptions options{.label_smoothing = smoothing, .scale = 0.7};
      expect_bf16_outputs([&](DType dtype) {
        const Tensor loss({}, accumulator_of(dtype)), without({}, accumulator_of(dtype));
        const Tensor logits = coarse_tensor({rows, V}, 2, dtype, -3.0, 3.0), d({rows, V}, dtype);
        tested_kernels().cross_entropy(loss, d, logits, targets, options);
        tested_kernels().cross_entropy(without, Tensor(), logits, targets, options);
        return std::vector<Tensor>{loss, d, without};
      });
    }
  }
}

TEST(Bf16, ASureClassHasAnAccurateGradient) {
  // softmax - 1 is -6.1e-4 here, and 1 is rounded to steps of 2^-8 in bf16.
  const Tensor logits = tensor_of({1, 2}, {7.4, 0.0}, DType::bf16), d({1, 2}, DType::bf16);
  const Tensor loss({}, DType::f32), targets = Tensor::from<int32_t>({1}, {0});
  tested_kernels().cross_entropy(loss, d, logits, targets, {});
  const double x = values_of(logits)[0];
  EXPECT_NEAR(values_of(d)[0] / (-1.0 / (1.0 + std::exp(x))), 1.0, one_rounding);
}

TEST(Bf16, OptimizersWriteTheRoundedCopyInTheSamePass) {
  for (const int64_t n : {1, 17, 65, 40001}) {
    const Tensor g = tensor_of({n}, numbers(n, 1), DType::f32),
                 scale = tensor_of({2}, {1.0, 0.5}, DType::f32);
    const auto state = [&](uint64_t seed) {
      return tensor_of({n}, numbers(n, seed, 0.1, 1.0), DType::f32);
    };
    for (const bool adam : {true, false}) {
      const Tensor with = state(2), without = state(2), copy({n}, DType::bf16);
      const Tensor m = state(3), v = state(4), m2 = state(3), v2 = state(4);
      if (adam) {
        const AdamOptions options{.lr = 0.01, .weight_decay = 0.1, .step = 3};
        tested_kernels().adam(with, copy, m, v, g, scale, options);
        tested_kernels().adam(without, Tensor(), m2, v2, g, scale, options);
      } else {
        tested_kernels().sgd(with, copy, m, g, scale, {.lr = 0.01, .momentum = 0.9, .step = 3});
        tested_kernels().sgd(without, Tensor(), m2, g, scale,
                             {.lr = 0.01, .momentum = 0.9, .step = 3});
      }
      EXPECT_EQ(values_of(with), values_of(without));
      const std::vector<float> masters = with.to_vector<float>();
      const std::vector<bf16> copies = copy.to_vector<bf16>();
      for (int64_t i = 0; i < n; ++i) ASSERT_EQ(copies[i].bits(), bf16(masters[i]).bits());
    }
  }
}

TEST(Bf16, MastersAndGradientsAreNeverBf16) {
  const Tensor slab({4}, DType::bf16), scale({2}, DType::f32);
  EXPECT_THROW(tested_kernels().gradient_norm(scale, slab, 1.0), Error);
  EXPECT_THROW(tested_kernels().adam(slab, Tensor(), slab, slab, slab, scale, {}), Error);
  EXPECT_THROW(tested_kernels().sgd(slab, Tensor(), slab, slab, scale, {}), Error);
}

}  // namespace
}  // namespace folio
