// Device memory: a range of addresses that the host may not touch, but while the device works.
#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <mutex>

#include "state.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(memory, bytes) ((void)(memory), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(memory, bytes) ((void)(memory), (void)(bytes))
#endif

namespace cuda_host {
namespace {

constexpr size_t arena_bytes = size_t{64} << 30;  // of addresses, not of memory
constexpr size_t device_bytes = size_t{8} << 30;
constexpr size_t alignment = 256, red_zone = 256;  // between allocations nothing may be touched
constexpr size_t huge_page = size_t{2} << 20;

size_t rounded(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

/// The arena: allocations never move, and what was freed is used again only when all else is.
struct Arena {
  std::byte* base;
  size_t used = 0;  // everything beyond was never given out
  size_t live_bytes = 0, peak_bytes = 0;
  int accessors = 0;
  std::map<std::byte*, size_t> live;
  std::multimap<size_t, std::byte*> free;  // by exact size
  std::map<std::byte*, size_t> pinned;

  Arena() {
    void* memory = mmap(nullptr, arena_bytes + huge_page, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    base = reinterpret_cast<std::byte*>(rounded(reinterpret_cast<size_t>(memory), huge_page));
    madvise(base, arena_bytes, MADV_HUGEPAGE);  // a hint: protect() then takes much less time
  }

  void protect(int access) const {
    if (used > 0 && mprotect(base, rounded(used, huge_page), access) != 0) std::abort();
  }

  static Arena& get() {
    static Arena* const arena = new Arena;
    return *arena;
  }
};

bool holds(const std::map<std::byte*, size_t>& blocks, const void* memory, size_t bytes) {
  auto* const at = static_cast<std::byte*>(const_cast<void*>(memory));
  auto block = blocks.upper_bound(at);
  if (block == blocks.begin()) return false;
  --block;
  return at + bytes <= block->first + block->second;
}

}  // namespace

DeviceAccess::DeviceAccess() {
  Arena& arena = Arena::get();
  if (arena.accessors++ == 0) arena.protect(PROT_READ | PROT_WRITE);
}

DeviceAccess::~DeviceAccess() {
  Arena& arena = Arena::get();
  if (--arena.accessors == 0) arena.protect(PROT_NONE);
}

bool is_device_memory(const void* memory, size_t bytes) {
  return holds(Arena::get().live, memory, bytes);
}
size_t device_bytes_now() { return Arena::get().live_bytes; }
size_t device_bytes_at_peak() { return Arena::get().peak_bytes; }
void begin_new_peak() { Arena::get().peak_bytes = Arena::get().live_bytes; }
bool is_device_pointer(const void* memory) { return is_device_memory(memory, 0); }
bool is_pinned_memory(const void* memory, size_t bytes) {
  return holds(Arena::get().pinned, memory, bytes);
}

}  // namespace cuda_host

using namespace cuda_host;

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  const std::lock_guard lock(State::get().mutex);
  if (const cudaError_t error = refuse_while_capturing("cudaMalloc")) return result(error);
  if (bytes == 0) {
    *memory = nullptr;
    return result(cudaSuccess);
  }
  Arena& arena = Arena::get();
  if (arena.live_bytes + bytes > device_bytes) return result(cudaErrorMemoryAllocation);
  std::byte* block;
  if (const auto waiting = arena.free.find(bytes); waiting != arena.free.end()) {
    block = waiting->second;
    arena.free.erase(waiting);
  } else {
    // Pages that hold only this and its red zone may still share their first or last with others.
    const size_t size = rounded(bytes, alignment) + red_zone;
    if (arena.used + size > arena_bytes) return result(cudaErrorMemoryAllocation);
    block = arena.base + arena.used;
    const size_t before = arena.used;
    arena.used = rounded(before + size, alignment);
    ASAN_POISON_MEMORY_REGION(block, rounded(arena.used, huge_page) - before);
  }
  arena.live[block] = bytes;
  arena.live_bytes += bytes;
  arena.peak_bytes = std::max(arena.peak_bytes, arena.live_bytes);
  ASAN_UNPOISON_MEMORY_REGION(block, bytes);
  if (arena.accessors > 0) arena.protect(PROT_READ | PROT_WRITE);
  const DeviceAccess access;
  memset(block, 0xFF, bytes);
  *memory = block;
  return result(cudaSuccess);
}

cudaError_t cudaFree(void* memory) {
  const std::lock_guard lock(State::get().mutex);
  if (const cudaError_t error = refuse_while_capturing("cudaFree")) return result(error);
  if (memory == nullptr) return result(cudaSuccess);
  do_all_work();
  Arena& arena = Arena::get();
  const auto block = arena.live.find(static_cast<std::byte*>(memory));
  if (block == arena.live.end()) return result(cudaErrorInvalidValue);
  ASAN_POISON_MEMORY_REGION(block->first, block->second);
  arena.live_bytes -= block->second;
  arena.free.emplace(block->second, block->first);
  arena.live.erase(block);
  return result(State::get().error);
}

cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  const std::lock_guard lock(State::get().mutex);
  if (const cudaError_t error = refuse_while_capturing("cudaHostAlloc")) return result(error);
  *memory = nullptr;
  if (posix_memalign(memory, 4096, bytes) != 0) return result(cudaErrorMemoryAllocation);
  memset(*memory, 0xFF, bytes);
  Arena::get().pinned[static_cast<std::byte*>(*memory)] = bytes;
  return result(cudaSuccess);
}

cudaError_t cudaFreeHost(void* memory) {
  const std::lock_guard lock(State::get().mutex);
  if (const cudaError_t error = refuse_while_capturing("cudaFreeHost")) return result(error);
  do_all_work();
  if (Arena::get().pinned.erase(static_cast<std::byte*>(memory)) == 0) {
    return result(cudaErrorInvalidValue);
  }
  free(memory);
  return result(State::get().error);
}

namespace {

/// What a copy's kind says of its memory must be so; host memory must be pinned, as Folio has it,
/// or the copy would not be asynchronous.
bool kind_fits(cudaMemcpyKind kind, const void* to, const void* from, size_t bytes) {
  switch (kind) {
    case cudaMemcpyHostToDevice:
      return is_device_memory(to, bytes) && is_pinned_memory(from, bytes);
    case cudaMemcpyDeviceToHost:
      return is_pinned_memory(to, bytes) && is_device_memory(from, bytes);
    case cudaMemcpyDeviceToDevice:
      return is_device_memory(to, bytes) && is_device_memory(from, bytes);
    case cudaMemcpyHostToHost:
      return false;
  }
  return false;
}

}  // namespace

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const std::lock_guard lock(State::get().mutex);
  if (!kind_fits(kind, to, from, bytes)) return result(cudaErrorInvalidValue);
  return put(stream, "cudaMemcpyAsync", [=] { memmove(to, from, bytes); });
}

cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  const std::lock_guard lock(State::get().mutex);
  if (!is_device_memory(memory, bytes)) return result(cudaErrorInvalidValue);
  return put(stream, "cudaMemsetAsync", [=] { memset(memory, value, bytes); });
}
