// The test doubles of NVIDIA's libraries detect wrong arguments.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>

#include "folio/kernels/cuda/attention_graph.h"
#include "folio/kernels/cuda/gemm_cublaslt.h"
#include "folio/kernels/cuda/libraries.h"
#include "folio/kernels/kernels.h"
#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"
#include "support/temporary.h"
#include "work.h"

namespace folio {
namespace {

using testing::HasSubstr;

class HostLibrary : public testing::Test {
 protected:
  void TearDown() override { cuda_host::reset_after_failure(); }
  static Tensor zeros(const Shape& shape, DType dtype = DType::f32) {
    const Tensor x(shape, dtype, Device::cuda);
    kernels_for(Device::cuda).fill(x, 0.0);
    return x;
  }
  /// c (8, 16) = a (8, 24) b (24, 16), with these rows' lengths.
  static void multiply(int64_t lda, int64_t ldb) {
    const Tensor a = zeros({8, 24}), b = zeros({24, 16}), c = zeros({8, 16});
    cuda::cublaslt_gemm({.m = 8, .n = 16, .k = 24, .lda = lda, .ldb = ldb, .ldc = 16}, a.raw(),
                        b.raw(), c.raw());
    cuda::Context::get().synchronize();
  }
};

TEST_F(HostLibrary, WrongLeadingDimensionIsDetected) {
  multiply(24, 16);
  EXPECT_THAT(error_of([] { multiply(23, 16); }), HasSubstr("CUBLAS_STATUS_INVALID_VALUE"));
  EXPECT_THAT(error_of([] { multiply(24, 24); }), HasSubstr("cudaErrorIllegalAddress"));
}

TEST_F(HostLibrary, MisalignedMatrixIsRefused) {
  cublasLtMatmulDesc_t product;
  cublasLtMatrixLayout_t square;
  cublasLtMatmulPreference_t preference;
  cublasLtMatmulDescCreate(&product, CUBLAS_COMPUTE_32F, CUDA_R_32F);
  cublasLtMatrixLayoutCreate(&square, CUDA_R_32F, 4, 4, 4);
  cublasLtMatmulPreferenceCreate(&preference);  // of 256 bytes, as documented
  cublasLtMatmulHeuristicResult_t best;
  int found = 0;
  ASSERT_EQ(cublasLtMatmulAlgoGetHeuristic(cuda::cublas_handle(), product, square, square, square,
                                           square, preference, 1, &best, &found),
            CUBLAS_STATUS_SUCCESS);
  const Tensor x = zeros({200});
  const float one = 1.0f, zero = 0.0f;
  const auto run = [&](const Tensor& c) {
    return cublasLtMatmul(cuda::cublas_handle(), product, &one, x.raw(), square, x.raw(), square,
                          &zero, c.raw(), square, c.raw(), square, &best.algo, nullptr, 0,
                          cuda::Context::get().stream());
  };
  EXPECT_EQ(run(x.view(64, {16})), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(run(x.view(65, {16})), CUBLAS_STATUS_INVALID_VALUE);
  cublasLtMatmulPreferenceDestroy(preference);
  cublasLtMatrixLayoutDestroy(square);
  cublasLtMatmulDescDestroy(product);
}

TEST_F(HostLibrary, MismatchedTensorsAreRefused) {
  EXPECT_THAT(
      error_of([] {
        cuda::CudnnGraph graph;
        const auto a = graph.memory(1, CUDNN_DATA_BFLOAT16, cuda::packed({1, 1, 8, 8}));
        const auto b = graph.memory(2, CUDNN_DATA_BFLOAT16, cuda::packed({1, 1, 16, 8}));
        graph.matmul(a, b, graph.memory(3, CUDNN_DATA_BFLOAT16, cuda::packed({1, 1, 8, 8})));
      }),
      HasSubstr("CUDNN_STATUS_BAD_PARAM"));
}

TEST_F(HostLibrary, UnsupportedHeadWidthHasNoPlan) {
  const auto plan = [](int64_t head_dim) {
    const int64_t w = 3 * head_dim, step = w * 4;
    return cuda::attention_forward_plan({.batch = 1,
                                         .heads = 1,
                                         .length = 4,
                                         .head_dim = head_dim,
                                         .q_width = w,
                                         .k_width = w,
                                         .v_width = w,
                                         .q_step = step,
                                         .k_step = step,
                                         .v_step = step},
                                        {cuda::cudnn_handle(), ""});
  };
  EXPECT_TRUE(plan(16));
  EXPECT_FALSE(plan(20));
}

}  // namespace
}  // namespace folio
