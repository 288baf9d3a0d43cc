#include "folio/comm/nccl.h"

#include <cuda_runtime.h>
#include <fmt/core.h>
#include <nccl.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "folio/kernels/cuda/sum_over_ranks.h"
#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

using Clock = std::chrono::steady_clock;

ncclDataType_t type_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return ncclFloat32;
    case DType::bf16:
      return ncclBfloat16;
    case DType::i32:
      return ncclInt32;
    case DType::f64:
      return ncclFloat64;
  }
  return ncclFloat32;
}

std::byte* element(const Tensor& x, int64_t index) {
  return static_cast<std::byte*>(x.raw()) + index * static_cast<int64_t>(size_of(x.dtype()));
}

/// A collective that was enqueued on the communication stream. It keeps its tensors alive until it
/// is done, because the pool would hand their memory to kernels of the compute stream.
struct Launched {
  std::string_view name;
  std::vector<Tensor> tensors;
  cuda::Event done;
};

class NcclCommunicator final : public Communicator {
 public:
  explicit NcclCommunicator(std::unique_ptr<HostCommunicator> host) : host_(std::move(host)) {}

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }
  std::string describe() const override;
  bool carries(Device) const override { return true; }

  Pending start_reduce_scatter(GradTarget sum, const Tensor& x, const Parts& parts,
                               int contributors) override;
  Pending start_all_gather(const Tensor& x, const Parts& parts) override;
  void broadcast(const Tensor& x, int root) override;
  void barrier() override { host_->barrier(); }
  void synchronize() override;

  void set_timeout(double seconds) override { host_->set_timeout(seconds); }
  void set_step(int64_t step) override { host_->set_step(step); }
  [[noreturn]] void abort(int exit_code) override {
    host_->abort(exit_code);
    std::_Exit(exit_code);
  }
  void finish() override;

  /// Whether NCCL has enqueued everything that it was given. Throws Error if it has failed.
  bool check_progress();

 private:
  void start();
  void call(std::string_view name, ncclResult_t result);
  std::shared_ptr<Launched> launch(std::string_view name, std::vector<Tensor> tensors,
                                   const std::function<void()>& messages,
                                   const std::function<void()>& then = {});

  std::unique_ptr<HostCommunicator> host_;
  ncclComm_t comm_ = nullptr;  // null until the first collective of GPU tensors
  cudaStream_t stream_ = nullptr;
  std::deque<std::shared_ptr<Launched>> launched_;  // in the order of their start
  ncclResult_t failure_ = ncclSuccess;              // returned by a call
  std::optional<Clock::time_point> trouble_since_;
};

/// The collective as its caller sees it.
class LaunchedOperation final : public Operation {
 public:
  LaunchedOperation(NcclCommunicator& ranks, std::shared_ptr<Launched> launched)
      : ranks_(ranks), launched_(std::move(launched)) {}
  bool poll() override { return ranks_.check_progress() && launched_->done.query(); }
  void wait() override { launched_->done.block(cuda::Context::get().stream()); }

 private:
  NcclCommunicator& ranks_;
  std::shared_ptr<Launched> launched_;
};

/// A call of NCCL that has not returned its result yet.
class Call final : public Operation {
 public:
  explicit Call(NcclCommunicator& ranks) : ranks_(ranks) {}
  bool poll() override { return ranks_.check_progress(); }
  void wait() override {}

 private:
  NcclCommunicator& ranks_;
};

std::string NcclCommunicator::describe() const {
  if (comm_ == nullptr) return host_->describe();
  int version = 0;
  ncclGetVersion(&version);
  return fmt::format("NCCL {}.{}.{} and {}", version / 10000, version / 100 % 100, version % 100,
                     host_->describe());
}

// --- calls --------------------------------------------------------------------------------------

// When another rank is gone, that rank or mpirun usually reports the reason and ends this rank too.
// A grace period lets them do so before this rank reports an error of its own.
bool NcclCommunicator::check_progress() {
  constexpr std::chrono::seconds grace{3};
  ncclResult_t state = ncclSuccess;
  if (const ncclResult_t asked = ncclCommGetAsyncError(comm_, &state)) state = asked;
  if (state == ncclSuccess) state = failure_;
  if (state == ncclSuccess) return true;
  if (state == ncclInProgress) return false;
  const bool of_others = state == ncclRemoteError || state == ncclSystemError;
  if (!trouble_since_) trouble_since_ = Clock::now();
  if (of_others && Clock::now() - *trouble_since_ < grace) return false;
  fail("NCCL", fmt::format("{}: {}; NCCL_DEBUG=WARN in the environment makes it say more",
                           ncclGetErrorString(state), ncclGetLastError(comm_)));
}

/// Handles the result of a call, or of the end of a group of calls. The calls do not block; this
/// waits, with the timeout, until NCCL has enqueued them, because nothing else may be put on the
/// stream before.
void NcclCommunicator::call(std::string_view name, ncclResult_t result) {
  FOLIO_CHECK(comm_ != nullptr, "NCCL",
              "{}: {}; NCCL_DEBUG=WARN in the environment makes it say more", name,
              ncclGetErrorString(result));
  if (result != ncclInProgress) failure_ = result;
  Call started(*this);
  if (!started.poll()) host_->wait_for(started, name);
}

void NcclCommunicator::start() {
  if (comm_ != nullptr) return;
  cuda::Context::get();  // chooses the GPU
  const cudaError_t error = cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking);
  if (error != cudaSuccess) cuda::throw_cuda_error("cudaStreamCreateWithFlags", error);
  const Tensor words({sizeof(ncclUniqueId) / 4}, DType::i32);
  ncclUniqueId id{};
  if (is_root()) {
    const ncclResult_t result = ncclGetUniqueId(&id);
    FOLIO_CHECK(result == ncclSuccess, "NCCL", "ncclGetUniqueId: {}", ncclGetErrorString(result));
  }
  std::memcpy(words.raw(), &id, sizeof id);
  host_->broadcast(words);
  std::memcpy(&id, words.raw(), sizeof id);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  call("the start of NCCL", ncclCommInitRankConfig(&comm_, size(), id, rank(), &config));
}

/// Enqueues one collective behind the work of the compute stream: the messages as a group, then the
/// work on what they bring.
std::shared_ptr<Launched> NcclCommunicator::launch(std::string_view name,
                                                   std::vector<Tensor> tensors,
                                                   const std::function<void()>& messages,
                                                   const std::function<void()>& then) {
  while (!launched_.empty() && launched_.front()->done.query()) launched_.pop_front();
  const auto collective = std::make_shared<Launched>();
  collective->name = name;
  collective->tensors = std::move(tensors);
  cuda::Event computed;
  computed.record(cuda::Context::get().stream());
  computed.block(stream_);
  ncclGroupStart();
  messages();
  call(name, ncclGroupEnd());
  if (then) then();
  collective->done.record(stream_);
  launched_.push_back(collective);
  return collective;
}

void NcclCommunicator::synchronize() {
  while (!launched_.empty()) {
    LaunchedOperation first(*this, launched_.front());
    host_->wait_for(first, launched_.front()->name);
    launched_.pop_front();
  }
}

// --- collectives --------------------------------------------------------------------------------

// Every rank sends every other rank its part and adds the parts that it receives in the order of
// ranks, as with MPI. NCCL's own reduce-scatter adds in an order that depends on its algorithm.
Pending NcclCommunicator::start_reduce_scatter(GradTarget sum, const Tensor& x, const Parts& parts,
                                               int contributors) {
  if (x.device() == Device::cpu) {
    return host_->start_reduce_scatter(sum, x, parts, contributors);
  }
  start();
  const SlabRange own = parts.of(rank());
  const auto own_size = static_cast<size_t>(own.size());
  const Tensor received({std::max<int64_t>(own.size() * contributors, 1)}, x.dtype(), Device::cuda);
  const ncclDataType_t type = type_of(x.dtype());
  const auto exchange = [&] {
    for (int r = 0; r < size(); ++r) {
      const SlabRange part = parts.of(r);
      if (r != rank() && rank() < contributors && part.size() > 0) {
        ncclSend(element(x, part.begin), static_cast<size_t>(part.size()), type, r, comm_, stream_);
      }
      if (r != rank() && r < contributors && own_size > 0) {
        ncclRecv(element(received, r * own.size()), own_size, type, r, comm_, stream_);
      }
    }
  };
  const auto add = [&] {
    cuda::sum_over_ranks(sum, x.view(own.begin, {own.size()}), rank(), received, contributors,
                         stream_);
  };
  return std::make_unique<LaunchedOperation>(
      *this, launch("reduce_scatter", {x, received, *sum.tensor}, exchange, add));
}

Pending NcclCommunicator::start_all_gather(const Tensor& x, const Parts& parts) {
  if (x.device() == Device::cpu) return host_->start_all_gather(x, parts);
  start();
  const ncclDataType_t type = type_of(x.dtype());
  const auto each = static_cast<size_t>(parts.of(0).size());
  bool equal = each > 0;
  for (int r = 0; r < size(); ++r) {
    equal = equal && parts.of(r).size() == static_cast<int64_t>(each);
  }
  const auto exchange = [&] {
    if (equal) {
      ncclAllGather(element(x, parts.of(rank()).begin), x.raw(), each, type, comm_, stream_);
      return;
    }
    for (int r = 0; r < size(); ++r) {
      const SlabRange part = parts.of(r);
      std::byte* place = element(x, part.begin);
      if (part.size() == 0) continue;
      ncclBroadcast(place, place, static_cast<size_t>(part.size()), type, r, comm_, stream_);
    }
  };
  return std::make_unique<LaunchedOperation>(*this, launch("all_gather", {x}, exchange));
}

void NcclCommunicator::broadcast(const Tensor& x, int root) {
  if (x.device() == Device::cpu) return host_->broadcast(x, root);
  start();
  const auto exchange = [&] {
    if (x.numel() == 0) return;
    ncclBroadcast(x.raw(), x.raw(), static_cast<size_t>(x.numel()), type_of(x.dtype()), root, comm_,
                  stream_);
  };
  launch("broadcast", {x}, exchange);
  synchronize();
}

void NcclCommunicator::finish() {
  if (comm_ != nullptr) {
    synchronize();
    host_->barrier();
    call("the end of NCCL", ncclCommFinalize(comm_));
    ncclCommDestroy(comm_);
  }
  host_->finish();
}

}  // namespace

std::unique_ptr<Communicator> with_nccl(std::unique_ptr<HostCommunicator> host) {
  return std::make_unique<NcclCommunicator>(std::move(host));
}

}  // namespace folio
