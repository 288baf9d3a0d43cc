// The GPU: its memory pools, streams, events and graphs, and its errors.
//
// All work is submitted to one compute stream, in order. A tensor's memory may therefore be
// returned to the pool while a kernel still uses it: the next tensor there is used later on the
// same stream. Work on the copy stream, and on the stream of comm/nccl.cpp, is ordered by events.
// The legacy default stream is never used.
//
// In a build without CUDA, the functions report that (cuda_absent.cpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "folio/tensor/allocator.h"

struct CUstream_st;  // the types behind cudaStream_t, cudaEvent_t and cudaGraphExec_t
struct CUevent_st;
struct CUgraphExec_st;

namespace folio::cuda {

/// Whether this build supports CUDA.
bool built_in();

/// Why no GPU can be used: no CUDA in the build, no driver, no device, or a device that is too old.
/// Empty if one can be used.
std::string unavailable();

/// The number of GPUs that this process sees; 0 if none can be used.
int devices();
/// Selects the process's GPU, counted from 0, before its first use. The default is 0.
void use_device(int number);

/// Properties of the GPU.
struct DeviceProperties {
  std::string name;    // "NVIDIA H100 80GB HBM3"
  std::string bus;     // PCI bus id: "0000:65:00.0"
  int capability = 0;  // compute capability, 90 for 9.0
  int multiprocessors = 0;
  size_t memory = 0;  // bytes
  int runtime = 0;    // CUDA runtime version, 13000 for 13.0
};

/// The process's GPU. Created at first use and never destroyed.
class Context {
 public:
  /// Throws Error with the reason given by unavailable().
  static Context& get();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const DeviceProperties& properties() const { return properties_; }
  /// The compute stream: for kernels, library calls and copies.
  CUstream_st* stream() const { return stream_; }
  /// The stream for copies that overlap with them.
  CUstream_st* copy_stream() const { return copy_stream_; }
  /// Waits until all work on the compute stream is complete. Throws Error if any of it failed.
  void synchronize();

 private:
  Context();

  DeviceProperties properties_;
  CUstream_st* stream_ = nullptr;
  CUstream_st* copy_stream_ = nullptr;
};

/// A CUDA event: marks a point in a stream.
class Event {
 public:
  /// seconds_since() requires `timed`.
  explicit Event(bool timed = false);
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  /// Marks the work that was submitted to `stream` so far.
  void record(CUstream_st* stream);
  /// Makes work submitted to `stream` from now on wait for the marked work.
  void block(CUstream_st* stream) const;
  /// Blocks the calling thread until the marked work is complete.
  void wait() const;
  /// Whether the marked work is complete.
  bool query() const;
  /// Waits for the marked work, and returns the time on the device since `start`, an event of the
  /// same stream.
  double seconds_since(const Event& start) const;

 private:
  [[maybe_unused]] CUevent_st* event_ = nullptr;
};

/// A CUDA graph: work on the compute stream that is captured once and then launched repeatedly.
class Graph {
 public:
  Graph() = default;
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  /// Captures the work that `work` submits to the compute stream, without running it. `work` must
  /// not synchronize, and must only allocate memory that its pool has cached; otherwise this throws
  /// Error and captures nothing.
  void capture(const std::function<void()>& work);
  explicit operator bool() const { return executable_ != nullptr; }
  /// Submits the captured work to the compute stream.
  void launch() const;

 private:
  CUgraphExec_st* executable_ = nullptr;
};

/// While a DryRun exists, nothing is submitted to the device: kernels, library calls and copies
/// return at once, and the contents of memory are undefined. It shows what work allocates without
/// running it, see inspect/plan.h.
class DryRun {
 public:
  DryRun();
  ~DryRun();
  DryRun(const DryRun&) = delete;
  DryRun& operator=(const DryRun&) = delete;
};
bool is_dry_run();

/// Device memory, 256-byte aligned. If FOLIO_POISON=1 is set in the environment, the memory of
/// every new tensor is filled with NaN.
const MemorySource& device_memory();
/// Pinned host memory, which the GPU copies asynchronously.
const MemorySource& pinned_memory();
/// The pools of device_memory() and pinned_memory().
Allocator& pool();
Allocator& pinned_pool();

/// Copies bytes from and to host memory of any kind. Both return when the copy is complete.
void upload(void* device, const void* host, size_t bytes);
void download(void* host, const void* device, size_t bytes);
/// Copies on the compute stream and returns at once.
void copy_on_device(void* to, const void* from, size_t bytes);
/// Copy on `stream` and return at once. `pinned` must be pinned memory that does not change until
/// the copy is complete.
void upload_async(void* device, const void* pinned, size_t bytes, CUstream_st* stream);
void download_async(void* pinned, const void* device, size_t bytes, CUstream_st* stream);

/// Throws Error for the result `error`, not 0, of the CUDA runtime function `call`.
[[noreturn]] void throw_cuda_error(const char* call, int error);

}  // namespace folio::cuda
