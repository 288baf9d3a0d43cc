#include "folio/comm/nccl.h"

#include <cuda_runtime.h>
#include <fmt/core.h>
#include <nccl.h>

#include <algorithm>
#include <chrono>
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

/// A collective on the communication stream. It holds its tensors until it is complete, because the
/// pool would otherwise give their memory to kernels of the compute stream.
struct Collective {
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
  bool supports(Device) const override { return true; }

  Pending start_reduce_scatter(GradTarget sum, const Tensor& x, const Parts& parts,
                               int contributors) override;
  Pending start_all_gather(const Tensor& x, const Parts& parts) override;
  void broadcast(const Tensor& x, int root) override;
  void barrier() override { host_->barrier(); }
  void synchronize() override;

  void set_timeout(double seconds, const std::string& setting) override {
    host_->set_timeout(seconds, setting);
  }
  void set_step(int64_t step) override { host_->set_step(step); }
  [[noreturn]] void abort(int exit_code) override {
    host_->abort(exit_code);
    std::_Exit(exit_code);
  }
  void finish() override;

  /// Whether NCCL's calls have been enqueued. Throws Error if one has failed.
  bool enqueued();

 private:
  void initialize();
  void wait_for_call(std::string_view name, ncclResult_t result);
  std::shared_ptr<Collective> enqueue(std::string_view name, std::vector<Tensor> tensors,
                                      const std::function<void()>& messages,
                                      const std::function<void()>& then = {});

  std::unique_ptr<HostCommunicator> host_;
  ncclComm_t comm_ = nullptr;  // null before the first collective on a GPU
  cudaStream_t stream_ = nullptr;
  std::deque<std::shared_ptr<Collective>> running_;  // in the order of their start
  ncclResult_t failure_ = ncclSuccess;               // returned by a call
  std::optional<Clock::time_point> failed_since_;
};

class NcclOperation final : public Operation {
 public:
  NcclOperation(NcclCommunicator& ranks, std::shared_ptr<Collective> collective)
      : ranks_(ranks), collective_(std::move(collective)) {}
  bool poll() override { return ranks_.enqueued() && collective_->done.query(); }
  void wait() override { collective_->done.block(cuda::Context::get().stream()); }

 private:
  NcclCommunicator& ranks_;
  std::shared_ptr<Collective> collective_;
};

std::string NcclCommunicator::describe() const {
  if (comm_ == nullptr) return host_->describe();
  int version = 0;
  ncclGetVersion(&version);
  return fmt::format("NCCL {}.{}.{} and {}", version / 10000, version / 100 % 100, version % 100,
                     host_->describe());
}

// --- calls --------------------------------------------------------------------------------------

// A rank that fails prints the reason and ends the other ranks, and mpirun does so for a rank that
// was killed. Errors that another rank caused are therefore reported only after a grace period.
bool NcclCommunicator::enqueued() {
  constexpr std::chrono::seconds grace{3};
  ncclResult_t state = ncclSuccess;
  if (const ncclResult_t error = ncclCommGetAsyncError(comm_, &state)) state = error;
  if (state == ncclSuccess) state = failure_;
  if (state == ncclSuccess) return true;
  if (state == ncclInProgress) return false;
  const bool remote = state == ncclRemoteError || state == ncclSystemError;
  if (!failed_since_) failed_since_ = Clock::now();
  if (remote && Clock::now() - *failed_since_ < grace) return false;
  fail("NCCL", fmt::format("{}: {}; set NCCL_DEBUG=WARN in the environment for details",
                           ncclGetErrorString(state), ncclGetLastError(comm_)));
}

/// Waits until NCCL has enqueued a call or a group of calls; `result` is what the call returned.
/// Calls do not block, so that the wait has a timeout. Nothing else may be enqueued meanwhile.
void NcclCommunicator::wait_for_call(std::string_view name, ncclResult_t result) {
  FOLIO_CHECK(comm_ != nullptr, "NCCL",
              "{}: {}; set NCCL_DEBUG=WARN in the environment for details", name,
              ncclGetErrorString(result));
  if (result != ncclInProgress) failure_ = result;
  host_->wait_for([this] { return enqueued(); }, name);
}

void NcclCommunicator::initialize() {
  if (comm_ != nullptr) return;
  cuda::Context::get();  // selects the GPU
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
  wait_for_call("the start of NCCL", ncclCommInitRankConfig(&comm_, size(), id, rank(), &config));
}

