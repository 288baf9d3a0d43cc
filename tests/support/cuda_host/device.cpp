// The device and its errors.
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "state.h"

namespace cuda_host {
namespace {

/// There are the GPUs that CUDA_VISIBLE_DEVICES=0,1,2 names: every other test runs as on a machine
/// that has none.
std::vector<int> visible_devices() {
  std::vector<int> numbers;
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  std::istringstream list(visible != nullptr ? visible : "");
  for (std::string number; std::getline(list, number, ',') && number != "-1";) {
    numbers.push_back(std::stoi(number));
  }
  return numbers;
}

int current_device = 0;

}  // namespace

int machine_device() { return visible_devices().at(static_cast<size_t>(current_device)); }

}  // namespace cuda_host

using namespace cuda_host;

cudaError_t cudaGetDeviceCount(int* count) {
  *count = static_cast<int>(visible_devices().size());
  return result(*count > 0 ? cudaSuccess : cudaErrorNoDevice);
}

/// 9.0, or what FOLIO_HOST_CAPABILITY says: 75 for 7.5.
int cuda_host::capability() {
  static const char* const given = std::getenv("FOLIO_HOST_CAPABILITY");
  return given != nullptr ? std::atoi(given) : 90;
}

cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= static_cast<int>(visible_devices().size())) {
    return result(cudaErrorInvalidValue);
  }
  current_device = device;
  return result(cudaSuccess);
}

cudaError_t cudaDeviceGetPCIBusId(char* text, int bytes, int device) {
  if (device < 0 || device >= static_cast<int>(visible_devices().size()) || bytes < 13) {
    return result(cudaErrorInvalidValue);
  }
  std::snprintf(text, static_cast<size_t>(bytes), "0000:%02x:00.0",
                visible_devices()[static_cast<size_t>(device)]);
  return result(cudaSuccess);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device < 0 || device >= static_cast<int>(visible_devices().size())) {
    return result(cudaErrorInvalidValue);
  }
  *properties = {};
  strcpy(properties->name, "test double of a GPU");
  properties->totalGlobalMem = size_t{8} << 30;
  properties->major = capability() / 10;
  properties->minor = capability() % 10;
  properties->multiProcessorCount = 4;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaGetLastError() {
  const std::lock_guard lock(State::get().mutex);
  return std::exchange(State::get().last_error, State::get().error);
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    case cudaErrorInvalidMemcpyDirection:
      return "cudaErrorInvalidMemcpyDirection";
    case cudaErrorNoDevice:
      return "cudaErrorNoDevice";
    case cudaErrorInvalidResourceHandle:
      return "cudaErrorInvalidResourceHandle";
    case cudaErrorNotReady:
      return "cudaErrorNotReady";
    case cudaErrorIllegalAddress:
      return "cudaErrorIllegalAddress";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
    case cudaErrorStreamCaptureUnsupported:
      return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated:
      return "cudaErrorStreamCaptureInvalidated";
    case cudaErrorStreamCaptureUnjoined:
      return "cudaErrorStreamCaptureUnjoined";
    case cudaErrorStreamCaptureIsolation:
      return "cudaErrorStreamCaptureIsolation";
    case cudaErrorStreamCaptureImplicit:
      return "cudaErrorStreamCaptureImplicit";
    case cudaErrorCapturedEvent:
      return "cudaErrorCapturedEvent";
  }
  return "an unknown error";
}

const char* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }
