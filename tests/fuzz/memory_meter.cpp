#include "fuzz/memory_meter.h"

#include <malloc.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "folio/tensor/allocator.h"

namespace {

// Signed: memory from before begin_metering() may be given back after it.
thread_local int64_t alive = 0, peak = 0, most = INT64_MAX;

void* take(size_t bytes, size_t alignment) {
  const auto wanted = static_cast<int64_t>(std::min<size_t>(bytes, INT64_MAX / 2));
  peak = std::max(peak, alive + wanted);
  if (alive + wanted > most) throw std::bad_alloc();
  void* memory = nullptr;
  if (posix_memalign(&memory, std::max(alignment, sizeof(void*)), std::max<size_t>(bytes, 1)) !=
      0) {
    throw std::bad_alloc();
  }
  alive += static_cast<int64_t>(malloc_usable_size(memory));
  return memory;
}

void give(void* memory) noexcept {
  if (memory == nullptr) return;
  alive -= static_cast<int64_t>(malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace

void* operator new(size_t bytes) { return take(bytes, alignof(std::max_align_t)); }
void* operator new[](size_t bytes) { return take(bytes, alignof(std::max_align_t)); }
void* operator new(size_t bytes, std::align_val_t alignment) {
  return take(bytes, static_cast<size_t>(alignment));
}
void* operator new[](size_t bytes, std::align_val_t alignment) {
  return take(bytes, static_cast<size_t>(alignment));
}
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  try {
    return take(bytes, alignof(std::max_align_t));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* operator new[](size_t bytes, const std::nothrow_t& nothrow) noexcept {
  return ::operator new(bytes, nothrow);
}
void operator delete(void* memory) noexcept { give(memory); }
void operator delete[](void* memory) noexcept { give(memory); }
void operator delete(void* memory, size_t) noexcept { give(memory); }
void operator delete[](void* memory, size_t) noexcept { give(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { give(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { give(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { give(memory); }
void operator delete[](void* memory, size_t, std::align_val_t) noexcept { give(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { give(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { give(memory); }

namespace folio {

void begin_metering(size_t limit) {
  allocator(Device::cpu).trim();
  alive = peak = 0;
  most = static_cast<int64_t>(limit);
}

size_t metered_peak() {
  // Nothing that tensors take goes back to the system before trim().
  const size_t tensors = allocator(Device::cpu).statistics().reserved_bytes;
  return static_cast<size_t>(std::max<int64_t>(peak, 0)) + tensors;
}

}  // namespace folio
