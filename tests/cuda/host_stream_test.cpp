// The test double's streams, events and graphs: work is deferred, and capture refuses what CUDA
// does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "folio/kernels/cuda/launch.h"
#include "folio/kernels/kernels.h"
#include "folio/tensor/copy.h"
#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"
#include "folio/tensor/tensor.h"
#include "support/temporary.h"
#include "work.h"

namespace folio {
namespace {

using testing::HasSubstr;

class HostStream : public testing::Test {
 protected:
  void TearDown() override {
    cuda_host::leave_out_waits(false);
    cuda_host::reset_after_failure();
  }
  cuda::Context& context = cuda::Context::get();
  const Kernels& kernels = kernels_for(Device::cuda);
};

Tensor on_gpu(const std::vector<float>& values) {
  const auto n = static_cast<int64_t>(values.size());
  return on_device(Tensor::from({n}, values), Device::cuda);
}

TEST_F(HostStream, AsynchronousCopyReadsItsSourceLate) {
  const Tensor y = on_gpu({0.0f}), pinned = pinned_tensor({1}, DType::f32);
  *pinned.data<float>() = 1.0f;
  cuda::upload_async(y.raw(), pinned.raw(), 4, context.stream());
  context.synchronize();
  EXPECT_EQ(y.item(), 1.0);
  *pinned.data<float>() = 2.0f;
  cuda::upload_async(y.raw(), pinned.raw(), 4, context.stream());
  *pinned.data<float>() = 3.0f;  // too early
  EXPECT_EQ(y.item(), 3.0);
}

TEST_F(HostStream, AsynchronousCopyWritesItsTargetLate) {
  const Tensor x = on_gpu({5.0f}), pinned = pinned_tensor({1}, DType::f32);
  *pinned.data<float>() = -1.0f;
  cuda::download_async(pinned.raw(), x.raw(), 4, context.stream());
  EXPECT_EQ(*pinned.data<float>(), -1.0f);
  context.synchronize();
  EXPECT_EQ(*pinned.data<float>(), 5.0f);
}

TEST_F(HostStream, CopiesTakePinnedMemoryOnly) {
  const Tensor y = on_gpu({0.0f});
  float here = 1.0f;
  EXPECT_THROW(cuda::upload_async(y.raw(), &here, 4, context.stream()), Error);
}

TEST_F(HostStream, StreamsAreOrderedByEventsAlone) {
  const Tensor pinned = pinned_tensor({1}, DType::f32);
  *pinned.data<float>() = 7.0f;
  for (const bool ordered : {true, false}) {
    const Tensor y = on_gpu({1.0f}), copy = on_gpu({0.0f});
    cuda::Event copied;
    cuda::upload_async(y.raw(), pinned.raw(), 4, context.copy_stream());
    copied.record(context.copy_stream());
    if (ordered) copied.block(context.stream());
    kernels.copy({&copy, false}, y);
    EXPECT_EQ(copy.item(), ordered ? 7.0 : 1.0);
    copied.wait();
  }
}

TEST_F(HostStream, QueryDoesNotWait) {
  const Tensor x = on_gpu({5.0f}), pinned = pinned_tensor({1}, DType::f32);
  *pinned.data<float>() = -1.0f;
  cuda::download_async(pinned.raw(), x.raw(), 4, context.stream());
  cuda::Event done;
  done.record(context.stream());
  EXPECT_FALSE(done.query());
  EXPECT_EQ(*pinned.data<float>(), -1.0f);
  for (int i = 0; i < 10 && !done.query(); ++i) {
  }
  EXPECT_TRUE(done.query());
  EXPECT_EQ(*pinned.data<float>(), 5.0f);
}

TEST_F(HostStream, WaitsCanBeLeftOut) {
  const Tensor y = on_gpu({1.0f}), pinned = pinned_tensor({1}, DType::f32);
  *pinned.data<float>() = 7.0f;
  cuda::Event copied;
  cuda::upload_async(y.raw(), pinned.raw(), 4, context.copy_stream());
  copied.record(context.copy_stream());
  cuda_host::leave_out_waits(true);
  copied.block(context.stream());
  const Tensor copy = on_gpu({0.0f});
  kernels.copy({&copy, false}, y);
  cuda_host::leave_out_waits(false);
  EXPECT_EQ(copy.item(), 1.0);
}

TEST_F(HostStream, AGraphRunsOncePerLaunch) {
  const Tensor y = on_gpu({1.0f}), factor = on_gpu({2.0f});
  cuda::Graph graph;
  graph.capture([&] { kernels.scale({&y, false}, y, factor); });
  EXPECT_EQ(y.item(), 1.0);
  for (int i = 0; i < 3; ++i) graph.launch();
  EXPECT_EQ(y.item(), 8.0);
}

TEST_F(HostStream, CaptureRefusesWaitsAndAllocations) {
  const Tensor y = on_gpu({1.0f});
  cuda::Event event;
  event.record(context.stream());
  const std::vector<std::pair<const char*, std::function<void()>>> forbidden = {
      {"cudaStreamSynchronize", [&] { context.synchronize(); }},
      {"cudaStreamSynchronize",
       [&] {
         kernels.scale({&y, false}, y, y), context.synchronize();
       }},
      {"cudaEventSynchronize", [&] { event.wait(); }},
      {"cudaMalloc", [&] { const Tensor fresh({12345}, DType::f32, Device::cuda); }},
      {"cudaHostAlloc", [&] { const Tensor fresh = pinned_tensor({12345}, DType::f32); }},
      {"cudaStreamWaitEvent", [&] { event.block(context.stream()); }},
      {"cuda", [&] { y.item(); }},
  };
  for (const auto& [call, work] : forbidden) {
    cuda::Graph graph;
    EXPECT_THAT(error_of([&] { graph.capture(work); }), HasSubstr(call));
    EXPECT_FALSE(graph);
    kernels.fill(y, 4.0);  // the stream is as before
    EXPECT_EQ(y.item(), 4.0);
  }
}

TEST_F(HostStream, ACaughtErrorStillInvalidatesTheCapture) {
  const Tensor y = on_gpu({1.0f});
  cuda::Graph graph;
  EXPECT_THROW(graph.capture([&] {
    try {
      context.synchronize();
    } catch (const Error&) {
    }
    kernels.fill(y, 2.0);
  }),
               Error);
}

TEST_F(HostStream, TheLegacyStreamIsRefused) {
  const Tensor y = on_gpu({1.0f});
  EXPECT_NE(cudaMemsetAsync(y.raw(), 0, 4, nullptr), cudaSuccess);
}

}  // namespace
}  // namespace folio
