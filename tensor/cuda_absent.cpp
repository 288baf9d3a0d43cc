// The functions of cuda.h in a build without CUDA: they report that.
#include <functional>
#include <string>

#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"

namespace folio::cuda {
namespace {

[[noreturn]] void refuse() { fail("device", unavailable()); }

}  // namespace

bool built_in() { return false; }

std::string unavailable() { return "this build has no CUDA; use device: auto or cpu"; }

int devices() { return 0; }
void use_device(int) {}

Context& Context::get() { refuse(); }
void Context::synchronize() {}

Event::Event(bool) { refuse(); }
Event::~Event() = default;
void Event::record(CUstream_st*) {}
void Event::block(CUstream_st*) const {}
void Event::wait() const {}
bool Event::query() const { return true; }
double Event::seconds_since(const Event&) const { refuse(); }

Graph::~Graph() = default;
void Graph::capture(const std::function<void()>&) { refuse(); }
void Graph::launch() const { refuse(); }

DryRun::DryRun() { refuse(); }
DryRun::~DryRun() = default;
bool is_dry_run() { return false; }

const MemorySource& device_memory() { refuse(); }
const MemorySource& pinned_memory() { refuse(); }
Allocator& pool() { refuse(); }
Allocator& pinned_pool() { refuse(); }

void upload(void*, const void*, size_t) { refuse(); }
void download(void*, const void*, size_t) { refuse(); }
void copy_on_device(void*, const void*, size_t) { refuse(); }
void upload_async(void*, const void*, size_t, CUstream_st*) { refuse(); }
void download_async(void*, const void*, size_t, CUstream_st*) { refuse(); }

void throw_cuda_error(const char*, int) { refuse(); }

}  // namespace folio::cuda
