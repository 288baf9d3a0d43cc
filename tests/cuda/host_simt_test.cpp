// The test double's threads, warps and blocks: kernels run as on a GPU, and mistakes that a GPU may
// not report are detected.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "folio/kernels/cuda/launch.h"
#include "folio/kernels/cuda/reduce.h"
#include "folio/tensor/copy.h"
#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"
#include "folio/tensor/tensor.h"
#include "work.h"

namespace folio {
namespace {

using cuda::launch;

class HostSimt : public testing::Test {
 protected:
  void TearDown() override { cuda_host::reset_after_failure(); }
};

Tensor on_gpu(int64_t n, DType dtype = DType::f32) { return Tensor({n}, dtype, Device::cuda); }
float* floats(const Tensor& tensor) { return static_cast<float*>(tensor.raw()); }
int32_t* integers(const Tensor& tensor) { return static_cast<int32_t*>(tensor.raw()); }

__global__ void write_indices(int32_t* y) {
  y[blockIdx.x * blockDim.x + threadIdx.x] = static_cast<int32_t>(blockIdx.x * 1000 + threadIdx.x);
}

TEST_F(HostSimt, EveryThreadOfEveryBlockRuns) {
  const Tensor y = on_gpu(5 * 70, DType::i32);
  launch("write_indices", {5, 70}, write_indices, integers(y));
  const auto values = y.to_vector<int32_t>();
  for (int32_t i = 0; i < 350; ++i) EXPECT_EQ(values[i], i / 70 * 1000 + i % 70);
}

/// y[i] = x[n - 1 - i], through shared memory; `with_barrier` as it should be.
__global__ void reverse(float* y, const float* x, bool with_barrier) {
  __shared__ float room[256];
  room[threadIdx.x] = x[threadIdx.x];
  if (with_barrier) __syncthreads();
  y[threadIdx.x] = room[blockDim.x - 1 - threadIdx.x];
}

TEST_F(HostSimt, BarriersMakeSharedMemoryVisible) {
  std::vector<float> values(256);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) + 1.0f;
  const std::vector<float> reversed(values.rbegin(), values.rend());
  const Tensor x = on_device(Tensor::from({256}, values), Device::cuda), y = on_gpu(256);
  launch("reverse", {1, 256}, reverse, floats(y), floats(x), true);
  EXPECT_EQ(y.to_vector<float>(), reversed);
  // Without a barrier some thread reads an element before it is written, in any order of the
  // threads. The values differ because the previous ones may still be in shared memory.
  for (float& value : values) value = -value;
  copy_tensor(x, Tensor::from({256}, values));
  launch("reverse", {1, 256}, reverse, floats(y), floats(x), false);
  EXPECT_NE(y.to_vector<float>(), std::vector<float>(values.rbegin(), values.rend()));
}

__global__ void half_waits() {
  if (threadIdx.x < 32) __syncthreads();
}
__global__ void half_shuffles(float* y) {
  if (threadIdx.x < 16) y[threadIdx.x] = __shfl_xor_sync(~0u, 1.0f, 1);
}

TEST_F(HostSimt, BarrierNotReachedByAllThreadsIsAnError) {
  launch("half_waits", {1, 64}, half_waits);
  EXPECT_THROW(cuda::Context::get().synchronize(), Error);
  cuda_host::reset_after_failure();
  const Tensor y = on_gpu(16);
  launch("half_shuffles", {1, 32}, half_shuffles, floats(y));
  EXPECT_THROW(cuda::Context::get().synchronize(), Error);
}

__global__ void exchange(int32_t* y) {
  const auto lane = static_cast<int32_t>(threadIdx.x % 32);
  y[threadIdx.x] = __shfl_xor_sync(~0u, lane, 5) * 1000 + __shfl_sync(~0u, lane * 2, 7);
}
__global__ void vote(int32_t* y) {
  const unsigned votes = __ballot_sync(~0u, threadIdx.x % 3 == 0);
  y[threadIdx.x] = static_cast<int32_t>(votes >> threadIdx.x % 32 & 1u);
}

TEST_F(HostSimt, LanesExchangeValues) {
  const Tensor y = on_gpu(96, DType::i32);
  launch("exchange", {1, 96}, exchange, integers(y));
  const auto values = y.to_vector<int32_t>();
  for (int32_t i = 0; i < 96; ++i) EXPECT_EQ(values[i], (i % 32 ^ 5) * 1000 + 14);
  launch("vote", {1, 96}, vote, integers(y));
  const auto votes = y.to_vector<int32_t>();
  for (int32_t i = 0; i < 96; ++i) EXPECT_EQ(votes[i], i % 3 == 0 ? 1 : 0);
}

__global__ void count(unsigned* sum) { atomicAdd(sum, threadIdx.x); }

TEST_F(HostSimt, AtomicsAddUp) {
  const Tensor sum = on_device(Tensor::from<int32_t>({1}, {0}), Device::cuda);
  launch("count", {7, 100}, count, static_cast<unsigned*>(sum.raw()));
  EXPECT_EQ(sum.to_vector<int32_t>()[0], 7 * 4950);
}

__global__ void reduce_block(float* y, const float* x) {
  const float sum = cuda::block_reduce<cuda::Add, 128>(x[threadIdx.x]);
  const float max = cuda::block_reduce<cuda::Max, 128>(x[threadIdx.x]);
  y[threadIdx.x] = sum * 1000.0f + max;
}

TEST_F(HostSimt, ReductionsGiveAllThreadsTheSame) {
  std::vector<float> values(128);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 10);
  const Tensor x = on_device(Tensor::from({128}, values), Device::cuda), y = on_gpu(128);
  launch("reduce_block", {1, 128}, reduce_block, floats(y), floats(x));
  float sum = 0.0f;
  for (const float value : values) sum += value;
  EXPECT_EQ(y.to_vector<float>(), std::vector<float>(128, sum * 1000.0f + 9.0f));
}

