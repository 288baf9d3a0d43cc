// A libcuda.so.1 without a GPU: cuDNN compiles its kernels for a GPU that is described to it, and
// then wants to load them. Here loading succeeds, and nothing can be run: there is no device.
namespace {

constexpr int no_device = 100;  // CUDA_ERROR_NO_DEVICE
char somewhere;
void* const something = &somewhere;

template <class T, class V>
int give(T* place, V value) {
  *place = value;
  return 0;
}

}  // namespace

extern "C" {
int cuInit(unsigned) { return no_device; }
int cuDriverGetVersion(int* version) { return give(version, 13000); }
int cuDeviceGetCount(int* count) { return give(count, 0); }
int cuGetErrorString(int, const char** text) { return give(text, "of the driver's double"); }
int cuGetErrorName(int, const char** text) { return give(text, "of the driver's double"); }
int cuLibraryLoadData(void** library) { return give(library, something); }
int cuLibraryGetKernel(void** kernel) { return give(kernel, something); }
int cuModuleLoadData(void** module) { return give(module, something); }
int cuModuleLoadDataEx(void** module) { return give(module, something); }
int cuModuleGetFunction(void** function) { return give(function, something); }
int cuKernelGetAttribute(int* value) { return give(value, 0); }
int cuFuncGetAttribute(int* value) { return give(value, 0); }

// What cuDNN and the runtime in it look up besides; none of it does anything.
int cuCtxGetCurrent() { return 0; }
int cuCtxGetDevice() { return 0; }
int cuCtxGetLimit() { return 0; }
int cuCtxPopCurrent() { return 0; }
int cuCtxPushCurrent() { return 0; }
int cuDeviceGet() { return 0; }
int cuDeviceGetAttribute() { return 0; }
int cuDevicePrimaryCtxRelease() { return 0; }
int cuDevicePrimaryCtxReset() { return 0; }
int cuDevicePrimaryCtxRetain() { return 0; }
int cuFuncSetAttribute() { return 0; }
int cuKernelSetAttribute() { return 0; }
int cuLaunchCooperativeKernel() { return 0; }
int cuLaunchKernel() { return 0; }
int cuLaunchKernelEx() { return 0; }
int cuLibraryLoadFromFile() { return 0; }
int cuLibraryUnload() { return 0; }
int cuLinkAddData() { return 0; }
int cuLinkAddData_v2() { return 0; }
int cuLinkAddFile_v2() { return 0; }
int cuLinkComplete() { return 0; }
int cuLinkCreate() { return 0; }
int cuLinkCreate_v2() { return 0; }
int cuLinkDestroy() { return 0; }
int cuMemcpyDtoH_v2() { return 0; }
int cuModuleGetGlobal_v2() { return 0; }
int cuModuleLoadFatBinary() { return 0; }
int cuModuleUnload() { return 0; }
int cuOccupancyMaxActiveBlocksPerMultiprocessor() { return 0; }
int cuOccupancyMaxPotentialClusterSize() { return 0; }
int cuStreamGetCtx() { return 0; }
int cuStreamSynchronize() { return 0; }
int cuTensorMapEncodeTiled() { return 0; }
}
