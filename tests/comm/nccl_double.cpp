// NCCL's double finds mistakes: each is made here, by two ranks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nccl.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "folio/comm/launch.h"
#include "folio/kernels/kernels.h"
#include "folio/tensor/copy.h"
#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"
#include "support/temporary.h"
#include "work.h"

namespace folio {
namespace {

using testing::HasSubstr;

Tensor on_gpu(int64_t count, float value) {
  return on_device(Tensor::from({count}, std::vector<float>(static_cast<size_t>(count), value)),
                   Device::cuda);
}

/// A communicator of the test's own, and its stream.
class NcclDouble : public testing::Test {
 protected:
  void SetUp() override {
    cuda::Context::get();
    ASSERT_EQ(ranks.size(), 2);
    const Tensor words({32}, DType::i32);
    ncclUniqueId id{};
    if (ranks.is_root()) ncclGetUniqueId(&id);
    std::memcpy(words.raw(), &id, sizeof id);
    ranks.broadcast(words);
    std::memcpy(&id, words.raw(), sizeof id);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    ASSERT_EQ(ncclCommInitRankConfig(&comm, 2, id, ranks.rank(), &config), ncclInProgress);
    settle();
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  }
  void TearDown() override {
    cuda_host::leave_out_waits(false);
    cuda_host::reset_after_failure();
    ranks.barrier();
    ncclCommDestroy(comm);
  }

  ncclResult_t state() {
    ncclResult_t state = ncclSuccess;
    ncclCommGetAsyncError(comm, &state);
    return state;
  }
  void settle() {
    while (state() == ncclInProgress) std::this_thread::yield();
  }
  /// Whether `what` comes true: for as long as a test may take, or for a moment where it must not.
  static bool comes(const std::function<bool()>& what, std::chrono::milliseconds patience) {
    for (const auto end = std::chrono::steady_clock::now() + patience;;) {
      if (what()) return true;
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  /// All on the stream is done.
  bool comes_to_an_end(std::chrono::milliseconds patience = std::chrono::seconds(60)) {
    cuda::Event end;
    end.record(stream);
    return comes([&] { return end.query(); }, patience);
  }
  bool ends_soon() { return comes_to_an_end(std::chrono::milliseconds(300)); }

  Communicator& ranks = join_ranks();
  const int other = 1 - ranks.rank();
  ncclComm_t comm = nullptr;
  cudaStream_t stream = nullptr;
};

TEST_F(NcclDouble, MessagesOutsideAGroupWaitForEachOther) {
  const Tensor from = on_gpu(5, 1.0F), to = on_gpu(5, 0.0F);
  ncclGroupStart();
  ncclSend(from.raw(), 5, ncclFloat32, other, comm, stream);
  ncclRecv(to.raw(), 5, ncclFloat32, other, comm, stream);
  ncclGroupEnd();
  settle();
  EXPECT_TRUE(comes_to_an_end());
  ncclSend(from.raw(), 5, ncclFloat32, other, comm, stream);
  settle();
  ncclRecv(to.raw(), 5, ncclFloat32, other, comm, stream);
  settle();
  EXPECT_FALSE(ends_soon());
}

TEST_F(NcclDouble, SizesMustAgree) {
  const Tensor x = on_gpu(9, 1.0F);
  ncclGroupStart();
  ncclSend(x.raw(), ranks.is_root() ? 7 : 8, ncclFloat32, other, comm, stream);
  ncclRecv(x.raw(), 7, ncclFloat32, other, comm, stream);
  ncclGroupEnd();
  settle();
  if (ranks.is_root()) {
    EXPECT_THAT(error_of([&] { comes_to_an_end(); }), HasSubstr("cudaErrorLaunchFailure"));
  } else {
    EXPECT_FALSE(ends_soon());  // its message is not taken
  }
}

TEST_F(NcclDouble, CallsMustAgree) {
  const Tensor x = on_gpu(9, 1.0F);
  if (ranks.is_root()) {
    ncclBroadcast(x.raw(), x.raw(), 9, ncclFloat32, 0, comm, stream);
    settle();
    EXPECT_FALSE(ends_soon());
  } else {
    ncclRecv(x.raw(), 9, ncclFloat32, 0, comm, stream);
    settle();
    EXPECT_THAT(error_of([&] { comes_to_an_end(); }), HasSubstr("cudaErrorLaunchFailure"));
  }
}

TEST_F(NcclDouble, MemoryMustBeTheDevices) {
  const Tensor host({5}, DType::f32);
  EXPECT_EQ(ncclSend(host.raw(), 5, ncclFloat32, other, comm, stream), ncclInvalidArgument);
  const Tensor device = on_gpu(5, 1.0F);
  EXPECT_EQ(ncclSend(device.raw(), 5000, ncclFloat32, other, comm, stream), ncclInvalidArgument);
}

TEST_F(NcclDouble, NothingIsInPlaceBeforeItSaysSo) {
  const Tensor x = on_gpu(5, static_cast<float>(ranks.rank()));
  ASSERT_EQ(ncclBroadcast(x.raw(), x.raw(), 5, ncclFloat32, 0, comm, stream), ncclInProgress);
  EXPECT_EQ(ncclBroadcast(x.raw(), x.raw(), 5, ncclFloat32, 0, comm, stream), ncclInvalidUsage);
  cuda::Event too_early;
  too_early.record(stream);
  too_early.wait();
  EXPECT_EQ(x.to_vector<float>()[0], static_cast<float>(ranks.rank()));
  settle();
  EXPECT_TRUE(comes_to_an_end());
  EXPECT_EQ(x.to_vector<float>()[0], 0.0F);
}

TEST_F(NcclDouble, ASumWithoutItsEventsIsFound) {
  for (const bool waits : {true, false}) {
    const Tensor x = on_gpu(8, 0.5F);
    const Tensor scaled = on_gpu(8, 0.0F), factor = on_gpu(1, 2.0F);
    const Parts parts{.count = 8, .ranks = 2};
    const Tensor sum = on_gpu(4, 0.0F);
    cuda_host::leave_out_waits(!waits);
    kernels_for(Device::cuda).scale({&scaled, false}, x, factor);
    const Pending pending = ranks.start_reduce_scatter({&sum, false}, scaled, parts, 2);
    pending->wait();
    const Tensor copy = on_gpu(4, 0.0F);
    kernels_for(Device::cuda).copy({&copy, false}, sum);
    cuda::Context::get().synchronize();
    cuda_host::leave_out_waits(false);
    ranks.synchronize();
    const std::vector<float> right(4, 2.0F);  // (0.5 + 0.5) * 2
    EXPECT_EQ(copy.to_vector<float>() == right, waits);
  }
}

TEST_F(NcclDouble, ARankThatIsGoneIsTold) {
  if (!ranks.is_root()) {
    ncclCommDestroy(std::exchange(comm, nullptr));
    return;
  }
  const Tensor x = on_gpu(5, 1.0F);
  ncclRecv(x.raw(), 5, ncclFloat32, other, comm, stream);
  EXPECT_TRUE(comes([&] { return state() == ncclRemoteError; }, std::chrono::seconds(60)));
  EXPECT_FALSE(ends_soon());
}

}  // namespace
}  // namespace folio
