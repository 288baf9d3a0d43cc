// Capture into graphs, and their replay.
#include <cstdio>
#include <memory>
#include <mutex>
#include <utility>

#include "state.h"

namespace cuda_host {

cudaError_t refuse_while_capturing(const char* call) {
  State& state = State::get();
  if (state.error != cudaSuccess) return state.error;
  if (state.capturing == nullptr) return cudaSuccess;
  if (state.capturing->capture->mode == cudaStreamCaptureModeRelaxed) return cudaSuccess;
  std::fprintf(stderr, "cuda_host: %s is not allowed while a stream is captured\n", call);
  state.capturing->capture->spoiled = true;
  return cudaErrorStreamCaptureUnsupported;
}

}  // namespace cuda_host

using namespace cuda_host;

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  State& state = State::get();
  const std::lock_guard lock(state.mutex);
  if (stream == nullptr) return result(cudaErrorStreamCaptureUnsupported);
  if (state.capturing != nullptr) return result(cudaErrorInvalidValue);
  stream->capture = std::make_unique<Capture>();
  stream->capture->mode = mode;
  state.capturing = stream;
  return result(state.error);
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  State& state = State::get();
  const std::lock_guard lock(state.mutex);
  *graph = nullptr;
  if (stream == nullptr || !stream->capture) return result(cudaErrorInvalidValue);
  const std::unique_ptr<Capture> capture = std::move(stream->capture);
  state.capturing = nullptr;
  if (capture->spoiled) return result(cudaErrorStreamCaptureInvalidated);
  *graph = new CUgraph_st{std::move(capture->works)};
  return result(state.error);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  const std::lock_guard lock(State::get().mutex);
  *executable = new CUgraphExec_st{graph->works};
  return result(cudaSuccess);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  State& state = State::get();
  const std::lock_guard lock(state.mutex);
  if (stream == nullptr || stream->capture) return result(cudaErrorInvalidResourceHandle);
  for (const Work& work : executable->works) {
    if (const cudaError_t error = put(stream, work.name, work.run)) return error;
  }
  return result(state.error);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;  // a launch on its way has copied what it needs
  return cudaSuccess;
}
