// The GPU's kernels: which types they refuse, and that results are the same bits every time.
// Without a GPU every test of this program is skipped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "folio/kernels/kernels.h"
#include "folio/tensor/copy.h"
#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"
#include "folio/train/device_choice.h"
#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::HasSubstr;

class NeedsGpu : public testing::Environment {
  void SetUp() override {
    if (const std::string reason = cuda::unavailable(); !reason.empty()) GTEST_SKIP() << reason;
  }
};
const auto* const environment = testing::AddGlobalTestEnvironment(new NeedsGpu);

Tensor on_gpu(const Shape& shape, uint64_t seed, DType dtype = DType::f32) {
  const std::vector<double> values = values_of(random_tensor(shape, seed));
  return on_device(tensor_of(shape, values, dtype), Device::cuda);
}
Tensor indices_on_gpu(const Shape& shape, uint64_t seed, int64_t limit) {
  return on_device(random_indices(shape, seed, limit), Device::cuda);
}
Tensor room(const Shape& shape, DType dtype = DType::f32) {
  return Tensor(shape, dtype, Device::cuda);
}

TEST(Gpu, F64IsRefusedByName) {
  const Kernels& kernels = kernels_for(Device::cuda);
  const Tensor x = room({4}, DType::f64), y = room({4}, DType::f64);
  EXPECT_THAT(error_of([&] { kernels.fill(x, 1.0); }), HasSubstr("f64"));
  EXPECT_THAT(error_of([&] { kernels.unary_forward(UnaryOp::exp, y, x); }),
              testing::AllOf(HasSubstr("unary: "), HasSubstr("f64 (4)")));
  EXPECT_THAT(error_of([&] { kernels.gradient_norm(room({2}), x, 1.0); }), HasSubstr("f64"));
}

TEST(Gpu, SquaresOfPiecesMakeTheNorm) {
  const int64_t n = 2 * norm_piece + 7;
  const Tensor gradients = on_gpu({n}, 1), sums = room({3}, DType::f64), norm = room({2});
  kernels_for(Device::cuda).sum_squares(sums, gradients);
  const std::vector<double> pieces = sums.to_vector<double>();
  const std::vector<float> values = gradients.to_vector<float>();
  double last = 0.0;
  for (int64_t i = 2 * norm_piece; i < n; ++i) last += double{values[i]} * double{values[i]};
  EXPECT_NEAR(pieces[2] / last, 1.0, 1e-12);
  kernels_for(Device::cuda).gradient_norm(norm, gradients, 0.0);
  const double squares = pieces[0] + pieces[1] + pieces[2];
  EXPECT_NEAR(norm.to_vector<float>()[0] / std::sqrt(squares), 1.0, 1e-6);
}

TEST(Gpu, CopiesTensorsInBothDirections) {
  const std::vector<float> values = {1.0f, -2.0f, 3.5f};
  const Tensor there = on_device(Tensor::from({3}, values), Device::cuda);
  EXPECT_EQ(there.device(), Device::cuda);
  EXPECT_EQ(there.to_vector<float>(), values);
  EXPECT_EQ(there.view(2, {1}).item(), 3.5);
  const Tensor again = room({3});
  copy_tensor(again, there);
  EXPECT_EQ(again.to_vector<float>(), values);
  EXPECT_THROW(copy_tensor(room({4}), there), Error);
  // More than the pinned memory that copies go through has room for.
  const int64_t many = 5 * (int64_t{1} << 20) + 3;
  const Tensor large({many}, DType::i32);
  for (int64_t i = 0; i < many; ++i) large.data<int32_t>()[i] = static_cast<int32_t>(i * 7);
  EXPECT_EQ(on_device(large, Device::cuda).to_vector<int32_t>(), large.to_vector<int32_t>());
}

TEST(Gpu, ErrorsNameTheFailedCall) {
  EXPECT_THAT(error_of([] { cuda::throw_cuda_error("cudaMalloc", 2); }),
              testing::AllOf(HasSubstr("cudaMalloc: "), HasSubstr("cudaErrorMemoryAllocation")));
}

