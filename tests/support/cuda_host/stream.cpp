// Streams and events: queues whose work is done when something waits for it.
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "state.h"

namespace cuda_host {

State& State::get() {
  static State* const state = new State;
  return *state;
}

cudaError_t result(cudaError_t error) {
  if (error != cudaSuccess) State::get().last_error = error;
  return error;
}

namespace {

/// What was put on a stream last.
void take_up(CUstream_st* stream) {
  static const bool eager = std::getenv("CUDA_HOST_EAGER") != nullptr;
  ++stream->put;
  if (eager) try_work(stream, stream->put);
}

}  // namespace

void perform(const std::function<void()>& work, const std::string& name) {
  State& state = State::get();
  if (state.error != cudaSuccess) return;  // the device is lost
  try {
    work();
  } catch (const DeviceError& failure) {
    state.error = failure.error;
    std::fprintf(stderr, "cuda_host: %s: %s\n", name.c_str(), failure.what.c_str());
  }
}

bool try_work(CUstream_st* stream, uint64_t position) {
  std::optional<DeviceAccess> access;  // once for all of it
  while (stream->done < position && !stream->queue.empty()) {
    const Work& first = stream->queue.front();
    if (first.other != nullptr && !try_work(first.other, first.position)) return false;
    if (first.attempt && State::get().error == cudaSuccess) {
      bool done = false;
      perform([&] { done = first.attempt(); }, first.name);
      if (!done && State::get().error == cudaSuccess) return false;
    }
    const Work work = std::move(stream->queue.front());
    stream->queue.pop_front();
    ++stream->done;
    if (!work.run) continue;
    if (!access) access.emplace();
    perform(work.run, work.name);
  }
  return true;
}

void do_work(CUstream_st* stream, uint64_t position) {
  while (!try_work(stream, position)) ::usleep(100);
}

void do_work(CUstream_st* stream) { do_work(stream, stream->put); }

void do_all_work() {
  for (CUstream_st* stream : State::get().streams) do_work(stream);
}

cudaError_t put(cudaStream_t stream, std::string name, std::function<void()> work) {
  State& state = State::get();
  const std::lock_guard lock(state.mutex);
  if (state.error != cudaSuccess) return result(state.error);
  if (stream == nullptr) {  // the legacy stream, which waits for every blocking one
    return result(state.capturing != nullptr ? cudaErrorStreamCaptureImplicit
                                             : cudaErrorInvalidResourceHandle);
  }
  if (stream->capture) {
    if (stream->capture->spoiled) return result(cudaErrorStreamCaptureInvalidated);
    stream->capture->works.push_back({.name = std::move(name), .run = std::move(work)});
    return cudaSuccess;
  }
  stream->queue.push_back({.name = std::move(name), .run = std::move(work)});
  take_up(stream);
  return cudaSuccess;
}

cudaError_t put_patient(cudaStream_t stream, std::string name, std::function<bool()> attempt) {
  State& state = State::get();
  const std::lock_guard lock(state.mutex);
  if (state.error != cudaSuccess) return result(state.error);
  if (stream == nullptr) return result(cudaErrorInvalidResourceHandle);
  if (const cudaError_t error = refuse_while_capturing(name.c_str())) return result(error);
  stream->queue.push_back({.name = std::move(name), .attempt = std::move(attempt)});
  take_up(stream);
  return cudaSuccess;
}

void leave_out_waits(bool yes) { State::get().leaves_out_waits = yes; }

void wait_in_libraries(Waits where) { State::get().waits = where; }
void wait_as_told(Waits here, cudaStream_t stream) {
  if (State::get().waits == here) cudaStreamSynchronize(stream);  // and does not look at its answer
}

void reset_after_failure() {
  State& state = State::get();
  const std::lock_guard lock(state.mutex);
  for (CUstream_st* stream : state.streams) {
    stream->queue.clear();
    stream->done = stream->put;
    stream->capture.reset();
  }
  state.capturing = nullptr;
  state.error = state.last_error = cudaSuccess;
}

}  // namespace cuda_host

using namespace cuda_host;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const std::lock_guard lock(State::get().mutex);
  if (flags != cudaStreamNonBlocking) return result(cudaErrorInvalidValue);
  *stream = new CUstream_st;
  State::get().streams.push_back(*stream);
  return result(cudaSuccess);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::lock_guard lock(State::get().mutex);
  if (const cudaError_t error = refuse_while_capturing("cudaStreamSynchronize")) {
    return result(error);
  }
  if (stream == nullptr) return result(cudaErrorInvalidResourceHandle);
  do_work(stream);
  return result(State::get().error);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  const std::lock_guard lock(State::get().mutex);
  *event = new CUevent_st;
  (*event)->timed = (flags & cudaEventDisableTiming) == 0;
  return result(cudaSuccess);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const std::lock_guard lock(State::get().mutex);
  delete event;
  return result(cudaSuccess);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(State::get().mutex);
  if (stream == nullptr) return result(cudaErrorInvalidResourceHandle);
  event->stream = stream;
  event->captured = stream->capture != nullptr;
  event->position = stream->put;
  event->questions = 0;
  return result(State::get().error);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const std::lock_guard lock(State::get().mutex);
  if (event->stream == nullptr) return result(cudaSuccess);  // never recorded: nothing to wait for
  if (stream->capture || event->captured) {
    // A capture may not depend on what is outside it; branches inside it are not doubled.
    if (stream->capture) stream->capture->spoiled = true;
    return result(cudaErrorStreamCaptureIsolation);
  }
  if (State::get().leaves_out_waits) return result(State::get().error);
  stream->queue.push_back(
      {.name = "cudaStreamWaitEvent", .other = event->stream, .position = event->position});
  ++stream->put;
  return result(State::get().error);
}

/// Nothing takes time here: a microsecond for each work between the two.
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  const std::lock_guard lock(State::get().mutex);
  if (const cudaError_t error = refuse_while_capturing("cudaEventElapsedTime")) {
    return result(error);
  }
  if (!start->timed || !end->timed || start->stream == nullptr || end->stream != start->stream) {
    return result(cudaErrorInvalidResourceHandle);
  }
  if (end->stream->done < std::max(start->position, end->position)) {
    return result(cudaErrorNotReady);
  }
  *milliseconds = 1e-3f * (static_cast<float>(end->position) - static_cast<float>(start->position));
  return result(State::get().error);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const std::lock_guard lock(State::get().mutex);
  if (event->captured) return result(cudaErrorCapturedEvent);
  if (const cudaError_t error = refuse_while_capturing("cudaEventSynchronize"))
    return result(error);
  if (event->stream != nullptr && !State::get().leaves_out_waits) {
    do_work(event->stream, event->position);
  }
  return result(State::get().error);
}

/// Who asks does not wait, so at first nothing is done; but it is done at last, or no loop that
/// asks would end.
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const std::lock_guard lock(State::get().mutex);
  if (event->captured) return result(cudaErrorCapturedEvent);
  if (const cudaError_t error = refuse_while_capturing("cudaEventQuery")) return result(error);
  if (event->stream == nullptr || State::get().leaves_out_waits) return result(State::get().error);
  const bool done = event->stream->done >= event->position ||
                    (++event->questions > 2 && try_work(event->stream, event->position));
  if (!done) return result(cudaErrorNotReady);
  return result(State::get().error);
}
