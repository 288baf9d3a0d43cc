// What the files of the double share: streams, events and captures, under one lock.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "work.h"

namespace cuda_host {

struct Work {
  std::string name;
  std::function<void()> run = {};      // empty: only waits
  std::function<bool()> attempt = {};  // instead of run: until it returns true
  CUstream_st* other = nullptr;        // done up to `position` before this is
  uint64_t position = 0;
};

struct Capture {
  cudaStreamCaptureMode mode;
  std::vector<Work> works;
  bool spoiled = false;
};

/// The whole device. Every call of the double holds the lock.
struct State {
  std::recursive_mutex mutex;
  cudaError_t error = cudaSuccess;       // of the device: stays
  cudaError_t last_error = cudaSuccess;  // of a call
  std::vector<CUstream_st*> streams;
  CUstream_st* capturing = nullptr;  // one at a time
  bool leaves_out_waits = false;
  Waits waits = Waits::nowhere;

  static State& get();
};

/// Ends a call: remembers an error for cudaGetLastError.
cudaError_t result(cudaError_t error);
/// What is wrong with a call that waits for the device or may do so, while a stream is captured: it
/// spoils the capture. cudaSuccess where none is captured.
cudaError_t refuse_while_capturing(const char* call);
/// Of the current device: its number in the machine, whatever the process sees of it.
int machine_device();
/// Does what is on the stream up to a position, as far as nothing has to wait for another process;
/// whether all of it is done.
bool try_work(CUstream_st* stream, uint64_t position);
/// Does everything that is on the stream up to a position; all of it.
void do_work(CUstream_st* stream, uint64_t position);
void do_work(CUstream_st* stream);
void do_all_work();
/// Runs work that is due; a DeviceError becomes the device's.
void perform(const std::function<void()>& work, const std::string& name);

/// Device memory is accessible while one of these lives.
class DeviceAccess {
 public:
  DeviceAccess();
  ~DeviceAccess();
};

bool is_pinned_memory(const void* memory, size_t bytes);

/// Every thread of every block of a grid.
void run_grid(dim3 grid, dim3 block, const KernelCall& call);

}  // namespace cuda_host

struct CUstream_st {
  std::deque<cuda_host::Work> queue;
  uint64_t put = 0, done = 0;  // works ever put on it, and done
  std::unique_ptr<cuda_host::Capture> capture;
};

struct CUevent_st {
  CUstream_st* stream = nullptr;  // null: never recorded
  uint64_t position = 0;
  bool captured = false;
  int questions = 0;  // since it was recorded
  bool timed = false;
};

struct CUgraph_st {
  std::vector<cuda_host::Work> works;
};
struct CUgraphExec_st {
  std::vector<cuda_host::Work> works;
};
