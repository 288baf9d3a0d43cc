// The double of CUDA's runtime: exactly what Folio calls of it, as the CUDA 13 documentation has
// it. What the host sees of a GPU is made as strict as the documentation allows: see work.h.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <tuple>
#include <type_traits>
#include <utility>

#define __global__
#define __host__
#define __device__
#define __shared__ static  // the blocks of a grid run one after another
#define __launch_bounds__(...)

// --- errors
// ---------------------------------------------------------------------------------------

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInvalidMemcpyDirection = 21,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorNotReady = 600,
  cudaErrorIllegalAddress = 700,
  cudaErrorLaunchFailure = 719,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901,
  cudaErrorStreamCaptureUnjoined = 904,
  cudaErrorStreamCaptureIsolation = 905,
  cudaErrorStreamCaptureImplicit = 906,
  cudaErrorCapturedEvent = 907,
};

const char* cudaGetErrorString(cudaError_t error);
const char* cudaGetErrorName(cudaError_t error);
cudaError_t cudaGetLastError();

// --- the device
// -----------------------------------------------------------------------------------

struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem;
  int major, minor;
  int multiProcessorCount;
};

cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaDeviceGetPCIBusId(char* text, int bytes, int device);
cudaError_t cudaRuntimeGetVersion(int* version);

// --- memory
// ---------------------------------------------------------------------------------------

enum cudaMemcpyKind {
  cudaMemcpyHostToHost = 0,
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost = 2,
  cudaMemcpyDeviceToDevice = 3,
};
constexpr unsigned cudaHostAllocDefault = 0;

typedef struct CUstream_st* cudaStream_t;
typedef struct CUevent_st* cudaEvent_t;

cudaError_t cudaMalloc(void** memory, size_t bytes);
cudaError_t cudaFree(void* memory);
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned flags);
cudaError_t cudaFreeHost(void* memory);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream);

// --- streams and events
// ---------------------------------------------------------------------------

constexpr unsigned cudaStreamNonBlocking = 1;
constexpr unsigned cudaEventDefault = 0, cudaEventDisableTiming = 2;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end);

// --- graphs
// ---------------------------------------------------------------------------------------

typedef struct CUgraph_st* cudaGraph_t;
typedef struct CUgraphExec_st* cudaGraphExec_t;
enum cudaStreamCaptureMode {
  cudaStreamCaptureModeGlobal = 0,
  cudaStreamCaptureModeThreadLocal = 1,
  cudaStreamCaptureModeRelaxed = 2,
};

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);

// --- kernels
// --------------------------------------------------------------------------------------

struct uint4 {
  unsigned x, y, z, w;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

// Of the thread that runs.
extern dim3 threadIdx, blockIdx, blockDim, gridDim;

void __syncthreads();
unsigned atomicAdd(unsigned* memory, unsigned value);
inline void __threadfence() {}  // the threads of all blocks take turns

namespace cuda_host {

/// One bit pattern for each lane of the mask: those of the calling thread's warp.
struct WarpValues {
  uint64_t lane[32];
};
WarpValues exchange(unsigned mask, uint64_t bits);
int lane_of_thread();

template <class T>
T shuffle(unsigned mask, T value, int from) {
  static_assert(sizeof(T) <= 8);
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof(T));
  const WarpValues values = exchange(mask, bits);
  memcpy(&value, &values.lane[from], sizeof(T));
  return value;
}

using ThreadBody = void (*)(const void* arguments);
struct KernelCall {
  ThreadBody body;
  const void* arguments;  // of the host, copied by `copy`
  void* (*copy)(const void* arguments);
  void (*destroy)(void* arguments);
};
bool is_device_pointer(const void* memory);
cudaError_t put_kernel(const struct LaunchPlace& place, const KernelCall& call, bool pointers_good);

template <class T>
bool pointer_is_good(const T& argument) {
  if constexpr (std::is_pointer_v<T>) {
    return argument == nullptr || is_device_pointer(argument);
  } else {
    return true;
  }
}

}  // namespace cuda_host

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask) {
  return cuda_host::shuffle(mask, value, cuda_host::lane_of_thread() ^ lane_mask);
}
template <class T>
T __shfl_sync(unsigned mask, T value, int lane) {
  return cuda_host::shuffle(mask, value, lane & 31);
}
/// A product that no compiler may make an fma with a sum; this one is built for CPUs without fma.
inline float __fmul_rn(float a, float b) { return a * b; }
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  const cuda_host::WarpValues values = cuda_host::exchange(mask, predicate != 0);
  unsigned votes = 0;
  for (int lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1u) != 0 && values.lane[lane] != 0) votes |= 1u << lane;
  }
  return votes;
}

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
};

namespace cuda_host {
struct LaunchPlace {
  dim3 grid, block;
  cudaStream_t stream;
};
}  // namespace cuda_host

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  struct Call {
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> arguments;
  };
  const Call call{kernel, {static_cast<Parameters>(arguments)...}};
  const bool good = std::apply(
      [](const auto&... a) { return (cuda_host::pointer_is_good(a) && ...); }, call.arguments);
  return cuda_host::put_kernel(
      {config->gridDim, config->blockDim, config->stream},
      {[](const void* c) {
         const auto& call = *static_cast<const Call*>(c);
         std::apply(call.kernel, call.arguments);
       },
       &call, [](const void* c) -> void* { return new Call(*static_cast<const Call*>(c)); },
       [](void* c) { delete static_cast<Call*>(c); }},
      good);
}
