// What the doubles of libraries build on: work that is put on a stream now and done late.
//
// The rules of this GPU, each as unkind as CUDA's documentation allows:
// - work on a stream is done when something waits for it, and not before: until then the host may
//   not have overwritten what an asynchronous copy reads, nor read what it writes. With
//   CUDA_HOST_EAGER=1 in the environment it is the other way round: it is done at once, unless an
//   event or another process holds it back;
// - of two streams neither runs before the other unless an event orders them;
// - fresh device memory holds NaN (every byte 0xFF), and the host can touch none of it but through
//   copies: it is mapped without access except while work is done;
// - while a stream is captured, what real capture refuses is refused, and spoils the capture;
// - an error in work is found by whoever waits for it, and by every call after it.
#pragma once

#include <cuda_runtime.h>

#include <functional>
#include <string>

namespace cuda_host {

/// Puts work on a stream, or into the graph that is captured from it. While it runs, device memory
/// is accessible; what it needs of the host's it must have copied. It may throw DeviceError.
cudaError_t put(cudaStream_t stream, std::string name, std::function<void()> work);

/// The same of work that waits for other processes: it is called again and again until it returns
/// true, and cares for access to device memory itself. It cannot be captured.
cudaError_t put_patient(cudaStream_t stream, std::string name, std::function<bool()> attempt);

/// What failed on the device while work was done: printed, and what calls return from then on.
struct DeviceError {
  cudaError_t error;
  std::string what;
};

/// Whether all of [memory, memory + bytes) lies in one live allocation of device memory.
bool is_device_memory(const void* memory, size_t bytes);

/// For tests: bytes of device memory that are allocated, and the most that were since the peak
/// began anew.
size_t device_bytes_now();
size_t device_bytes_at_peak();
void begin_new_peak();

/// The device's compute capability, 90 for 9.0.
int capability();

/// For tests: from now on, with each product (each attention), its library also waits for the
/// stream, as none may while a stream is captured; or no longer.
enum class Waits { nowhere, in_products, in_attention };
void wait_in_libraries(Waits where);
/// Of the doubles of libraries: does so where it was asked for.
void wait_as_told(Waits here, cudaStream_t stream);

/// For tests: from now on (or no longer) waits for events are left out, by streams and by the host,
/// as in a program that forgot them.
void leave_out_waits(bool yes);

/// For tests: forgets an error, what is still to be done, and captures.
void reset_after_failure();

}  // namespace cuda_host