TEST(Gpu, DescribesItselfAndItsPeak) {
  EXPECT_THAT(description_of(Device::cuda), HasSubstr("compute capability"));
  EXPECT_EQ(peak_flops("NVIDIA H100 80GB HBM3", DType::bf16), 989.4e12);
  EXPECT_EQ(peak_flops("NVIDIA H100 PCIe", DType::bf16), 756e12);
  EXPECT_EQ(peak_flops("a GPU of another time", DType::bf16), 0.0);
}

/// Runs work with outputs in memory that held something else, several times.
void expect_same_bits(const std::function<std::vector<Tensor>()>& work) {
  std::vector<std::vector<char>> first;
  for (int round = 0; round < 4; ++round) {
    const std::vector<Tensor> outputs = work();
    for (size_t i = 0; i < outputs.size(); ++i) {
      const Tensor here = on_device(outputs[i], Device::cpu);
      const auto* const bytes = static_cast<const char*>(here.raw());
      const std::vector<char> bits(bytes, bytes + here.bytes());
      if (round == 0) first.push_back(bits);
      EXPECT_EQ(bits, first[i]) << "output " << i << " in round " << round;
    }
    kernels_for(Device::cuda).fill(outputs[0], 123.0);
  }
}

TEST(Gpu, ReductionsHaveOneOrder) {
  const Kernels& k = kernels_for(Device::cuda);
  const int64_t rows = 700, columns = 67;
  const Tensor x = on_gpu({rows, columns}, 1), dy = on_gpu({rows, columns}, 2);
  expect_same_bits([&] {
    const Tensor all = room({}), of_columns = room({columns}), norm = room({2});
    k.sum_forward(all, x, 0.7);
    k.sum_rows({&of_columns, false}, x);
    k.gradient_norm(norm, x.reshape({rows * columns}), 1.0);
    return std::vector<Tensor>{all, of_columns, norm};
  });
  expect_same_bits([&] {
    const Tensor y = room({rows, columns}), mean = room({rows}), rstd = room({rows});
    const Tensor gain = on_gpu({columns}, 3), dx = room({rows, columns}), dgain = room({columns}),
                 dbias = room({columns});
    k.layer_norm_forward(y, mean, rstd, x, gain, gain, 1e-5);
    k.layer_norm_backward({&dx, false}, {&dgain, false}, {&dbias, false}, x, mean, rstd, gain, dy);
    return std::vector<Tensor>{y, mean, rstd, dx, dgain, dbias};
  });
  const Tensor targets = indices_on_gpu({rows}, 4, columns);
  expect_same_bits([&] {
    const Tensor loss = room({}), d = room({rows, columns});
    k.cross_entropy(loss, d, x, targets, {.label_smoothing = 0.1, .scale = 0.01});
    return std::vector<Tensor>{loss, d};
  });
  const Tensor few = indices_on_gpu({rows}, 5, 9);  // long runs of equal ones
  expect_same_bits([&] {
    const Tensor table = room({9, columns});
    k.scatter_add_rows({&table, false}, few, dy);
    return std::vector<Tensor>{table};
  });
}

TEST(Gpu, ScattersOfManyIndicesAgreeWithF64) {
  // Of more than one piece to rank, with runs of all lengths.
  for (const int64_t vocabulary : {1, 3, 65, 3000}) {
    const int64_t count = 5003, columns = 40;
    const Tensor indices = random_indices({count}, 6, vocabulary);
    const Tensor wide = random_tensor({count, columns}, 7);
    const Tensor dy = tensor_of(wide.shape(), values_of(wide), DType::f32);
    const Tensor expected({vocabulary, columns}, DType::f64), table = room({vocabulary, columns});
    kernels_for(Device::cpu).scatter_add_rows({&expected, false}, indices, wide);
    kernels_for(Device::cuda)
        .scatter_add_rows({&table, false}, on_device(indices, Device::cuda),
                          on_device(dy, Device::cuda));
    const auto a = values_of(table), b = values_of(expected);
    for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 2e-5 * (1 + std::abs(b[i])));
  }
}

}  // namespace
}  // namespace folio
