// The GPU as Folio uses it: its memory pool, its streams, and what its asynchronous errors become.
//
// All work goes to one compute stream, in order, so a tensor's memory may be given back to the pool
// while a kernel still reads it: who gets it next comes later on the same stream. What runs on the
// copy stream, or on that of comm/nccl.cpp, is ordered by events. Nothing is ever put on the legacy
// default stream.
//
// Without CUDA in the build everything here says so: cuda_absent.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "folio/tensor/allocator.h"

struct CUstream_st;  // what cudaStream_t, cudaEvent_t and cudaGraphExec_t point at
struct CUevent_st;
struct CUgraphExec_st;

namespace folio::cuda {

/// Whether this build can use a GPU at all.
bool built_in();

/// Why there is no GPU to compute on: not built in, no driver, no device, one that is too old.
/// Empty where there is one.
std::string unavailable();

/// How many GPUs this process sees; 0 where none can be used.
int devices();
/// Which of them is the process's, from 0: number 0, unless another is named before its first use.
void use_device(int number);

/// What is known of the GPU.
struct Facts {
  std::string name;    // "NVIDIA H100 80GB HBM3"
  std::string bus;     // where it sits in its machine: "0000:65:00.0"
  int capability = 0;  // compute capability, 90 for 9.0
  int multiprocessors = 0;
  size_t memory = 0;  // bytes
  int runtime = 0;    // of CUDA, 13000 for 13.0
};

/// What changes from step to step although a captured graph stays the same: kernels that need it
/// are given its address in device memory, and read it when they run.
struct StepValues {
  uint32_t step_offset = 0;  // added to the step of random numbers
  uint32_t unused = 0;
  double lr = 0.0;
  int64_t optimizer_step = 0;  // counted from 1
};

/// The process's GPU. Made at first use and never destroyed.
class Context {
 public:
  /// Throws Error with unavailable()'s reason.
  static Context& get();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const Facts& facts() const { return facts_; }
  /// Where kernels, library calls and copies go.
  CUstream_st* stream() const { return stream_; }
  /// Where copies go that may run beside them.
  CUstream_st* copy_stream() const { return copy_stream_; }
  /// Waits until everything on the compute stream is done. Throws Error for what failed there.
  void synchronize();

  /// While a step is captured, or made to run as captured: the device's StepValues, which kernels
  /// then read. Otherwise null: what they are called with counts.
  const StepValues* step_values() const { return step_values_; }
  void set_step_values(const StepValues* values) { step_values_ = values; }

 private:
  Context();

  Facts facts_;
  CUstream_st* stream_ = nullptr;
  CUstream_st* copy_stream_ = nullptr;
  const StepValues* step_values_ = nullptr;
};

/// A place in a stream that others can wait for.
class Event {
 public:
  /// `timed`: seconds_since() can be asked.
  explicit Event(bool timed = false);
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  /// Stands from now on for what was put on `stream` so far.
  void record(CUstream_st* stream);
  /// What is put on `stream` after this runs after what the event stands for.
  void hold_back(CUstream_st* stream) const;
  /// Waits for it here.
  void wait() const;
  /// Whether what it stands for is done.
  bool passed() const;
  /// Waits for it here, and says how long after `start`, of the same stream, it came. Of what the
  /// device did, not of the host.
  double seconds_since(const Event& start) const;

 private:
  [[maybe_unused]] CUevent_st* event_ = nullptr;
};

/// What was put on the compute stream between begin and end, to be done again and again as one.
class Graph {
 public:
  Graph() = default;
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  /// Captures what `work` puts on the compute stream, without doing it. `work` must wait for
  /// nothing there and take no memory but what its pool has at hand; else Error, and nothing is
  /// captured.
  void capture(const std::function<void()>& work);
  explicit operator bool() const { return executable_ != nullptr; }
  /// Puts all of it on the compute stream.
  void launch() const;

 private:
  CUgraphExec_st* executable_ = nullptr;
};

/// While one lives, nothing is put on the device: kernels, library calls and copies return at once,
/// and memory may be anything. What work allocates can be seen so without doing it, see
/// inspect/plan.h.
class DryRun {
 public:
  DryRun();
  ~DryRun();
  DryRun(const DryRun&) = delete;
  DryRun& operator=(const DryRun&) = delete;
};
bool runs_dry();

/// The memory of the device's tensors; 256-byte aligned. With FOLIO_POISON=1 in the environment
/// every tensor's memory begins as NaN.
const MemorySource& device_memory();
/// Of tensors that the GPU can copy from and to while the CPU goes on.
const MemorySource& pinned_memory();
/// The pools of both.
Allocator& pool();
Allocator& pinned_pool();

/// Copies bytes. Of host memory: both return when the copy is made.
void upload(void* device, const void* host, size_t bytes);
void download(void* host, const void* device, size_t bytes);
/// On the compute stream, returning at once.
void copy_on_device(void* to, const void* from, size_t bytes);
/// On `stream`, returning at once; `pinned` must be pinned memory that nobody changes until then.
void upload_async(void* device, const void* pinned, size_t bytes, CUstream_st* stream);
void download_async(void* pinned, const void* device, size_t bytes, CUstream_st* stream);

/// Throws the Error that a CUDA runtime call's result other than 0 means: `call` names it.
[[noreturn]] void fail_call(const char* call, int error);

}  // namespace folio::cuda