__global__ void write_one(float* y, int64_t at) { y[at] = 1.0f; }

TEST_F(HostSimt, HostPointerArgumentIsAnError) {
  float here = 0.0f;
  launch("write_one", {1, 1}, write_one, &here, int64_t{0});
  EXPECT_THROW(cuda::Context::get().synchronize(), Error);
  EXPECT_EQ(here, 0.0f);
}

TEST_F(HostSimt, TooManyThreadsPerBlockIsAnError) {
  const Tensor y = on_gpu(1);
  EXPECT_THROW(launch("write_one", {1, 2048}, write_one, floats(y), int64_t{0}), Error);
}

TEST_F(HostSimt, TheHostCannotTouchDeviceMemory) {
  const Tensor y = on_gpu(16);
  EXPECT_DEATH(floats(y)[3] = 1.0f, "");
}

#ifdef __SANITIZE_ADDRESS__
TEST_F(HostSimt, OutOfBoundsWriteIsDetected) {
  void* memory = nullptr;
  ASSERT_EQ(cudaMalloc(&memory, 64), cudaSuccess);
  const auto overrun = [&](int64_t at) {
    launch("write_one", {1, 1}, write_one, static_cast<float*>(memory), at);
    cuda::Context::get().synchronize();
  };
  overrun(15);
  EXPECT_DEATH(overrun(16), "use-after-poison");
  cudaFree(memory);
}
#endif

TEST_F(HostSimt, FreshMemoryIsNan) {
  void* memory = nullptr;
  ASSERT_EQ(cudaMalloc(&memory, 64), cudaSuccess);
  std::vector<float> values(16);
  cuda::download(values.data(), memory, 64);
  for (const float value : values) EXPECT_TRUE(std::isnan(value));
  cudaFree(memory);
}

}  // namespace
}  // namespace folio