/// Enqueues a collective after the work on the compute stream: `messages` as a group of NCCL calls,
/// followed by `then`.
std::shared_ptr<Collective> NcclCommunicator::enqueue(std::string_view name,
                                                      std::vector<Tensor> tensors,
                                                      const std::function<void()>& messages,
                                                      const std::function<void()>& then) {
  while (!running_.empty() && running_.front()->done.query()) running_.pop_front();
  const auto collective = std::make_shared<Collective>();
  collective->name = name;
  collective->tensors = std::move(tensors);
  cuda::Event inputs_ready;
  inputs_ready.record(cuda::Context::get().stream());
  inputs_ready.block(stream_);
  ncclGroupStart();
  messages();
  wait_for_call(name, ncclGroupEnd());
  if (then) then();
  collective->done.record(stream_);
  running_.push_back(collective);
  return collective;
}

void NcclCommunicator::synchronize() {
  for (; !running_.empty(); running_.pop_front()) {
    const Collective& first = *running_.front();
    host_->wait_for([&] { return enqueued() && first.done.query(); }, first.name);
  }
}

// --- collectives --------------------------------------------------------------------------------

// Like MPI's, because NCCL's own reduce-scatter adds in an order that depends on its algorithm.
Pending NcclCommunicator::start_reduce_scatter(GradTarget sum, const Tensor& x, const Parts& parts,
                                               int contributors) {
  if (x.device() == Device::cpu) {
    return host_->start_reduce_scatter(sum, x, parts, contributors);
  }
  initialize();
  const SlabRange own = parts.of(rank());
  const auto own_size = static_cast<size_t>(own.size());
  const Tensor received({std::max<int64_t>(own.size() * contributors, 1)}, x.dtype(), Device::cuda);
  const ncclDataType_t type = type_of(x.dtype());
  const auto exchange = [&] {
    for (int r = 0; r < size(); ++r) {
      const SlabRange part = parts.of(r);
      if (r != rank() && rank() < contributors && part.size() > 0) {
        ncclSend(x.view(part.begin, {part.size()}).raw(), static_cast<size_t>(part.size()), type, r,
                 comm_, stream_);
      }
      if (r != rank() && r < contributors && own_size > 0) {
        ncclRecv(received.view(r * own.size(), {own.size()}).raw(), own_size, type, r, comm_,
                 stream_);
      }
    }
  };
  const auto add = [&] {
    cuda::sum_over_ranks(sum, x.view(own.begin, {own.size()}), rank(), received, contributors,
                         stream_);
  };
  return std::make_unique<NcclOperation>(
      *this, enqueue("reduce_scatter", {x, received, *sum.tensor}, exchange, add));
}

Pending NcclCommunicator::start_all_gather(const Tensor& x, const Parts& parts) {
  if (x.device() == Device::cpu) return host_->start_all_gather(x, parts);
  initialize();
  const ncclDataType_t type = type_of(x.dtype());
  const int64_t each = parts.of(0).size();
  const bool equal = each > 0 && each * size() == parts.count;
  const auto exchange = [&] {
    if (equal) {
      ncclAllGather(x.view(each * rank(), {each}).raw(), x.raw(), static_cast<size_t>(each), type,
                    comm_, stream_);
      return;
    }
    for (int r = 0; r < size(); ++r) {
      const SlabRange part = parts.of(r);
      if (part.size() == 0) continue;
      void* const place = x.view(part.begin, {part.size()}).raw();
      ncclBroadcast(place, place, static_cast<size_t>(part.size()), type, r, comm_, stream_);
    }
  };
  return std::make_unique<NcclOperation>(*this, enqueue("all_gather", {x}, exchange));
}

void NcclCommunicator::broadcast(const Tensor& x, int root) {
  if (x.device() == Device::cpu) return host_->broadcast(x, root);
  initialize();
  const auto exchange = [&] {
    if (x.numel() == 0) return;
    ncclBroadcast(x.raw(), x.raw(), static_cast<size_t>(x.numel()), type_of(x.dtype()), root, comm_,
                  stream_);
  };
  enqueue("broadcast", {x}, exchange);
  synchronize();
}

void NcclCommunicator::finish() {
  if (comm_ != nullptr) {
    synchronize();
    host_->barrier();
    wait_for_call("the end of NCCL", ncclCommFinalize(comm_));
    ncclCommDestroy(comm_);
  }
  host_->finish();
}

}  // namespace

std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<HostCommunicator> host) {
  return std::make_unique<NcclCommunicator>(std::move(host));
}

}  // namespace folio
