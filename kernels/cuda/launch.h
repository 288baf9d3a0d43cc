// launch(): how kernels are launched. It is plain C++, so that the same sources also run over the
// doubles in tests/support/cuda_host.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "folio/tensor/cuda.h"

namespace folio::cuda {

/// Throws Error if the call named `call` failed.
inline void check(cudaError_t error, const char* call) {
  if (error != cudaSuccess) [[unlikely]]
    throw_cuda_error(call, error);
}

/// blocks x blocks_y blocks of `threads` threads.
struct Grid {
  int64_t blocks = 0;
  int threads = 256;
  int64_t blocks_y = 1;
  CUstream_st* stream = nullptr;  // null: the compute stream
};

/// Launches kernel(arguments...) on the grid's stream; a grid without blocks does nothing. `name`
/// is a literal, for errors and traces. Kernels use static shared memory only.
template <class... Parameters, class... Arguments>
void launch(const char* name, const Grid& grid, void (*kernel)(Parameters...),
            const Arguments&... arguments) {
  if (grid.blocks == 0 || grid.blocks_y == 0 || is_dry_run()) return;
  cudaLaunchConfig_t config{};
  config.gridDim =
      dim3(static_cast<unsigned>(grid.blocks), static_cast<unsigned>(grid.blocks_y), 1);
  config.blockDim = dim3(static_cast<unsigned>(grid.threads), 1, 1);
  config.stream = grid.stream != nullptr ? grid.stream : Context::get().stream();
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), name);
}

/// The number of pieces of `size` that `count` elements need.
constexpr int64_t pieces_of(int64_t count, int64_t size) { return (count + size - 1) / size; }

}  // namespace folio::cuda
