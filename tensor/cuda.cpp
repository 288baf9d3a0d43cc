#include "folio/tensor/cuda.h"

#include <cuda_runtime.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string_view>

#include "folio/tensor/error.h"

namespace folio::cuda {
namespace {

constexpr int oldest_capability = 75;

int chosen_device = 0;
bool device_in_use = false;
bool dry = false;

void check(cudaError_t error, const char* call) {
  if (error != cudaSuccess) throw_cuda_error(call, error);
}

/// The memory that an allocation returned, or null if there is none left.
void* allocated(void* memory, cudaError_t error, const char* call) {
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // clears the error, or a later call would report it
    return nullptr;
  }
  check(error, call);
  return memory;
}

void* allocate_on_device(size_t bytes) {
  void* memory = nullptr;
  const cudaError_t error = cudaMalloc(&memory, bytes);
  return allocated(memory, error, "cudaMalloc");
}

void* allocate_pinned(size_t bytes) {
  void* memory = nullptr;
  const cudaError_t error = cudaHostAlloc(&memory, bytes, cudaHostAllocDefault);
  return allocated(memory, error, "cudaHostAlloc");
}

// A pool may be freed during stack unwinding, so these do not throw.
void free_on_device(void* memory) { cudaFree(memory); }
void free_pinned(void* memory) { cudaFreeHost(memory); }

void poison(void* memory, size_t bytes) {
  check(cudaMemsetAsync(memory, 0xFF, bytes, Context::get().stream()), "cudaMemsetAsync");
}

bool poisons() {
  const char* value = std::getenv("FOLIO_POISON");
  return value != nullptr && std::string_view(value) == "1";
}

/// Two buffers of pinned memory for copies of pageable memory: the CPU fills or empties one while
/// the GPU copies the other.
class Staging {
 public:
  static constexpr size_t piece_bytes = size_t{4} << 20;

  Staging() {
    for (std::byte*& piece : pieces_) {
      piece = static_cast<std::byte*>(allocate_pinned(piece_bytes));
      FOLIO_CHECK(piece != nullptr, "cuda", "the system has no {} bytes of pinned memory left",
                  piece_bytes);
    }
  }

  void upload(std::byte* device, const std::byte* host, size_t bytes) {
    const std::lock_guard lock(mutex_);
    CUstream_st* stream = Context::get().stream();
    int turn = 0;
    for (size_t done = 0; done < bytes; done += piece_bytes, turn ^= 1) {
      const size_t count = std::min(piece_bytes, bytes - done);
      if (done >= 2 * piece_bytes) events_[turn].wait();
      std::memcpy(pieces_[turn], host + done, count);
      upload_async(device + done, pieces_[turn], count, stream);
      events_[turn].record(stream);
    }
    Context::get().synchronize();
  }

  void download(std::byte* host, const std::byte* device, size_t bytes) {
    const std::lock_guard lock(mutex_);
    CUstream_st* stream = Context::get().stream();
    const auto fetch = [&](size_t from, int turn) {
      if (from >= bytes) return;
      const size_t count = std::min(piece_bytes, bytes - from);
      download_async(pieces_[turn], device + from, count, stream);
      events_[turn].record(stream);
    };
    fetch(0, 0);
    int turn = 0;
    for (size_t done = 0; done < bytes; done += piece_bytes, turn ^= 1) {
      fetch(done + piece_bytes, turn ^ 1);
      events_[turn].wait();
      std::memcpy(host + done, pieces_[turn], std::min(piece_bytes, bytes - done));
    }
  }

 private:
  std::mutex mutex_;
  std::array<std::byte*, 2> pieces_{};
  std::array<Event, 2> events_;
};

Staging& staging() {
  static Staging* const only = new Staging;  // never destroyed, like the context
  return *only;
}

}  // namespace

bool built_in() { return true; }

DryRun::DryRun() { dry = true; }
DryRun::~DryRun() { dry = false; }
bool is_dry_run() { return dry; }

std::string unavailable() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) {
    cudaGetLastError();
    return fmt::format("CUDA finds no GPU here ({}); use device: cpu, or look at nvidia-smi",
                       cudaGetErrorString(error));
  }
  if (count == 0) return "CUDA finds no GPU here; use device: cpu, or look at nvidia-smi";
  cudaDeviceProp properties;
  if (cudaGetDeviceProperties(&properties, chosen_device) != cudaSuccess) {
    return "the GPU does not answer; look at nvidia-smi, or use device: cpu";
  }
  if (10 * properties.major + properties.minor < oldest_capability) {
    return fmt::format("{} has compute capability {}.{}; wanted 7.5 or more; use device: cpu",
                       properties.name, properties.major, properties.minor);
  }
  return "";
}

int devices() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();
  return 0;
}

void use_device(int number) {
  FOLIO_CHECK(!device_in_use && number >= 0 && number < devices(), "device",
              "GPU {} of {} cannot be selected{}", number, devices(),
              device_in_use ? " because a GPU is already in use" : "");
  chosen_device = number;
}

Context::Context() {
  const std::string reason = unavailable();
  if (!reason.empty()) fail("device", reason);
  device_in_use = true;
  check(cudaSetDevice(chosen_device), "cudaSetDevice");
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, chosen_device), "cudaGetDeviceProperties");
  properties_.name = properties.name;
  std::array<char, 32> bus{};
  check(cudaDeviceGetPCIBusId(bus.data(), bus.size(), chosen_device), "cudaDeviceGetPCIBusId");
  properties_.bus = bus.data();
  properties_.capability = 10 * properties.major + properties.minor;
  properties_.multiprocessors = properties.multiProcessorCount;
  properties_.memory = properties.totalGlobalMem;
  check(cudaRuntimeGetVersion(&properties_.runtime), "cudaRuntimeGetVersion");
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  check(cudaStreamCreateWithFlags(&copy_stream_, cudaStreamNonBlocking),
        "cudaStreamCreateWithFlags");
}

Context& Context::get() {
  static Context* const only = new Context;
  return *only;
}

void Context::synchronize() { check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }

Event::Event(bool timed) {
  check(cudaEventCreateWithFlags(&event_, timed ? cudaEventDefault : cudaEventDisableTiming),
        "cudaEventCreateWithFlags");
}
Event::~Event() { cudaEventDestroy(event_); }
void Event::record(CUstream_st* stream) {
  check(cudaEventRecord(event_, stream), "cudaEventRecord");
}
void Event::block(CUstream_st* stream) const {
  check(cudaStreamWaitEvent(stream, event_, 0), "cudaStreamWaitEvent");
}
void Event::wait() const { check(cudaEventSynchronize(event_), "cudaEventSynchronize"); }
bool Event::query() const {
  const cudaError_t state = cudaEventQuery(event_);
  if (state == cudaErrorNotReady) {
    cudaGetLastError();
    return false;
  }
  check(state, "cudaEventQuery");
  return true;
}
double Event::seconds_since(const Event& start) const {
  wait();
  float milliseconds = 0.0f;
  check(cudaEventElapsedTime(&milliseconds, start.event_, event_), "cudaEventElapsedTime");
  return 1e-3 * milliseconds;
}

Graph::~Graph() {
  if (executable_ != nullptr) cudaGraphExecDestroy(executable_);
}

void Graph::capture(const std::function<void()>& work) {
  CUstream_st* stream = Context::get().stream();
  cudaGraph_t graph = nullptr;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "cudaStreamBeginCapture");
  try {
    work();
  } catch (...) {
    cudaStreamEndCapture(stream, &graph);  // fails too, but restores the stream
    if (graph != nullptr) cudaGraphDestroy(graph);
    cudaGetLastError();
    throw;
  }
  check(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
  const cudaError_t error = cudaGraphInstantiate(&executable_, graph, 0);
  cudaGraphDestroy(graph);
  check(error, "cudaGraphInstantiate");
}

void Graph::launch() const {
  check(cudaGraphLaunch(executable_, Context::get().stream()), "cudaGraphLaunch");
}

const MemorySource& device_memory() {
  static const MemorySource source{"the GPU", allocate_on_device, free_on_device,
                                   poisons() ? poison : nullptr};
  return source;
}

const MemorySource& pinned_memory() {
  static const MemorySource source{"the system", allocate_pinned, free_pinned};
  return source;
}

Allocator& pool() {
  Context::get();
  static Allocator* const only = new Allocator(device_memory());
  return *only;
}

Allocator& pinned_pool() {
  Context::get();
  static Allocator* const only = new Allocator(pinned_memory());
  return *only;
}

void upload(void* device, const void* host, size_t bytes) {
  if (dry) return;
  staging().upload(static_cast<std::byte*>(device), static_cast<const std::byte*>(host), bytes);
}

void download(void* host, const void* device, size_t bytes) {
  if (dry) return;
  staging().download(static_cast<std::byte*>(host), static_cast<const std::byte*>(device), bytes);
}

void copy_on_device(void* to, const void* from, size_t bytes) {
  if (dry) return;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, Context::get().stream()),
        "cudaMemcpyAsync");
}

void upload_async(void* device, const void* pinned, size_t bytes, CUstream_st* stream) {
  check(cudaMemcpyAsync(device, pinned, bytes, cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
}

void download_async(void* pinned, const void* device, size_t bytes, CUstream_st* stream) {
  check(cudaMemcpyAsync(pinned, device, bytes, cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
}

void throw_cuda_error(const char* call, int error) {
  const auto code = static_cast<cudaError_t>(error);
  fail(call, fmt::format("{} ({}); earlier work on the GPU may have failed: set "
                         "CUDA_LAUNCH_BLOCKING=1 to find the call",
                         cudaGetErrorString(code), cudaGetErrorName(code)));
}

}  // namespace folio::cuda
